"""The way of a file, on one screen: arrive → read → transform → validate → load → report.

An `Import` is one arrival's way. Its stages hand over files in its work directory and each is done
once: a stage that finds what it needs missing does the stage before again. So the stages can run in
one call (`ingest`), or one by one in different processes, as the Dagster ops do.
"""

import re
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import structlog
from polars.exceptions import PolarsError
from psycopg import Error as PsycopgError
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from csv_pipeline.contract import heading
from csv_pipeline.errors import (
    FileRefusedError,
    LostClaimError,
    ReplayError,
    SetupError,
    ThresholdExceededError,
    UndoError,
    UnknownFeedError,
    UnknownImportError,
    WrongFeedError,
)
from csv_pipeline.header import drift, layout_of, sources_in
from csv_pipeline.model import (
    Claim,
    Counts,
    Ending,
    Feed,
    FoundFile,
    HeaderDrift,
    ImportReport,
    Outcome,
    Reject,
    StoredText,
)
from csv_pipeline.settings import Settings
from csv_pipeline.stages.arrive import Look, fetch, found_file, look, refuse_changed
from csv_pipeline.stages.load import LATE, load, store_rejects
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.replay import Repaired, named_import, take_back
from csv_pipeline.stages.report import count_rejects, count_rows, first_rejects
from csv_pipeline.stages.results import REFUSED, Decided, write_results
from csv_pipeline.stages.transform import transform
from csv_pipeline.stages.undo import Versions
from csv_pipeline.stages.unpack import UnpackLimits, unpack
from csv_pipeline.stages.validate import hold_to_threshold, validate
from csv_pipeline.storage import archive, ledger, quarantine, undone
from csv_pipeline.storage.database import Database, open_database
from csv_pipeline.storage.keeper import Keeper
from csv_pipeline.storage.rejects import MASK
from csv_pipeline.storage.rejects_file import is_rejects_file, write_rejects
from csv_pipeline.storage.targets import ensure_targets
from csv_pipeline.storage.work import (
    PlainFile,
    Replay,
    TextFile,
    TypedFile,
    ValidFile,
    save,
    saved,
)

T = TypeVar("T")
_QUOTED = re.compile(r"\[.*\]|\"[^\"]*\"|`[^`]*`", re.DOTALL)
_MOST_NAMES = 40
_LEFT_SECONDS = 3_600.0  # after which nobody reports on a settled import any more
_SECONDS_TO_PUT_AWAY = 5.0
log = structlog.get_logger()


class Stage(StrEnum):
    """The stages of an import in their order."""

    ARRIVE = "arrive"
    READ = "read"
    TRANSFORM = "transform"
    VALIDATE = "validate"
    LOAD = "load"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one stage did for one file; `problem` is set from the stage on that turned it away."""

    import_id: int
    name: str
    stage: Stage
    seconds: float
    rows: int = 0
    rejects: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What every import needs: the settings, the database with all tables in it, the feeds.

    The keeper renews the leases of what was claimed here.
    """

    settings: Settings
    database: Database
    feeds: Mapping[str, Feed]
    keeper: Keeper

    def feed(self, name: str) -> Feed:
        """Return the feed of this name.

        Raises:
            UnknownFeedError: There is none.
        """
        if name not in self.feeds:
            raise UnknownFeedError(name, sorted(self.feeds))
        return self.feeds[name]

    def claim(
        self,
        account: str,
        feed: str,
        *,
        arrival_ids: Sequence[int] | None = None,
        run_id: str | None = None,
        dry_run: bool = False,
    ) -> list[Claim]:
        """Claim what waits for an account and feed, or the arrivals named; see `ledger.claim`."""
        with self.database.begin() as connection:
            claims = ledger.claim(
                connection,
                account,
                self.feed(feed).name,
                arrival_ids=arrival_ids,
                run_id=run_id,
                lease_seconds=self.settings.lease_seconds,
                max_failures=self.settings.max_failures,
                dry_run=dry_run,
            )
        self.keeper.hold(claims)
        return claims

    def claim_file(self, file: FoundFile, *, dry_run: bool = False) -> Claim | None:
        """Enter a file that somebody named, wherever it lies, and claim it.

        None: it is imported, or another worker has it; `ledger.arrival` says which. A dry run
        neither enters nor claims the file.

        Raises:
            UnknownFeedError: No feed has the name the file was found for.
            SetupError: The file lies in another account's or feed's folder of the landing area.
        """
        self.feed(file.feed)
        self._stay_in_place(file)
        with self.database.begin() as connection:
            if dry_run:
                return ledger.rehearsal(connection, file)
            archive.take_back(connection, [file])
            claims = ledger.claim(
                connection,
                file.account,
                file.feed,
                arrival_ids=[ledger.enter(connection, file)],
                lease_seconds=self.settings.lease_seconds,
            )
        self.keeper.hold(claims)
        return claims[0] if claims else None

    def _stay_in_place(self, file: FoundFile) -> None:
        path, settings = Path(file.location), self.settings
        for area in (settings.landing_area, settings.archive_area, settings.quarantine_area):
            if path.is_relative_to(area):
                place = (*path.relative_to(area).parts[:-1], "", "")[:2]
                if place != (file.account, file.feed):
                    what = "the landing area" if area == settings.landing_area else str(area)
                    raise SetupError(
                        f"{path}: a file in {file.account}/{file.feed} of {what}, or outside "
                        f"of it, was needed; it lies in {'/'.join(filter(None, place)) or 'none'}"
                    )

    def find(self, path: Path, account: str, feed: str) -> FoundFile:
        """Return the file at a path, where it lies or where it lay before it was archived.

        Raises:
            InvalidAccountError: The account is not a slug.
            SetupError: No file is there, and none was.
        """
        with self.database.begin() as connection:
            here, since = (
                ledger.moved_file(connection, account, feed, str(path), now=now)
                for now in (True, False)
            )
        if here is not None:
            return here
        if since is not None and not path.exists():
            return since
        if not path.is_file():
            raise SetupError(f"{path}: a file was needed; there is none, and none of it is known")
        return found_file(path, account, feed)

    def look(self, *, seconds: float, start_at: str | None = None) -> Look:
        """Look at the landing area, enter what is new into the ledger and return it."""
        landing = self.settings.landing_area
        with self.database.begin() as connection:
            known = ledger.known_files(connection, f"{landing}/")
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
            ledger.register(connection, seen.found, seen.misplaced)
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
        """Write the rejected rows of an import for a person to mend and return their number.

        Rows that another import repaired are left out unless `repaired`; `verbatim` is for
        machines: no cell is kept from being a formula. Only the owner may read the file, which
        holds whole rows.

        Raises:
            UnknownImportError: The ledger has no such import.
        """
        partial = path.with_name(f"{path.name}.part")
        with self.database.begin() as connection:
            report = ledger.report_of(connection, import_id)
            split = Grammar(report.delimiter, report.quote, report.escape).cells
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.touch(mode=0o600)
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
        partial.replace(path)
        return written

    def undo(self, import_id: int, *, dry_run: bool = False) -> ImportReport:
        """Take back what an import wrote, or bring back what an undo took, and report it.

        Rows that a later import changed stay. The undo is an import record of its own, and can be
        undone. A dry run says what would happen.

        Raises:
            UnknownImportError: The ledger has no such import.
            UndoError: It stored nothing, was undone before, its history is not kept any more, or
                the database refuses the earlier rows.
        """
        with self.database.begin() as connection:
            ledger.lock_lane(connection, ledger.report_of(connection, import_id))
            found = undone.undoable(connection, import_id)
            subject = found.subject
            versions = Versions(connection, self.feed(subject.feed), subject.account)
            number = undone.next_import_id(connection)
            written = subject.counts.inserted + subject.counts.updated
            attempt = connection.begin_nested()
            try:
                if found.redo:
                    done = versions.redo(subject.import_id, undone_by=import_id)
                else:
                    done = versions.undo(subject.import_id, written, by=number)
            except IntegrityError as error:
                needed, said = "rows that the table takes", getattr(error.orig, "diag", None)
                raise UndoError(import_id, needed, str(said and said.message_primary)) from error
            report = ImportReport(
                import_id=number,
                arrival_id=subject.arrival_id,
                account=subject.account,
                feed=subject.feed,
                name=subject.name,
                outcome=Outcome.UNDO,
                undo=done,
            )
            if dry_run:
                attempt.rollback()
            else:
                undone.settle(connection, report, found)
        log.info("undone", named=import_id, by=number, **asdict(done))
        return report

    def leave_rejects(self, report: ImportReport) -> Path | None:
        """Write an import's rejected rows, if it has any, to where people find them; say where."""
        if not report.counts.rejected or report.outcome not in {Outcome.IMPORTED, Outcome.REFUSED}:
            return None
        folder = self.settings.rejects_area / report.account / report.feed
        path = folder / f"import-{report.import_id}.csv"
        self.write_rejects(report.import_id, path)
        return path

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
            return ledger.report_of(connection, import_id)


def open_pipeline(settings: Settings, feeds: Iterable[Feed]) -> Pipeline:
    """Return the pipeline ready to import: database open, state and target tables up to date."""
    by_name = {feed.name: feed for feed in feeds}
    database = open_database(settings)
    ensure_targets(database, by_name.values())
    sweep(settings, database, by_name)
    if settings.history_days is not None:
        with database.begin() as connection:
            undone.prune_history(connection, by_name.values(), settings.history_days)
    opened = Pipeline(settings, database, by_name, Keeper(database, settings.lease_seconds))
    opened.put_away(_SECONDS_TO_PUT_AWAY)
    return opened


def sweep(settings: Settings, database: Database, feeds: Mapping[str, Feed] | None = None) -> None:
    """Remove work directories that workers left behind: untouched for long, and not claimed.

    Where a worker was killed after its commit, the result file is written first.
    """
    for left in settings.work_area.glob("*-*"):
        try:
            idle_seconds = time.time() - left.stat().st_mtime
        except FileNotFoundError:
            continue
        if idle_seconds > max(settings.lease_seconds, _LEFT_SECONDS):
            import_id, _, attempt = left.name.partition("-")
            with database.begin() as connection:
                held = ledger.is_held(connection, int(import_id), int(attempt))
            if not held:
                _leave_late_results(settings, database, left, int(import_id), feeds or {})
                shutil.rmtree(left, ignore_errors=True)


def _leave_late_results(
    settings: Settings, database: Database, work: Path, import_id: int, feeds: Mapping[str, Feed]
) -> None:
    with suppress(UnknownImportError, OSError), database.begin() as connection:
        report = ledger.report_of(connection, import_id)
        path = settings.results_file(report.account, report.feed, import_id)
        if settings.result_files and report.feed in feeds and not path.exists():
            leave_results(settings, work, feeds[report.feed], report)


def ingest(pipeline: Pipeline, claim: Claim) -> ImportReport:
    """Import one claimed arrival and return what became of every row.

    A file that is turned away is a report too; its outcome says so.

    Raises:
        DatabaseUnavailableError: The database does not answer; the claim runs out and the file is
            picked up again.
        LostClaimError: Another worker has the file by now.
    """
    with pipeline.keeper.working_on(claim):
        import_ = Import(pipeline, claim)
        for stage in Stage:
            import_.advance(stage)
        return import_.settled()


def leave_results(settings: Settings, work: Path, feed: Feed, report: ImportReport) -> None:
    """Write what became of every row of an import, if its rows were judged, whole or not at all."""
    text = saved(work / "replay.json", Replay) or saved(work / "read.json", TextFile)
    text = text.text if isinstance(text, Replay) else text
    typed = saved(work / "transform.json", TypedFile)
    valid = saved(work / "validate.json", ValidFile)
    judged = report.outcome in {Outcome.IMPORTED, Outcome.REFUSED}
    if not (text and typed and valid and judged):
        return
    path = settings.results_file(report.account, report.feed, report.import_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    partial.touch(mode=0o600)
    decided = Decided(
        text=text,
        typed=typed,
        valid=valid,
        outcomes=work / "outcomes",
        late=work / LATE,
        key=feed.key,
        protected=frozenset(column.name for column in feed.columns if column.protected),
        refused=report.outcome is Outcome.REFUSED,
    )
    with partial.open("wb") as out:
        written = write_results(out, decided)
    told = {name: rows for name, rows in written.items() if name != REFUSED}
    found = Counts(read=sum(written.values()), **told)
    if found == replace(report.counts, blank=0, furniture=0):
        partial.replace(path)
    else:  # rather no file than one that contradicts the report
        log.warning("no result file", import_id=report.import_id, found=asdict(found))
        partial.unlink()


class Import:
    """One arrival's way from its claim to its report."""

    def __init__(self, pipeline: Pipeline, claim: Claim) -> None:
        self.claim = claim
        self.feed = pipeline.feed(claim.feed)
        self._feeds = pipeline.feeds
        self._settings = pipeline.settings
        self._database = pipeline.database
        self._keeper = pipeline.keeper
        self._made_sure = False
        self._work = pipeline.settings.work_area / f"{claim.import_id}-{claim.attempt}"
        self._work.mkdir(parents=True, exist_ok=True)
        with self._database.begin() as connection:
            self._account = ledger.account(connection, claim.account)

    def advance(self, stage: Stage) -> Progress:
        """Do one stage unless the file was turned away before, and return what it did."""
        if done := saved(self._work / f"progress-{stage}.json", Progress):
            return done
        self._keep_claim(stage)
        began = time.monotonic()
        rows = rejects = 0
        if self._ending is None or stage in {Stage.LOAD, Stage.REPORT}:
            try:
                rows, rejects = self._does[stage](self)
            except FileRefusedError as refusal:
                self.turn_away(Outcome.REFUSED, str(refusal), refusal.code)
            except PolarsError as error:
                error.args = (_QUOTED.sub(MASK, str(error)),)  # it may quote values of rows
                raise
        progress = Progress(
            import_id=self.claim.import_id,
            name=self.claim.name,
            stage=stage,
            seconds=round(time.monotonic() - began, 4),
            rows=rows,
            rejects=rejects,
            problem=self._ending.problem if self._ending else None,
        )
        save(self._work / f"progress-{stage}.json", progress)
        log.info("stage done", **asdict(progress))
        return progress

    def turn_away(
        self, outcome: Outcome, problem: str, code: str, same_as: int | None = None
    ) -> None:
        """End the import here: its load stage will record this instead of rows."""
        ending = Ending(outcome=outcome, problem=problem, problem_code=code, same_as=same_as)
        save(self._work / "ending.json", ending)

    def fail(self, error: Exception) -> None:
        """End the import by an error that nobody foresaw, with the way it took.

        The database's own words stay out of it: they quote values of rows.
        """
        if isinstance(error, OSError):
            self._make_room()
        way = "".join(traceback.format_tb(error.__traceback__))
        said = "" if isinstance(error, SQLAlchemyError | PsycopgError) else f": {error}"
        code = getattr(getattr(error, "orig", error), "sqlstate", None)
        state = f" (SQLSTATE {code})" if code else ""
        problem = f"Traceback (most recent call last):\n{way}{type(error).__name__}{state}{said}"
        self.turn_away(Outcome.FAILED, problem, type(error).__name__)

    def _make_room(self) -> None:
        """Remove all but the facts: the disk may be full, and now it has to hold why."""
        for left in self._work.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            elif left.suffix != ".json":
                left.unlink()

    def settled(self) -> ImportReport:
        """Return what became of every row; known once the load stage is done."""
        self.advance(Stage.LOAD)
        return self._once("report", ImportReport, self._report)

    def first_rejects(self, limit: int) -> list[Reject]:
        """Return the first faults of the file's rows, of a dry run too, which stores none."""
        text = self._text_so_far()
        valid = saved(self._work / "validate.json", ValidFile)
        if not (text and valid):
            return []
        rejects = (text.rejects, valid.rejects, self._work / LATE)
        return first_rejects(self.claim.import_id, text.text, rejects, limit)

    def finish(self) -> None:
        """Remove the work directory."""
        shutil.rmtree(self._work, ignore_errors=True)

    def _keep_claim(self, stage: Stage) -> None:
        """Make sure of the claim and let the keeper renew it, whichever process claimed it.

        Between the first stage done here and the load, which looks again, the keeper's word is
        enough: a small file takes less time than to ask. A load whose commit got no answer, because
        the database fell silent, may have happened: then the claim is over and the ledger has this
        very import.
        """
        sure = self._made_sure and stage is not Stage.LOAD and self._keeper.holds(self.claim)
        if stage is Stage.REPORT or sure:
            return
        try:
            with self._database.begin() as connection:
                ledger.renew(connection, self.claim, self._settings.lease_seconds)
            self._keeper.hold([self.claim])
            self._made_sure = True
        except LostClaimError:
            self._keeper.let_go(self.claim)
            with self._database.begin() as connection:
                settled = ledger.settled(connection, self.claim)
            if stage is not Stage.LOAD or settled is None:
                raise
            save(self._work / "report.json", settled)

    @property
    def _ending(self) -> Ending | None:
        return saved(self._work / "ending.json", Ending)

    def _once(self, name: str, kind: type[T], do: Callable[[], T]) -> T:
        """Return what is remembered under `name`; if nothing is, do it and remember it."""
        path = self._work / f"{name}.json"
        if (found := saved(path, kind)) is not None:
            return found
        done = do()
        save(path, done)
        return done

    @property
    def members(self) -> tuple[FoundFile, ...]:
        """The files in an archive of several, once it is unpacked; each is an arrival."""
        plain = saved(self._work / "unpack.json", PlainFile)
        return tuple(
            FoundFile(
                location=f"{self.claim.location}!{member.name}",
                account=self.claim.account,
                feed=self.claim.feed,
                name=member.name,
                size_bytes=member.size_bytes,
                modified_at=self.claim.modified_at,
                moved_to=self.claim.moved_to and f"{self.claim.moved_to}!{member.name}",
            )
            for member in (plain.members if plain else ())
        )

    def _plain(self) -> PlainFile:
        limits = UnpackLimits(
            max_compressed_bytes=(
                self._account.max_compressed_bytes or self._settings.max_compressed_bytes
            ),
            max_file_bytes=self._max_file_bytes,
            max_ratio=self._settings.max_ratio,
            max_members=self._settings.max_members,
        )
        claim = self.claim

        def unpacked() -> PlainFile:
            plain = unpack(self._stored(), self._work, limits, name=claim.name, member=claim.member)
            if claim.member is not None:
                refuse_changed(claim)  # it came out of the archive where that lies
            return plain

        return self._once("unpack", PlainFile, unpacked)

    @property
    def _max_file_bytes(self) -> int:
        return self._account.max_file_bytes or self._settings.max_file_bytes

    def _stored(self) -> StoredText:
        return self._once(
            "arrive", StoredText, lambda: fetch(self.claim, self._work, self._max_file_bytes)
        )

    def _text(self) -> TextFile:
        """Return the file's rows; rejected rows sent back under the header they came with."""
        replay = self._replay()
        return replay.text if replay else self._as_it_stands()

    def _as_it_stands(self) -> TextFile:
        def both_ways() -> TextFile:
            found = self._read_by(self._account.encoding)
            # What an account declared of its files is not known to the spreadsheet of a person.
            mended = self._account.encoding and is_rejects_file(found.header)
            return self._read_by(None) if mended else found

        return self._once("read", TextFile, both_ways)

    def _read_by(self, encoding: str | None) -> TextFile:
        hints = ReadHints(
            name=self.claim.name,
            headings=self.feed.headings,
            encoding=encoding,
            encodings=self.feed.encodings,
            furniture=self.feed.furniture,
            max_bytes=self._max_file_bytes,
            max_columns=self._settings.max_columns,
            max_record_bytes=self._settings.max_record_bytes,
            max_records=self._settings.max_records,
            block_bytes=self._settings.block_bytes,
        )
        return read(self._plain().path, self._work, hints)

    def _replay(self) -> Replay | None:
        """Return which rows of which import these are, if the file holds rejected rows."""
        text = self._as_it_stands()
        if self.claim.repairs is None and not is_rejects_file(text.header):
            return None
        return self._once("replay", Replay, lambda: self._taken_back(text))

    def _taken_back(self, text: TextFile) -> Replay:
        claim = self.claim
        import_id = named_import(text, claim.name, claim.repairs)
        with self._database.begin() as connection:
            report = quarantine.repairable(connection, claim, import_id)
            rows = quarantine.states(connection, import_id)
        repaired = Repaired(import_id=import_id, header=report.header, states=rows)
        save(self._work / "repaired.json", report)
        return take_back(text, self._work, repaired, name=claim.name)

    def _drift(self) -> HeaderDrift:
        """Return how the header differs from the feed's and from the last one of its layout."""
        if self._replay():
            return HeaderDrift()
        header = self._text().header
        layout = layout_of(sources_in(header, self.feed)[0], self.feed).name
        with self._database.begin() as connection:
            before = ledger.last_header(connection, self.claim, layout)
        return drift(header, self.feed, before)

    def _typed(self) -> TypedFile:
        return self._once(
            "transform",
            TypedFile,
            lambda: transform(
                self._text(),
                self._work,
                self.feed,
                self._account,
                name=self.claim.name,
                settled=self._settled(),
            ),
        )

    def _settled(self) -> Mapping[str, str | None]:
        """Return how amounts and dates were read in the import that is repaired."""
        repaired = saved(self._work / "repaired.json", ImportReport)
        return repaired.ways if repaired else {}

    def _valid(self) -> ValidFile:
        return self._once(
            "validate", ValidFile, lambda: validate(self._typed(), self._work, self.feed)
        )

    def _arrive(self) -> tuple[int, int]:
        plain = self._plain()
        if plain.members:
            self._turn_into_members()
            return 0, 0
        with self._database.begin() as connection:
            same = ledger.same_content(connection, self.claim, plain.fingerprint)
        if same is not None:
            self._turn_away_duplicate(same)
        return 0, 0

    def _read(self) -> tuple[int, int]:
        text = self._text()
        return text.records, text.malformed

    def _transform(self) -> tuple[int, int]:
        self._refuse_other_feeds_header()
        self._once("drift", HeaderDrift, self._drift)
        return self._text().records - self._text().malformed, self._typed().rows_at_fault

    def _refuse_other_feeds_header(self) -> None:
        """Turn the file away if another feed knows most of its header, and this one few of it."""
        names = {heading(name) for name in self._text().header if name}
        known = {feed.name: len(names & feed.headings) for feed in self._feeds.values()}
        likeliest = max(known, key=lambda name: known[name])
        mine, most = known[self.feed.name], known[likeliest]
        if most > 2 * mine and 2 * mine < len(names) < 2 * most:
            raise WrongFeedError(
                self.claim.name,
                f"a header of feed {self.feed.name!r} was needed",
                f"it knows {mine} of the {len(names)} names there, feed {likeliest!r} {most}",
            )

    def _validate(self) -> tuple[int, int]:
        valid = self._valid()
        if self._replay() is None:  # rows that were rejected once are bound to be bad more often
            text = self._text()
            rejected = text.malformed + valid.rejected
            hold_to_threshold(self.feed, rejected, text.records, name=self.claim.name)
        return valid.valid, valid.rejected

    def _load(self) -> tuple[int, int]:
        if done := saved(self._work / "report.json", ImportReport):
            return done.counts.read - done.counts.rejected, done.counts.rejected
        report = self._report()
        plain = saved(self._work / "unpack.json", PlainFile)
        fingerprint = plain.fingerprint if plain else None
        with self._database.begin() as connection:
            attempt = connection.begin_nested()
            if self._ending is None:
                ledger.lock_lane(connection, self.claim)
                ledger.check(connection, self.claim)  # waiting may have cost it
                same = ledger.same_content(connection, self.claim, fingerprint)
                if same is not None:  # imported by another worker since this one arrived
                    self._turn_away_duplicate(same)
                    report = self._report()
                elif self._repaired_since(connection):
                    report = self._report()
                else:
                    report = self._load_rows(connection)
            if self._ending is not None and self._ending.outcome is Outcome.REFUSED:
                attempt.rollback()
                attempt = connection.begin_nested()
                self._keep_rejects(connection)
            if self.claim.dry_run:
                attempt.rollback()
                ledger.release(connection, self.claim)
            else:
                ledger.register(connection, self.members)
                most = self._settings.max_failures
                ledger.settle(connection, self.claim, report, fingerprint, most)
        self._keeper.let_go(self.claim)
        save(self._work / "report.json", report)
        return report.counts.read - report.counts.rejected, report.counts.rejected

    def _load_rows(self, connection: Connection) -> ImportReport:
        """Store the rows; the file is turned away if the database refuses too many of them."""
        text, valid, replay = self._text(), self._valid(), self._replay()
        counts, differences = load(
            connection, self.feed, self.claim, self._work, text, self._typed(), valid, replay
        )
        if replay is None:
            try:
                hold_to_threshold(self.feed, counts.rejected, counts.read, name=self.claim.name)
            except ThresholdExceededError as error:
                self.turn_away(Outcome.REFUSED, str(error), error.code)
        report = self._report()
        if self._ending is not None:
            return report
        return replace(report, counts=counts, differences=differences)

    def _repaired_since(self, connection: Connection) -> bool:
        """Turn the file away if another brought any of its rows since this one was read."""
        replay = self._replay()
        if replay is None or not quarantine.changed(connection, replay):
            return False
        error = ReplayError(
            self.claim.name,
            f"open rejects of import {replay.import_id} were needed",
            "another import repaired some of them in this very moment; send the file again",
        )
        self.turn_away(Outcome.REFUSED, str(error), error.code)
        return True

    def _keep_rejects(self, connection: Connection) -> None:
        """Store the rejects of a file that is turned away for them."""
        valid = saved(self._work / "validate.json", ValidFile)
        if valid:
            store_rejects(
                connection, self.claim, self._text(), valid, self._work / LATE, self._replay()
            )

    def _finish(self) -> tuple[int, int]:
        report = replace(self.settled(), stage_seconds=self._seconds())
        save(self._work / "report.json", report)
        if not self.claim.dry_run:
            with self._database.begin() as connection:
                ledger.store_report(connection, report)
            self._leave_files(report)
        return report.counts.read, report.counts.rejected

    def _leave_files(self, report: ImportReport) -> None:
        """Write the result file and put the file away; what has failed in that fails no import."""
        try:
            if self._settings.result_files:
                leave_results(self._settings, self._work, self.feed, report)
            archive.place(self._database, self._settings, self.claim.arrival_id)
        except OSError as error:
            log.warning("file stays", import_id=report.import_id, because=str(error))

    def _turn_away_duplicate(self, same: int) -> None:
        self.turn_away(
            Outcome.DUPLICATE,
            f"{self.claim.name}: new content was needed; import {same} brought the same bytes",
            "duplicate",
            same,
        )

    def _turn_into_members(self) -> None:
        name, names = self.claim.name, [member.name for member in self.members]
        shown = ", ".join(map(repr, names[:_MOST_NAMES]))
        shown += f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        problem = f"{name}: each of its {len(names):,} files is an arrival of its own; {shown}"
        self.turn_away(Outcome.UNPACKED, problem, "unpacked")

    def _report(self) -> ImportReport:
        """Return what is known so far; all but the counts of the rows loaded."""
        plain = saved(self._work / "unpack.json", PlainFile)
        text = self._text_so_far()
        replay = saved(self._work / "replay.json", Replay)
        typed = saved(self._work / "transform.json", TypedFile)
        valid = saved(self._work / "validate.json", ValidFile)
        ending = self._ending
        report = ImportReport(
            import_id=self.claim.import_id,
            arrival_id=self.claim.arrival_id,
            account=self.claim.account,
            feed=self.claim.feed,
            name=self.claim.name,
            outcome=Outcome.DRY_RUN if self.claim.dry_run else Outcome.IMPORTED,
            evidence=tuple(e for facts in (plain, text, typed) if facts for e in facts.evidence),
            stage_seconds=self._seconds(),
        )
        if text:
            counts = Counts(read=text.records, blank=text.blank, furniture=text.furniture_count)
            report = replace(
                report,
                counts=counts,
                header=text.header,
                delimiter=text.delimiter,
                quote=text.quote,
                escape=text.escape,
                repairs=replay.import_id if replay else None,
                drift=saved(self._work / "drift.json", HeaderDrift) or HeaderDrift(),
            )
        if typed:
            report = replace(report, layout=typed.layout, ways=typed.ways)
        late = self._work / LATE
        if text and valid and (text.malformed or valid.rejected or any(late.glob("*"))):
            by_rule, by_column = count_rejects((text.rejects, valid.rejects, late))
            report = replace(report, rejects_by_rule=by_rule, rejects_by_column=by_column)
        if text and valid and ending and ending.outcome is Outcome.REFUSED:
            rejected = text.malformed + valid.rejected + count_rows(self._work / LATE)
            report = replace(report, counts=replace(report.counts, rejected=rejected))
        if ending:
            report = replace(
                report,
                outcome=ending.outcome,
                problem=ending.problem,
                problem_code=ending.problem_code,
                same_as=ending.same_as,
            )
        return report

    def _text_so_far(self) -> TextFile | None:
        replay = saved(self._work / "replay.json", Replay)
        return replay.text if replay else saved(self._work / "read.json", TextFile)

    def _seconds(self) -> dict[str, float]:
        done = (saved(self._work / f"progress-{stage}.json", Progress) for stage in Stage)
        return {progress.stage.value: progress.seconds for progress in done if progress}

    _does: Mapping[Stage, Callable[["Import"], tuple[int, int]]] = {
        Stage.ARRIVE: _arrive,
        Stage.READ: _read,
        Stage.TRANSFORM: _transform,
        Stage.VALIDATE: _validate,
        Stage.LOAD: _load,
        Stage.REPORT: _finish,
    }
