"""The soak: what it expects of the files it drops, and that its verdict sees what is amiss."""

import random
import shutil
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.soaking.clock import STEP_SECONDS, Clock
from benchmarks.soaking.model import Arrived, Drop, Kind, expected_rows
from benchmarks.soaking.observed import Sample
from benchmarks.soaking.report import draw, lags, report, save
from benchmarks.soaking.sender import Sender
from benchmarks.soaking.verdict import Evidence, growth_mb, judge

LANE = ("acme", "products")
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
ONE, TWO, OTHER = ("K1", "Title 1", "1"), ("K2", "Title 1", "1"), ("K1", "Title 2", "2")


def drop(number: int, *rows: tuple[str, ...], kind: Kind = Kind.GOOD, **more: object) -> Drop:
    path = f"/landing/acme/products/{number}.csv"
    identity = (path, 10, NOON + timedelta(seconds=number))
    facts: dict[str, object] = {
        "number": number, "identity": identity, "digest": str(number), "complete_at": number * 60.0
    } | more  # fmt: skip
    return Drop(account=LANE[0], feed=LANE[1], kind=kind, rows=rows, **facts)  # type: ignore[arg-type]


def arrived(of: Drop, status: str, **more: object) -> Arrived:
    settled_at = NOON.timestamp() + of.complete_at + 2.5
    facts: dict[str, object] = {"settled_at": settled_at, "digest": of.digest}
    if status == "imported":
        facts |= {"imports": 1, "read": len(of.rows)}
    facts |= more
    return Arrived(lane=of.lane, identity=of.identity, status=status, **facts)  # type: ignore[arg-type]


def sample(minutes: float, memory_mb: float = 200.0, events: int = 60, pid: int = 1) -> Sample:
    roles = ("code", "daemon")
    return Sample(
        at=60 * minutes, dropped=2, arrivals=2, settled=2, imported=1, events=events, runs=1,
        ticks=5, dagster_bytes=10**6, memory_mb=dict.fromkeys(roles, memory_mb),
        pids=dict.fromkeys(roles, pid),
    )  # fmt: skip


FIRST, NEWER, BAD = drop(1, ONE, TWO), drop(2, OTHER), drop(3, kind=Kind.BAD)
WELL = Evidence(
    drops=(FIRST, NEWER, BAD),
    ledger=(arrived(FIRST, "imported"), arrived(NEWER, "imported"), arrived(BAD, "refused")),
    tables={LANE: [OTHER, TWO]},
    samples=tuple(sample(minute) for minute in range(30)),
    calm_from=60.0 * 18,
    kept=(1, 60),
)


def test_the_newest_file_wins_each_key_and_bad_files_and_repeats_store_nothing() -> None:
    files = (BAD, NEWER, FIRST, drop(4, ONE, kind=Kind.REPEAT))
    assert expected_rows(files) == {LANE: {"K1": OTHER, "K2": TWO}}


def test_a_soak_in_which_all_is_as_it_must_be_is_passed() -> None:
    assert judge(WELL).counts == {}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        pytest.param("row lost", {"tables": {LANE: [TWO]}}, id="a row is lost"),
        pytest.param("row twice", {"tables": {LANE: [OTHER, TWO, TWO]}}, id="a row is there twice"),
        pytest.param("row differs", {"tables": {LANE: [ONE, TWO]}}, id="an older file won"),
        pytest.param("row of nobody", {"tables": {LANE: [OTHER, TWO, ("K3",)]}}, id="a row more"),
        pytest.param("row lost", {"tables": {}}, id="a table is empty"),
        pytest.param("file lost", {"ledger": WELL.ledger[1:]}, id="a file is lost"),
        pytest.param("file twice", {"ledger": (*WELL.ledger, WELL.ledger[0])}, id="a file twice"),
        pytest.param("file of nobody", {"drops": WELL.drops[:2]}, id="half a file was taken"),
        pytest.param("file left", {"left_in_landing": ("a.csv",)}, id="a file is left"),
        pytest.param("process left", {"left_running": ("database 7",)}, id="PostgreSQL is left"),
        pytest.param("wait", {"waits": [(5.0, 2.0), (9.0, 3_500.0)]}, id="a file takes an hour"),
        pytest.param("soak", {"faults": ("dev ended with 1",)}, id="dev ended"),
        pytest.param("events", {"samples": (sample(1, events=90),)}, id="many events of a run"),
        pytest.param("events", {"samples": ()}, id="nothing is known of events"),
        pytest.param("events", {"kept": (4, 240)}, id="retention keeps what is old"),
        pytest.param("events", {"kept": (1, 90)}, id="retention keeps events of nothing"),
        pytest.param(
            "memory",
            {"samples": [sample(minute, 200 + 3 * minute) for minute in range(40)]},
            id="memory grows",
        ),
        pytest.param(
            "restart",
            {"samples": [sample(minute, pid=minute // 25) for minute in range(30)]},
            id="the daemon dies by itself",
        ),
    ],
)
def test_the_verdict_says_what_is_not_as_it_must_be(kind: str, change: dict[str, object]) -> None:
    assert kind in judge(replace(WELL, **change)).counts  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "facts", "kind"),
    [
        ("failed", {"problem": "Traceback\nOSError: no"}, "fate"),
        ("duplicate", {}, "fate"),
        ("refused", {}, "fate"),
        ("imported", {"imports": 2}, "counts"),
        ("imported", {"read": 3}, "counts"),
        ("imported", {"rejected": 1}, "counts"),
        ("imported", {"rejects": 1}, "counts"),
        ("imported", {"digest": None}, "bytes"),
        ("imported", {"digest": "other"}, "bytes"),
    ],
)
def test_a_file_that_ended_otherwise_is_told(
    status: str, facts: dict[str, object], kind: str
) -> None:
    ledger = (arrived(FIRST, status, **facts), *WELL.ledger[1:])
    assert judge(replace(WELL, ledger=ledger)).counts == {kind: 1}


@pytest.mark.parametrize("fate", ["imported", "refused", None])
def test_a_file_that_was_replaced_may_have_been_read_before_or_not(fate: str | None) -> None:
    newer = drop(2, OTHER, TWO, replaces=1)
    first = () if fate is None else (arrived(FIRST, fate),)
    evidence = replace(
        WELL, drops=(FIRST, newer), ledger=(*first, arrived(newer, "imported")),
    )  # fmt: skip
    assert judge(evidence).counts == {}


@pytest.mark.parametrize(
    ("first", "second", "kinds"),
    [
        ("imported", "duplicate", set()),
        ("duplicate", "imported", set()),
        ("imported", "imported", {"counts"}),
        ("duplicate", "duplicate", {"row lost"}),
    ],
)
def test_of_two_files_with_the_same_bytes_one_is_imported(
    first: str, second: str, kinds: set[str]
) -> None:
    again = drop(2, ONE, TWO, kind=Kind.REPEAT, repeats=1)
    evidence = replace(
        WELL,
        drops=(FIRST, again),
        ledger=(arrived(FIRST, first), arrived(again, second)),
        tables={LANE: [ONE, TWO] if "imported" in (first, second) else []},
    )
    assert set(judge(evidence).counts) == kinds


def test_memory_is_judged_once_it_is_warm_and_of_one_process_only() -> None:
    early = replace(WELL, samples=[sample(minute) for minute in range(24)])
    assert growth_mb("code", early) is None  # 18 to 20 is warm-up; then there are 3 minutes
    anew = [sample(minute, 100, pid=1 if minute < 25 else 2) for minute in range(30)]
    assert growth_mb("code", replace(WELL, samples=anew)) is None
    assert growth_mb("code", WELL) == (200.0, 0.0)


def test_what_is_dropped_is_what_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    sender = Sender(landing=tmp_path, seed=1, began=0.0)
    for draw_ in range(40):
        sender._turn(LANE, random.Random(draw_))  # noqa: S311, SLF001
    lying = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {Path(one.identity[0]) for one in sender.drops} == lying
    last = {one.identity[0]: one for one in sender.drops}
    for path in lying:
        found = path.stat()
        _, size, modified_at = last[str(path)].identity
        assert (size, modified_at) == (found.st_size, _time_of(found.st_mtime_ns))
    assert {one.kind for one in sender.drops} == set(Kind)


def _time_of(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1_000 / 1_000_000, UTC)


def test_the_clock_that_is_stepped_is_that_of_the_database_or_of_all(tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    clock = Clock.made_in(tmp_path)
    program = Path(shutil.copy("/bin/date", tmp_path / "postgres"))

    def told(date: Path) -> float:
        done = subprocess.run(  # noqa: S603
            [date, "+%s"], env=clock.environment(), capture_output=True, check=True
        )
        return int(done.stdout) - time.time()

    assert told(program) == pytest.approx(0, abs=60)
    for step in (STEP_SECONDS, -STEP_SECONDS):
        clock.step(step, others=False)
        assert told(program) == pytest.approx(step, abs=60)
        assert told(Path("/bin/date")) == pytest.approx(0, abs=60)
        clock.step(step)
        for date in (program, Path("/bin/date")):
            assert told(date) == pytest.approx(step, abs=60)


@pytest.mark.parametrize("step", [-STEP_SECONDS, 0, STEP_SECONDS])
@pytest.mark.parametrize("seconds", [-1.5, 2.5, 1_900, 2_700])
def test_how_long_a_file_took_is_known_while_the_clock_is_wrong(step: int, seconds: float) -> None:
    settled_at = NOON.timestamp() + FIRST.complete_at + seconds + step
    ledger = [arrived(FIRST, "imported", settled_at=settled_at)]
    assert lags([FIRST], ledger, NOON.timestamp()) == [(60.0, seconds)]


def test_the_report_keeps_and_draws_what_was_seen(tmp_path: Path) -> None:
    waits = lags(WELL.drops, WELL.ledger, NOON.timestamp())
    facts = report(
        replace(WELL, waits=waits), judge(WELL), told={"minutes": 30.0},
        happened=[(61.0, "run killed")], over=True,
    )  # fmt: skip
    assert facts["verdict"] == "passed"
    assert facts["seconds from file to ledger"] == {"median": 2.5, "worst": 2.5}
    save(facts, tmp_path / "soak.json")
    pytest.importorskip("matplotlib")
    draw(facts, tmp_path / "soak.svg")
    assert "passed" in (tmp_path / "soak.svg").read_text()
