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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from polars.exceptions import PolarsError

from csv_pipeline.batches import in_order
from csv_pipeline.engine import archive
from csv_pipeline.engine.importer import Import, due_of, files_of
from csv_pipeline.engine.loader import Loader, UnchangedError, end_duplicates, hold_to_thresholds
from csv_pipeline.engine.report import log_finished
from csv_pipeline.engine.result_files import leave_results
from csv_pipeline.engine.workspace import BEFORE, Progress, Shared, Stage, Workspace
from csv_pipeline.errors import FileRefusedError, LostClaimError
from csv_pipeline.model import Claim, Outcome
from csv_pipeline.parts import together
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.load import RowRefusedError
from csv_pipeline.stages.transform import transform
from csv_pipeline.stages.validate import validate
from csv_pipeline.storage import imports, leases, statistics

_QUOTED = re.compile(r"\[.*\]|\"[^\"]*\"|`[^`]*`", re.DOTALL)


class Group:
    """Files of one account and feed that go through the stages together, in their order."""

    def __init__(self, imports: Sequence[Import], *, first: bool = False) -> None:
        self._first_of_run = first
        self.imports = tuple(imports)
        self.pipeline = imports[0].pipeline
        self._settings, self._database = self.pipeline.settings, self.pipeline.database
        self._leases = self.pipeline.leases

    @property
    def feed(self) -> Feed:
        """Their feed as the account declares it, for their header once that is known."""
        return self.imports[0].feed

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
        arrived = self._each(due_of(of), Import.plain)
        for import_ in arrived:
            if import_.members:
                import_.end_as_unpacked()
        # Of the others the load can tell, once the files before them are in.
        if self._first_of_run and arrived and not arrived[0].members:
            with self._database.begin() as connection:
                end_duplicates(connection, arrived[:1])

    def _read(self, of: Sequence[Import]) -> None:
        self._each(due_of(of), Import.text)

    def _transform(self, of: Sequence[Import]) -> None:
        due = self._each(due_of(of), _held_to_own_header)
        if not due:
            return
        for import_ in due:
            Workspace.drift.once(import_.workspace, import_.drift)
        texts = [import_.text() for import_ in due]
        work = due[0].work if len(due) == 1 else due[0].work / f"group-{len(due)}"
        from_names = [import_.from_name() for import_ in due]
        files = together(texts, [import_.claim.name for import_ in due], work, from_names)
        for import_, part in zip(due, files.parts, strict=True):
            import_.workspace.shared = Shared(
                work=files.work, rows=files.rows, rejects=files.rejects, part=part
            )
        if (repaired := due[0].workspace.repaired) is not None:
            files = replace(
                files, replay=due[0].replay(), styles=repaired.styles, facts=due[0].facts()
            )
        found = transform(files, due[0].feed, due[0].account)
        for import_, typed in zip(due, found, strict=True):
            if isinstance(typed, FileRefusedError):
                import_.end_as(Outcome.REFUSED, str(typed), typed.code)
            else:
                import_.workspace.typed = typed

    def _validate(self, of: Sequence[Import]) -> None:
        due = due_of(of)
        if not due:
            return
        typed = [import_.workspace.typed for import_ in due]
        found = validate(files_of(due), [its for its in typed if its], due[0].feed)
        for import_, valid in zip(due, found, strict=True):
            import_.workspace.valid = valid
        self._each(due, hold_to_thresholds)

    def _load(self, of: Sequence[Import]) -> None:
        """Store rows and ledger entries in one transaction; nothing of it, if any is refused."""
        going = [import_ for import_ in of if import_.workspace.report is None]
        careful = not all(import_.workspace.is_in_memory for import_ in going)
        loader = Loader(self.pipeline, self.feed, self._judge)
        while True:
            try:
                reports = loader.settled(going, careful=careful)
            except (FileRefusedError, RowRefusedError, UnchangedError, LostClaimError) as error:
                if len(going) > 1:
                    raise
                (alone,) = going
                if isinstance(error, LostClaimError) and not self._renew([alone.claim]):
                    return self._look_up(alone)  # the worker that has it lives
                if isinstance(error, FileRefusedError):
                    alone.end_as(Outcome.REFUSED, str(error), error.code)
                elif isinstance(error, UnchangedError):
                    alone.end_as_duplicate(error.same)
                careful = True
            else:
                break
        for import_, report in zip(going, reports, strict=True):
            self._leases.drop(import_.claim)
            import_.workspace.report = report
        return None

    def _judge(self, of: Sequence[Import]) -> None:
        """Judge the rows of files anew."""
        self._transform(of)
        self._validate(of)

    def _finish(self, of: Sequence[Import]) -> None:
        """Write the result files, put the files away, and have a table that grew counted.

        What fails in that fails no import.
        """
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
        stored = [r.counts for r in reports if r.outcome is Outcome.IMPORTED]
        written = sum(counts.inserted + counts.updated for counts in stored)
        statistics.renew(self._database, of[0].claim.account, self.feed.name, written)

    def _does(self, stage: Stage) -> Callable[[Sequence[Import]], None]:
        return {
            Stage.ARRIVE: self._arrive,
            Stage.READ: self._read,
            Stage.TRANSFORM: self._transform,
            Stage.VALIDATE: self._validate,
            Stage.LOAD: self._load,
            Stage.REPORT: self._finish,
        }[stage]


def _held_to_own_header(import_: Import) -> None:
    import_.refuse_other_feeds_header(import_.text().header)


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
