"""The workspace of one import: what its stages hand over to one another, each with its type.

All of it is scratch: a fact that is missing is None, and whoever needs it does the stage before
again. No other module names the files of a work directory.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any, Generic, Self, TypeVar, overload

import polars as pl

from csv_pipeline.account import Declared
from csv_pipeline.batches import Batches, nothing, scan
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
)
from csv_pipeline.model import Counts, Ending, HeaderDrift, ImportReport, StoredText
from csv_pipeline.parts import Files, scan_part

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
    """The rows of files that go together, and which `part` of them are those of one."""

    work: Path
    rows: Batches
    rejects: Batches
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFound:
    """What became of rows that were not inserted, and the faults that the database found.

    `missing` are the keys of stored rows that a snapshot lacks.
    """

    outcomes: Batches
    late: Batches
    missing: Batches


MOST_BYTES_OF_ONE = 256 * 1024
"""So large may a file be that stays in memory, and goes together with others."""

_MOST_BYTES_IN_MEMORY = 32 * 1024**2


class Fact(Generic[T]):
    """A typed fact of a workspace; to delete it forgets it."""

    def __init__(self, name: str, kind: type[T]) -> None:
        self._name, self._kind = name, kind

    @overload
    def __get__(self, workspace: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, workspace: "Workspace", owner: type[Any]) -> T | None: ...
    def __get__(self, workspace: "Workspace | None", owner: type[Any]) -> Self | T | None:
        return self if workspace is None else self.of(workspace)

    def of(self, workspace: "Workspace") -> T | None:
        """Return the fact of a workspace, if it is there."""
        return workspace.fact(self._name, self._kind)

    def __set__(self, workspace: "Workspace", fact: T) -> None:
        workspace.keep(self._name, fact)

    def __delete__(self, workspace: "Workspace") -> None:
        workspace.forget(self._name)

    def once(self, workspace: "Workspace", do: Callable[[], T]) -> T:
        """Return the fact; if it is missing, do what gives it and keep it."""
        if (found := self.of(workspace)) is None:
            found = do()
            self.__set__(workspace, found)
        return found


class Workspace:
    """What the stages of one import handed over.

    That of a small file is in the memory of the process that works on it. Any other has a JSON file
    for each fact, so that the stages of one import may run in different processes.
    """

    declared = Fact("declared", Declared)
    """What the account declared when the import began, or that of the import it repairs."""
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
    found = Fact("found", LoadFound)
    """What the load found out."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        on_disk = any(directory.glob("*.json"))
        self._facts: dict[str, Any] | None = None if on_disk else {}
        self.size_bytes: int | None = None

    @property
    def is_in_memory(self) -> bool:
        """Whether nothing of it outlives this process."""
        return self._facts is not None

    def fact(self, name: str, kind: type[T]) -> T | None:
        """Return what is known by a name, or None."""
        if self._facts is not None:
            return self._facts.get(name)
        return saved(self._path(name), kind)

    def keep(self, name: str, fact: object) -> None:
        """Keep a fact, whole or not at all."""
        if self._facts is not None:
            self._facts[name] = fact
        else:
            save(self._path(name), fact)

    def forget(self, name: str) -> None:
        """Forget a fact."""
        if self._facts is not None:
            self._facts.pop(name, None)
        else:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def hold(self, size_bytes: int) -> None:
        """Keep all facts in files from here on, unless a file of this size may be in memory."""
        if self._facts is None or self.size_bytes is not None:
            return
        if size_bytes <= MOST_BYTES_OF_ONE and _in_memory.take(size_bytes):
            self.size_bytes = size_bytes
            return
        facts, self._facts = self._facts, None
        self.directory.mkdir(parents=True, exist_ok=True)
        for name, fact in facts.items():
            self.keep(name, fact)

    @property
    def text_to_import(self) -> TextFile | None:
        """The file's rows; rejected rows that come back stand under their own file's header."""
        return self.replay.text if self.replay else self.text

    def progress(self, stage: Stage) -> Progress | None:
        """Return what a stage did, if it is done."""
        return _PROGRESS[stage].of(self)

    def set_progress(self, progress: Progress) -> None:
        """Keep what a stage did."""
        _PROGRESS[progress.stage].__set__(self, progress)

    @property
    def stage_seconds(self) -> dict[str, float]:
        """How long each stage took that is done."""
        done = (self.progress(stage) for stage in Stage)
        return {progress.stage.value: progress.seconds for progress in done if progress}

    @property
    def late(self) -> Batches:
        """The faults that the database found."""
        return self.found.late if self.found else nothing()

    def faults(self, text: TextFile, valid: ValidFile) -> pl.LazyFrame:
        """Return all faults of the file's rows, as `handover.REJECTS`."""
        later = (scan_part(of, valid.part, REJECTS) for of in (valid.rejects, self.late))
        return pl.concat([scan(text.rejects, REJECTS), *later])

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
        del self.shared, self.typed, self.valid, self.found
        for stage in (Stage.TRANSFORM, Stage.VALIDATE):
            _PROGRESS[stage].__delete__(self)

    def make_room(self) -> None:
        """Remove all but the facts: the disk may be full, and now it has to hold why."""
        for left in self.directory.glob("*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            elif left.suffix != ".json":
                left.unlink()

    def remove(self) -> None:
        """Remove the work directory, and what is in memory."""
        _in_memory.drop(self)
        if self.directory.exists():
            shutil.rmtree(self.directory, ignore_errors=True)


_PROGRESS = {stage: Fact(f"progress-{stage}", Progress) for stage in Stage}


class _InMemory:
    """The workspaces that this process works in, and how many bytes of files are in memory."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._workspaces: dict[Path, Workspace] = {}
        self._size_bytes = 0

    def of(self, directory: Path) -> Workspace:
        with self._lock:
            if (found := self._workspaces.get(directory)) is None:
                found = self._workspaces[directory] = Workspace(directory)
            return found

    def take(self, size_bytes: int) -> bool:
        with self._lock:
            has_room = self._size_bytes + size_bytes <= _MOST_BYTES_IN_MEMORY
            self._size_bytes += size_bytes if has_room else 0
            return has_room

    def drop(self, workspace: Workspace) -> None:
        with self._lock:
            if self._workspaces.pop(workspace.directory, None) is not None:
                self._size_bytes -= workspace.size_bytes or 0


_in_memory = _InMemory()


def workspace_in(directory: Path) -> Workspace:
    """Return the workspace of a work directory, which this process may have in memory."""
    return _in_memory.of(directory)
