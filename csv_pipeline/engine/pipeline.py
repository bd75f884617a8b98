"""The pipeline as its callers see it: what it needs, and what it does besides an import.

`open_pipeline` opens it. A `Pipeline` finds and claims files, writes rejected rows out and undoes
imports; the path of one file is in `csv_pipeline.engine.importer`.
"""

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from csv_pipeline.engine import archive, living
from csv_pipeline.engine.lease_renewer import LeaseRenewer
from csv_pipeline.engine.result_files import leave_results
from csv_pipeline.errors import (
    SetupError,
    UndoError,
    UnknownFeedError,
    UnknownImportError,
)
from csv_pipeline.files.areas import exists, is_file
from csv_pipeline.files.local import text_of
from csv_pipeline.files.location import Place, is_below, parts_below, place_of
from csv_pipeline.model import (
    Account,
    Claim,
    Feed,
    FoundFile,
    ImportReport,
    Outcome,
)
from csv_pipeline.rejects.rejects_file import write_rejects
from csv_pipeline.settings import Settings
from csv_pipeline.spec.names import hold_apart
from csv_pipeline.stages.arrive import ScanResult, found_file, look
from csv_pipeline.stages.load.writing import is_of_a_row
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.replay import named_import
from csv_pipeline.stages.undo import Versions
from csv_pipeline.storage import accounts, arrivals, claims, imports, quarantine, undo_records
from csv_pipeline.storage.database import Database, open_database
from csv_pipeline.storage.lane_lock import lock_lane
from csv_pipeline.storage.targets import ensure_targets
from csv_pipeline.workspace import PARTIAL

_LEFT_SECONDS = 3_600.0  # after which no process reports on a settled import any more
_SECONDS_TO_PUT_AWAY = 5.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What every import needs: the settings, the database with all tables in it, the feeds.

    The lease renewer renews the leases of what was claimed here.
    """

    settings: Settings
    database: Database
    feeds: Mapping[str, Feed]
    leases: LeaseRenewer

    def close(self) -> None:
        """Renew no lease any more and close the database."""
        self.leases.stop()
        self.database.engine.dispose()

    def feed(self, name: str) -> Feed:
        """Return the feed of this name.

        Raises:
            UnknownFeedError: There is none.
        """
        if name not in self.feeds:
            raise UnknownFeedError(name, sorted(self.feeds))
        return self.feeds[name]

    def account(self, name: str) -> Account:
        """Return what an account declared of its files."""
        with self.database.begin() as connection:
            return accounts.named(connection, name)

    def claim(  # noqa: PLR0913  # as `claims.take`
        self,
        account: str,
        feed: str,
        *,
        arrival_ids: Sequence[int] | None = None,
        run_id: str | None = None,
        dry_run: bool = False,
        again: bool = False,
    ) -> list[Claim]:
        """Claim what waits for an account and feed, or the arrivals named; see `claims.take`."""
        with self.database.begin() as connection:
            taken = claims.take(
                connection,
                account,
                self.feed(feed).name,
                arrival_ids=arrival_ids,
                run_id=run_id,
                lease_seconds=self.settings.lease_seconds,
                max_failures=self.settings.max_failures,
                dry_run=dry_run,
                again=again,
            )
        self.leases.hold(taken)
        return taken

    def claim_file(
        self, file: FoundFile, *, dry_run: bool = False, again: bool = False
    ) -> Claim | None:
        """Enter a file that somebody named, wherever it lies, and claim it.

        A file that lies outside of the landing area arrives now; one that the ledger knows keeps
        its position, unless it is to be imported `again`. None: it is imported, or another worker
        has it; `arrivals.of_file` says which. A dry run neither enters nor claims the file.

        Raises:
            UnknownFeedError: No feed has the name the file was found for.
            SetupError: The file lies in another account's or feed's folder of the landing area.
        """
        self.feed(file.feed)
        self._stay_in_place(file)
        landed = is_below(place_of(file.location), self.settings.landing_place)
        with self.database.begin() as connection:
            if dry_run:
                return claims.for_dry_run(connection, file, again=again)
            archive.take_back(connection, [file])
            taken = claims.take(
                connection,
                file.account,
                file.feed,
                arrival_ids=[arrivals.enter(connection, file, now=not landed)],
                lease_seconds=self.settings.lease_seconds,
                again=again,
            )
        self.leases.hold(taken)
        return taken[0] if taken else None

    def _stay_in_place(self, file: FoundFile) -> None:
        lies, settings = place_of(file.location), self.settings
        for area in (settings.landing_place, settings.archive_place, settings.quarantine_place):
            if (parts := parts_below(lies, area)) is not None:
                place = (*parts[:-1], "", "")[:2]
                if place != (file.account, file.feed):
                    what = "the landing area" if area == settings.landing_place else str(area)
                    raise SetupError(
                        f"{lies}: a file in {file.account}/{file.feed} of {what}, or outside "
                        f"of it, was needed; it lies in {'/'.join(filter(None, place)) or 'none'}"
                    )

    def find(self, place: Place, account: str, feed: str) -> FoundFile:
        """Return the file at a place, where it lies or where it lay before it was archived.

        Raises:
            InvalidAccountError: The account is not a slug.
            SetupError: No file is there, and none was.
        """
        if isinstance(place, Path):
            self._refuse_odd_path(place)
        with self.database.begin() as connection:
            here, since = (
                arrivals.moved_file(connection, account, feed, str(place), now=now)
                for now in (True, False)
            )
        if here is not None:
            return here
        if since is not None and not exists(place):
            return since
        if isinstance(place, Path) and place.is_dir():
            raise SetupError(
                f"{place}: a file was needed; it is a folder: name one file in it, or copy them "
                f"all to {self.settings.landing_place}/{account}/{feed}/"
            )
        if not is_file(place):
            raise SetupError(f"{place}: a file was needed; there is none, and none of it is known")
        return found_file(place, account, feed)

    def _refuse_odd_path(self, path: Path) -> None:
        if str(path) != text_of(str(path)):
            raise SetupError(
                f"{text_of(str(path))}: a path in UTF-8 was needed; it has other bytes: rename it"
            )
        if path.is_symlink():
            raise SetupError(
                f"{path}: a file was needed; it is a symbolic link: name the file it leads to, "
                f"{text_of(str(path.resolve()))}"
            )
        for area in (self.settings.landing_place, self.settings.archive_place):
            parts = parts_below(path, area)
            if parts and isinstance(area, Path) and path.resolve() != area.resolve() / Path(*parts):
                raise SetupError(
                    f"{path}: a file in {area} itself was needed; a symbolic link leads out of it, "
                    f"to {text_of(str(path.resolve()))}"
                )

    def look(self, *, seconds: float, start_at: str | None = None) -> ScanResult:
        """Look at the landing area, enter what is new into the ledger and return it."""
        landing = self.settings.landing_place
        with self.database.begin() as connection:
            known = arrivals.known_files(connection, f"{landing}/")
        seen = look(
            landing,
            self.feeds,
            known=known,
            settle_seconds=self.settings.settle_seconds,
            deadline=time.monotonic() + seconds,
            start_at=start_at,
        )
        with self.database.begin() as connection:
            archive.take_back(connection, seen.found)
            arrivals.register(connection, seen.found, seen.misplaced)
        return seen

    def put_away(self, seconds: float) -> None:
        """Move settled files that still lie in the landing area, as after a crash."""
        archive.place_all(self.database, self.settings, seconds)

    def hold_to_retention(self, account: str, feed: str) -> None:
        """Remove the files of an account and feed that are kept no longer."""
        archive.hold_to_retention(self.database, self.settings, account, feed)

    def hold_all_to_retention(self, seconds: float) -> None:
        """Do so for every account and feed, in random order, and stop after so many seconds."""
        archive.hold_all_to_retention(self.database, self.settings, seconds)

    def write_rejects(
        self, import_id: int, path: Path, *, verbatim: bool = False, repaired: bool = False
    ) -> int:
        """Write the rejected rows of an import for a person to correct and return their number.

        If there are none, no file is written and one that is there stays. Rows that another import
        repaired are left out unless `repaired`; `verbatim` is for machines: no cell is kept from
        being a formula. Only the owner may read the file, which holds whole rows.

        Raises:
            UnknownImportError: The ledger has no such import.
        """
        partial = path.with_name(f"{path.name}{PARTIAL}")
        with self.database.begin() as connection:
            report = imports.report_of(connection, import_id)
            split = Grammar(report.delimiter, report.quote, report.escape).cells
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.touch(mode=0o600)
            try:
                with partial.open(
                    "w", encoding="utf-8" if verbatim else "utf-8-sig", newline=""
                ) as out:
                    written = write_rejects(
                        out,
                        report.header,
                        quarantine.rejected_rows(connection, report, split, repaired=repaired),
                        delimiter=report.delimiter,
                        split=split if report.repairs is None else lambda _: (),
                        verbatim=verbatim,
                    )
            except BaseException:
                if not partial.is_dir():
                    partial.unlink()
                raise
        if written:
            partial.replace(path)
        else:
            partial.unlink()
        return written

    def undo(self, import_id: int, *, dry_run: bool = False) -> ImportReport:
        """Take back what an import wrote, or bring back what an undo took, and report it.

        Rows that a later import changed stay. The undo is an import record of its own, and can be
        undone. A dry run says what would happen, and its report has no number: import 0.

        Raises:
            UnknownImportError: The ledger has no such import.
            UndoError: It stored nothing, was undone before, its history is not kept any more, or
                the database refuses the earlier rows.
        """
        with self.database.begin() as connection:
            lock_lane(connection, imports.report_of(connection, import_id))
            found = undo_records.undoable(connection, import_id)
            subject = found.subject
            versions = Versions(connection, self.feed(subject.feed), subject.account)
            number = imports.next_import_id(connection)
            written = subject.counts.inserted + subject.counts.updated
            connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
            attempt = connection.begin_nested()
            try:
                if found.redo:
                    done = versions.redo(subject.import_id, written, undone_by=import_id)
                else:
                    done = versions.undo(subject.import_id, written, by=number)
            except DBAPIError as error:
                if not is_of_a_row(error):
                    raise
                said = getattr(error.orig, "diag", None)
                refused_by = said.constraint_name if said else None
                raise UndoError(  # without its cause, which quotes the row
                    import_id,
                    "earlier rows that the database takes",
                    f"{refused_by or 'a trigger'} refuses them",
                ) from None
            report = ImportReport(
                import_id=0 if dry_run else number,
                arrival_id=subject.arrival_id,
                account=subject.account,
                feed=subject.feed,
                name=subject.name,
                outcome=Outcome.DRY_RUN if dry_run else Outcome.UNDO,
                undo=done,
            )
            if dry_run:
                attempt.rollback()
            else:
                undo_records.settle(connection, report, found)
        if not dry_run:
            log.info("undone", named=import_id, by=number, **asdict(done))
        return report

    def leave_rejects(self, report: ImportReport) -> Path | None:
        """Write an import's open rejects, if it has any, to where people find them; say where.

        What the system does not let be written is logged.
        """
        if not report.counts.rejected or report.outcome not in {Outcome.IMPORTED, Outcome.REFUSED}:
            return None
        folder = self.settings.rejects_area / report.account / report.feed
        path = folder / f"import-{report.import_id}.csv"
        try:
            return path if self.write_rejects(report.import_id, path) else None
        except OSError as error:
            log.warning("no rejects file", import_id=report.import_id, because=str(error))
            return None

    def results_of(self, report: ImportReport) -> Path | None:
        """Return the file that says what became of each row of an import, if there is one."""
        path = self.settings.results_file(report.account, report.feed, report.import_id)
        return path if path.exists() else None

    def repaired_by(self, path: Path, import_id: int | None = None) -> ImportReport:
        """Return the import that a file of rejected rows belongs to, as told or as the file says.

        Raises:
            FileRefusedError: The file cannot be read, or names no import or several.
            UnknownImportError: The ledger has no such import.
        """
        if import_id is None:
            self.settings.work_area.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self.settings.work_area) as work:
                import_id = named_import(
                    read(path, Path(work), ReadHints(name=path.name)), path.name
                )
        with self.database.begin() as connection:
            return imports.report_of(connection, import_id)


def open_pipeline(settings: Settings, feeds: Iterable[Feed]) -> Pipeline:
    """Return the pipeline ready to import: database open, state and target tables up to date."""
    declared = tuple(feeds)
    hold_apart((feed.name, feed.views) for feed in declared)
    by_name = {feed.name: feed for feed in declared}
    database = open_database(settings)
    ensure_targets(database, by_name.values())
    sweep(settings, database, by_name)
    if settings.history_days is not None:
        undo_records.prune_history(database, by_name.values(), settings.history_days)
    opened = Pipeline(settings, database, by_name, LeaseRenewer(database, settings.lease_seconds))
    opened.put_away(_SECONDS_TO_PUT_AWAY)
    return opened


def sweep(settings: Settings, database: Database, feeds: Mapping[str, Feed] | None = None) -> None:
    """Remove what workers left behind: untouched for long, and work directories not claimed.

    A dry run may have no claim; its work stays as long as its process lives.
    Where a worker was killed after its commit, the result file is put in its place first.
    """
    living.prepare(settings.work_area)
    for left in settings.work_area.glob("[0-9]*-*"):
        if _is_left(left, settings):
            import_id, _, attempt = left.name.partition("-")
            with database.begin() as connection:
                held = claims.is_held(connection, int(import_id), int(attempt))
            with living.unless_kept(settings.work_area, int(import_id)) as free:
                if free and not held:
                    _leave_late_results(settings, database, left, int(import_id), feeds or {})
                    shutil.rmtree(left, ignore_errors=True)
    for area in (settings.results_area, settings.rejects_area):
        for left in area.glob(f"*/*/*{PARTIAL}"):
            import_id = left.name.removeprefix("import-").partition(".")[0]
            if _is_left(left, settings) and not any(settings.work_area.glob(f"{import_id}-*")):
                left.unlink(missing_ok=True)


def _is_left(path: Path, settings: Settings) -> bool:
    try:
        idle_seconds = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    return idle_seconds > max(settings.lease_seconds, _LEFT_SECONDS)


def _leave_late_results(
    settings: Settings, database: Database, work: Path, import_id: int, feeds: Mapping[str, Feed]
) -> None:
    with suppress(UnknownImportError, OSError), database.begin() as connection:
        report = imports.report_of(connection, import_id)
        path = settings.results_file(report.account, report.feed, import_id)
        if settings.result_files and report.feed in feeds and not path.exists():
            leave_results(settings, work, feeds[report.feed], report)
