"""Leave the result file of an import where people find it, once what it says is committed.

It is written as a draft in the work directory, before the load commits if there is time for that,
and put where it belongs afterwards. So it is whole or not there at all, and a crash between the two
loses nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

import structlog

from csv_pipeline.engine.workspace import ResultsDraft, Workspace
from csv_pipeline.files.stores import CANNOT, store_of
from csv_pipeline.handover import Part, TextFile, TypedFile, ValidFile
from csv_pipeline.model import Counts, ImportReport, Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.load import LATE
from csv_pipeline.stages.results import (
    REFUSED,
    Decided,
    results_of_parts,
    write_lines,
    write_results,
)

log = structlog.get_logger()


def draft_results(workspace: Workspace, feed: Feed, *, refused: bool) -> None:
    """Write what became of every row of an import before its report is known."""
    draft = _drafted(workspace, feed, refused=refused)
    if draft is not None:
        workspace.results = draft


def draft_results_together(
    decided: Decided, parts: Sequence[Part], workspaces: Iterable[Workspace]
) -> None:
    """Do so for imports that go together, each with its part and its workspace."""
    for workspace, part, (lines, outcomes) in zip(
        workspaces, parts, results_of_parts(decided, parts), strict=True
    ):
        try:
            with _draft_in(workspace) as (path, out):
                write_lines(out, lines, first=True)
        except OSError as error:  # that costs no other file its own
            log.warning("no result file", import_id=part.import_id, because=str(error))
            continue
        workspace.results = _draft(path, outcomes, refused=False)


def leave_results(
    settings: Settings, workspace: Workspace, feed: Feed, report: ImportReport
) -> None:
    """Put what became of every row of an import where it belongs, whole or not at all.

    The load may have written it already, while the server took its rejects. What system or store
    do not allow is logged.
    """
    if report.outcome not in {Outcome.IMPORTED, Outcome.REFUSED}:
        return
    refused, draft = report.outcome is Outcome.REFUSED, workspace.results
    try:
        if draft is None or draft.refused != refused or not draft.path.exists():
            draft = _drafted(workspace, feed, refused=refused)
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


def _drafted(workspace: Workspace, feed: Feed, *, refused: bool) -> ResultsDraft | None:
    """Write the result file; None if the rows were not judged."""
    text, typed, valid = workspace.text_to_import, workspace.typed, workspace.valid
    if not (text and typed and valid):
        return None
    decided = decided_in(workspace.directory, feed, text, typed, valid, refused=refused)
    with _draft_in(workspace) as (path, out):
        written = write_results(out, decided)
    return _draft(path, written, refused=refused)


def decided_in(  # noqa: PLR0913  # the stages before, each with its own facts
    work: Path,
    feed: Feed,
    text: TextFile,
    typed: TypedFile,
    valid: ValidFile,
    *,
    refused: bool = False,
) -> Decided:
    """Return what the stages decided, with what the load left in a work directory."""
    return Decided(
        text=text,
        typed=typed,
        valid=valid,
        outcomes=work / "outcomes",
        late=work / LATE,
        key=feed.key,
        protected=frozenset(column.name for column in feed.columns if column.protected),
        refused=refused,
    )


@contextmanager
def _draft_in(workspace: Workspace) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a file in a work directory; only the owner may read it."""
    path = workspace.directory / "results.csv"
    path.touch(mode=0o600)
    with path.open("wb") as out:
        yield path, out


def _draft(path: Path, written: Mapping[str, int], *, refused: bool) -> ResultsDraft:
    told = {name: rows for name, rows in written.items() if name != REFUSED}
    return ResultsDraft(
        path=path, refused=refused, counts=Counts(read=sum(written.values()), **told)
    )
