"""The pipeline as its callers see it: what it needs, and what it does besides an import.

`open_pipeline` opens it. A `Pipeline` finds and claims files, writes rejected rows out and undoes
imports; the path of one file is in `csv_pipeline.engine.importer`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack

import structlog

from csv_pipeline.account import Account, Declared, account_slug
from csv_pipeline.engine import archive, expired_files
from csv_pipeline.engine.derive import derived_tables, recompute, recompute_touched
from csv_pipeline.engine.events import OnEvent, nobody, told
from csv_pipeline.engine.fitting import with_tables
from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.engine.lease_renewer import LeaseRenewer
from csv_pipeline.engine.progress import Value, report_progress
from csv_pipeline.engine.scanning import Feeds, Look, scan
from csv_pipeline.engine.undo import Undoing, undo
from csv_pipeline.engine.worklist import Written, rewrite_worklist, write_worklist
from csv_pipeline.errors import SetupError
from csv_pipeline.files.landing import ScanResult, found_file
from csv_pipeline.files.stores import CANNOT, store_of, written_to
from csv_pipeline.location import Location, location_of, parts_below, storable
from csv_pipeline.model import Claim, FoundFile, ImportReport, Outcome
from csv_pipeline.rejects.rejects_file import write_rejects
from csv_pipeline.settings import Settings
from csv_pipeline.spec.derived import DerivedTable
from csv_pipeline.spec.feed import BrokenFeed, Feed, feed_named, parted
from csv_pipeline.spec.names import hold_apart
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.replay import named_import
from csv_pipeline.storage import (
    accounts,
    arrivals,
    claims,
    folders,
    imports,
    quarantine,
    readings,
    undo_records,
)
from csv_pipeline.storage.database import Database, open_database
from csv_pipeline.storage.derived import ensure_derived
from csv_pipeline.storage.recompute import Recomputed

log = structlog.get_logger()

_SECONDS_TO_PUT_AWAY = 5.0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What every import needs: the settings, the database with all tables in it, the feeds.

    The lease renewer renews the leases of what was claimed here; `declared` is what the accounts
    had declared then. `consumers` are told what an import does: see `csv_pipeline.engine.events`.
    Files of feeds that are `broken` wait where they lie.
    """

    settings: Settings
    database: Database
    feeds: Mapping[str, Feed]
    leases: LeaseRenewer
    declared: dict[tuple[str, str], Declared] = field(default_factory=dict)
    consumers: tuple[OnEvent, ...] = ()
    broken: tuple[BrokenFeed, ...] = ()

    def close(self) -> None:
        """Renew no lease any more and close the database."""
        self.leases.stop()
        self.database.engine.dispose()

    def feed(self, name: str) -> Feed:
        """Return the feed of this name.

        Raises:
            BrokenFeedError: The file that declares it is wrong, or its table differs from it.
            UnknownFeedError: There is none.
        """
        return feed_named(self.feeds, name, self.broken)

    @property
    def derived(self) -> Mapping[str, DerivedTable]:
        """The tables derived from the feeds', by name."""
        return derived_tables(self.feeds)

    def account(self, name: str, feed: str = "") -> Account:
        """Return what an account declares of its files of a feed, or of all of them."""
        with self.database.begin() as connection:
            return accounts.named(connection, name, feed)

    def declared_of(self, account: str, feed: str, version: int | None = None) -> Declared:
        """Return what an account declares of its files of a feed: now, or as of a version."""
        with self.database.begin() as connection:
            return accounts.declared(connection, account, feed, version)

    def held_back(self, names: Iterable[str]) -> dict[str, str]:
        """Return which of these feeds import nothing until a person settles something, and why."""
        found = {}
        with self.database.begin() as connection:
            for name in names:
                try:
                    readings.hold(connection, self.feed(name))
                except SetupError as error:
                    found[name] = str(error)
        return found

    def claim(self, account: str, feed: str, **how: Unpack[claims.Taking]) -> list[Claim]:
        """Claim what waits for an account and feed, or the arrivals named; see `claims.take`.

        Raises:
            SetupError: The feed reads a column in another way, by which rows are known.
        """
        with self.database.begin() as connection:
            readings.hold(connection, self.feed(feed))
            taken = claims.take(
                connection,
                account,
                feed,
                self.settings.lease_seconds,
                self.settings.max_failures,
                **how,
            )
            self.declared[account, feed] = accounts.declared(connection, account, feed)
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
            SetupError: The file lies in another account's or feed's folder of the landing area; or
                the feed reads a column in another way, by which rows are known.
        """
        feed = self.feed(file.feed)
        self._stay_in_lane(file)
        landed = self.settings.landing_of(location_of(file.location)) is not None
        with self.database.begin() as connection:
            readings.hold(connection, feed)
            lane = file.account, file.feed
            self.declared[lane] = accounts.declared(connection, *lane)
            if dry_run:
                return claims.for_dry_run(connection, file, again=again)
            archive.let_returned_wait(connection, [file])
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

    def _stay_in_lane(self, file: FoundFile) -> None:
        lies, settings = location_of(file.location), self.settings
        for area in (*settings.landing_areas, *settings.kept_areas):
            if (parts := parts_below(lies, area)) is not None:
                folder, of_feed = (*parts[:-1], "", "")[:2]
                with self.database.begin() as connection:
                    location = folders.find(connection).get(folder, folder), of_feed
                if location != (file.account, file.feed):
                    what = "the landing area" if area in settings.landing_areas else str(area)
                    found = "/".join(filter(None, location)) or "none"
                    raise SetupError(
                        f"{lies}: a file in {file.account}/{file.feed} of {what}, or outside "
                        f"of it, was needed; it lies in {found}"
                    )

    def find(self, location: Location, account: str, feed: str) -> FoundFile:
        """Return the file at a location, where it lies or where it lay before it was archived.

        Raises:
            InvalidAccountError: The account is not a slug.
            SetupError: No file is there, and none was; or what is there can never be imported.
        """
        if (known_as := storable(str(location))) != str(location):
            raise SetupError(
                f"{known_as}: a name in UTF-8 was needed; it has other bytes: rename it"
            )
        store = store_of(location)
        for area in (*self.settings.landing_areas, *self.settings.kept_areas):
            if fault := store.fault(location, area):
                lane = self.settings.landing_area / account / feed
                raise SetupError(f"{fault} (files to import can be copied to {lane}/)")
        with self.database.begin() as connection:
            here, since = (
                arrivals.moved_file(connection, account, feed, str(location), now=now)
                for now in (True, False)
            )
        if here is not None:
            return here
        try:
            return found_file(location, account, feed)
        except FileNotFoundError as error:
            if since is not None:
                return since
            raise SetupError(
                f"{location}: a file was needed; there is none, and none of it is known"
            ) from error

    def scan(self, **how: Unpack[Look]) -> ScanResult:
        """Look at the landing areas, enter what is new and return it; see `scanning.scan`."""
        feeds = Feeds(self.feeds.keys(), {one.name for one in self.broken})
        return scan(self.database, self.settings, feeds, **how)

    def put_away(self, seconds: float) -> None:
        """Move settled files that still lie in the landing area, as after a crash."""
        archive.archive_due(self.database, self.settings, seconds)

    def remove_expired(self, account: str, feed: str) -> None:
        """Remove the files of an account and feed that are kept no longer."""
        expired_files.remove_expired(self.database, self.settings, account, feed)

    def write_rejects(
        self,
        import_id: int,
        target: Path | Location,
        *,
        verbatim: bool = False,
        repaired: bool = False,
    ) -> int:
        """Write the rejected rows of an import for a person to correct and return their number.

        At once and whole; if there are none, no file is written, and one that is there stays. Rows
        that another import repaired are left out unless `repaired`; `verbatim` is for machines: no
        cell is kept from being a formula. Cells of a confidential feed are masked; a mask that
        comes back is the cell as it was.

        Raises:
            UnknownImportError: The ledger has no such import.
            SetupError: The import repairs another one of a confidential feed, by which a mask would
                have two meanings.
        """
        location = target if isinstance(target, Location) else location_of(target)
        with (
            self.database.begin() as connection,
            written_to(location, self.settings.work_area) as path,
        ):
            report = imports.report_of(connection, import_id)
            confidential = self.feed(report.feed).confidential
            if confidential and report.repairs is not None:
                raise SetupError(
                    f"import {import_id}: the import that it repairs was needed, because cells of "
                    f"feed {report.feed!r} are not shown; write out the rejects of import "
                    f"{report.repairs}"
                )
            split = Grammar(report.delimiter, report.quote, report.escape).cells
            encoding = "utf-8" if verbatim else "utf-8-sig"
            with path.open("w", encoding=encoding, newline="") as out:
                written = write_rejects(
                    out,
                    report.header,
                    quarantine.rejected_rows(connection, report, split, repaired=repaired),
                    delimiter=report.delimiter,
                    split=split if report.repairs is None else lambda _: (),
                    verbatim=verbatim,
                    confidential=confidential,
                )
            if not written:
                path.unlink()
        return written

    def leave_rejects(self, import_id: int) -> Location | None:
        """Write an import's open rejects, if it has any, to where people find them; say where."""
        with self.database.begin() as connection:
            report = imports.report_of(connection, import_id)
        target = self.settings.rejects_file(report.account, report.feed, import_id)
        return target if self.write_rejects(import_id, target) else None

    def write_worklist(
        self, account: str, feed: str, target: Path | Location | None = None
    ) -> Written:
        """Write the work that remains of an account and feed; see `worklist.write_worklist`."""
        location = location_of(target) if isinstance(target, Path) else target
        return write_worklist(
            self.settings, self.database, self.feed(feed), account_slug(account), location
        )

    def report_progress(self, account: str, feed: str, **row: Value) -> Location:
        """Report what became of a piece of work; see `progress.report_progress`."""
        return report_progress(self.settings, self.feed(feed), account, row)

    def undo(
        self, import_id: int, *, on_event: OnEvent = nobody, **how: Unpack[Undoing]
    ) -> ImportReport:
        """Take back what an import wrote, or bring back what an undo took; see `undo.undo`.

        Then what is derived from the feed is recomputed, and its worklist is written.
        """
        report = undo(self.database, self.feed, import_id, **how)
        if report.outcome is Outcome.UNDO:
            tell = told(self.consumers, on_event)
            recompute_touched(self.database, self.feeds, report.account, report.feed, tell)
            rewrite_worklist(
                self.settings, self.database, self.feed(report.feed), report.account, tell
            )
        return report

    def recompute(self, name: str, account: str, *, everything: bool = False) -> Recomputed:
        """Recompute a derived table for an account; see `derive.recompute`."""
        table = self.derived[name]
        return recompute(self.database, self.feeds, table, account, everything=everything)

    def results_of(self, report: ImportReport) -> Location | None:
        """Return the file that says what became of each row of an import, if one is seen."""
        file = self.settings.results_file(report.account, report.feed, report.import_id)
        try:
            return file if store_of(file).exists(file) else None
        except CANNOT:  # what was imported is, whether its store answers now or not
            return None

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


def open_pipeline(
    settings: Settings,
    feeds: Iterable[Feed | BrokenFeed],
    consumers: Iterable[OnEvent] = (),
    connections: int = 2,
) -> Pipeline:
    """Return the pipeline ready to import: database open, state and target tables up to date.

    It keeps so many connections open; more are opened while they are needed.
    """
    declared, broken = parted(feeds)
    hold_apart((feed.name, feed.relations) for feed in declared)
    database = open_database(settings, connections)
    try:
        declared, broken = parted([*with_tables(database, declared), *broken])
        by_name = {feed.name: feed for feed in declared}
        ensure_derived(database, tuple(derived_tables(by_name).values()))
    except SetupError:
        database.engine.dispose()
        raise
    for one in broken:
        log.error("feed left out: its files wait", feed=one.name, because=one.why)
    sweep(settings, database, by_name)
    if settings.history_days is not None:
        undo_records.prune_history(database, by_name.values(), settings.history_days)
    opened = Pipeline(
        settings,
        database,
        by_name,
        LeaseRenewer(database, settings.lease_seconds),
        consumers=tuple(consumers),
        broken=broken,
    )
    opened.put_away(_SECONDS_TO_PUT_AWAY)
    return opened
