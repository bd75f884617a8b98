"""Inspect any file, without a feed, an account or a database, and write it out clean.

Of a file larger than a sample only the beginning is read, unless all of it is asked for; the result
says what was not read.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict, Unpack

import polars as pl

from csv_pipeline.batches import batches, scan
from csv_pipeline.engine.beforehand import hints_for, names_of
from csv_pipeline.engine.findings import count_rejects, first_rejects, non_data_in
from csv_pipeline.errors import FileRefusedError, SetupError, UndecidableError
from csv_pipeline.handover import PARTIAL, REJECTS, Member, PlainFile, TextFile
from csv_pipeline.location import location_of
from csv_pipeline.model import Evidence, NonDataLine, Reject, StoredText
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.settings import Settings
from csv_pipeline.spec.contract import columns_of, heading
from csv_pipeline.spec.feed import BrokenFeed, Feed, feed_named, parted
from csv_pipeline.stages.read import read, sample
from csv_pipeline.stages.transform import Fit, fit
from csv_pipeline.stages.unpack import UnpackLimits, Wanted, unpack

SAMPLE_BYTES = 8 * 1024**2
_FIRST_ROWS = 5
_FIRST_FAULTS = 10
_LINES_LOOKED_AT = _HEADER_WITHIN = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A feed the file may be for; it fits if nothing is missing.

    `only_by_name`: the header is found on its line only by one who knows the feed's names.
    `problem` is why an import for the feed would refuse the file, if it would.
    """

    fit: Fit
    share: float
    header_line: int
    only_by_name: bool = False
    problem: str = ""

    @property
    def fits(self) -> bool:
        """Whether an import for the feed would take the header."""
        return not (self.fit.missing or self.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is to be told about a file.

    `records_about` guesses the records of all of it from the part that was read. `unverified` says
    what was not looked at; it is empty if all was. Of an archive of several files there are only
    `members`.
    """

    path: Path
    size_bytes: int
    members: tuple[Member, ...] = ()
    text: TextFile | None = None
    line_ends: str = ""
    first_rows: tuple[tuple[int, tuple[str | None, ...]], ...] = ()
    faults: tuple[Reject, ...] = ()
    non_data_lines: tuple[NonDataLine, ...] = ()
    faults_by_rule: tuple[tuple[str, int], ...] = ()
    proposals: tuple[Proposal, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    unverified: tuple[str, ...] = ()
    records_about: int | None = None
    out: Path | None = None

    def facts(self) -> dict[str, Any]:
        """Return it as JSON types."""
        facts: dict[str, Any] = {"file": str(self.path), "size_bytes": self.size_bytes}
        if self.text is None:
            return facts | {"members": [asdict(member) for member in self.members]}
        text = self.text
        return facts | {
            **{name: getattr(text, name) for name in ("encoding", "delimiter", "quote", "escape")},
            "line_ends": self.line_ends,
            "header": list(text.header),
            "header_line": text.header_line,
            "complete": not self.unverified,
            "unverified": list(self.unverified),
            "records": text.records,
            "records_about": self.records_about,
            "rejected": text.malformed,
            "repaired": text.repaired,
            "blank": text.lines.blank,
            "non_data": text.non_data_count,
            "lines": asdict(text.lines),
            "non_data_lines": [asdict(line) for line in self.non_data_lines],
            "warnings": [asdict(warning) for warning in text.warnings],
            "rejects_by_rule": dict(self.faults_by_rule),
            "first_rejects": [
                {k: v for k, v in asdict(fault).items() if k != "import_id"}
                for fault in self.faults
            ],
            "first_rows": [
                {"row_number": row, "values": list(values)} for row, values in self.first_rows
            ],
            "feeds": [
                asdict(one.fit)
                | {"share": one.share, "fits": one.fits, "header_line": one.header_line}
                | {"problem": one.problem}
                for one in self.proposals
            ],
            "evidence": [asdict(one) for one in self.evidence],
            "out": None if self.out is None else str(self.out),
        }


class Asked(TypedDict, total=False):
    """What is asked of a file: as which feed, which member, all of it, its records to a file."""

    feed: str | None
    member: str | None
    full: bool
    out: Path | None


def inspect_file(
    path: Path, settings: Settings, feeds: Iterable[Feed | BrokenFeed], **asked: Unpack[Asked]
) -> Inspection:
    """Return what a file shows of itself; with `out` write its whole records there as well.

    Raises:
        FileRefusedError: It is no text, has no header, or is too large to be read in `full`.
        SetupError: There is no such feed or member, or `out` is the file itself.
    """
    whole, broken = parted(feeds)
    by_name = {one.name: one for one in whole}
    feed, out = asked.get("feed"), asked.get("out")
    if feed is not None:
        feed_named(by_name, feed, broken)
    if out is not None and out.exists() and out.samefile(path):
        raise SetupError(f"{out}: another file was needed to write to; it is the one to be read")
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-") as work:
        desk = _Desk(path, Path(work), settings, by_name)
        full = asked.get("full", False) or out is not None
        return desk.inspect(feed, asked.get("member"), out, full=full)


class _Desk:
    """A file, a place to work on it, and what is asked of it."""

    def __init__(self, path: Path, work: Path, settings: Settings, feeds: dict[str, Feed]) -> None:
        self.path, self.work, self.settings, self.feeds = path, work, settings, feeds
        self._read_in = work

    def inspect(
        self, feed: str | None, member: str | None, out: Path | None, *, full: bool
    ) -> Inspection:
        plain = self._plain(member, full=full)
        found = Inspection(path=self.path, size_bytes=self.path.stat().st_size)
        if plain.members:
            if out is not None:
                names = ", ".join(repr(one.name) for one in plain.members)
                needed = f"one of its files was needed (--member), of {names}; none was named"
                raise SetupError(f"{self.path.name}: {needed}")
            return replace(found, members=plain.members)
        sampled = not full and plain.size_bytes > SAMPLE_BYTES
        text = self._read_for(plain, feed, sampled=sampled)
        if out is not None:
            write_clean(text, out)
        faults = scan(text.rejects, REJECTS)
        proposals = [self._by_file_name(plain, one) for one in self._proposals(plain, text, feed)]
        inspected = replace(
            found,
            text=text,
            line_ends=_line_ends(plain.path, text.encoding),
            first_rows=tuple(_first_rows(text)),
            faults=tuple(first_rejects(0, text.text, faults, _FIRST_FAULTS)),
            non_data_lines=non_data_in(text).first,
            faults_by_rule=tuple(count_rejects(faults)[0].items()),
            proposals=tuple(one for one, _ in proposals),
            evidence=(
                *plain.evidence,
                *(its for one, told in proposals if one.fit.feed == feed for its in told),
                *text.evidence,
            ),
            unverified=tuple(self._unverified(plain, text)) if sampled else (),
            records_about=self._records_about(plain, text) if sampled else None,
            out=out,
        )
        return (
            _masked(inspected)
            if self._is_confidential(text, feed, inspected.proposals)
            else inspected
        )

    def _is_confidential(
        self, text: TextFile, feed: str | None, proposals: Sequence[Proposal]
    ) -> bool:
        """Return whether the file is, or may be, of a confidential feed."""
        likeliest = feed or (proposals[0].fit.feed if proposals else None)
        names = {heading(name) for name in text.header}
        return any(
            one.name == likeliest
            or any(
                column.protected and names & column.headings for column in columns_of(one.contract)
            )
            for one in self.feeds.values()
            if one.confidential
        )

    def _plain(self, member: str | None, *, full: bool) -> PlainFile:
        size = self.path.stat().st_size
        stored = StoredText(path=self.path, size_bytes=size, fingerprint="")
        most = self.settings.max_compressed_bytes
        limits = UnpackLimits(
            max_compressed_bytes=most if full else max(most, size),
            max_file_bytes=self.settings.max_file_bytes,
            max_ratio=self.settings.max_ratio,
            max_members=self.settings.max_members,
        )
        enough = None if full else SAMPLE_BYTES + 1
        return unpack(stored, self.work, limits, Wanted(self.path.name, member, enough))

    def _read_for(self, plain: PlainFile, feed: str | None, *, sampled: bool) -> TextFile:
        """Read a file for a feed, or for none; where its names alone settle the header, for it."""
        if feed is not None:
            return self._read(plain, self.feeds[feed], sampled=sampled)
        try:
            return self._read(plain, None, sampled=sampled)
        except UndecidableError:
            for one in self.feeds.values():
                with suppress(FileRefusedError):
                    text = self._read(plain, one, sampled=sampled)
                    if not fit(text.header, one).missing:
                        return text
            raise

    def _read(self, plain: PlainFile, feed: Feed | None, *, sampled: bool) -> TextFile:
        self._read_in = self.work / f"read-{feed.name if feed else ''}"
        hints = hints_for(self.path.name, self.settings, feed)
        if sampled:
            return sample(plain.path, self._read_in, hints, size=SAMPLE_BYTES)
        return read(plain.path, self._read_in, hints)

    def _proposals(self, plain: PlainFile, text: TextFile, read_for: str | None) -> list[Proposal]:
        """Return the feeds that know any of the header's names, the best fit first."""
        found = [_proposal(text, feed) for feed in self.feeds.values()]
        known_only = any(one.fits for one in found)

        def is_open(one: Proposal) -> bool:
            dialect = self.feeds[one.fit.feed].dialect
            of_names = dialect is None or dialect.header
            return one.fit.feed != read_for and not (known_only and of_names and not one.fit.known)

        found = [self._by_name(plain, one) if is_open(one) else one for one in found]
        known = [one for one in found if one.fit.known]
        return sorted(known, key=lambda one: (not one.fits, -one.share, one.fit.feed))

    def _by_name(self, plain: PlainFile, proposal: Proposal) -> Proposal:
        """Look for the header by the feed's names, as an import does; banners may hide it."""
        feed = self.feeds[proposal.fit.feed]
        try:
            work = self.work / f"for-{feed.name}"
            hints = hints_for(self.path.name, self.settings, feed)
            text = sample(plain.path, work, hints, size=_HEADER_WITHIN)
        except FileRefusedError as refusal:
            return replace(proposal, problem=f"{refusal.needed}; {refusal.found}")
        again = _proposal(text, feed)
        by_name = (again.header_line, again.fit) != (proposal.header_line, proposal.fit)
        return replace(again, only_by_name=by_name)

    def _by_file_name(
        self, plain: PlainFile, proposal: Proposal
    ) -> tuple[Proposal, tuple[Evidence, ...]]:
        """Return a proposal, and what the file's name tells if it is for this feed."""
        feed = self.feeds[proposal.fit.feed]
        if feed.file_name is None or proposal.problem:
            return proposal, ()
        names = names_of(location_of(self.path), self.settings, plain.inner_name)
        try:
            return proposal, feed.file_name.read(feed.name, names).evidence
        except FileRefusedError as refusal:
            return replace(proposal, problem=f"{refusal.needed}; {refusal.found}"), ()

    def _unverified(self, plain: PlainFile, text: TextFile) -> Iterator[str]:
        seen = (self._read_in / "head").stat().st_size
        whole = "all of it" if plain.path != self.path else f"all {plain.size_bytes:,} bytes"
        yield f"the encoding: {text.encoding} fits the first {seen:,} bytes, not yet {whole}"
        last = text.records + 1
        yield f"the structure: rows after {last:,} are not counted and may have faults"
        compressed = plain.path != self.path
        setting = "max_compressed_bytes" if compressed else "max_file_bytes"
        if self.path.stat().st_size > (most := getattr(self.settings, setting)):
            kind = "compressed file" if compressed else "file"
            yield f"an import would refuse it: a {kind} may have at most {most:,} bytes"

    def _records_about(self, plain: PlainFile, text: TextFile) -> int | None:
        """Return how many records the file has if all of it is like the part that was read."""
        seen = (self._read_in / "head").stat().st_size
        covered = _covered(text)
        if plain.path != self.path or not covered:
            return None  # how much is to come out of an archive is not known
        scale = plain.size_bytes / seen * text.text.stat().st_size / covered
        return round(text.records * scale)


def _proposal(text: TextFile, feed: Feed) -> Proposal:
    found = fit(text.header, feed)
    share = round(found.known / len(text.header), 3)
    return Proposal(fit=found, share=share, header_line=text.header_line)


def _covered(text: TextFile) -> int:
    """Return the byte of the text that the last record ends at."""
    ends = [
        batch.select((pl.col("offset") + pl.col("length")).max()).item()
        for some in (text.rows, text.rejects)
        for batch in batches(some, ("offset", "length"))
    ]
    return max((end for end in ends if end is not None), default=0)


def _masked(found: Inspection) -> Inspection:
    """Return what may be told of a file of a confidential feed: nothing that is in its cells."""
    rows = ((number, tuple(cell and MASK for cell in cells)) for number, cells in found.first_rows)
    return replace(
        found,
        first_rows=tuple(rows),
        faults=tuple(replace(fault, raw=MASK) for fault in found.faults),
        non_data_lines=tuple(replace(line, text=MASK) for line in found.non_data_lines),
    )


def _line_ends(path: Path, encoding: str) -> str:
    with path.open("rb") as file:
        lines = file.read(_LINES_LOOKED_AT).decode(encoding, errors="replace")
    both = lines.count("\r\n")
    counts = Counter({"LF": lines.count("\n") - both, "CRLF": both, "CR": lines.count("\r") - both})
    found = [(name, count) for name, count in counts.most_common() if count > 0]
    if len(found) < 2:
        return found[0][0] if found else "none"
    return "mixed: " + ", ".join(f"{count:,} {name}" for name, count in found)


def _first_rows(text: TextFile) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    rows = (row for batch in batches(text.rows) for row in batch.head(_FIRST_ROWS).iter_rows())
    width = len(text.header)
    for row in islice(rows, _FIRST_ROWS):
        yield row[width], row[:width]


def write_clean(text: TextFile, out: Path) -> None:
    """Write header and rows as UTF-8 by RFC 4180 with LF, whole or not at all.

    An absent value is empty, a quoted empty one is "" again.
    """
    names = [str(position) for position in range(len(text.header))]
    partial = out.with_name(f"{out.name}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            header = pl.DataFrame([text.header], schema=names, orient="row")
            header.write_csv(file, include_header=False)
            for batch in batches(text.rows, names):
                batch.write_csv(file, include_header=False)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
