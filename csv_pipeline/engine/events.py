"""What the driver tells while it imports, and who is told.

An event consumer is a function that takes an `Event`. `open_pipeline(…, consumers=[…])` has it told
of every import of the process; `on_event` of `engine.run` tells one caller of one call. A consumer
that breaks is logged and the import goes on; an error of `on_event` is the caller's own. Whoever
must not miss an import reads the outbox, written in the import's transaction: see
`csv_pipeline.storage.records`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import structlog

from csv_pipeline.engine.workspace import Progress, Stage
from csv_pipeline.errors import LostClaimError, StoreDeniedError, StoreUnavailableError
from csv_pipeline.model import Claim, FoundFile, ImportReport, Reject
from csv_pipeline.storage.recompute import Recomputed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A step begins for so many files."""

    stage: Stage
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsDone:
    """So many rows, and bytes of them in memory, have passed a step that goes on.

    They are those of a file, or of several that go together.

    It comes from a thread of its own, two or three times a second.
    """

    claims: tuple[Claim, ...]
    stage: Stage
    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """A step is done for one file."""

    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBroke:
    """An unforeseen error ended a file's step.

    It is `recorded` as the outcome of the file; if that broke, too, the claim runs out.
    """

    claim: Claim
    stage: Stage
    error: Exception
    recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLost:
    """Another worker has a file by now, which is dropped here."""

    claim: Claim
    error: LostClaimError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileWaits:
    """A file waits, as its store does not answer or let us in; its claim is given back."""

    claim: Claim
    error: StoreUnavailableError | StoreDeniedError


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettled:
    """What became of every row of a file is known and stored.

    `first_rejects` gives so many faults of its rows, of a dry run too, and `first_rows` so many of
    its rows as they are stored, protected values masked; `members` are the files in it, if it is an
    archive of several.
    """

    report: ImportReport
    first_rejects: Callable[[int], list[Reject]]
    first_rows: Callable[[int], pl.DataFrame]
    members: tuple[FoundFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRecomputed:
    """A derived table has what an import or an undo changed."""

    recomputed: Recomputed


@dataclass(frozen=True, slots=True, kw_only=True)
class RecomputeBroke:
    """An error kept a derived table from being recomputed; what was imported stays stored."""

    derived: str
    account: str
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistWritten:
    """The list of work that remains says what an undo left; `facts` are those of `Written`."""

    account: str
    feed: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistBroke:
    """An error kept a worklist from being written; what was undone stays undone."""

    account: str
    feed: str
    error: Exception


Event = (
    StepStarted
    | RowsDone
    | StepDone
    | StepBroke
    | ClaimLost
    | FileWaits
    | ImportSettled
    | TableRecomputed
    | RecomputeBroke
    | WorklistWritten
    | WorklistBroke
)
OnEvent = Callable[[Event], None]


def nobody(_: Event) -> None:
    """Listen to nothing."""


def told(consumers: Sequence[OnEvent], on_event: OnEvent) -> OnEvent:
    """Return what tells an event to the caller and then to the consumers, whatever breaks there."""
    if not consumers:
        return on_event

    def tell(event: Event) -> None:
        on_event(event)
        for consumer in consumers:
            try:
                consumer(event)
            except Exception as error:  # noqa: BLE001  # whatever it is, no import fails for it
                its = getattr(consumer, "__qualname__", type(consumer).__qualname__)
                what, because = type(event).__name__, type(error).__name__
                log.warning("event consumer broke", consumer=its, about=what, because=because)

    return tell
