"""Leave the result file of an import where people find it, once what it says is committed.

It is written as a draft beside its place, before the load commits if there is time for that, and
put there afterwards. So it is whole or not there at all, and a crash between the two loses nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

import structlog

from csv_pipeline.engine.workspace import ResultsDraft, Workspace
from csv_pipeline.handover import (
    PARTIAL,
    Part,
    TextFile,
    TypedFile,
    ValidFile,
)
from csv_pipeline.model import Claim, Counts, ImportReport, Outcome
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


def draft_results(
    settings: Settings, workspace: Workspace, feed: Feed, claim: Claim, *, refused: bool
) -> None:
    """Write what became of every row of an import before its report is known."""
    draft = _written_results(settings, workspace, feed, claim, refused=refused)
    if draft is not None:
        workspace.results = draft


def draft_results_together(
    settings: Settings,
    decided: Decided,
    parts: Sequence[Part],
    workspaces: Iterable[Workspace],
    of: Sequence[ImportReport],
) -> None:
    """Do so for imports that go together, each with its part and its workspace."""
    results = results_of_parts(decided, parts)
    for workspace, report, (lines, outcomes) in zip(workspaces, of, results, strict=True):
        try:
            with _written_beside(settings, report) as (path, out):
                write_lines(out, lines, first=True)
        except OSError as error:  # that costs no other file its own
            log.warning("no result file", import_id=report.import_id, because=str(error))
            continue
        workspace.results = _draft(path, outcomes, refused=False)


def leave_results(
    settings: Settings, workspace: Workspace, feed: Feed, report: ImportReport
) -> None:
    """Put what became of every row of an import in its place, whole or not at all.

    The load may have written it already, while the server took its rejects.
    """
    draft = workspace.results
    if report.outcome not in {Outcome.IMPORTED, Outcome.REFUSED}:
        if draft is not None:
            draft.path.unlink(missing_ok=True)
        return
    refused = report.outcome is Outcome.REFUSED
    if draft is None or draft.refused != refused or not draft.path.exists():
        draft = _written_results(settings, workspace, feed, report, refused=refused)
    if draft is None:
        return
    if draft.counts == replace(report.counts, blank=0, non_data=0):
        draft.path.replace(settings.results_file(report.account, report.feed, report.import_id))
    else:  # rather no file than one that contradicts the report
        log.warning("no result file", import_id=report.import_id, found=asdict(draft.counts))
        draft.path.unlink()


def _written_results(
    settings: Settings, workspace: Workspace, feed: Feed, of: Claim | ImportReport, *, refused: bool
) -> ResultsDraft | None:
    """Write the result file beside its place; None if the rows were not judged."""
    text, typed, valid = workspace.text_to_import, workspace.typed, workspace.valid
    if not (text and typed and valid):
        return None
    with _written_beside(settings, of) as (path, out):
        written = write_results(
            out, decided_in(workspace.directory, feed, text, typed, valid, refused=refused)
        )
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
def _written_beside(
    settings: Settings, of: Claim | ImportReport
) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a file beside the place of a result file; only the owner may read it.

    If it cannot be written to its end, as on a full disk, nothing of it is left.
    """
    path = settings.results_file(of.account, of.feed, of.import_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}{PARTIAL}")
    partial.touch(mode=0o600)
    try:
        with partial.open("wb") as out:
            yield partial, out
    except BaseException:
        if not partial.is_dir():
            partial.unlink(missing_ok=True)
        raise


def _draft(path: Path, written: Mapping[str, int], *, refused: bool) -> ResultsDraft:
    told = {name: rows for name, rows in written.items() if name != REFUSED}
    return ResultsDraft(
        path=path, refused=refused, counts=Counts(read=sum(written.values()), **told)
    )
