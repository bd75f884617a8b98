"""The measurements: what they compare is the same, and the README says what was measured."""

import json
import re
from pathlib import Path

import polars as pl
import psycopg
import pytest

from benchmarks import limit, ours, show
from benchmarks.orders import (
    ALL_BAD,
    ALL_CHANGED,
    CHANGED_1PCT,
    COLUMNS,
    GOOD,
    ORDERS,
    REORDERED,
    write_orders,
)
from benchmarks.parts import EVERY, plans
from benchmarks.results import MEANINGS, PATH, Line, Machine, Part, Results, load, save
from csv_pipeline.engine.pipeline import Pipeline

ROOT = Path(__file__).parent.parent
ROWS = 300


def line(who: str, case: str, rows: int, seconds: float, **more: object) -> Line:
    return Line(who=who, case=case, rows=rows, seconds=seconds, peak_anon_mb=100, **more)  # type: ignore[arg-type]


RESULTS = Results(
    machine=Machine(cores=2, memory_gb=24, postgresql="18"),
    parts={
        "1m": Part(
            date="2026-11-22",
            rounds=3,
            lines=(
                line("limit", "fresh", 1_000_000, 8.0),
                line("csv_pipeline", "fresh", 1_000_000, 12.0, ratio=1.5),
                line("csv_pipeline", "fresh, all bad", 1_000_000, 8.0, ratio=1.0),
                line("csv_pipeline", "1 % changed", 1_000_000, 6.0, ratio=0.8),
            ),
        ),
        "10m": Part(
            date="2026-11-23",
            rounds=1,
            lines=(line("csv_pipeline", "fresh", 10_000_000, 120.0, ratio=1.5),),
        ),
        "dlt": Part(
            date="2026-11-22",
            rounds=1,
            lines=(
                line("csv_pipeline", "fresh", 1_000_000, 12.0),
                line("dlt upsert", "fresh", 1_000_000, 36.0),
            ),
        ),
        "small-files": Part(
            date="2026-11-22",
            rounds=1,
            lines=(
                line("csv_pipeline", "small files", 500_000, 100.0, files=5_000),
                line("csv_pipeline", "small files, each alone", 10_000, 5.0, cpu_ms=40.0),
            ),
        ),
    },
)


@pytest.fixture
def url(pipeline: Pipeline) -> str:
    address = pipeline.database.engine.url.set(drivername="postgresql")
    return address.render_as_string(hide_password=False)


def test_the_limit_and_the_import_write_the_same_rows(
    url: str, account: str, tmp_path: Path
) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        limit.make_table(connection)
        for number, variant in enumerate((GOOD, REORDERED, CHANGED_1PCT, ALL_CHANGED)):
            file = write_orders(tmp_path / f"{number}.csv", ROWS, variant)
            by_limit = limit.copy_and_merge(url, str(file))
            by_us = ours.import_file(str(tmp_path), url, str(file), account, ORDERS.name)
            assert by_limit["written"] == by_us["written"]
        names = ", ".join(COLUMNS)
        differing = connection.execute(
            f"(SELECT {names} FROM plain_orders EXCEPT ALL SELECT {names} FROM data.bench_orders "  # noqa: S608
            f"WHERE account = '{account}') UNION ALL (SELECT {names} FROM data.bench_orders "
            f"WHERE account = '{account}' EXCEPT ALL SELECT {names} FROM plain_orders)"
        ).fetchall()
        connection.execute("DROP TABLE plain_orders")
    assert differing == []


def test_every_row_of_the_bad_file_is_rejected(url: str, account: str, tmp_path: Path) -> None:
    file = write_orders(tmp_path / "bad.csv", ROWS, ALL_BAD)
    said = ours.import_file(str(tmp_path), url, str(file), account, ORDERS.name)
    assert (said["read"], said["written"], said["rejected"]) == (ROWS, 0, ROWS)


def test_the_cases_say_how_many_rows_their_files_change(tmp_path: Path) -> None:
    good = pl.read_csv(write_orders(tmp_path / "good.csv", ROWS), infer_schema=False)
    for case in EVERY:
        path = write_orders(tmp_path / f"{case.file.name}.csv", ROWS, case.file)
        other = pl.read_csv(path, infer_schema=False)
        changed = other.join(good, on=good.columns, how="anti").height
        assert case.written(ROWS) == (changed if case.again else ROWS - changed)


def test_no_two_files_of_the_same_orders_have_the_same_bytes(tmp_path: Path) -> None:
    files = {case.file for case in EVERY}
    written = {write_orders(tmp_path / f"{f.name}.csv", ROWS, f).read_bytes() for f in files}
    assert len(written) == len(files)


def test_a_file_written_again_has_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_orders(tmp_path / name, ROWS).read_bytes() for name in ("one", "other"))
    assert one == other


def test_the_headlines_are_ratios_of_what_was_measured_together() -> None:
    assert RESULTS.headlines == {
        "fresh_ratio": 1.5,
        "changed_1pct_ratio": 0.8,
        "all_bad_ratio": 1.0,
        "peak_anon_mb_10m": 100,
        "small_files_per_second": 50.0,
        "small_customers_per_second": None,
        "small_ebay_files_per_second": None,
        "small_file_cpu_ms": 40.0,
        "dlt_ratio": 3.0,
    }


def test_results_come_back_as_they_were_kept(tmp_path: Path) -> None:
    save(RESULTS, tmp_path / "results.json")
    kept = json.loads((tmp_path / "results.json").read_text())
    assert load(tmp_path / "results.json") == RESULTS
    assert kept["fresh_ratio"] == 1.5
    assert kept["date"] == "2026-11-23"
    assert kept["parts"]["1m"]["lines"][0]["rows_per_second"] == 125_000


def test_the_kept_results_have_every_headline_with_its_meaning() -> None:
    kept = json.loads(PATH.read_text())
    assert set(RESULTS.headlines) == set(MEANINGS)
    assert set(MEANINGS) <= set(kept)


def test_the_readme_shows_what_was_measured() -> None:
    results = load()
    assert results is not None
    readme = show.README.read_text()
    shown = readme.partition(show.BEGIN)[2].partition(show.END)[0]
    assert shown.strip() == show.tables(results).strip()


def test_the_chart_is_of_the_same_day_as_the_results() -> None:
    results = load()
    assert results is not None
    assert f"{results.date}, {results.machine}" in show.CHART.read_text()


def test_the_docs_name_every_part() -> None:
    docs = (ROOT / "docs" / "benchmarks.md").read_text()
    assert [plan.name for plan in plans() if f"`{plan.name}`" not in docs] == []


def test_bench_only_packages_are_pinned_and_none_of_the_pipeline_s_own() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    own, _, extras = project.partition("[project.optional-dependencies]")
    pinned = (ROOT / "constraints.txt").read_text()
    names = re.findall(
        r'^    "([a-z0-9-]+)', extras.partition("bench = [")[2].partition("\n]")[0], re.M
    )
    assert {"dlt", "matplotlib", "pyarrow"} <= set(names)
    assert [name for name in names if f"\n{name}==" not in pinned] == []
    assert "dlt" not in own
