"""Whether a soak is passed: nothing lost, nothing double, nothing grown, nothing left."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.soaking.model import (
    Arrived,
    Differences,
    Drop,
    Lane,
    Row,
    compare_ledger,
    compare_rows,
    expected_rows,
)
from benchmarks.soaking.observed import Sample

WATCHED = ("code", "daemon")
"""Whose memory must stay as it is: the process that has the code, and the daemon."""
EVENTS_OF_A_RUN = 80
"""How many events Dagster writes of a run at most, on the average; some 60 if all goes well."""
TICKS_A_MINUTE = 120
"""How many ticks all sensors and schedules have at most."""
LONGEST_WAIT_SECONDS = 900.0
"""How long a file may take: more than on a busy machine, and less than a step of the clock."""
WARM_SECONDS = 120.0
LEAST_SECONDS = 300.0
_GROWTH_MB, _GROWTH = 10.0, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that the verdict is given on.

    `calm_from` is when the trouble was over, in seconds from the beginning. `waits` say when each
    file was complete and how many seconds it took to be settled. `kept` are the runs and events
    that remain a month later, after `retention`. `faults` are sentences of the soak itself.
    """

    drops: Sequence[Drop]
    ledger: Sequence[Arrived]
    tables: dict[Lane, list[Row]]
    samples: Sequence[Sample]
    calm_from: float
    waits: Sequence[tuple[float, float]] = ()
    left_in_landing: Sequence[str] = ()
    left_running: Sequence[str] = ()
    kept: tuple[int, int] | None = None
    faults: Sequence[str] = ()


def judge(evidence: Evidence) -> Differences:
    """Return what is not as it must be; nothing if the soak is passed."""
    into = Differences()
    for fault in evidence.faults:
        into.add("soak", fault)
    compare_ledger(evidence.drops, evidence.ledger, into)
    compare_rows(expected_rows(evidence.drops), evidence.tables, into)
    for left in evidence.left_in_landing:
        into.add("file left", left)
    for left in evidence.left_running:
        into.add("process left", left)
    for at, wait in evidence.waits:
        if wait > LONGEST_WAIT_SECONDS:
            into.add("wait", f"a file that was complete after {at:.0f} s took {wait:.0f} s")
    _judge_events(evidence, into)
    for role in WATCHED:
        _judge_memory(role, evidence, into)
        _judge_restarts(role, evidence, into)
    return into


def _judge_events(evidence: Evidence, into: Differences) -> None:
    known = [sample for sample in evidence.samples if sample.events is not None]
    if not known:
        into.add("events", "nobody knows how many there are")
        return
    last = known[-1]
    events, runs, ticks = last.events or 0, last.runs or 0, last.ticks or 0
    if events > EVENTS_OF_A_RUN * max(runs, 1):
        into.add("events", f"{events} of {runs} runs; {EVENTS_OF_A_RUN} of each are expected")
    if ticks > TICKS_A_MINUTE * (1 + last.at / 60):
        into.add("events", f"{ticks} ticks in {last.at / 60:.0f} minutes")
    # Of each table and rejects the newest run of a partition, and the newest that was planned.
    lanes = len({drop.lane for drop in evidence.drops})
    if evidence.kept is not None and evidence.kept[0] > 3 * lanes:
        into.add("events", f"retention leaves {evidence.kept[0]} runs of {lanes} lanes")
    if evidence.kept is not None and evidence.kept[1] > EVENTS_OF_A_RUN * max(evidence.kept[0], 1):
        into.add("events", f"retention leaves {evidence.kept[1]} events of {evidence.kept[0]} runs")


def _judge_memory(role: str, evidence: Evidence, into: Differences) -> None:
    grown = growth_mb(role, evidence)
    if grown is not None and grown[1] > _GROWTH_MB + _GROWTH * grown[0]:
        into.add("memory", f"{role} had {grown[0]:.0f} MB, and then {grown[1]:.0f} MB more")


def _judge_restarts(role: str, evidence: Evidence, into: Differences) -> None:
    """Tell of a process that ended by itself, whose memory nobody could judge then."""
    calm = [s for s in evidence.samples if s.at >= evidence.calm_from + WARM_SECONDS]
    lived = {sample.pids.get(role) for sample in calm}
    if len(lived) > 1:
        into.add("restart", f"{role} was started again while nothing was killed")


def growth_mb(role: str, evidence: Evidence) -> tuple[float, float] | None:
    """Return how much memory a process had and how much more later; None if it is too soon to say.

    Both are medians: of the first and the last third of the time since it was warm and the trouble
    over. A process that was started anew has a time of its own.
    """
    calm = [
        sample for sample in evidence.samples if sample.at >= evidence.calm_from
        and role in sample.pids
    ]  # fmt: skip
    last = calm[-1].pids[role] if calm else None
    its = [sample for sample in calm if sample.pids[role] == last]
    warm = [sample for sample in its if sample.at >= its[0].at + WARM_SECONDS]
    if not warm or warm[-1].at - warm[0].at < LEAST_SECONDS:
        return None
    third = len(warm) // 3
    first = median(sample.memory_mb[role] for sample in warm[:third])
    return first, median(sample.memory_mb[role] for sample in warm[-third:]) - first
