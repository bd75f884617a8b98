"""Leave the result file of an import where people find it, once what it says is committed.

It is written as a draft beside its place, before the load commits if there is time for that, and
put there afterwards. So it is whole or not there at all, and a crash between the two loses nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

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
    if draft is None:
        return
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
    """Write the result files beside their places, which only the owner may read.

    Of one that cannot be written to its end, as on a full disk, nothing is left.
    """
    drafts = [path.with_name(f"{path.name}{PARTIAL}") for path in paths]
    tallies: list[Counter[str]] = [Counter() for _ in paths]
    failed: set[int] = set()
    for at, draft in enumerate(drafts):
        try:
            draft.parent.mkdir(parents=True, exist_ok=True)
            draft.touch(mode=0o600)
            draft.open("wb").close()
        except OSError as error:
            _give_up(draft, error)
            failed.add(at)
    begun: set[int] = set()
    for at, lines in result_lines(decided):
        if at in failed:
            continue
        try:
            with drafts[at].open("ab") as out:
                write_lines(out, lines, first=at not in begun)
        except OSError as error:
            _give_up(drafts[at], error)
            failed.add(at)
        begun.add(at)
        tallies[at].update(lines[OUTCOME].cast(str).to_list())
    return [
        None if at in failed else _draft(draft, tally, refused=decided.refused)
        for at, (draft, tally) in enumerate(zip(drafts, tallies, strict=True))
    ]


def _give_up(draft: Path, error: OSError) -> None:
    log.warning("no result file", path=str(draft), because=str(error))
    if not draft.is_dir():
        draft.unlink(missing_ok=True)


def _draft(path: Path, tally: Counter[str], *, refused: bool) -> ResultsDraft:
    read = sum(rows for name, rows in tally.items() if name != NON_DATA_LINE)
    told = {name: n for name, n in tally.items() if name not in {REFUSED, NON_DATA_LINE}}
    return ResultsDraft(path=path, refused=refused, counts=Counts(read=read, **told))
