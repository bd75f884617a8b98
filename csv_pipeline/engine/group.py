"""The path of files: arrive → read → transform → validate → load → report.

A `Group` takes files of one account and feed through the stages: a single one, or small ones under
the same header, whose rows are typed, checked and stored as one set in one transaction. Each keeps
its own evidence, counts, report, result file and ledger entry. Each stage runs once; a stage whose
input is missing runs the stage before it, so that the stages can run in one call, or one by one in
different processes, as the Dagster ops do.

Where something goes wrong that cannot be said of one of the files, each is taken alone, from the
first stage of the group on: see `csv_pipeline.engine.run`.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import structlog
from polars.exceptions import PolarsError
from sqlalchemy import Connection

from csv_pipeline.batches import BatchWriter, in_order
from csv_pipeline.engine import archive
from csv_pipeline.engine.findings import refuse_without_good_row, settings_at_fault, warnings_of
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.report import log_finished, non_data_of
from csv_pipeline.engine.result_files import draft_results, leave_results
from csv_pipeline.engine.workspace import (
    BEFORE,
    MOST_BYTES_OF_ONE,
    LoadFound,
    Progress,
    Shared,
    Stage,
    Workspace,
)
from csv_pipeline.errors import FileRefusedError, LostClaimError
from csv_pipeline.location import Location
from csv_pipeline.model import ArrivalStatus, Claim, Counts, ImportReport, Outcome
from csv_pipeline.parts import Files, together
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.header import layout_of, sources_in
from csv_pipeline.stages.load import (
    Found,
    Incoming,
    Loaded,
    RowRefusedError,
    clear,
    load,
    store_rejects,
)
from csv_pipeline.stages.transform import transform
from csv_pipeline.stages.validate import hold_to_threshold, validate
from csv_pipeline.storage import arrivals, claims, imports, leases, quarantine
from csv_pipeline.storage.lane_lock import lock_lane
from csv_pipeline.storage.records import Record, record_imports
from csv_pipeline.storage.situation import Asked, Situation, same_contents, situation
from csv_pipeline.storage.targets import rows_meet

_MOST_BYTES = 16 * 1024**2
_MOST_FILES = 500
_QUOTED = re.compile(r"\[.*\]|\"[^\"]*\"|`[^`]*`", re.DOTALL)
log = structlog.get_logger()


def groups_of(imports: Sequence[Import], stage: Stage) -> Iterator["Group"]:
    """Give imports of one account and feed in their order, those together that go together.

    Each has done the stage before, and the groups are to be advanced one after the other: later
    files win over earlier ones.
    """
    if stage in {Stage.ARRIVE, Stage.READ}:  # where each is looked at by itself
        for is_small, alike in groupby(imports, lambda import_: import_.is_small):
            these = list(alike)
            yield from [Group(these)] if is_small else (Group([one]) for one in these)
        return
    if stage is Stage.TRANSFORM and len(imports) > 1:
        one = imports[0]
        with one.pipeline.database.begin() as connection:
            if rows_meet(connection, one.feed):
                yield from (Group([import_]) for import_ in imports)
                return
    some: list[Import] = []
    going: list[_Likeness] = []
    for import_ in imports:
        its = _likeness(import_) if import_.is_due else None
        if len(some) >= _MOST_FILES or (its and going and not its.joins(going)):
            yield Group(some)
            some, going = [], []
        some.append(import_)
        if its:
            going.append(its)
    if some:
        yield Group(some)


@dataclass(frozen=True, slots=True)
class _Likeness:
    """What files have in common that go together, None of one that goes alone; and its bytes."""

    known_by: object
    size_bytes: int = 0
    fingerprint: str = ""

    def joins(self, others: "Sequence[_Likeness]") -> bool:
        """Return whether the file goes with others before it, which go together."""
        if self.known_by is None or self.known_by != others[0].known_by:
            return False
        size_bytes = self.size_bytes + sum(other.size_bytes for other in others)
        # Of equal files the second is a duplicate, once the first is in.
        return size_bytes <= _MOST_BYTES and all(
            not self.fingerprint or self.fingerprint != other.fingerprint for other in others
        )


def _likeness(import_: Import) -> _Likeness:
    workspace, claim = import_.workspace, import_.claim
    if (shared := workspace.shared) is not None:  # so they went together in the stage before
        return _Likeness(shared.work)
    text, plain = workspace.text, workspace.plain
    if text is None or plain is None or claim.dry_run or workspace.replay is not None:
        return _Likeness(None)
    if plain.size_bytes > MOST_BYTES_OF_ONE:
        return _Likeness(None)
    return _Likeness(text.header, plain.size_bytes, plain.fingerprint)


class Group:
    """Files of one account and feed that go through the stages together, in their order."""

    def __init__(self, imports: Sequence[Import]) -> None:
        first = imports[0]
        self.imports = tuple(imports)
        self.feed, self.account, self.pipeline = first.feed, first.account, first.pipeline
        self._settings, self._database = first.pipeline.settings, first.pipeline.database
        self._leases = first.pipeline.leases

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims of its files."""
        return tuple(import_.claim for import_ in self.imports)

    def apart(self) -> "Iterator[Group]":
        """Give each file alone, with nothing done that was done together."""
        for import_ in self.imports:
            import_.workspace.leave_group()
            yield Group([import_])

    def advance(self, stage: Stage) -> list[Progress]:
        """Do one stage for the files that have not done it, and return what it did for each."""
        new = [i for i in self.imports if i.workspace.progress(stage) is None]
        if new:
            if (before := BEFORE.get(stage)) is not None:
                Group(new).advance(before)
            self._make_sure(new, stage)
            began = time.monotonic()
            try:
                self._does(stage)(new)
            except PolarsError as error:
                error.args = (_QUOTED.sub(MASK, str(error)),)  # it may quote values of rows
                raise
            seconds = round((time.monotonic() - began) / len(new), 4)
            for import_ in new:
                import_.workspace.set_progress(_progress(import_, stage, seconds))
        found = (import_.workspace.progress(stage) for import_ in self.imports)
        return [progress for progress in found if progress is not None]

    def _make_sure(self, of: Sequence[Import], stage: Stage) -> None:
        """Make sure of the claims and let the lease renewer renew them, whoever took them.

        It is enough that the lease renewer has a claim: the load looks again. One whose commit got
        no answer, because the database did not answer or the process died, may have happened: then
        the claim is over and the ledger has this import.
        """
        unsure = [i.claim for i in of if not self._leases.holds(i.claim)]
        if stage is Stage.REPORT or not unsure:
            return
        if not self._renew(unsure):
            if len(of) > 1:
                raise LostClaimError(unsure[0].arrival_id, unsure[0].attempt)
            self._look_up(of[0])

    def _renew(self, of: Sequence[Claim]) -> bool:
        """Renew claims for this process, unless another one that lives has any of them."""
        try:
            with self._database.begin() as connection:
                leases.renew(connection, of, self._settings.lease_seconds)
        except LostClaimError:
            return False
        self._leases.hold(of)
        return True

    def _look_up(self, import_: Import) -> None:
        """Find the report of an import whose claim is over.

        Raises:
            LostClaimError: There is none, as another worker has the file.
        """
        self._leases.drop(import_.claim)
        with self._database.begin() as connection:
            settled = imports.settled(connection, import_.claim)
        if settled is None:
            raise LostClaimError(import_.claim.arrival_id, import_.claim.attempt)
        import_.workspace.report = settled

    def _each(self, of: Sequence[Import], do: Callable[[Import], object]) -> list[Import]:
        """Do something for each file, and return those that are not refused for it."""

        def unless_refused(import_: Import) -> None:
            try:
                do(import_)
            except FileRefusedError as refusal:
                import_.end_as(Outcome.REFUSED, str(refusal), refusal.code)

        for _ in in_order(unless_refused, of):
            pass
        return [import_ for import_ in of if import_.is_due]

    def _arrive(self, of: Sequence[Import]) -> None:
        arrived = []
        for import_ in self._each(_due(of), Import.plain):
            if import_.members:
                import_.end_as_unpacked()
            elif not import_.claim.again:
                arrived.append(import_)
        if not arrived:
            return
        prints = [import_.fingerprint for import_ in arrived]
        with self._database.begin() as connection:
            found = same_contents(connection, arrived[0].claim, prints)
        for import_, same in zip(arrived, found, strict=True):
            if same is not None and same.is_current:
                import_.end_as_duplicate(same.import_id)

    def _read(self, of: Sequence[Import]) -> None:
        self._each(_due(of), Import.text)

    def _transform(self, of: Sequence[Import]) -> None:
        due = self._each(_due(of), _held_to_own_header)
        if not due:
            return
        for import_ in due:
            Workspace.drift.once(import_.workspace, import_.drift)
        texts = [import_.text() for import_ in due]
        work = due[0].work if len(due) == 1 else due[0].work / f"group-{len(due)}"
        files = together(texts, [import_.claim.name for import_ in due], work)
        for import_, part in zip(due, files.parts, strict=True):
            import_.workspace.shared = Shared(
                work=files.work, rows=files.rows, rejects=files.rejects, part=part
            )
        if (repaired := due[0].workspace.repaired) is not None:
            files = replace(
                files, replay=due[0].replay(), styles=repaired.styles, facts=due[0].facts()
            )
        found = transform(files, self.feed, self.account)
        for import_, typed in zip(due, found, strict=True):
            if isinstance(typed, FileRefusedError):
                import_.end_as(Outcome.REFUSED, str(typed), typed.code)
            else:
                import_.workspace.typed = typed

    def _validate(self, of: Sequence[Import]) -> None:
        due = _due(of)
        if not due:
            return
        typed = [import_.workspace.typed for import_ in due]
        found = validate(_files(due), [its for its in typed if its], self.feed)
        for import_, valid in zip(due, found, strict=True):
            import_.workspace.valid = valid
        self._each(due, self._hold_to_thresholds)

    def _hold_to_thresholds(self, import_: Import, counts: Counts | None = None) -> None:
        """Judge a file by its rejected rows, once it is loaded by all of them.

        Rows that were rejected once are bound to be bad more often: no threshold holds for these.
        """
        text, valid = import_.text(), import_.workspace.valid
        if import_.workspace.replay is not None or valid is None:
            return
        name, read = import_.claim.name, text.records
        rejected = counts.rejected if counts else text.malformed + valid.rejected
        hold_to_threshold(self.feed, rejected, read, name=name)
        refuse_without_good_row(read, rejected, non_data_of(import_.workspace, text), name=name)

    def _load(self, of: Sequence[Import]) -> None:
        """Store rows and ledger entries in one transaction; nothing of it, if any is refused."""
        going = [import_ for import_ in of if import_.workspace.report is None]
        careful = not all(import_.workspace.is_in_memory for import_ in going)
        try:
            reports = self._settled(going, careful=careful)
        except (FileRefusedError, RowRefusedError, _UnchangedError, LostClaimError) as error:
            if len(going) > 1:
                raise
            (alone,) = going
            if isinstance(error, FileRefusedError):
                alone.end_as(Outcome.REFUSED, str(error), error.code)
            elif isinstance(error, _UnchangedError):
                alone.end_as_duplicate(error.same)
            elif isinstance(error, LostClaimError) and not self._renew([alone.claim]):
                return self._look_up(alone)  # the worker that has it lives
            reports = self._settled_at_last(going)
        for import_, report in zip(going, reports, strict=True):
            self._leases.drop(import_.claim)
            import_.workspace.report = report
        return None

    def _settled_at_last(self, going: Sequence[Import]) -> list[ImportReport]:
        """Settle a file with care; its rows may be refused for that."""
        try:
            return self._settled(going, careful=True)
        except FileRefusedError as error:
            going[0].end_as(Outcome.REFUSED, str(error), error.code)
            return self._settled(going, careful=True)

    def _settled(self, going: Sequence[Import], *, careful: bool) -> list[ImportReport]:
        """Store the rows of files that are due, and enter what became of each.

        Raises:
            RowRefusedError: The table refuses a row, and which one is found with more care.
        """
        if not going:
            return []
        began = time.monotonic()
        for import_ in going:
            del import_.workspace.results  # of a load that came to nothing
        with self._database.begin() as connection:
            dry_run = connection.begin_nested() if going[0].claim.dry_run else None
            loaded, headers = self._load_rows(connection, _due(going), careful=careful)
            self._keep_rejects(connection, going)
            reports = [_report(import_, loaded) for import_ in going]
            reports = self._compared(connection, reports, headers)
            if dry_run is not None:
                dry_run.rollback()
                claims.release(connection, going[0].claim)
                return reports
            seconds = round((time.monotonic() - began) / len(going), 4)
            reports = [
                replace(report, stage_seconds={**report.stage_seconds, Stage.LOAD.value: seconds})
                for report in reports
            ]
            for import_ in going:
                arrivals.enter_members(connection, import_.claim, import_.members)
            settled = [(i.claim, _status(report)) for i, report in zip(going, reports, strict=True)]
            targets = archive.plan(self._settings, settled)
            records = [
                Record(
                    claim=import_.claim,
                    report=report,
                    fingerprint=import_.fingerprint,
                    moving_to=_text(targets.get(import_.claim.arrival_id)),
                )
                for import_, report in zip(going, reports, strict=True)
            ]
            record_imports(connection, records, self._settings.max_failures)
        return reports

    def _load_rows(
        self, connection: Connection, due: Sequence[Import], *, careful: bool
    ) -> tuple[dict[int, Loaded], dict[str, tuple[str, ...]]]:
        """Store the rows of files and return, by import, what became of them.

        Returns also the last header before them, by layout.

        Raises:
            FileRefusedError: The rows of one are bad.
            ApartError: Several cannot go together.
            _UnchangedError: One changes nothing, and another has brought the same bytes.
            LostClaimError: Waiting for the lane may have cost the claim.
        """
        if not due:
            return {}, {}
        lock_lane(connection, due[0].claim)
        layouts = {typed.layout for import_ in due if (typed := import_.workspace.typed)}
        asked = [_asked(import_) for import_ in due]
        known = situation(connection, self.feed, asked, layouts)
        same = self._brought_before(connection, known)
        due = self._judged_anew(connection, due)
        found: dict[int, Loaded] = {}
        incoming = replace(_incoming(due, known), careful=careful) if due else None
        for number, wave in enumerate(incoming.waves() if incoming else ()):
            if number:
                clear(connection)
            theirs = [i for i in due if i.claim in wave.claims]
            left = Found(BatchWriter(wave.work / "outcomes"), BatchWriter(wave.work / "late"))
            for import_ in theirs:
                import_.workspace.found = LoadFound(
                    outcomes=left.outcomes.batches, late=left.late.batches
                )
            loaded = load(
                connection,
                wave if not number else replace(wave, any_stored=True),
                left,
                partial(self._hold, theirs),
                partial(self._draft_results, wave, theirs),
            )
            for import_, its in zip(theirs, loaded, strict=True):
                self._hold_to_thresholds(import_, its.counts)
                if same is not None and not its.counts.inserted + its.counts.updated:
                    raise _UnchangedError(same)
                found[import_.claim.import_id] = its
            if theirs[0].workspace.is_in_memory:
                self._draft_results(wave, theirs)
        return found, {layout: known.headers.get(layout, ()) for layout in layouts}

    def _brought_before(self, connection: Connection, known: Situation) -> int | None:
        """Return the import that brought the bytes of a file before, if that goes alone.

        Raises:
            _UnchangedError: Nothing has changed the rows since.
            ApartError: Files that go together cannot.
        """
        if len(known.files) == 1:
            same = known.files[0].same
            if same is not None and same.is_current:
                raise _UnchangedError(same.import_id)
            return same.import_id if same else None
        if any(file.same or file.is_overtaken for file in known.files):
            raise ApartError
        if rows_meet(connection, self.feed):
            raise ApartError
        return None

    def _judged_anew(self, connection: Connection, due: Sequence[Import]) -> Sequence[Import]:
        """Judge the rows of a corrected file again if others were repaired since it was read."""
        replay = due[0].workspace.replay
        if replay is None or not quarantine.changed(connection, replay):
            return due
        due[0].workspace.judge_again()
        self._transform(due)
        self._validate(due)
        return _due(due)

    def _hold(self, of: Sequence[Import], refused: int) -> None:
        """Judge a file by how many rows the table refuses so far."""
        if not refused:
            return
        if len(of) > 1:
            raise ApartError
        text, valid = of[0].text(), of[0].workspace.valid
        if valid is not None and of[0].workspace.replay is None:
            rejected = text.malformed + valid.rejected + refused
            name = of[0].claim.name
            hold_to_threshold(self.feed, rejected, text.records, name=name, so_far=True)

    def _keep_rejects(self, connection: Connection, going: Sequence[Import]) -> None:
        """Store the rejects of files that are refused for them."""
        refused = [
            import_
            for import_ in going
            if (ending := import_.workspace.ending) is not None
            and ending.outcome is Outcome.REFUSED
            and import_.workspace.valid is not None
        ]
        if refused:
            incoming = _incoming(refused)
            draft = partial(self._draft_results, incoming, refused)
            store_rejects(connection, incoming, refused[0].workspace.late, draft)

    def _compared(
        self,
        connection: Connection,
        reports: Sequence[ImportReport],
        last: dict[str, tuple[str, ...]],
    ) -> list[ImportReport]:
        """Compare each header with the last one of its layout; the files before are in by now."""
        compared = []
        for import_, report in zip(self._of(reports), reports, strict=True):
            if import_.workspace.drift is None or not report.header:
                compared.append(report)
                continue
            layout = layout_of(sources_in(report.header, self.feed)[0], self.feed).name
            if layout not in last:
                last[layout] = imports.last_header(connection, import_.claim, layout)
            compared.append(replace(report, drift=import_.drift(last[layout])))
            if report.outcome is Outcome.IMPORTED and report.repairs is None:
                last[layout] = report.header
        return compared

    def _of(self, reports: Sequence[ImportReport]) -> list[Import]:
        by_id = {import_.claim.import_id: import_ for import_ in self.imports}
        return [by_id[report.import_id] for report in reports]

    def _finish(self, of: Sequence[Import]) -> None:
        """Write the result files and put the files away; what fails in that fails no import."""
        reports = []
        for import_ in of:
            report = import_.workspace.report
            assert report is not None  # noqa: S101  # the load has settled it
            seconds = {**import_.workspace.stage_seconds, **report.stage_seconds}
            reports.append(replace(report, stage_seconds=seconds))
            import_.workspace.report = reports[-1]
            log_finished(report)
        if of[0].claim.dry_run:
            return
        for import_, report in zip(of, reports, strict=True):
            if self._settings.result_files:
                leave_results(self._settings, import_.workspace, self.feed, report)
        archive.archive(self._database, self._settings, [report.arrival_id for report in reports])

    def _draft_results(self, incoming: Incoming, of: Sequence[Import]) -> None:
        """Write the result files; they are put in their places once the rows are committed."""
        if self._settings.result_files and not of[0].claim.dry_run:
            draft_results(incoming, [import_.workspace for import_ in of])

    def _does(self, stage: Stage) -> Callable[[Sequence[Import]], None]:
        return {
            Stage.ARRIVE: self._arrive,
            Stage.READ: self._read,
            Stage.TRANSFORM: self._transform,
            Stage.VALIDATE: self._validate,
            Stage.LOAD: self._load,
            Stage.REPORT: self._finish,
        }[stage]


class ApartError(Exception):
    """Files that go together cannot be taken any further but alone."""


class _UnchangedError(Exception):
    """A file changes nothing, and another has brought the same bytes."""

    def __init__(self, same: int) -> None:
        self.same = same
        super().__init__(f"import {same}")


def _status(report: ImportReport) -> ArrivalStatus:
    return ArrivalStatus(report.outcome.value)


def _text(location: Location | None) -> str | None:
    return None if location is None else str(location)


def _due(of: Sequence[Import]) -> list[Import]:
    return [import_ for import_ in of if import_.is_due]


def _held_to_own_header(import_: Import) -> None:
    import_.refuse_other_feeds_header(import_.text().header)


def _files(of: Sequence[Import]) -> Files:
    """Return files that were typed together, as one."""
    shares = [share for import_ in of if (share := import_.workspace.shared)]
    return Files(
        work=shares[0].work,
        names=tuple(import_.claim.name for import_ in of),
        texts=tuple(import_.text() for import_ in of),
        parts=tuple(share.part for share in shares),
        rows=shares[0].rows,
        rejects=shares[0].rejects,
        replay=of[0].workspace.replay,
    )


def _asked(import_: Import) -> Asked:
    repaired = import_.workspace.repaired
    return Asked(
        claim=import_.claim,
        fingerprint=None if import_.claim.again else import_.fingerprint,
        repairs=repaired.import_id if repaired else None,
    )


def _incoming(of: Sequence[Import], known: Situation | None = None) -> Incoming:
    files, typed = _files(of), of[0].workspace.typed
    assert typed is not None  # noqa: S101  # they are typed and checked
    valid = tuple(valid for import_ in of if (valid := import_.workspace.valid))
    return Incoming(
        feed=of[0].feed,
        claims=tuple(import_.claim for import_ in of),
        files=files,
        typed=typed,
        valid=valid,
        work=files.work,
        any_stored=known is None or known.any_stored,
        is_awaited=known is not None and any(file.is_awaited for file in known.files),
        behind=known.files[0].position if known and known.files[0].is_overtaken else None,
    )


def _report(import_: Import, loaded: Mapping[int, Loaded]) -> ImportReport:
    report = import_.report()
    its = loaded.get(import_.claim.import_id)
    if its is None:
        return report
    told = warnings_of(
        its.counts,
        non_data_of(import_.workspace, import_.text()),
        settings_at_fault(import_.account, report),
    )
    return replace(
        report,
        counts=its.counts,
        differences=its.differences,
        warnings=(*report.warnings, *its.warnings, *told),
    )


def _progress(import_: Import, stage: Stage, seconds: float) -> Progress:
    workspace, rows, rejects = import_.workspace, 0, 0
    text, typed, valid = workspace.text_to_import, workspace.typed, workspace.valid
    if (report := workspace.report) is not None and stage in {Stage.LOAD, Stage.REPORT}:
        rejects = report.counts.rejected
        rows = report.counts.read - (rejects if stage is Stage.LOAD else 0)
    elif workspace.ending is not None:
        pass
    elif stage is Stage.READ and text:
        rows, rejects = text.records, text.malformed
    elif stage is Stage.TRANSFORM and text and typed:
        rows, rejects = text.records - text.malformed, typed.rows_at_fault
    elif stage is Stage.VALIDATE and valid:
        rows, rejects = valid.valid, valid.rejected
    return Progress(
        import_id=import_.claim.import_id,
        name=import_.claim.name,
        stage=stage,
        seconds=seconds,
        rows=rows,
        rejects=rejects,
        problem=workspace.ending.problem if workspace.ending else None,
    )
