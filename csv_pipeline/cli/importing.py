"""Import one file that a person names."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from csv_pipeline.account import account_slug
from csv_pipeline.cli.terminal import note, notes
from csv_pipeline.engine.events import (
    Event,
    ImportSettled,
    OnEvent,
    RowsDone,
    StepDone,
    StepStarted,
)
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.run import run
from csv_pipeline.engine.views import import_facts
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import LostClaimError
from csv_pipeline.location import Location, location_of
from csv_pipeline.model import ArrivalStatus, Claim, FoundFile, ImportReport, Outcome, Reject
from csv_pipeline.storage import accounts, arrivals, imports, quarantine

FIRST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What to tell about one file: the report and the first faults.

    `before`: an earlier import brought it; `is_current`: nothing has changed rows of its account
    and feed since. `stored`: the ledger has it, as it has not of a dry run. `new_account`: there
    was no such account before; `account_alike` are those of a name like it. `members` are the files
    of an archive of several. `moved_to` is where the file is now, if it was moved, `results` the
    file that says what became of each row.
    """

    report: ImportReport
    first_rejects: tuple[Reject, ...]
    before: bool = False
    is_current: bool = True
    stored: bool = True
    new_account: bool = False
    account_alike: tuple[str, ...] = ()
    moved_to: str | None = None
    results: Location | None = None
    members: tuple["Imported", ...] = ()

    @property
    def well(self) -> bool:
        """Whether the file's rows are in the table, or would be."""
        not_imported = self.report.outcome in {Outcome.REFUSED, Outcome.FAILED}
        return not not_imported and all(member.well for member in self.members)

    @property
    def without_warning(self) -> bool:
        """Whether neither this file nor any of its members has something to look at."""
        return not self.report.warnings and all(m.without_warning for m in self.members)

    def exit_code(self, *, strict: bool) -> int:
        """Return 0 if all went well; where that is `strict`, without any warning."""
        return 0 if self.well and (self.without_warning or not strict) else 1

    def facts(self) -> dict[str, Any]:
        """Return the report as JSON, and whether this file had been imported before."""
        facts = {
            **import_facts(self.report, moved_to=self.moved_to, results=self.results),
            "imported_before": self.before,
            "is_current": self.is_current,
            "new_account": self.new_account,
            "account_alike": list(self.account_alike),
        }
        members = [member.facts() for member in self.members]
        return facts | {"members": members} if members else facts


def import_file(  # noqa: PLR0913  # a file, whose it is, and how
    pipeline: Pipeline,
    location: Location,
    account: str,
    feed: str,
    *,
    dry_run: bool,
    again: bool = False,
    repairs: int | None = None,
    max_missing: int | None = None,
) -> Imported:
    """Import a file, or only as a dry run; one imported before only if it is to be `again`.

    With `repairs` its rows are rejected ones of that import. `max_missing` is how many stored rows
    it may lack as a snapshot, whatever its feed allows.

    Raises:
        SetupError: Account, feed and file do not belong together.
        LostClaimError: Another worker has the file.
    """
    file = pipeline.find(location, account_slug(account), feed)
    asked = _Asked(dry_run=dry_run, again=again, max_missing=max_missing)
    with pipeline.database.begin() as connection:
        known = accounts.names(connection)
    is_new, alike = account not in known, tuple(get_close_matches(account, known))
    if is_new:
        note(f"Account {account!r} is new{_did_you_mean(alike)}.")
    imported = _import(pipeline, file, asked, repairs)
    return replace(imported, new_account=True, account_alike=alike) if is_new else imported


def _did_you_mean(alike: Sequence[str]) -> str:
    return f" (did you mean {' or '.join(map(repr, alike))}?)" if alike else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """How a file, or those of an archive, are to be imported."""

    dry_run: bool
    again: bool
    max_missing: int | None


def _import(
    pipeline: Pipeline, file: FoundFile, asked: _Asked, repairs: int | None = None
) -> Imported:
    claim = pipeline.claim_file(file, dry_run=asked.dry_run, again=asked.again)
    if claim is not None:
        return _run(pipeline, replace(claim, repairs=repairs, max_missing=asked.max_missing), asked)
    with pipeline.database.begin() as connection:
        arrival = arrivals.of_file(connection, file)
        if arrival.status not in {ArrivalStatus.IMPORTED, ArrivalStatus.UNPACKED}:
            raise LostClaimError(arrival.arrival_id, arrival.attempt)
        report = imports.report_of(connection, arrival.import_id)
        is_current = imports.is_current(connection, report)
        faults = quarantine.faults_of(connection, arrival.import_id, limit=FIRST)
        members = arrivals.members(connection, file)
    return Imported(
        report=report,
        first_rejects=tuple(faults),
        before=True,
        is_current=is_current,
        **_locations(pipeline, report),
        members=tuple(_import(pipeline, member, asked) for member in members),
    )


def replay(
    pipeline: Pipeline, path: Path, import_id: int | None, *, dry_run: bool, again: bool = False
) -> Imported:
    """Import corrected rows for the account and feed of the import that rejected them.

    Raises:
        FileRefusedError: The file does not say which import that was.
        UnknownImportError: The ledger has no such import.
        LostClaimError: Another worker has the file.
    """
    repaired = pipeline.repaired_by(path, import_id)
    return import_file(
        pipeline,
        location_of(path),
        repaired.account,
        repaired.feed,
        dry_run=dry_run,
        again=again,
        repairs=repaired.import_id,
    )


def _run(pipeline: Pipeline, claim: Claim, asked: _Asked) -> Imported:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # give the claim back on that, too
    faults: tuple[Reject, ...] = ()
    members: tuple[FoundFile, ...] = ()
    with _shown() as show:

        def on_event(event: Event) -> None:
            nonlocal faults, members
            show(event)
            if isinstance(event, ImportSettled):
                faults, members = tuple(event.first_rejects(FIRST)), event.members

        (report,) = run(pipeline, [claim], on_event)
    if not claim.dry_run:
        pipeline.remove_expired(claim.account, claim.feed)
    return Imported(
        report=report,
        first_rejects=faults,
        stored=not claim.dry_run,
        **_locations(pipeline, report),
        members=tuple(_import(pipeline, file, asked) for file in members),
    )


def _locations(pipeline: Pipeline, report: ImportReport) -> dict[str, Any]:
    with pipeline.database.begin() as connection:
        moved_to = arrivals.locations(connection, [report.arrival_id]).get(report.arrival_id)
    return {"moved_to": moved_to, "results": pipeline.results_of(report)}


@contextmanager
def _shown() -> Iterator[OnEvent]:
    """Give what shows the steps of one import while they are done, on a terminal."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} stages"),
        TimeElapsedColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=len(Stage))

        def show(event: Event) -> None:
            if isinstance(event, StepStarted):
                bar.update(task, description=f"{event.stage:<10}")
            elif isinstance(event, RowsDone):
                rows = f" {event.rows:,} rows" if event.rows else ""
                bar.update(task, description=f"{event.stage:<10}{rows}")
            elif isinstance(event, StepDone):
                bar.advance(task)

        yield show
