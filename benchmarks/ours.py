"""What is measured: an import from its claim to its settled report, the way the command does it."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.orders import ORDERS
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.engine.run import run
from csv_pipeline.feeds import FEEDS
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import Claim, ImportReport, Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.storage import arrivals


def pipeline_at(home: str, url: str) -> Pipeline:
    """Return the pipeline with the feed that is measured, on the server at `url`."""
    settings = Settings(home=Path(home), database_url=SecretStr(url), settle_seconds=0)
    return open_pipeline(settings, (*FEEDS, ORDERS))


def import_file(home: str, url: str, file: str, account: str, feed: str) -> dict[str, Any]:
    """Import one file and return the seconds it took, those of each stage, and the counts."""
    pipeline = pipeline_at(home, url)
    with pipeline.database.begin() as connection:
        arrivals.register(connection, [found_file(location_of(Path(file)), account, feed)])
    began = time.monotonic()
    (report,) = _imported(pipeline, pipeline.claim(account, feed))
    seconds = time.monotonic() - began
    pipeline.close()
    counts = report.counts
    return {
        "seconds": seconds,
        "stages": dict(report.stage_seconds),
        "read": counts.read,
        "written": counts.inserted + counts.updated,
        "rejected": counts.rejected,
    }


def import_small_files(home: str, url: str, feed: str, *, alone: bool = False) -> dict[str, Any]:
    """Import all that lies in the landing area, and return the seconds.

    It goes account by account, or file by file if each is to go `alone`; the first is not timed.
    """
    pipeline = pipeline_at(home, url)
    found = pipeline.scan(seconds=600).found
    claims = [pipeline.claim(account, feed) for account in sorted({file.account for file in found})]
    runs = [[claim] for some in claims for claim in some] if alone else claims
    first = _imported(pipeline, runs[0]) if alone else []
    began, used = time.monotonic(), time.process_time()
    reports = [report for some in runs[len(first) :] for report in _imported(pipeline, some)]
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - used
    pipeline.close()
    return {
        "seconds": seconds,
        "cpu_ms": round(1_000 * cpu_seconds / len(reports), 1),
        "files": len(reports),
        "written": sum(report.counts.inserted for report in (*first, *reports)),
    }


def _imported(pipeline: Pipeline, claims: Iterable[Claim]) -> list[ImportReport]:
    reports = run(pipeline, list(claims))
    assert all(_as_meant(report) for report in reports)
    return reports


def _as_meant(report: ImportReport) -> bool:
    """Return whether a file is imported; one whose rows are all bad is refused."""
    all_bad = report.outcome is Outcome.REFUSED and report.problem_code == "no_good_row"
    return report.outcome is Outcome.IMPORTED or all_bad
