"""What imports and undos did to the assets of a feed: the same, whoever did them and tells it."""

from collections import Counter
from collections.abc import Mapping, Sequence

import dagster as dg

from csv_pipeline.defs.checks import check_results
from csv_pipeline.defs.keys import asset_key
from csv_pipeline.defs.metadata import (
    MOST_LINES,
    TROUBLE_FIRST,
    Metadata,
    open_metadata,
    rejects_metadata,
    table_metadata,
    undo_metadata,
)
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.model import ImportReport, Outcome, Reject
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import arrivals, attention, imports, quarantine
from csv_pipeline.storage.attention import Need

_MOST_AWAY = 1_000


def imported(
    pipeline: Pipeline, account: str, feed: Feed, reports: Sequence[ImportReport]
) -> list[dg.MaterializeResult[None]]:
    """Return the table, with its checks, and the rejects as imports of an account left them."""
    rows_open, to_correct = _open(pipeline, account, feed)
    rejects = rejects_metadata(reports, _first_rejects(pipeline, reports), rows_open, to_correct)
    return [
        dg.MaterializeResult(
            asset_key=asset_key(feed, feed.name),
            metadata=table_facts(pipeline, account, feed, reports),
            check_results=check_results(feed, reports),
        ),
        dg.MaterializeResult(asset_key=asset_key(feed, f"{feed.name}_rejects"), metadata=rejects),
    ]


def undone(pipeline: Pipeline, report: ImportReport) -> dict[dg.AssetKey, Metadata]:
    """Return the table and its rejects as an undo left them, so that what is downstream follows."""
    feed, lane = pipeline.feed(report.feed), (report.account, report.feed)
    with pipeline.database.begin() as connection:
        rows = imports.rows_stored(connection, *lane)
    facts = {
        "undo": undone_in_short(report),
        "dagster/partition_row_count": rows,
        **undo_metadata(report),
    }
    rejects = {"undo": facts["undo"], **open_metadata(*_open(pipeline, report.account, feed))}
    return {asset_key(feed, feed.name): facts, asset_key(feed, f"{feed.name}_rejects"): rejects}


def undone_in_short(report: ImportReport) -> str:
    """Return what an undo, or a dry run of one, did in few words."""
    assert report.undo is not None  # noqa: S101  # an undo says what it did
    done = "brought back" if report.undo.redone else "undone"
    how = f"is {done} by import {report.import_id}" if report.import_id else f"would be {done}"
    return f"import {report.undo.import_id} {how}"


def outcome_tag(reports: Sequence[ImportReport]) -> str:
    """Return what became of the files of a run in few words: `imported`, or how many of each.

    What needs somebody is first: the list of runs shows no more than the beginning.
    """
    if len(reports) == 1 and reports[0].outcome is Outcome.UNDO:
        return undone_in_short(reports[0])
    counts = Counter(report.outcome for report in reports)
    if counts.total() <= 1:
        return next((one.value for one in counts), "nothing to import")
    return ", ".join(f"{counts[one]:,} {one}" for one in TROUBLE_FIRST if counts[one])


def _open(pipeline: Pipeline, account: str, feed: Feed) -> tuple[int, list[Need]]:
    """Return how many rejected rows of an account are open, and the files that have some."""
    with pipeline.database.begin() as connection:
        rows = quarantine.open_rows(connection, account, feed.name)
        return rows, attention.to_correct(connection, account, feed.name, _MOST_AWAY)


def table_facts(
    pipeline: Pipeline, account: str, feed: Feed, reports: Sequence[ImportReport]
) -> Metadata:
    """Return what imports, or dry runs, did to an account's rows of the table."""
    with pipeline.database.begin() as connection:
        rows_stored = imports.rows_stored(connection, account, feed.name)
        locations = arrivals.locations(connection, [report.arrival_id for report in reports])
    return table_metadata(reports, rows_stored, files=_files(pipeline, reports, locations))


def _files(
    pipeline: Pipeline, reports: Sequence[ImportReport], locations: Mapping[int, str]
) -> list[tuple[str, str, str]]:
    """Return the name of each file with where it is now and where the outcome of its rows is."""
    return [
        (report.name, locations.get(report.arrival_id, ""), str(pipeline.results_of(report) or ""))
        for report in reports
    ]


def _first_rejects(pipeline: Pipeline, reports: Sequence[ImportReport]) -> list[tuple[str, Reject]]:
    found: list[tuple[str, Reject]] = []
    with pipeline.database.begin() as connection:
        for report in reports:
            if report.counts.rejected and len(found) < MOST_LINES:
                faults = quarantine.faults_of(connection, report.import_id, MOST_LINES)
                found += [(report.name, reject) for reject in faults]
    return found
