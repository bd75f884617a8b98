"""Leave the result file of an import where people find it, once what it says is committed.

It is written as a draft beside its place, before the load commits if there is time for that, and
put there afterwards. So it is whole or not there at all, and a crash between the two loses nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl
import structlog

from csv_pipeline.batches import nothing
from csv_pipeline.engine.workspace import LoadFound, ResultsDraft, Workspace
from csv_pipeline.handover import PARTIAL, TypedFile, ValidFile
from csv_pipeline.model import Counts, ImportReport, Outcome
from csv_pipeline.parts import Files
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.load import Incoming
from csv_pipeline.stages.results import (
    NON_DATA_LINE,
    OUTCOME,
    REFUSED,
    Decided,
    result_lines,
    write_lines,
)

DRAFT = ".draft"
"""How the name of a result file ends that is whole, and not yet in its place."""

log = structlog.get_logger()


def draft_results(settings: Settings, incoming: Incoming, workspaces: Sequence[Workspace]) -> None:
    """Write what became of every row of imports before their reports are known."""
    refused = workspaces[0].ending is not None
    judged = (incoming.files, incoming.typed, incoming.valid[0])
    decided = _decided(incoming.feed, judged, workspaces[0].found, refused=refused)
    paths = [settings.results_file(c.account, c.feed, c.import_id) for c in incoming.claims]
    for workspace, draft in zip(workspaces, _drafts(decided, paths), strict=True):
        if draft is not None:
            workspace.results = draft


def leave_results(
    settings: Settings, workspace: Workspace, feed: Feed, report: ImportReport
) -> None:
    """Put what became of every row of an import in its place, whole or not at all.

    The load may have written it already. What cannot be written is logged, and nothing of it left.
    """
    draft = workspace.results
    if report.outcome not in {Outcome.IMPORTED, Outcome.REFUSED}:
        if draft is not None:
            draft.path.unlink(missing_ok=True)
        return
    refused = report.outcome is Outcome.REFUSED
    path = settings.results_file(report.account, report.feed, report.import_id)
    if draft is None or draft.refused != refused or not draft.path.exists():
        judged = workspace.judged()
        if judged is None:
            return
        decided = _decided(feed, judged, workspace.found, refused=refused)
        (draft,) = _drafts(decided, [path])
    if draft is not None:
        _put(draft, path, report)


def leave_draft(settings: Settings, draft: Path, report: ImportReport) -> None:
    """Put a result file in its place that a worker finished before it was killed."""
    outcomes = pl.scan_csv(draft, infer_schema=False).select(OUTCOME).collect()[OUTCOME]
    counted = outcomes.value_counts().rows()
    refused = report.outcome is Outcome.REFUSED
    found = ResultsDraft(path=draft, refused=refused, counts=_counts(dict(counted)))
    _put(found, settings.results_file(report.account, report.feed, report.import_id), report)


def _put(draft: ResultsDraft, path: Path, report: ImportReport) -> None:
    if draft.counts == replace(report.counts, blank=0, non_data=0):
        draft.path.replace(path)
    else:  # rather no file than one that contradicts the report
        log.warning("no result file", import_id=report.import_id, found=asdict(draft.counts))
        draft.path.unlink()


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
        key=feed.key,
        protected=frozenset(column.name for column in feed.columns if column.protected),
        refused=refused,
    )


def _drafts(decided: Decided, paths: Sequence[Path]) -> list[ResultsDraft | None]:
    """Write the result files beside their places."""
    drafts = [_Draft(path) for path in paths]
    for at, lines in result_lines(decided):
        drafts[at].add(lines)
    return [draft.finished(refused=decided.refused) for draft in drafts]


class _Draft:
    """A result file that is being written beside its place; only the owner may read it.

    If it cannot be written to its end, as on a full disk, nothing of it is left.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}{PARTIAL}")
        self._whole = path.with_name(f"{path.name}{DRAFT}")
        self._tally: Counter[str] = Counter()
        self._begun = self._failed = False

    def add(self, lines: pl.DataFrame) -> None:
        """Write some lines to it."""
        if self._failed:
            return
        try:
            self._begin()
            with self._path.open("ab") as out:
                write_lines(out, lines, first=not self._begun)
        except OSError as error:
            self._give_up(error)
        self._begun = True
        counted = lines[OUTCOME].value_counts()
        self._tally.update(dict(zip(counted[OUTCOME].cast(str), counted["count"], strict=True)))

    def finished(self, *, refused: bool) -> ResultsDraft | None:
        """Return it, once all of it is written; None if it could not be."""
        if self._failed:
            return None
        try:
            self._begin()
            self._path.replace(self._whole)
        except OSError as error:
            self._give_up(error)
            return None
        return ResultsDraft(path=self._whole, refused=refused, counts=_counts(self._tally))

    def _begin(self) -> None:
        if not self._begun:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._path.open("wb").close()

    def _give_up(self, error: OSError) -> None:
        self._failed = True
        log.warning("no result file", path=str(self._path), because=str(error))
        if not self._path.is_dir():
            self._path.unlink(missing_ok=True)


def _counts(tally: Mapping[str, int]) -> Counts:
    told = {name: n for name, n in tally.items() if name not in {REFUSED, NON_DATA_LINE}}
    return Counts(read=sum(tally.values()) - tally.get(NON_DATA_LINE, 0), **told)
