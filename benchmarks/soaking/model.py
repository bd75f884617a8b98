"""What was dropped, and what must be stored of it: computed from the files alone.

Nothing here asks the pipeline. Of a lane's files the newest wins, key by key; a file that comes
again changes nothing; a bad file stores nothing; of a file that a newer version replaced before it
was read, nothing need be known.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

Lane = tuple[str, str]
Row = tuple[str, ...]
Identity = tuple[str, int, datetime]
"""The path, size and modification time of a file."""


def digest_of(content: bytes) -> str:
    """Return what tells bytes from others."""
    return sha256(content).hexdigest()


class Kind(StrEnum):
    """What a file is to the pipeline."""

    GOOD = "good"
    BAD = "bad"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """One complete file in the landing area; the first cell of each of its good `rows` is the key.

    `rejected` counts its other rows, `digest` is of its bytes (`digest_of`). `complete_at` is in
    seconds from the beginning. `replaces` is
    the number of the file that lay there before, `repeats` that of the one with the same bytes.
    """

    number: int
    account: str
    feed: str
    identity: Identity
    kind: Kind
    digest: str
    rows: tuple[Row, ...] = ()
    rejected: int = 0
    complete_at: float = 0.0
    replaces: int | None = None
    repeats: int | None = None

    @property
    def lane(self) -> Lane:
        """The account and feed."""
        return self.account, self.feed


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What the ledger says of a file: its status and problem, and its imports that stored rows.

    `digest` is of the bytes where the ledger says that the file lies now, None if nothing does.
    `rejects` counts the rejected rows that its imports keep.
    """

    lane: Lane
    identity: Identity
    status: str
    digest: str | None
    problem: str = ""
    imports: int = 0
    read: int = 0
    rejected: int = 0
    rejects: int = 0
    settled_at: float | None = None


@dataclass(slots=True)
class Differences:
    """Sentences about what is not as it must be; `counts` says how many of each kind."""

    found: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, sentence: str) -> None:
        """Take up one; of a kind the first ten are told."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.counts[kind] <= 10:
            self.found.append(f"{kind}: {sentence}")


_FATES = {Kind.GOOD: "imported", Kind.BAD: "refused", Kind.REPEAT: "duplicate"}


def expected_rows(drops: Iterable[Drop]) -> dict[Lane, dict[str, Row]]:
    """Return the rows that must be stored for each account and feed, by key."""
    stored: dict[Lane, dict[str, Row]] = {}
    for drop in sorted(drops, key=lambda drop: drop.number):
        if drop.kind is Kind.GOOD:
            stored.setdefault(drop.lane, {}).update({row[0]: row for row in drop.rows})
    return stored


def compare_rows(
    expected: dict[Lane, dict[str, Row]], stored: dict[Lane, list[Row]], into: Differences
) -> None:
    """Tell of rows that are lost, double, other than they must be, or nobody's."""
    for lane in sorted(expected.keys() | stored.keys()):
        wanted, found = expected.get(lane, {}), stored.get(lane, [])
        by_key = {row[0]: row for row in found}
        place = "/".join(lane)
        if len(by_key) < len(found):
            into.add("row twice", f"{place} has {len(found) - len(by_key)} more rows than keys")
        for key in sorted(wanted.keys() - by_key.keys()):
            into.add("row lost", f"{place} {wanted[key]}")
        for key in sorted(by_key.keys() - wanted.keys()):
            into.add("row of nobody", f"{place} {by_key[key]}")
        for key in sorted(wanted.keys() & by_key.keys()):
            if wanted[key] != by_key[key]:
                into.add("row differs", f"{place} {by_key[key]}, not {wanted[key]}")


def compare_ledger(drops: Iterable[Drop], ledger: Iterable[Arrived], into: Differences) -> None:
    """Tell of files that the ledger does not know, or otherwise than they must have ended."""
    known: dict[Identity, Arrived] = {}
    for arrived in ledger:
        if arrived.identity in known:
            into.add("file twice", f"{arrived.identity}")
        known[arrived.identity] = arrived
    drops = list(drops)
    replaced = {drop.replaces for drop in drops}
    repeated = {drop.repeats for drop in drops}
    imported: Counter[int] = Counter()
    for drop in drops:
        found = known.pop(drop.identity, None)
        if found is None:
            if drop.number not in replaced:
                into.add("file lost", f"{drop.identity[0]}, number {drop.number}, {drop.kind}")
            continue
        is_of_two = drop.number in repeated or drop.repeats is not None
        fates = _fates(drop, is_replaced=drop.number in replaced, is_of_two=is_of_two)
        if found.status not in fates:
            _tell_fate(drop, found, fates, into)
        if found.digest != drop.digest and drop.number not in replaced:
            into.add("bytes", f"{drop.identity[0]}, number {drop.number}, is not kept as it was")
        if found.status == "imported":
            content = drop.repeats or drop.number
            imported[content] += 1
            _compare_counts(drop, found, imported[content], into)
    for arrived in known.values():
        into.add(
            "file of nobody", f"{arrived.identity}, {arrived.status}: {arrived.problem[-200:]}"
        )


def _fates(drop: Drop, *, is_replaced: bool, is_of_two: bool) -> set[str]:
    """Return what may have become of a file."""
    fates = {_FATES[drop.kind]}
    if is_replaced:  # it may have been gone before it was read
        fates.add("refused")
    if is_of_two:  # of files with the same bytes either may be the one that is imported
        fates |= {"imported", "duplicate"}
    return fates


def _tell_fate(drop: Drop, found: Arrived, fates: set[str], into: Differences) -> None:
    why = found.problem.strip().splitlines()[-1:] or [""]
    into.add(
        "fate",
        f"{drop.identity[0]}, number {drop.number}, is {found.status}, "
        f"not {' or '.join(sorted(fates))}: {why[0]}",
    )


def _compare_counts(drop: Drop, found: Arrived, times: int, into: Differences) -> None:
    told = (found.imports, found.read, found.rejected, found.rejects, times)
    wanted = (1, len(drop.rows) + drop.rejected, drop.rejected, drop.rejected, 1)
    if told != wanted:
        into.add(
            "counts",
            f"{drop.identity[0]}: its imports, rows read, rejected and kept as rejects, and "
            f"imports of the same bytes are {told}, not {wanted}",
        )
