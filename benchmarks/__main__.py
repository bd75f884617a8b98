"""Measure an import of a million orders against the limit, as ratios in one run.

`python -m benchmarks [ROWS]`. Both load the same rows into the same server: the limit loads the
good ones only, because it would stop at the first bad one.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.limit import copy_and_merge
from benchmarks.orders import write_orders
from csv_pipeline.settings import Settings
from csv_pipeline.storage.database import open_database

_IMPORT = """
import json, logging, sys
from pathlib import Path
import structlog
from csv_pipeline.feeds import FEEDS
from csv_pipeline.ingest import ingest, open_pipeline
from csv_pipeline.settings import Settings
from csv_pipeline.stages.arrive import found_file
from csv_pipeline.storage import ledger
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
pipeline = open_pipeline(Settings(home=Path(sys.argv[1])), FEEDS)
with pipeline.database.begin() as connection:
    ledger.register(connection, [found_file(Path(sys.argv[2]), sys.argv[3], "ebay_orders")])
report = ingest(pipeline, pipeline.claim(sys.argv[3], "ebay_orders")[0])
print(json.dumps({"stages": report.stage_seconds, "inserted": report.counts.inserted}))
"""


def main(rows: int) -> None:
    """Print seconds, ratio and peak memory, and write them to `benchmarks/results.json`."""
    with tempfile.TemporaryDirectory(
        prefix="csv-pipeline-bench-", ignore_cleanup_errors=True
    ) as folder:
        home = Path(folder)
        bad, good = home / "bad.csv", home / "good.csv"
        write_orders(bad, rows, 0.01)
        keep = [line for line in bad.read_text().splitlines(keepends=True) if ",abc," not in line]
        good.write_text("".join(keep))
        database = open_database(Settings(home=home))
        url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        results = [_round(home, url, bad, good, number) for number in range(3)]
    best = sorted(results, key=lambda result: result["fresh_ratio"])[1]
    print(json.dumps(best, indent=2))
    Path("benchmarks/results.json").write_text(json.dumps(best, indent=2) + "\n")


def _round(home: Path, url: str, bad: Path, good: Path, number: int) -> dict[str, float]:
    limit = copy_and_merge(url, good)
    _empty(url)
    seconds, peak, said = _imported(home, bad, f"bench-{number}")
    stages = said["stages"]
    checked = stages["transform"] + stages["validate"]
    result = {
        "limit_seconds": round(limit, 2),
        "import_seconds": round(seconds, 2),
        "fresh_ratio": round(seconds / limit, 2),
        "peak_anon_mb": round(peak / 1024),
        "transform_and_validate_us_per_row": round(checked / said["inserted"] * 1e6, 2),
        **{f"{stage}_seconds": round(took, 2) for stage, took in stages.items()},
    }
    print(result)
    return result


def _empty(url: str) -> None:
    """Empty the target table, and let the server write out what it still holds."""
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('data.ebay_orders')").fetchone() != (None,):
            connection.execute("TRUNCATE data.ebay_orders")
        connection.execute("CHECKPOINT")


def _imported(home: Path, file: Path, account: str) -> tuple[float, int, Any]:
    """Import a file in a process of its own; return seconds of its stages, peak RssAnon in kB."""
    command = [sys.executable, "-c", _IMPORT, str(home), str(file), account]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        while process.poll() is None:
            peak = max(peak, _anonymous(process.pid))
            time.sleep(0.02)
        assert process.stdout is not None
        said = json.loads(process.stdout.read())
    return sum(said["stages"].values()), peak, said


def _anonymous(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
    return int(found[0]) if found else 0


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
