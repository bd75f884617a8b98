"""Store the rows of files and record what became of each, in one transaction."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial

from sqlalchemy import Connection

from csv_pipeline.batches import BatchWriter
from csv_pipeline.engine import archive
from csv_pipeline.engine.findings import (
    reading_warnings,
    refuse_without_good_row,
    settings_at_fault,
    warnings_of,
)
from csv_pipeline.engine.importer import Import, due_of, files_of
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.report import non_data_of
from csv_pipeline.engine.result_files import draft_results
from csv_pipeline.engine.sellers import other_seller
from csv_pipeline.engine.workspace import LoadFound, Stage
from csv_pipeline.location import Location
from csv_pipeline.model import ArrivalStatus, Counts, ImportReport, Outcome
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.header import layout_of, sources_in
from csv_pipeline.stages.load import Found, Incoming, Loaded, clear, load, store_rejects
from csv_pipeline.stages.validate import hold_to_threshold
from csv_pipeline.storage import arrivals, claims, imports, quarantine, readings
from csv_pipeline.storage.lane_lock import lock_lane
from csv_pipeline.storage.records import Record, record_imports
from csv_pipeline.storage.situation import Asked, Situation, same_contents, situation
from csv_pipeline.storage.targets import rows_meet

_FOUND = tuple(field.name for field in fields(Found))


class Loader:
    """Stores files of one account and feed that go together."""

    def __init__(
        self, pipeline: Pipeline, feed: Feed, judge: Callable[[Sequence[Import]], None]
    ) -> None:
        self.feed, self._judge = feed, judge
        self._declared = pipeline.feed(feed.name)
        self._settings, self._database = pipeline.settings, pipeline.database

    def settled(self, going: Sequence[Import], *, careful: bool) -> list[ImportReport]:
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
            loaded, headers = self._load_rows(connection, going, careful=careful)
            self._keep_rejects(connection, going)
            reports = [_report(import_, loaded) for import_ in going]
            reports = self._compared(connection, going, reports, headers)
            if dry_run is not None:
                dry_run.rollback()
                for import_ in going:
                    claims.release(connection, import_.claim)
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
        self, connection: Connection, going: Sequence[Import], *, careful: bool
    ) -> tuple[dict[int, Loaded], dict[str, tuple[str, ...]]]:
        """Store the rows of files and return, by import, what became of them.

        Returns also the last header before them, by layout.

        Raises:
            FileRefusedError: The rows of one are bad.
            NotTogetherError: Several cannot go together.
            UnchangedError: One changes nothing, and another has brought the same bytes.
            LostClaimError: Waiting for the lane may have cost the claim.
            SetupError: Another process has changed since how columns of a key are read.
        """
        due: Sequence[Import] = due_of(going)
        if not due:
            return {}, {}
        lock_lane(connection, due[0].claim)
        read_anew = reading_warnings(readings.hold(connection, self._declared))
        layouts = {typed.layout for import_ in due if (typed := import_.workspace.typed)}
        asked = [_asked(import_) for import_ in due]
        ending = [i.claim.arrival_id for i in going if i.ends_for_good]
        known = situation(connection, self.feed, asked, layouts, ending)
        same = self._brought_before(connection, due, known)
        if (refusal := other_seller(connection, due_of(due))) is not None:
            raise refusal if len(due) == 1 else NotTogetherError
        of_due = [f for i, f in zip(due, known.files, strict=True) if i.is_due]
        due = self._judged_anew(connection, due_of(due))
        found: dict[int, Loaded] = {}
        incoming = None
        if due:
            incoming = replace(
                _incoming(due),
                any_stored=known.any_stored,
                is_awaited=any(file.is_awaited for file in of_due),
                behind=of_due[0].position if of_due[0].is_overtaken else None,
                careful=careful,
            )
        for number, wave in enumerate(incoming.waves() if incoming else ()):
            if number:
                clear(connection)
            theirs = [i for i in due if i.claim in wave.claims]
            left = Found(*(BatchWriter(wave.work / name) for name in _FOUND))
            for import_ in theirs:
                import_.workspace.found = LoadFound(
                    outcomes=left.outcomes.batches,
                    late=left.late.batches,
                    missing=left.missing.batches,
                )
            loaded = load(
                connection,
                wave,
                left,
                partial(_hold, theirs),
                partial(self._draft_results, wave, theirs),
            )
            for import_, its in zip(theirs, loaded, strict=True):
                hold_to_thresholds(import_, its.counts)
                changed = its.counts.inserted + its.counts.updated + its.counts.missing
                if same is not None and not changed:
                    raise UnchangedError(same)
                found[import_.claim.import_id] = replace(its, warnings=its.warnings + read_anew)
            if len(due) > 1 or theirs[0].workspace.is_in_memory:
                self._draft_results(wave, theirs)
        return found, {layout: known.headers.get(layout, ()) for layout in layouts}

    def _brought_before(
        self, connection: Connection, due: Sequence[Import], known: Situation
    ) -> int | None:
        """Return the import that brought the bytes of a file before, if that goes alone.

        Of several the first ones end here, if they are duplicates; whether one that comes after
        others is one, is not known before those are in.

        Raises:
            UnchangedError: Nothing has changed the rows since.
            NotTogetherError: Files that go together cannot.
        """
        if len(due) == 1:
            same = known.files[0].same
            # A snapshot may lack rows that others have inserted since.
            if same is not None and same.is_current and self.feed.snapshot is None:
                raise UnchangedError(same.import_id)
            return same.import_id if same else None
        going = False
        for import_, file in zip(due, known.files, strict=True):
            if file.same is not None and file.same.is_current and not going:
                import_.end_as_duplicate(file.same.import_id)
            elif file.same is not None or file.is_overtaken:
                raise NotTogetherError
            else:
                going = True
        if rows_meet(connection, self.feed):
            raise NotTogetherError
        return None

    def _judged_anew(self, connection: Connection, due: Sequence[Import]) -> Sequence[Import]:
        """Judge the rows of a corrected file again if others were repaired since it was read."""
        replay = due[0].workspace.replay if due else None
        if replay is None or not quarantine.changed(connection, replay):
            return due
        due[0].workspace.judge_again()
        self._judge(due)
        return due_of(due)

    def _keep_rejects(self, connection: Connection, going: Sequence[Import]) -> None:
        """Store the rejects of files that are refused for them."""
        # One whose bytes were taken before is a duplicate, whatever is thought of them now.
        end_duplicates(connection, [i for i in going if i.ended_as(Outcome.REFUSED)])
        refused = [i for i in going if i.ended_as(Outcome.REFUSED) and i.workspace.valid]
        if refused:
            incoming = _incoming(refused)
            draft = partial(self._draft_results, incoming, refused)
            store_rejects(connection, incoming, refused[0].workspace.late, draft)

    def _compared(
        self,
        connection: Connection,
        going: Sequence[Import],
        reports: Sequence[ImportReport],
        last: dict[str, tuple[str, ...]],
    ) -> list[ImportReport]:
        """Compare each header with the last one of its layout; the files before are in by now."""
        compared = []
        for import_, report in zip(going, reports, strict=True):
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

    def _draft_results(self, incoming: Incoming, of: Sequence[Import]) -> None:
        """Write the result files; they are put in their places once the rows are committed."""
        if self._settings.result_files and not of[0].claim.dry_run:
            draft_results(incoming, [import_.workspace for import_ in of])


class NotTogetherError(Exception):
    """Files that go together cannot be taken any further but alone."""


class UnchangedError(NotTogetherError):
    """A file changes nothing, and another has brought the same bytes."""

    def __init__(self, same: int) -> None:
        self.same = same
        super().__init__(f"import {same}")


def end_duplicates(connection: Connection, of: Sequence[Import]) -> None:
    """End the files whose bytes an import has brought, if nothing has changed its rows since."""
    asked = [
        import_
        for import_ in of
        if import_.fingerprint is not None
        and not import_.claim.again
        and import_.feed.snapshot is None
    ]
    if asked:
        prints = [import_.fingerprint for import_ in asked]
        found = same_contents(connection, asked[0].claim, prints)
        for import_, same in zip(asked, found, strict=True):
            if same is not None and same.is_current:
                import_.end_as_duplicate(same.import_id)


def hold_to_thresholds(import_: Import, counts: Counts | None = None) -> None:
    """Judge a file by its rejected rows, once it is loaded by all of them.

    Rows that were rejected once are bound to be bad more often: no threshold holds for these.
    """
    text, valid = import_.text(), import_.workspace.valid
    if import_.workspace.replay is not None or valid is None:
        return
    name, read = import_.claim.name, text.records
    rejected = counts.rejected if counts else text.malformed + valid.rejected
    hold_to_threshold(import_.feed, rejected, read, name=name)
    non_data = non_data_of(import_.workspace, text)
    refuse_without_good_row(import_.feed, read, rejected, non_data, name=name)


def _hold(of: Sequence[Import], refused: int) -> None:
    """Judge a file by how many rows the table refuses so far."""
    if not refused:
        return
    if len(of) > 1:
        raise NotTogetherError
    text, valid = of[0].text(), of[0].workspace.valid
    if valid is not None and of[0].workspace.replay is None:
        rejected = text.malformed + valid.rejected + refused
        name = of[0].claim.name
        hold_to_threshold(of[0].feed, rejected, text.records, name=name, so_far=True)


def _status(report: ImportReport) -> ArrivalStatus:
    return ArrivalStatus(report.outcome.value)


def _text(location: Location | None) -> str | None:
    return None if location is None else str(location)


def _asked(import_: Import) -> Asked:
    repaired = import_.workspace.repaired
    return Asked(
        claim=import_.claim,
        fingerprint=None if import_.claim.again else import_.fingerprint,
        repairs=repaired.import_id if repaired else None,
    )


def _incoming(of: Sequence[Import]) -> Incoming:
    files, typed = files_of(of), of[0].workspace.typed
    assert typed is not None  # noqa: S101  # they are typed and checked
    valid = tuple(valid for import_ in of if (valid := import_.workspace.valid))
    return Incoming(
        feed=of[0].feed,
        claims=tuple(import_.claim for import_ in of),
        files=files,
        typed=typed,
        valid=valid,
        work=files.work,
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
        scope=its.scope,
        differences=its.differences,
        warnings=(*report.warnings, *its.warnings, *told),
    )
