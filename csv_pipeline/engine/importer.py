"""The path of a file: arrive → read → transform → validate → load → report.

An `Import` processes one arrival. Its stages write to its workspace, and each runs once; a stage
whose input is missing runs the stage before it. So the stages can run in one call, or one by one in
different processes, as the Dagster ops do.
"""

import re
import shutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import structlog
from polars.exceptions import PolarsError
from psycopg import Error as PsycopgError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from csv_pipeline.account import Account
from csv_pipeline.engine import archive, dry_runs
from csv_pipeline.engine.findings import (
    first_rejects,
    refuse_without_good_row,
    settings_at_fault,
    warnings_of,
)
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.report import log_finished, non_data_of, report_so_far
from csv_pipeline.engine.result_files import draft_results, leave_results
from csv_pipeline.engine.workspace import BEFORE, Progress, Stage, Workspace
from csv_pipeline.errors import (
    ContradictionError,
    FileRefusedError,
    LostClaimError,
    WrongFeedError,
)
from csv_pipeline.handover import (
    PlainFile,
    Replay,
    TextFile,
    TypedFile,
    ValidFile,
)
from csv_pipeline.model import (
    Claim,
    Ending,
    FileFacts,
    FoundFile,
    HeaderDrift,
    ImportReport,
    Outcome,
    Reject,
    StoredText,
)
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.rejects.rejects_file import is_rejects_file
from csv_pipeline.settings import Settings
from csv_pipeline.spec.contract import heading
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.header import drift, layout_of, sources_in
from csv_pipeline.stages.fetch import fetch, refuse_changed
from csv_pipeline.stages.load import LATE, load, store_rejects
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.replay import Repaired, named_import, take_back
from csv_pipeline.stages.transform import facts_by_header, transform
from csv_pipeline.stages.unpack import UnpackLimits, unpack
from csv_pipeline.stages.validate import hold_to_threshold, validate
from csv_pipeline.storage import arrivals, claims, imports, leases, quarantine
from csv_pipeline.storage.lane_lock import lock_lane
from csv_pipeline.storage.records import Record, record_imports
from csv_pipeline.storage.situation import SameContent, same_content

_QUOTED = re.compile(r"\[.*\]|\"[^\"]*\"|`[^`]*`", re.DOTALL)
_MOST_NAMES = 40
log = structlog.get_logger()


def imports_of(pipeline: Pipeline, claims: Sequence[Claim]) -> list["Import"]:
    """Return the imports of claimed arrivals of one account."""
    account = pipeline.account(claims[0].account) if claims else None
    return [Import(pipeline, claim, account) for claim in claims]


def work_of(settings: Settings, claim: Claim) -> Path:
    """Return the work directory of an import, which is scratch."""
    return settings.work_area / f"{claim.import_id}-{claim.attempt}"


def remove_work(settings: Settings, claim: Claim) -> None:
    """Remove the work directory of an import that nobody works on any more."""
    shutil.rmtree(work_of(settings, claim), ignore_errors=True)
    if claim.dry_run:
        dry_runs.drop(settings.work_area, claim.import_id)


def hints_for(name: str, settings: Settings, feed: Feed | None) -> ReadHints:
    """Return what is known of a file of a feed, or of none, before it is read."""
    hints = ReadHints(
        name=name,
        max_bytes=settings.max_file_bytes,
        max_columns=settings.max_columns,
        max_record_bytes=settings.max_record_bytes,
        max_records=settings.max_records,
        block_bytes=settings.block_bytes,
    )
    if feed is None:
        return hints
    return replace(
        hints,
        headings=feed.headings,
        meanings=feed.meanings,
        encodings=feed.encodings,
        non_data=feed.non_data,
    )


class Import:
    """The processing of one arrival, from its claim to its report."""

    def __init__(self, pipeline: Pipeline, claim: Claim, account: Account | None = None) -> None:
        self.claim = claim
        self.feed = pipeline.feed(claim.feed)
        self._feeds = pipeline.feeds
        self._settings = pipeline.settings
        self._database = pipeline.database
        self._leases = pipeline.leases
        self.work = work_of(pipeline.settings, claim)
        self.workspace = Workspace(self.work)
        if claim.dry_run:
            dry_runs.keep(pipeline.settings.work_area, claim.import_id)
        self.work.mkdir(parents=True, exist_ok=True)
        self.account = account or pipeline.account(claim.account)

    def advance(self, stage: Stage) -> Progress:
        """Do one stage unless the file was refused before, and return what it did."""
        if done := self.workspace.progress(stage):
            return done
        if (before := BEFORE.get(stage)) is not None:
            self.advance(before)  # it may have been skipped for a bundle that was not loaded
        self._renew_claim(stage)
        began = time.monotonic()
        rows = rejects = 0
        if self._is_due(stage):
            try:
                rows, rejects = self._does[stage](self)
            except FileRefusedError as refusal:
                self.end_as(Outcome.REFUSED, str(refusal), refusal.code)
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
            problem=self.ending.problem if self.ending else None,
        )
        self.workspace.set_progress(progress)
        log.debug("stage done", **asdict(progress))
        return progress

    def _is_due(self, stage: Stage) -> bool:
        """Return whether there is anything to do; the file may be refused, or settled."""
        if stage in {Stage.LOAD, Stage.REPORT}:
            return True
        return self.ending is None and self.workspace.report is None

    def end_as(self, outcome: Outcome, problem: str, code: str, same_as: int | None = None) -> None:
        """End the import here: its load stage will record this instead of rows."""
        ending = Ending(outcome=outcome, problem=problem, problem_code=code, same_as=same_as)
        self.workspace.ending = ending

    def fail(self, error: Exception) -> None:
        """End the import by an unforeseen error, with its traceback.

        The database's own words stay out of it: they quote values of rows.
        """
        if isinstance(error, OSError):
            self.workspace.make_room()
        trace = "".join(traceback.format_tb(error.__traceback__))
        said = "" if isinstance(error, SQLAlchemyError | PsycopgError) else f": {error}"
        code = getattr(getattr(error, "orig", error), "sqlstate", None)
        state = f" (SQLSTATE {code})" if code else ""
        problem = f"Traceback (most recent call last):\n{trace}{type(error).__name__}{state}{said}"
        self.end_as(Outcome.FAILED, problem, type(error).__name__)

    def settled(self) -> ImportReport:
        """Return what became of every row; known once the load stage is done."""
        if (settled := self.workspace.report) is not None:
            return settled
        self.advance(Stage.LOAD)
        return Workspace.report.once(self.workspace, self._report)

    def first_rejects(self, limit: int) -> list[Reject]:
        """Return the first faults of the file's rows, of a dry run too, which stores none."""
        text = self.workspace.text_to_import
        valid = self.workspace.valid
        if not (text and valid):
            return []
        rejects = (text.rejects, valid.rejects, self.work / LATE)
        return first_rejects(self.claim.import_id, text.text, rejects, limit)

    def finish(self) -> None:
        """Remove the work directory."""
        remove_work(self._settings, self.claim)

    def _renew_claim(self, stage: Stage) -> None:
        """Make sure of the claim and let the lease renewer renew it, whichever process claimed it.

        Until the load, which looks again, it is enough that the lease renewer has the claim: a
        small file takes less time than to ask. A load whose commit got no answer, because the
        database did not answer or the process died, may have happened: then the claim is over and
        the ledger has this import.
        """
        sure = stage is not Stage.LOAD and self._leases.holds(self.claim)
        if stage is Stage.REPORT or sure:
            return
        try:
            with self._database.begin() as connection:
                leases.renew(connection, [self.claim], self._settings.lease_seconds)
            self._leases.hold([self.claim])
        except LostClaimError:
            self._leases.drop(self.claim)
            with self._database.begin() as connection:
                settled = imports.settled(connection, self.claim)
            if settled is None:
                raise
            self.workspace.report = settled

    @property
    def ending(self) -> Ending | None:
        """Why the import ends before its rows could be loaded, if it does."""
        return self.workspace.ending

    @property
    def members(self) -> tuple[FoundFile, ...]:
        """The files in an archive of several, once it is unpacked; each is an arrival."""
        plain = self.workspace.plain
        return tuple(
            FoundFile(
                location=f"{self.claim.location}!{member.name}",
                account=self.claim.account,
                feed=self.claim.feed,
                name=member.name,
                size_bytes=member.size_bytes,
                modified_at=self.claim.modified_at,
                etag=self.claim.etag,
                moved_to=self.claim.moved_to and f"{self.claim.moved_to}!{member.name}",
                moved_etag=self.claim.moved_etag,
            )
            for member in (plain.members if plain else ())
        )

    def _plain(self) -> PlainFile:
        limits = UnpackLimits(
            max_compressed_bytes=(
                self.account.max_compressed_bytes or self._settings.max_compressed_bytes
            ),
            max_file_bytes=self._max_file_bytes,
            max_ratio=self._settings.max_ratio,
            max_members=self._settings.max_members,
        )
        claim = self.claim

        def unpacked() -> PlainFile:
            plain = unpack(self._stored(), self.work, limits, name=claim.name, member=claim.member)
            if claim.member is not None:
                refuse_changed(claim)  # it came out of the archive where that lies
            return plain

        return Workspace.plain.once(self.workspace, unpacked)

    @property
    def _max_file_bytes(self) -> int:
        return self.account.max_file_bytes or self._settings.max_file_bytes

    def _stored(self) -> StoredText:
        return Workspace.stored.once(
            self.workspace, lambda: fetch(self.claim, self.work, self._max_file_bytes)
        )

    def _text(self) -> TextFile:
        """Return the file's rows; rejected rows sent back under the header they came with."""
        replay = self._replay()
        return replay.text if replay else self._as_written()

    def _as_written(self) -> TextFile:
        def both_ways() -> TextFile:
            declared = self.account.encoding
            if declared is None:
                return self._read_by(None)
            # What an account declared of its files is not known to the spreadsheet of a person.
            try:
                found = self._read_by(declared)
            except ContradictionError:
                found = self._read_by(None)
                if is_rejects_file(found.header):
                    return found
                raise
            return self._read_by(None) if is_rejects_file(found.header) else found

        return Workspace.text.once(self.workspace, both_ways)

    def _read_by(self, encoding: str | None) -> TextFile:
        return read(self._plain().path, self.work, self.hints(encoding))

    def hints(self, encoding: str | None) -> ReadHints:
        """Return what is known of the file before it is read."""
        known = hints_for(self.claim.name, self._settings, self.feed)
        account = self.account.account
        return replace(known, account=account, encoding=encoding, max_bytes=self._max_file_bytes)

    def _replay(self) -> Replay | None:
        """Return which rows of which import these are, if the file holds rejected rows."""
        text = self._as_written()
        if self.claim.repairs is None and not is_rejects_file(text.header):
            return None
        return Workspace.replay.once(self.workspace, lambda: self._taken_back(text))

    def _taken_back(self, text: TextFile) -> Replay:
        claim = self.claim
        import_id = named_import(text, claim.name, claim.repairs)
        with self._database.begin() as connection:
            report = quarantine.repairable(connection, claim, import_id)
            self.workspace.repaired = report
            split = Grammar(report.delimiter, report.quote, report.escape).cells
            positions = {at: name for name, at in sources_in(report.header, self.feed)[0].items()}
            repaired = Repaired(
                import_id=import_id,
                header=report.header,
                states=quarantine.states(connection, import_id),
                originals=lambda rows: quarantine.originals(connection, report, rows, split),
                columns=tuple(positions.get(position) for position in range(len(report.header))),
            )
            return take_back(text, self.work, repaired, name=claim.name)

    def _drift(self, before: tuple[str, ...] = ()) -> HeaderDrift:
        """Return how the header differs; rejected rows come under the one of their own file."""
        return HeaderDrift() if self._replay() else drift(self._text().header, self.feed, before)

    def _compared(self, connection: Connection, report: ImportReport) -> ImportReport:
        """Compare the header with the last one of its layout; the files before are in by now."""
        if self.workspace.drift is None or not report.header:
            return report
        layout = layout_of(sources_in(report.header, self.feed)[0], self.feed).name
        before = imports.last_header(connection, self.claim, layout)
        return replace(report, drift=self._drift(before))

    def _typed(self) -> TypedFile:
        return Workspace.typed.once(
            self.workspace,
            lambda: transform(
                self._text(),
                self.work,
                self.feed,
                self.account,
                name=self.claim.name,
                settled=self._settled(),
                facts=self._settled_facts(),
            ),
        )

    def _settled(self) -> Mapping[str, str | None]:
        """Return how amounts and dates were read in the import that is repaired."""
        repaired = self.workspace.repaired
        return repaired.styles if repaired else {}

    def _settled_facts(self) -> FileFacts | None:
        """Return what transforms were told of the file whose rows come back corrected."""
        repaired = self.workspace.repaired
        if repaired is None:
            return None
        facts = repaired.facts
        if facts is None or facts.asked != self.feed.asks_filled:  # of an earlier version
            return facts_by_header(repaired.header, self.feed)
        return facts

    def _valid(self) -> ValidFile:
        return Workspace.valid.once(
            self.workspace,
            lambda: validate(self._typed(), self._text(), self.work, self.feed, self._replay()),
        )

    def _arrive(self) -> tuple[int, int]:
        plain = self._plain()
        if plain.members:
            self._end_as_unpacked()
            return 0, 0
        with self._database.begin() as connection:
            same = self._same_content(connection)
        if same is not None and same.is_current:
            self._end_as_duplicate(same.import_id)
        return 0, 0

    def _same_content(self, connection: Connection) -> SameContent | None:
        """Return the import that brought the same bytes, unless they are to come again."""
        plain = self.workspace.plain
        if plain is None or self.claim.again:
            return None
        return same_content(connection, self.claim, plain.fingerprint)

    def _read(self) -> tuple[int, int]:
        text = self._text()
        return text.records, text.malformed

    def _transform(self) -> tuple[int, int]:
        self.refuse_other_feeds_header(self._text().header)
        Workspace.drift.once(self.workspace, self._drift)
        return self._text().records - self._text().malformed, self._typed().rows_at_fault

    def refuse_other_feeds_header(self, header: tuple[str, ...]) -> None:
        """Do that if another feed knows most of a header, and this one few of it.

        Raises:
            WrongFeedError: It is so.
        """
        names = {heading(name) for name in header if name}
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
            name = self.claim.name
            hold_to_threshold(self.feed, rejected, text.records, name=name)
            refuse_without_good_row(
                text.records, rejected, non_data_of(self.workspace, text), name=name
            )
        return valid.valid, valid.rejected

    def _load(self) -> tuple[int, int]:
        if done := self.workspace.report:
            return done.counts.read - done.counts.rejected, done.counts.rejected
        del self.workspace.results  # of a load that came to nothing
        report = self._report()
        plain = self.workspace.plain
        fingerprint = plain.fingerprint if plain else None
        with self._database.begin() as connection:
            attempt = connection.begin_nested()
            if self.ending is None:
                lock_lane(connection, self.claim)
                claims.check(connection, [self.claim])  # waiting may have cost it
                same = self._same_content(connection)
                is_current = same is not None and same.is_current  # since this one arrived
                if not is_current:
                    report = self._load_rows(connection)
                    written = report.counts.inserted + report.counts.updated
                    is_current = same is not None and self.ending is None and not written
                if same is not None and is_current:
                    attempt.rollback()
                    attempt = connection.begin_nested()
                    self._end_as_duplicate(same.import_id)
                    report = self._report()
            if self.ending is not None and self.ending.outcome is Outcome.REFUSED:
                attempt.rollback()
                attempt = connection.begin_nested()
                self._keep_rejects(connection)
            report = self._compared(connection, report)
            if self.claim.dry_run:
                attempt.rollback()
                claims.release(connection, self.claim)
            else:
                arrivals.enter_members(connection, self.claim, self.members)
                most = self._settings.max_failures
                record = Record(claim=self.claim, report=report, fingerprint=fingerprint)
                record_imports(connection, [record], most)
        self._leases.drop(self.claim)
        self.workspace.report = report
        return report.counts.read - report.counts.rejected, report.counts.rejected

    def _load_rows(self, connection: Connection) -> ImportReport:
        """Store the rows; the file is refused if the database refuses too many of them."""
        name = self.claim.name

        def hold(refused: int) -> None:
            if replay is None:
                rejected = text.malformed + valid.rejected + refused
                hold_to_threshold(self.feed, rejected, text.records, name=name, so_far=True)

        try:
            self._judge_anew(connection)
            text, valid, replay = self._text(), self._valid(), self._replay()
            counts, differences, warnings = load(
                connection,
                self.feed,
                self.claim,
                self.work,
                text,
                self._typed(),
                valid,
                replay,
                hold,
                self._draft_results,
            )
            if replay is None:
                hold_to_threshold(self.feed, counts.rejected, counts.read, name=name)
                refuse_without_good_row(
                    counts.read, counts.rejected, non_data_of(self.workspace, text), name=name
                )
        except FileRefusedError as error:
            self.end_as(Outcome.REFUSED, str(error), error.code)
            return self._report()
        report = self._report()
        told = warnings_of(
            counts, non_data_of(self.workspace, text), settings_at_fault(self.account, report)
        )
        found = (*report.warnings, *warnings, *told)
        return replace(report, counts=counts, differences=differences, warnings=found)

    def _judge_anew(self, connection: Connection) -> None:
        """Judge the rows of a corrected file again if others were repaired since it was read."""
        replay = self._replay()
        if replay is not None and quarantine.changed(connection, replay):
            self.workspace.judge_again()
            self._valid()

    def _keep_rejects(self, connection: Connection) -> None:
        """Store the rejects of a file that is refused for them."""
        valid = self.workspace.valid
        if valid:
            store_rejects(
                connection,
                self.claim,
                self._text(),
                valid,
                self.work / LATE,
                self._replay(),
                self._draft_results,
            )

    def _finish(self) -> tuple[int, int]:
        report = self.settled()
        # What is known stands: a step that is repeated finds all done, or does it once more.
        report = replace(
            report, stage_seconds={**self.workspace.stage_seconds, **report.stage_seconds}
        )
        self.workspace.report = report
        if not self.claim.dry_run:
            with self._database.begin() as connection:
                imports.store_seconds(connection, [report.import_id], report.stage_seconds)
            self._leave_files(report)
        log_finished(report)
        return report.counts.read, report.counts.rejected

    def _draft_results(self) -> None:
        if self._settings.result_files and not self.claim.dry_run:
            refused = self.ending is not None
            draft_results(self.workspace, self.feed, refused=refused)

    def _leave_files(self, report: ImportReport) -> None:
        """Write the result file and put the file away; what has failed in that fails no import."""
        if self._settings.result_files:
            leave_results(self._settings, self.workspace, self.feed, report)
        archive.archive(self._database, self._settings, [self.claim.arrival_id])

    def _end_as_duplicate(self, same: int) -> None:
        self.end_as(
            Outcome.DUPLICATE,
            f"{self.claim.name}: new content was needed; import {same} brought the same bytes",
            "duplicate",
            same,
        )

    def _end_as_unpacked(self) -> None:
        name, names = self.claim.name, [member.name for member in self.members]
        shown = ", ".join(map(repr, names[:_MOST_NAMES]))
        shown += f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        problem = f"{name}: each of its {len(names):,} files is an arrival of its own; {shown}"
        self.end_as(Outcome.UNPACKED, problem, "unpacked")

    def _report(self) -> ImportReport:
        return report_so_far(self.claim, self.account, self.workspace)

    _does: Mapping[Stage, Callable[["Import"], tuple[int, int]]] = {
        Stage.ARRIVE: _arrive,
        Stage.READ: _read,
        Stage.TRANSFORM: _transform,
        Stage.VALIDATE: _validate,
        Stage.LOAD: _load,
        Stage.REPORT: _finish,
    }
