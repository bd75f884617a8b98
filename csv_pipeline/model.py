"""The nouns: what the pipeline is about, as frozen values that know nothing of how.

Everything here can be written to JSON and read back (see `csv_pipeline.handover`), because the
stages of one import may run in different processes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from csv_pipeline.errors import SetupError
from csv_pipeline.location import Location, location_of
from csv_pipeline.scope import ScopeCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class NonDataLine:
    """A line with text that is neither header nor record, and why it is not.

    `line_number` is the first of its physical `lines`. `reason` is the name of the feed's pattern
    that `declared` it, or a stable word of the reader's own, such as `preamble`, `padding` or
    `comment`. `cells` counts its cells with text, `facts` are what the pattern's groups caught.
    """

    line_number: int
    text: str
    reason: str
    cells: int = 1
    lines: int = 1
    declared: bool = False
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCounts:
    """Where every physical line of a file is; a record or a header may take up several."""

    total: int = 0
    header: int = 0
    records: int = 0
    blank: int = 0
    non_data: int = 0

    @property
    def accounted(self) -> int:
        """The lines that are known to be something."""
        return self.header + self.records + self.blank + self.non_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One decision about a file, and what in the file it is based on.

    One that is not `proven` is the likeliest of several that the file allows.
    """

    subject: str
    decision: str
    because: str
    proven: bool = True

    @property
    def told(self) -> str:
        """The decision, with the words `not proven` behind the likeliest of several."""
        return self.decision if self.proven else f"{self.decision} (not proven)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWarning:
    """Something in a file that a person should look at, although the import went on.

    `code` is stable, such as `rows.superseded_differ`; `count` says how many rows or values are
    meant, `line_numbers` where the first of them are.
    """

    code: str
    message: str
    count: int = 1
    line_numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a transform is told of the whole file, of which it sees some rows at a time.

    `columns` are those of the contract that the header has; `filled` are those of the feed's
    `asks_filled` in which any record has a value; `from_name` are the columns that the file's name
    tells, each with its text. They are stored with the import: its rejected rows, when they come
    back corrected, are typed by the facts of their own file.
    """

    layout: str
    columns: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    from_name: tuple[tuple[str, str], ...] = ()

    def any_value(self, column: str) -> bool:
        """Return whether any record of the file has a value in a column.

        Raises:
            SetupError: The feed does not name the column in `asks_filled`.
        """
        if column not in self.asked:
            raise SetupError(
                f"column {column!r}: a name in the feed's asks_filled was needed, so that its "
                f"values are looked for in the whole file; that has {', '.join(self.asked) or '-'}"
            )
        return column in self.filled


class ArrivalStatus(StrEnum):
    """What has become of an arrival, in the ledger."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    IMPORTED = "imported"
    UNPACKED = "unpacked"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    FAILED = "failed"
    UNDONE = "undone"
    MISPLACED = "misplaced"
    CANCELED = "canceled"


FileIdentity = tuple[str, int, datetime, str]
"""The location, size, modification time and ETag of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file as a listing shows it, before anything is known of its content.

    A file in an archive has the archive's location with `!` and its own name behind it. `location`
    is where it was found, `moved_to` where it is since, if that is elsewhere. In an object store it
    has an `etag`, and a `moved_etag` where it is since; empty ones are not known.
    """

    location: str
    account: str
    feed: str
    name: str
    size_bytes: int
    modified_at: datetime
    etag: str = ""
    moved_to: str | None = None
    moved_etag: str = ""

    @property
    def identity(self) -> FileIdentity:
        """What tells it from other files, and from another one at its location."""
        return self.location, self.size_bytes, self.modified_at, self.etag


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(FoundFile):
    """The right to import a file that arrived: `attempt` is the fencing token that load checks.

    `repairs` is the import whose rejected rows the file brings back, if somebody said so; a file
    may say it itself. `position` says where the arrival is among others, see
    `csv_pipeline.storage.order`; a dry run has none. A file that comes `again` is imported even
    if its bytes were. `max_missing` is what a person allows to go missing by this import.
    """

    import_id: int
    arrival_id: int
    attempt: int
    run_id: str | None = None
    dry_run: bool = False
    repairs: int | None = None
    position: int | None = None
    again: bool = False
    max_missing: int | None = None

    @property
    def member(self) -> str | None:
        """The file's name in the archive it is in; None if it is in none."""
        return self.name if self.location.endswith(f"!{self.name}") else None

    @property
    def lies_at(self) -> Location:
        """Where the bytes are by now: the file, or the archive it is in."""
        return location_of((self.moved_to or self.location).removesuffix(f"!{self.name}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderDrift:
    """How a header differs from what the feed knows, and from the last one of its layout.

    `added` are names that the feed does not know. `missing` are columns that the feed needs, by
    their likeliest heading, and `gone` the others that the last file had. `renamed` pairs a name
    that is missing or gone with the added one most like it; both stay in their lists, because
    it is not confirmed. `reordered` are names that are elsewhere among the others than they
    did.
    """

    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    reordered: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.missing or self.gone or self.renamed or self.reordered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of every row `read`, records below the header; `missing` are stored ones."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    kept: int = 0
    superseded: int = 0
    rejected: int = 0
    blank: int = 0
    non_data: int = 0
    missing: int = 0

    @property
    def settled(self) -> int:
        """The rows that have an outcome."""
        stored = self.inserted + self.updated + self.unchanged + self.kept
        return stored + self.superseded + self.rejected

    @property
    def balance(self) -> bool:
        """Whether every row read has exactly one outcome."""
        return self.read == self.settled

    def __add__(self, other: "Counts") -> "Counts":
        mine, theirs = asdict(self), asdict(other)
        return Counts(**{f.name: mine[f.name] + theirs[f.name] for f in fields(self)})


class Outcome(StrEnum):
    """How an import ended."""

    IMPORTED = "imported"
    UNPACKED = "unpacked"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    FAILED = "failed"
    DRY_RUN = "dry run"
    UNDO = "undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why an import ended before its rows could be loaded."""

    outcome: Outcome
    problem: str
    problem_code: str
    same_as: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value that an import would change, as text; `key` is that of the stored row."""

    row_number: int
    key: str
    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What became of the rows that an import wrote when it was undone, or redone.

    `import_id` is that import. Its rows were `deleted` or had their earlier values `restored`;
    where it was redone, they were `inserted` again or had its values restored. `kept` counts rows
    that a later import changed, by that import, and `gone` those that are not there any more. By
    what a snapshot had deleted among the restored, `revived` rows more are stored.
    """

    import_id: int
    redone: bool = False
    deleted: int = 0
    inserted: int = 0
    restored: int = 0
    kept: Mapping[int, int] = field(default_factory=dict)
    gone: int = 0
    revived: int = 0

    @property
    def added(self) -> int:
        """By how many rows the table grew."""
        return self.inserted - self.deleted + self.revived

    @property
    def reversed(self) -> int:
        """The rows that are as they were before the import, or after it if it was redone."""
        return self.deleted + self.inserted + self.restored


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of one arrival.

    `problem` says why, for every outcome but `imported`; `same_as` is the import that brought the
    same content before; `repairs` the one whose rejected rows it brings back. `header`,
    `delimiter`, `quote` and `escape` are the file's, so that its rejected rows can be written as
    they came; `styles` is how amounts and dates were read, by column, and `facts` what transforms
    were told. `settings_version` is the last version of what the account declared when the file was
    read, 0 if it had declared nothing, `feed_version` that of the feed; None is not known. `lines`
    says where every line of the file is, and `non_data_lines` are the first hundred that are no
    data. `differences` are the first values that a dry run would change. `undo` says what an undo
    did, an import of its own, and `undone_by` which one took this back. `stage_seconds` holds the
    wall time of each stage.
    """

    import_id: int
    arrival_id: int
    account: str
    feed: str
    name: str
    outcome: Outcome
    counts: Counts = field(default_factory=Counts)
    problem: str | None = None
    problem_code: str | None = None
    same_as: int | None = None
    repairs: int | None = None
    undo: Undo | None = None
    undone_by: int | None = None
    header: tuple[str, ...] = ()
    delimiter: str = ","
    quote: str = '"'
    escape: str = "doubled"
    layout: str | None = None
    styles: Mapping[str, str | None] = field(default_factory=dict)
    facts: FileFacts | None = None
    settings_version: int | None = None
    feed_version: str | None = None
    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[ReportWarning, ...] = ()
    scope: ScopeCounts | None = None
    lines: LineCounts = field(default_factory=LineCounts)
    non_data_lines: tuple[NonDataLine, ...] = ()
    drift: HeaderDrift = field(default_factory=HeaderDrift)
    differences: tuple[Difference, ...] = ()
    rejects_by_rule: Mapping[str, int] = field(default_factory=dict)
    rejects_by_column: Mapping[str, int] = field(default_factory=dict)
    stage_seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, claim: Claim, outcome: Outcome, **facts: Any) -> "ImportReport":
        """Return the report of a claimed arrival with these facts."""
        return cls(
            import_id=claim.import_id,
            arrival_id=claim.arrival_id,
            account=claim.account,
            feed=claim.feed,
            name=claim.name,
            outcome=outcome,
            **facts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One fault of a refused row; a row with three faults has three of them.

    `row_number` is as a spreadsheet shows it, header 1, first data row 2, or 1 without a header;
    `line_number` is the physical line in the file where the record begins. `column` is null for
    faults of the record. `repaired_by_import_id` is the import that brought the row back corrected.
    """

    import_id: int
    row_number: int
    line_number: int
    column: str | None
    rule: str
    value: str | None
    message: str
    raw: str
    repaired_by_import_id: int | None = None

    @classmethod
    def of(cls, fault: Mapping[str, Any]) -> "Reject":
        """Return a fault as it is stored, without its place in the message, as one with it."""
        location = f"row {fault['row_number']} (line {fault['line_number']})"
        separator = ":" if fault["column"] is None else ","
        return cls(**{**fault, "message": f"{location}{separator} {fault['message']}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredText:
    """The bytes of an arrival on this machine: `path` in the work directory, and their SHA-256."""

    path: Path
    size_bytes: int
    fingerprint: str
