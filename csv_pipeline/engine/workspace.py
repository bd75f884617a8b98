"""The workspace of one import: what its stages hand over to one another, each with its type.

All of it is scratch. A fact is a JSON file in the work directory, so that the stages of one import
may run in different processes; one that is missing is None, and whoever needs it does the stage
before again. No other module names these files.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, overload

import polars as pl

from csv_pipeline.engine.findings import NonData
from csv_pipeline.handover import (
    REJECTS,
    Part,
    PlainFile,
    Replay,
    TextFile,
    TypedFile,
    ValidFile,
    save,
    saved,
    scan,
)
from csv_pipeline.model import Counts, Ending, HeaderDrift, ImportReport, StoredText
from csv_pipeline.parts import Files, scan_part
from csv_pipeline.stages.load import LATE

T = TypeVar("T")


class Stage(StrEnum):
    """The stages of an import in their order."""

    ARRIVE = "arrive"
    READ = "read"
    TRANSFORM = "transform"
    VALIDATE = "validate"
    LOAD = "load"
    REPORT = "report"


BEFORE = dict(pairwise(reversed(Stage)))
"""The stage before each but the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one stage did for one file; `problem` is set from the stage on that refused it."""

    import_id: int
    name: str
    stage: Stage
    seconds: float
    rows: int = 0
    rejects: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsDraft:
    """A result file that is written and not yet where it belongs, and what it counts."""

    path: Path
    refused: bool
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Where the rows of a file are, its `part` of those of files that go together, and `work`."""

    work: Path
    rows: Path
    rejects: Path
    part: Part


class Fact(Generic[T]):
    """A typed fact of a workspace, in a JSON file of its own; to delete it removes the file."""

    def __init__(self, name: str, kind: type[T]) -> None:
        self._name, self._kind = f"{name}.json", kind

    @overload
    def __get__(self, workspace: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, workspace: "Scratch", owner: type[Any]) -> T | None: ...
    def __get__(self, workspace: "Scratch | None", owner: type[Any]) -> Self | T | None:
        return self if workspace is None else self.of(workspace)

    def of(self, workspace: "Scratch") -> T | None:
        """Return the fact of a workspace, if it is there."""
        return saved(workspace.directory / self._name, self._kind)

    def __set__(self, workspace: "Scratch", fact: T) -> None:
        save(workspace.directory / self._name, fact)

    def __delete__(self, workspace: "Scratch") -> None:
        (workspace.directory / self._name).unlink(missing_ok=True)

    def once(self, workspace: "Scratch", do: Callable[[], T]) -> T:
        """Return the fact; if it is missing, do what gives it and keep it."""
        if (found := self.of(workspace)) is None:
            found = do()
            self.__set__(workspace, found)
        return found


class Scratch:
    """A work directory with facts in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory


class Workspace(Scratch):
    """What the stages of one import handed over."""

    stored = Fact("arrive", StoredText)
    plain = Fact("unpack", PlainFile)
    text = Fact("read", TextFile)
    replay = Fact("replay", Replay)
    repaired = Fact("repaired", ImportReport)
    """The import whose rejected rows come back."""
    drift = Fact("drift", HeaderDrift)
    typed = Fact("transform", TypedFile)
    valid = Fact("validate", ValidFile)
    non_data = Fact("non-data", NonData)
    results = Fact("results", ResultsDraft)
    ending = Fact("ending", Ending)
    """Why the import ends before its rows can be loaded, if it does."""
    report = Fact("report", ImportReport)
    """What became of every row, once the import is settled."""

    shared = Fact("shared", Shared)
    """Where the file's rows are, with those of others that go with it."""
    loaded = Fact("loaded", str)
    """Where the load left what it found."""

    @property
    def text_to_import(self) -> TextFile | None:
        """The file's rows; rejected rows that come back stand under their own file's header."""
        return self.replay.text if self.replay else self.text

    def progress(self, stage: Stage) -> Progress | None:
        """Return what a stage did, if it is done."""
        return saved(self._progress(stage), Progress)

    def set_progress(self, progress: Progress) -> None:
        """Keep what a stage did."""
        save(self._progress(progress.stage), progress)

    def _progress(self, stage: Stage) -> Path:
        return self.directory / f"progress-{stage}.json"

    @property
    def stage_seconds(self) -> dict[str, float]:
        """How long each stage took that is done."""
        done = (self.progress(stage) for stage in Stage)
        return {progress.stage.value: progress.seconds for progress in done if progress}

    @property
    def late(self) -> Path:
        """Where the faults are that the database found."""
        shared = self.shared
        return Path(self.loaded or (shared.work if shared else self.directory)) / LATE

    def faults(self, text: TextFile, valid: ValidFile) -> pl.LazyFrame:
        """Return all faults of the file's rows, as `handover.REJECTS`."""
        found = (
            scan_part(directory, valid.part, REJECTS) for directory in (valid.rejects, self.late)
        )
        return pl.concat([scan(text.rejects, REJECTS), *found])

    def judged(self) -> tuple[Files, TypedFile, ValidFile] | None:
        """Return the file's judged rows, once they are."""
        text, shared, typed, valid = self.text_to_import, self.shared, self.typed, self.valid
        if not (text and shared and typed and valid):
            return None
        files = Files(
            work=shared.work,
            names=("",),
            texts=(text,),
            parts=(shared.part,),
            rows=shared.rows,
            rejects=shared.rejects,
        )
        return files, typed, valid

    def judge_again(self) -> None:
        """Forget what was decided about the rows of a corrected file."""
        del self.replay, self.repaired, self.typed, self.valid

    def leave_group(self) -> None:
        """Forget what was decided about the rows together with those of other files."""
        del self.shared, self.typed, self.valid, self.loaded
        for stage in (Stage.TRANSFORM, Stage.VALIDATE):
            self._progress(stage).unlink(missing_ok=True)

    def make_room(self) -> None:
        """Remove all but the facts: the disk may be full, and now it has to hold why."""
        for left in self.directory.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            elif left.suffix != ".json":
                left.unlink()
