"""Leave the result file of an import where people find it, once what it says is committed.

It is written as a draft in the work directory, before the load commits if there is time for that,
and put where it belongs afterwards. So it is whole or not there at all, and a crash between the two
loses nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl
import structlog

from csv_pipeline.batches import nothing
from csv_pipeline.engine.workspace import LoadFound, ResultsDraft, Workspace
from csv_pipeline.files.stores import CANNOT, store_of
from csv_pipeline.handover import PARTIAL, TypedFile, ValidFile
from csv_pipeline.model import Counts, ImportReport, Outcome
from csv_pipeline.parts import Files
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.load import Incoming
from csv_pipeline.stages.results import (
    MISSING,
    NON_DATA_LINE,
    OUTCOME,
    REFUSED,
    Decided,
    result_lines,
    write_lines,
)

_NAME = "results.csv"
log = structlog.get_logger()


def draft_results(incoming: Incoming, workspaces: Sequence[Workspace]) -> None:
    """Write what became of every row of imports before their reports are known."""
    refused = workspaces[0].ending is not None
    judged = (incoming.files, incoming.typed, incoming.valid[0])
    _draft(_decided(incoming.feed, judged, workspaces[0].found, refused=refused), workspaces)


def leave_results(
    settings: Settings, workspace: Workspace, feed: Feed, report: ImportReport
) -> None:
    """Put what became of every row of an import where it belongs, whole or not at all.

    The load may have written it already. What system or store do not allow is logged.
    """
    if report.outcome not in {Outcome.IMPORTED, Outcome.REFUSED}:
        return
    refused = report.outcome is Outcome.REFUSED
    try:
        draft = workspace.results or _left(workspace, refused=refused)
        if draft is None or draft.refused != refused or not draft.path.exists():
            judged = workspace.judged()
            if judged is None:
                return
            _draft(_decided(feed, judged, workspace.found, refused=refused), [workspace])
            draft = workspace.results
        if draft is None:
            return
        if draft.counts != replace(report.counts, blank=0, non_data=0):
            # Rather no file than one that contradicts the report.
            log.warning("no result file", import_id=report.import_id, found=asdict(draft.counts))
            return
        target = settings.results_file(report.account, report.feed, report.import_id)
        store_of(target).put(draft.path, target)
    except CANNOT as error:
        log.warning("no result file", import_id=report.import_id, because=str(error))


def _left(workspace: Workspace, *, refused: bool) -> ResultsDraft | None:
    """Return what a worker wrote to its end before it was killed, if there is any."""
    path = workspace.directory / _NAME
    if not path.is_file():
        return None
    outcomes = pl.scan_csv(path, infer_schema=False).select(OUTCOME).collect()[OUTCOME]
    counts = _counts(dict(outcomes.value_counts().iter_rows()))
    return ResultsDraft(path=path, refused=refused, counts=counts)


def _decided(
    feed: Feed,
    judged: tuple[Files, TypedFile, ValidFile],
    found: LoadFound | None,
    *,
    refused: bool,
) -> Decided:
    files, typed, valid = judged
    return Decided(
        files=files,
        typed=typed,
        valid=valid,
        outcomes=found.outcomes if found else nothing(),
        late=found.late if found else nothing(),
        missing=found.missing if found else nothing(),
        key=feed.key,
        protected=frozenset(column.name for column in feed.columns if column.protected),
        refused=refused,
    )


def _draft(decided: Decided, workspaces: Sequence[Workspace]) -> None:
    """Write the result files into the work directories; one that cannot be is logged."""
    drafts = [_Draft(workspace.directory) for workspace in workspaces]
    for at, lines in result_lines(decided):
        drafts[at].add(lines)
    for workspace, draft in zip(workspaces, drafts, strict=True):
        if (counts := draft.finished()) is not None:
            path = workspace.directory / _NAME
            workspace.results = ResultsDraft(path=path, refused=decided.refused, counts=counts)


class _Draft:
    """A result file that is being written to a work directory; only the owner may read it."""

    def __init__(self, work: Path) -> None:
        self._path, self._whole = work / f"{_NAME}{PARTIAL}", work / _NAME
        self._tally: Counter[str] = Counter()
        self._failed = self._begun = False

    def add(self, lines: pl.DataFrame) -> None:
        """Write some lines to it."""
        if self._failed:
            return
        try:
            first = self._begin()
            with self._path.open("ab") as out:
                write_lines(out, lines, first=first)
        except OSError as error:
            self._give_up(error)
        counted = lines[OUTCOME].value_counts()
        self._tally.update(dict(zip(counted[OUTCOME].cast(str), counted["count"], strict=True)))

    def finished(self) -> Counts | None:
        """Return what it counts, once all of it is written; None if it could not be."""
        if self._failed:
            return None
        try:
            self._begin()
            self._path.replace(self._whole)
        except OSError as error:
            self._give_up(error)
            return None
        return _counts(self._tally)

    def _begin(self) -> bool:
        """Make the file, unless it is begun; return whether it was not."""
        if self._begun:
            return False
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        self._path.open("wb").close()
        self._begun = True
        return True

    def _give_up(self, error: OSError) -> None:
        self._failed = True
        log.warning("no result file", path=str(self._path), because=str(error))


def _counts(tally: Mapping[str, int]) -> Counts:
    told = {name: n for name, n in tally.items() if name not in {REFUSED, NON_DATA_LINE}}
    of_no_record = tally.get(NON_DATA_LINE, 0) + tally.get(MISSING, 0)
    return Counts(read=sum(tally.values()) - of_no_record, **told)
