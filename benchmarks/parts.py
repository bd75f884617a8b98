"""The parts of the measurement, each of them complete in itself.

Every ratio is of two times that were taken one after the other: in each round the limit and the
import load the same file, in turns the one or the other first. Before each timed part the server
writes out what it holds, and tables to be imported into again are vacuumed. Of several rounds, that
of the median ratio is kept.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low

from benchmarks.feeds import EBAY_ORDERS, ELECTIONS, SAMPLES, SUPPLIER_SERVICES, Sample
from benchmarks.orders import (
    ALL_BAD,
    ALL_CHANGED,
    BAD_1PCT,
    CHANGED_1PCT,
    GOOD,
    ORDERS,
    REORDERED,
    Variant,
    write_customers,
    write_ebay_report,
    write_orders,
)
from benchmarks.processes import Measured, measured
from benchmarks.results import DLT, LIMIT, OURS, ROWS, SMALL_ALONE, Line
from benchmarks.server import Server
from csv_pipeline.feeds.customers import CUSTOMERS

_SMALL_ROWS = 100
_SMALL_ACCOUNTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file for a table in some state; `again` is one that holds the good file's rows already.

    The limit would stop at the first bad row: for a file with any, its time for as many good ones
    counts.
    """

    name: str
    file: Variant
    again: bool = False

    def written(self, rows: int) -> int:
        """Return how many rows are inserted or updated."""
        if not self.again:
            return rows - _one_in(rows, self.file.bad_share)
        return _one_in(rows, self.file.changed_share)


FRESH = Case(name="fresh", file=GOOD)
BAD = (Case(name="fresh, all bad", file=ALL_BAD), Case(name="fresh, 1 % bad", file=BAD_1PCT))
UNCHANGED = Case(name="unchanged", file=REORDERED, again=True)
CHANGED = Case(name="1 % changed", file=CHANGED_1PCT, again=True)
REWRITTEN = Case(name="all changed", file=ALL_CHANGED, again=True)
EVERY = (*BAD, FRESH, UNCHANGED, CHANGED, REWRITTEN)
_TENFOLD = (FRESH, CHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One part: what it is called, at how many rows, how often, and how it is measured."""

    name: str
    rows: int
    rounds: int
    measure: Callable[[Server, int, int], Iterable[Line]]


def plans(*, full: bool = False) -> tuple[Plan, ...]:
    """Return all parts; `full` has the longest case of the largest file as well."""
    tenfold = (*_TENFOLD, REWRITTEN) if full else _TENFOLD
    return (
        Plan(name="100k", rows=100_000, rounds=3, measure=_against_the_limit(EVERY)),
        Plan(name="1m", rows=1_000_000, rounds=3, measure=_against_the_limit(EVERY)),
        Plan(name="dlt", rows=1_000_000, rounds=1, measure=_dlt),
        Plan(name="row-by-row", rows=20_000, rounds=1, measure=_row_by_row),
        Plan(name="ebay-orders", rows=1_000_000, rounds=1, measure=_ebay_orders),
        Plan(name="feeds", rows=200_000, rounds=3, measure=_feeds(SAMPLES)),
        Plan(
            name="large-feeds",
            rows=1_000_000,
            rounds=1,
            measure=_feeds((EBAY_ORDERS, SUPPLIER_SERVICES, ELECTIONS)),
        ),
        Plan(name="small-files", rows=500_000, rounds=1, measure=_small_files),
        Plan(name="10m", rows=10_000_000, rounds=1, measure=_against_the_limit(tenfold)),
    )


def _against_the_limit(cases: Iterable[Case]) -> Callable[[Server, int, int], Iterable[Line]]:
    def measure(server: Server, rows: int, rounds: int) -> Iterator[Line]:
        with _Files(server.home, rows) as files:
            taken = [_round(server, files, tuple(cases), number) for number in range(rounds)]
        for name in taken[0]:
            ratios = [times[name].ratio for times in taken]
            chosen = taken[ratios.index(median_low(ratios))][name]
            peak = max(times[name].ours.peak_anon_mb for times in taken)
            limit = _line(LIMIT, name, rows, chosen.limit)
            if name not in {case.name for case in BAD}:
                yield limit
            ours = _line(OURS, name, rows, chosen.ours)
            yield replace(ours, ratio=round(chosen.ratio, 2), peak_anon_mb=peak)

    return measure


@dataclass(frozen=True, slots=True)
class _Pair:
    limit: Measured
    ours: Measured

    @property
    def ratio(self) -> float:
        return self.ours.seconds / self.limit.seconds


class _Files:
    """The files of some number of orders, each written when it is first asked for."""

    def __init__(self, home: Path, rows: int) -> None:
        self.rows = rows
        self._folder = home / f"files-{rows}"

    def __enter__(self) -> "_Files":
        self._folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder)

    def path(self, variant: Variant) -> Path:
        path = self._folder / f"{variant.name}.csv"
        return path if path.exists() else write_orders(path, self.rows, variant)


def _round(server: Server, files: _Files, cases: tuple[Case, ...], number: int) -> dict[str, _Pair]:
    """Measure every case once; the cases of a filled table follow the one that fills it."""
    limits: dict[str, Measured] = {}
    mine: dict[str, Measured] = {}
    for case in cases:
        path = files.path(case.file)
        server.settle() if case.again else server.empty()
        turns = [(mine, _ours), (limits, _limit)]
        for times, take in turns if number % 2 else reversed(turns):
            if case in BAD and take is _limit:
                continue
            server.checkpoint()
            times[case.name] = take(server, path, case, files.rows)
            print(f"  {case.name}, {take.__name__[1:]}: {times[case.name].seconds:.2f} s")
    return {
        case.name: _Pair(limits["fresh" if case in BAD else case.name], mine[case.name])
        for case in cases
    }


def _limit(server: Server, file: Path, case: Case, rows: int) -> Measured:
    taken = measured("limit", "copy_and_merge", url=server.url, file=str(file))
    assert taken.said["written"] == case.written(rows)
    return taken


def _ours(server: Server, file: Path, case: Case, rows: int, feed: str = ORDERS.name) -> Measured:
    arguments = {"home": str(server.home), "url": server.url, "file": str(file)}
    taken = measured("ours", "import_file", **arguments, account="bench", feed=feed)
    assert taken.said["read"] == rows
    assert taken.said["written"] == case.written(rows)
    return taken


def _dlt(server: Server, rows: int, _: int) -> Iterator[Line]:
    """Measure dlt from an empty table on, and ourselves beside it."""
    with _Files(server.home, rows) as files:
        server.empty()
        fresh = _ours(server, files.path(GOOD), FRESH, rows)
        yield _line(OURS, "fresh", rows, fresh)
        for case in (FRESH, UNCHANGED, CHANGED, REWRITTEN):
            file = files.path(case.file)
            server.settle() if case.again else server.empty()
            taken = measured("dlt_upsert", "upsert", url=server.url, file=str(file))
            assert server.count("dlt_bench.orders") == rows
            print(f"  {case.name}, dlt: {taken.seconds:.2f} s")
            yield _line(DLT, case.name, rows, taken)


def _row_by_row(server: Server, rows: int, _: int) -> Iterator[Line]:
    with _Files(server.home, rows) as files:
        for case in (FRESH, UNCHANGED):
            file = files.path(case.file)
            server.settle() if case.again else server.empty()
            taken = measured("row_by_row", "get_or_create", url=server.url, file=str(file))
            yield _line(ROWS, case.name, rows, taken)


def _ebay_orders(server: Server, rows: int, _: int) -> Iterator[Line]:
    """Measure the same file as a feed of some hundred columns, of which it has 16."""
    with _Files(server.home, rows) as files:
        server.empty()
        limit = _limit(server, files.path(GOOD), FRESH, rows)
        server.empty()
        taken = _ours(server, files.path(GOOD), FRESH, rows, "ebay_orders")
        yield _line(LIMIT, "fresh", rows, limit)
        line = _line(OURS, "fresh, as ebay_orders", rows, taken)
        yield replace(line, ratio=round(taken.seconds / limit.seconds, 2))


def _feeds(samples: tuple[Sample, ...]) -> Callable[[Server, int, int], Iterable[Line]]:
    """Measure a file of each feed; its ratio is the time of a cell by that of the first feed's.

    That one's file is imported before each, and the median of the ratios is kept.
    """

    def measure(server: Server, rows: int, rounds: int) -> Iterator[Line]:
        def taken(sample: Sample) -> Measured:
            server.empty()
            server.checkpoint()
            return _ours(server, folder / sample.feed / sample.name, FRESH, rows, sample.feed)

        with tempfile.TemporaryDirectory(dir=server.home) as name:
            folder = Path(name)
            for sample in samples:
                (folder / sample.feed).mkdir()
                sample.write(folder / sample.feed / sample.name, rows)
                firsts = (taken(samples[0]) for _ in range(rounds))
                pairs = [(it, it if sample is samples[0] else taken(sample)) for it in firsts]
                ratios = [
                    its.seconds / sample.columns / (first.seconds / samples[0].columns)
                    for first, its in pairs
                ]
                _, its = pairs[ratios.index(median_low(ratios))]
                line = _line(OURS, f"fresh, {sample.feed}, {sample.columns} columns", rows, its)
                yield replace(line, ratio=round(median_low(ratios), 2))

    return measure


def _small_files(server: Server, rows: int, _: int) -> Iterator[Line]:
    """Measure many small files of many accounts in one process, and some of them one by one."""
    for case, feed, write in (
        ("small files", ORDERS.name, write_orders),
        ("small files, as customers", CUSTOMERS.name, write_customers),
        ("small files, as ebay_orders", EBAY_ORDERS.feed, write_ebay_report),
    ):
        yield _small(server, case, feed, write, rows, alone=False)
    yield _small(server, SMALL_ALONE, ORDERS.name, write_orders, rows // 50, alone=True)


def _small(  # noqa: PLR0913, PLR0917  # what is measured, and how
    server: Server, case: str, feed: str, write: Callable[..., object], rows: int, alone: bool
) -> Line:
    server.empty()
    files = rows // _SMALL_ROWS
    landing = server.home / "landing"
    for number in range(files):
        folder = landing / f"account-{number % _SMALL_ACCOUNTS}" / feed
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{feed}-{number:05}.csv", _SMALL_ROWS, start=number * _SMALL_ROWS)
    server.checkpoint()
    where = {"home": str(server.home), "url": server.url}
    taken = measured("ours", "import_small_files", **where, feed=feed, alone=alone)
    shutil.rmtree(landing)
    assert taken.said["written"] == rows
    line = _line(OURS, case, rows, taken)
    return replace(line, files=taken.said["files"], cpu_ms=taken.said["cpu_ms"])


def _line(who: str, case: str, rows: int, taken: Measured) -> Line:
    return Line(
        who=who,
        case=case,
        rows=rows,
        seconds=round(taken.seconds, 3),
        peak_anon_mb=taken.peak_anon_mb,
        stages=taken.said.get("stages", {}),
    )


def _one_in(rows: int, share: float) -> int:
    """Return how many of the rows `orders.write_orders` marks for a share."""
    return len(range(0, rows, round(1 / share))) if share else 0
