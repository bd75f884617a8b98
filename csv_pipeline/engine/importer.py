"""One import: what is known of a claimed file, up to the rows that are read from it.

Its facts are in its workspace; one that is missing is made, by the facts before it. What is done
to the rows from there on is done to several files at a time, see `csv_pipeline.engine.group`.
"""

import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from psycopg import Error as PsycopgError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from csv_pipeline.account import Account, Declared
from csv_pipeline.engine import dry_runs
from csv_pipeline.engine.beforehand import hints_for, names_of
from csv_pipeline.engine.findings import first_rejects
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.report import report_so_far
from csv_pipeline.engine.workspace import MOST_BYTES_OF_ONE, Workspace, workspace_in
from csv_pipeline.errors import ContradictionError, FileNameError, FileRefusedError, WrongFeedError
from csv_pipeline.handover import PlainFile, Replay, TextFile
from csv_pipeline.location import location_of
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
from csv_pipeline.parts import Files
from csv_pipeline.rejects.rejects_file import is_rejects_file
from csv_pipeline.settings import Settings
from csv_pipeline.spec.contract import heading
from csv_pipeline.spec.feed import Feed, as_declared
from csv_pipeline.spec.file_name import FromName
from csv_pipeline.spec.header import drift, header_fingerprint, sources_in
from csv_pipeline.stages.fetch import fetch, refuse_changed
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.replay import Repaired, named_import, under_own_header
from csv_pipeline.stages.transform import facts_by_header
from csv_pipeline.stages.unpack import UnpackLimits, Wanted, unpack
from csv_pipeline.storage import accounts, imports, quarantine

_MOST_NAMES = 40


def imports_of(pipeline: Pipeline, claims: Sequence[Claim]) -> list["Import"]:
    """Return the imports of claimed arrivals of one account."""
    if not claims:
        return []
    lane = claims[0].account, claims[0].feed
    declared = pipeline.declared.get(lane) or pipeline.declared_of(*lane)
    return [Import(pipeline, claim, declared) for claim in claims]


def work_of(settings: Settings, claim: Claim) -> Path:
    """Return the work directory of an import, which is scratch."""
    return settings.work_area / f"{claim.import_id}-{claim.attempt}"


def remove_work(settings: Settings, claim: Claim) -> None:
    """Remove the work directory of an import that nobody works on any more."""
    workspace_in(work_of(settings, claim)).remove()
    if claim.dry_run:
        dry_runs.drop(work_of(settings, claim))


class Import:
    """The processing of one arrival, from its claim to its report."""

    def __init__(self, pipeline: Pipeline, claim: Claim, declared: Declared | None = None) -> None:
        self.claim = claim
        self._feed = pipeline.feed(claim.feed)
        self.pipeline = pipeline
        self._settings = pipeline.settings
        self.work = work_of(pipeline.settings, claim)
        self.workspace = workspace_in(self.work)
        if claim.dry_run:
            dry_runs.keep(self.work)
        self._lane = claim.account, claim.feed
        self._declared_now = declared

    @property
    def declared(self) -> Declared:
        """What the account declared of the lane's files when the import began, whatever since."""
        return Workspace.declared.once(
            self.workspace, lambda: self._declared_now or self.pipeline.declared_of(*self._lane)
        )

    @property
    def account(self) -> Account:
        """What the account declares of this file: by its header, once that is known."""
        text, repaired = self.workspace.text, self.workspace.repaired
        if text is None:
            return self.declared.of_any()
        return self._declared_for(repaired.header if repaired else text.header)

    def _declared_for(self, header: tuple[str, ...]) -> Account:
        return self.declared.of(header_fingerprint(header, self._feed.name))

    @property
    def feed(self) -> Feed:
        """The feed as the account declares it."""
        return as_declared(self._feed, self.account)

    @property
    def is_due(self) -> bool:
        """Whether its rows go on: the file is not refused, and not settled."""
        return self.workspace.ending is None and self.workspace.report is None

    @property
    def ends_for_good(self) -> bool:
        """Whether the file is refused or a duplicate, and is not tried again by itself."""
        return self.ended_as(Outcome.REFUSED, Outcome.DUPLICATE)

    def ended_as(self, *outcomes: Outcome) -> bool:
        """Return whether the import ends by one of these outcomes before its rows are loaded."""
        ending = self.workspace.ending
        return ending is not None and ending.outcome in outcomes

    @property
    def is_small(self) -> bool:
        """Whether the file that arrived is small, whatever is in it."""
        return self.claim.size_bytes <= MOST_BYTES_OF_ONE

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the file's bytes and what its name tells, once it is unpacked."""
        plain = self.workspace.plain
        if plain is None:
            return None
        try:
            told = self.from_name()
        except FileNameError:
            told = None
        return plain.fingerprint if told is None else told.fingerprint(plain.fingerprint)

    def end_as(self, outcome: Outcome, problem: str, code: str, same_as: int | None = None) -> None:
        """End the import here: its load stage will record this instead of rows."""
        ending = Ending(outcome=outcome, problem=problem, problem_code=code, same_as=same_as)
        self.workspace.ending = ending

    def end_as_duplicate(self, same: int) -> None:
        """End the import, as another has brought the same bytes."""
        self.end_as(
            Outcome.DUPLICATE,
            f"{self.claim.name}: new content was needed; import {same} brought the same bytes. "
            "To read it by what the feed and the account declare now: import it with --again",
            "duplicate",
            same,
        )

    def end_as_unpacked(self) -> None:
        """End the import of an archive, as each file in it is an arrival of its own."""
        name, names = self.claim.name, [member.name for member in self.members]
        shown = ", ".join(map(repr, names[:_MOST_NAMES]))
        shown += f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
        problem = f"{name}: each of its {len(names):,} files is an arrival of its own; {shown}"
        self.end_as(Outcome.UNPACKED, problem, "unpacked")

    def fail(self, error: Exception) -> None:
        """End the import by an unforeseen error, with its traceback.

        The database's own words stay out of it: they quote values of rows, as any may of a
        confidential feed.
        """
        if isinstance(error, OSError):
            self.workspace.make_room()
        trace = "".join(traceback.format_tb(error.__traceback__))
        quotes = self.feed.confidential or isinstance(error, SQLAlchemyError | PsycopgError)
        said = "" if quotes else f": {error}"
        code = getattr(getattr(error, "orig", error), "sqlstate", None)
        state = f" (SQLSTATE {code})" if code else ""
        problem = f"Traceback (most recent call last):\n{trace}{type(error).__name__}{state}{said}"
        self.end_as(Outcome.FAILED, problem, type(error).__name__)

    def report(self) -> ImportReport:
        """Return what is known so far."""
        report = report_so_far(self.claim, self.account, self.workspace, self._feed.version)
        return replace(report, settings_version=self.declared.version)

    def first_rejects(self, limit: int) -> list[Reject]:
        """Return the first faults of the file's rows, of a dry run too, which stores none."""
        text, valid = self.workspace.text_to_import, self.workspace.valid
        if self.ended_as(Outcome.DUPLICATE) or not (text and valid):
            return []
        faults = self.workspace.faults(text, valid)
        return first_rejects(self.claim.import_id, text.text, faults, limit)

    def finish(self) -> None:
        """Remove the work directory."""
        remove_work(self._settings, self.claim)

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

    def plain(self) -> PlainFile:
        """Return the file as it is once unpacked."""
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
            plain = unpack(self._stored(), self.work, limits, Wanted(claim.name, claim.member))
            if claim.member is not None:
                refuse_changed(claim)  # it came out of the archive where that lies
            return plain

        plain = Workspace.plain.once(self.workspace, unpacked)
        self.workspace.hold(plain.size_bytes)
        return plain

    @property
    def _max_file_bytes(self) -> int:
        return self.account.max_file_bytes or self._settings.max_file_bytes

    def _stored(self) -> StoredText:
        return Workspace.stored.once(
            self.workspace, lambda: fetch(self.claim, self.work, self._max_file_bytes)
        )

    def text(self) -> TextFile:
        """Return the file's rows; rejected rows sent back under the header they came with."""
        try:
            replay = self.replay()
        except FileRefusedError:
            self.from_name()  # one that is not named as the feed's files are may be anything
            raise
        if replay:
            return replay.text
        self.from_name()
        return self._as_written()

    def from_name(self) -> FromName | None:
        """Return what the name tells; that of rejected rows sent back tells nothing of them.

        Raises:
            FileNameError: The file is not named as the feed's files are.
            WrongAccountError: Its name tells another account.
        """
        if self.feed.file_name is None or self.workspace.replay is not None:
            return None
        location = self.claim.location.removesuffix(f"!{self.claim.member}")
        names = names_of(location_of(location), self._settings, self.plain().inner_name)
        if self.claim.member is not None:
            names = names[:1]  # the archive is named for all files in it
        return self.feed.file_name.read(self.feed.name, names, self.claim.account)

    def _as_written(self) -> TextFile:
        def both_ways() -> TextFile:
            account = self.declared.of_any()
            if not (account.encoding or account.delimiter or self._feed.dialect):
                return self._read_by(declared=True)
            # What was declared of files is not known to the spreadsheet of a person.
            try:
                found = self._read_by(declared=True)
            except ContradictionError:
                with suppress(FileRefusedError):
                    found = self._read_by(declared=False)
                    if is_rejects_file(found.header):
                        return found
                raise
            return self._read_by(declared=False) if is_rejects_file(found.header) else found

        return Workspace.text.once(self.workspace, both_ways)

    def _read_by(self, *, declared: bool) -> TextFile:
        return read(self.plain().path, self.work, self.hints(declared=declared))

    def hints(self, *, declared: bool) -> ReadHints:
        """Return what is known of the file before it is read, how it is `declared` to be or not."""
        account = self.declared.of_any()
        feed = as_declared(self._feed, account)
        known = hints_for(self.claim.name, self._settings, feed, account)
        if declared:
            return replace(known, account=account, delimiters=self.declared.delimiters())
        return replace(known, account=Account(account=account.account), dialect=None)

    def replay(self) -> Replay | None:
        """Return which rows of which import these are, if the file holds rejected rows."""
        text = self._as_written()
        if self.claim.repairs is None and not is_rejects_file(text.header):
            return None
        return Workspace.replay.once(self.workspace, lambda: self._taken_back(text))

    def _taken_back(self, text: TextFile) -> Replay:
        claim = self.claim
        import_id = named_import(text, claim.name, claim.repairs)
        with self.pipeline.database.begin() as connection:
            report = quarantine.repairable(connection, claim, import_id)
            self.workspace.repaired = report
            self.workspace.declared = self._declared_then(connection, report)
            split = Grammar(report.delimiter, report.quote, report.escape).cells
            positions = {at: name for name, at in sources_in(report.header, self.feed)[0].items()}
            repaired = Repaired(
                import_id=import_id,
                header=report.header,
                states=quarantine.states(connection, import_id),
                originals=lambda rows: quarantine.originals(connection, report, rows, split),
                columns=tuple(positions.get(position) for position in range(len(report.header))),
                confidential=self.feed.confidential,
            )
            return under_own_header(text, self.work, repaired, name=claim.name)

    def _declared_then(self, connection: Connection, report: ImportReport) -> Declared:
        """Return by what the file was read whose rows come back, and the words known since."""
        if report.settings_version is None:  # of an earlier release
            return self.declared
        then = accounts.declared(connection, *self._lane, report.settings_version)
        return then.with_words_of(self.declared)

    def facts(self) -> FileFacts | None:
        """Return what transforms were told of the file whose rows come back corrected."""
        repaired = self.workspace.repaired
        if repaired is None:
            return None
        facts = repaired.facts
        if facts is None or facts.asked != self.feed.asks_filled:  # of an earlier version
            known = facts.from_name if facts else ()
            return replace(facts_by_header(repaired.header, self.feed), from_name=known)
        return facts

    def drift(self, before: tuple[str, ...] = ()) -> HeaderDrift:
        """Return how the header differs; rejected rows come under the one of their own file."""
        return HeaderDrift() if self.replay() else drift(self.text().header, self.feed, before)

    def refuse_other_feeds_header(self, header: tuple[str, ...]) -> None:
        """Do that if another feed knows most of a header, and this one few of it.

        A feed that is declared later does not claim the files that another one has always taken.

        Raises:
            WrongFeedError: It is so.
        """
        names = {heading(name) for name in header if name}
        feeds = {**self.pipeline.feeds, self.feed.name: self.feed}
        known = {feed.name: len(names & feed.headings) for feed in feeds.values()}
        likeliest = max(known, key=lambda name: known[name])
        mine, most = known[self.feed.name], known[likeliest]
        if most > 2 * mine and 2 * mine < len(names) < 2 * most and not self._has_had(header):
            raise WrongFeedError(
                self.claim.name,
                f"a header of feed {self.feed.name!r} was needed",
                f"it knows {mine} of the {len(names)} names there, feed {likeliest!r} {most}: "
                "put it into the folder of that feed",
            )

    def _has_had(self, header: tuple[str, ...]) -> bool:
        with self.pipeline.database.begin() as connection:
            return imports.has_header(connection, self.claim, header)


def due_of(of: Sequence[Import]) -> list[Import]:
    """Return those whose rows go on."""
    return [import_ for import_ in of if import_.is_due]


def files_of(of: Sequence[Import]) -> Files:
    """Return files that were typed together, as one."""
    shares = [share for import_ in of if (share := import_.workspace.shared)]
    return Files(
        work=shares[0].work,
        names=tuple(import_.claim.name for import_ in of),
        texts=tuple(import_.text() for import_ in of),
        parts=tuple(share.part for share in shares),
        rows=shares[0].rows,
        rejects=shares[0].rejects,
        from_names=tuple(import_.from_name() for import_ in of),
        replay=of[0].workspace.replay,
    )
