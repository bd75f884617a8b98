"""Leave the result file of an import where people find it, once what it says is committed.

It is written as a draft beside its place, before the load commits if there is time for that, and
put there afterwards. So it is whole or not there at all, and a crash between the two loses nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import structlog

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
from csv_pipeline.workspace import (
    PARTIAL,
    Part,
    Replay,
    TextFile,
    TypedFile,
    ValidFile,
    save,
    saved,
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A result file that is written and not yet in its place, and what it counts."""

    path: Path
    refused: bool
    counts: Counts


def draft_results(
    settings: Settings, work: Path, feed: Feed, claim: Claim, *, refused: bool
) -> None:
    """Write what became of every row of an import before its report is known."""
    draft = _written_results(settings, work, feed, claim, refused=refused)
    if draft is not None:
        save(work / "results.json", draft)


def draft_results_together(
    settings: Settings,
    decided: Decided,
    parts: Sequence[Part],
    works: Iterable[Path],
    of: Sequence[ImportReport],
) -> None:
    """Do so for imports that go together, each with its part and its work directory."""
    results = results_of_parts(decided, parts)
    for work, report, (lines, outcomes) in zip(works, of, results, strict=True):
        try:
            with _written_beside(settings, report) as (path, out):
                write_lines(out, lines, first=True)
        except OSError as error:  # that costs no other file its own
            log.warning("no result file", import_id=report.import_id, because=str(error))
            continue
        save(work / "results.json", _draft(path, outcomes, refused=False))


def leave_results(settings: Settings, work: Path, feed: Feed, report: ImportReport) -> None:
    """Put what became of every row of an import in its place, whole or not at all.

    The load may have written it already, while the server took its rejects.
    """
    draft = saved(work / "results.json", _Draft)
    if report.outcome not in {Outcome.IMPORTED, Outcome.REFUSED}:
        if draft is not None:
            draft.path.unlink(missing_ok=True)
        return
    refused = report.outcome is Outcome.REFUSED
    if draft is None or draft.refused != refused or not draft.path.exists():
        draft = _written_results(settings, work, feed, report, refused=refused)
    if draft is None:
        return
    if draft.counts == replace(report.counts, blank=0, non_data=0):
        draft.path.replace(settings.results_file(report.account, report.feed, report.import_id))
    else:  # rather no file than one that contradicts the report
        log.warning("no result file", import_id=report.import_id, found=asdict(draft.counts))
        draft.path.unlink()


def _written_results(
    settings: Settings, work: Path, feed: Feed, of: Claim | ImportReport, *, refused: bool
) -> _Draft | None:
    """Write the result file beside its place; None if the rows were not judged."""
    text = saved(work / "replay.json", Replay) or saved(work / "read.json", TextFile)
    text = text.text if isinstance(text, Replay) else text
    typed = saved(work / "transform.json", TypedFile)
    valid = saved(work / "validate.json", ValidFile)
    if not (text and typed and valid):
        return None
    with _written_beside(settings, of) as (path, out):
        written = write_results(out, decided_in(work, feed, text, typed, valid, refused=refused))
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


def _draft(path: Path, written: Mapping[str, int], *, refused: bool) -> _Draft:
    told = {name: rows for name, rows in written.items() if name != REFUSED}
    return _Draft(path=path, refused=refused, counts=Counts(read=sum(written.values()), **told))
