"""Hear at once which files below a folder are complete, as Linux tells it.

A file is complete when its writer closed it, or when it was moved to its name, and nothing was
heard of it for a moment. One that is only seen to be there, or is empty, waits as long as it would
for a scan, unless it is sure that nobody writes to it. What is heard is a hint: it may be lost, and
a writer may open its file again. The scan of the landing area finds what was lost, and what changed
later is another arrival.
"""

import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog
from watchdog.events import (
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyFullEmitter
from watchdog.observers.inotify_buffer import InotifyBuffer
from watchdog.observers.inotify_c import InotifyEvent

_BURST_SECONDS = 0.5
_MOST_MOVES = 1_000
_HEARD: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileDeletedEvent,
    DirMovedEvent,
]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """For how long nothing must be heard of a file: that was `closed`, or of which one knows less.

    Both in seconds.
    """

    closed: float
    unknown: float


@dataclass(frozen=True, slots=True)
class _Heard:
    at: float
    closed: bool


class _Buffer(InotifyBuffer):
    """Tell at once of what leaves its name, and not after it was seen where it came to.

    Watchdog waits half a second for that by the machine's clock; what left while that was an hour
    ahead kept all that was heard later for an hour.
    """

    delay = -math.inf
    _left = 0

    def _group_events(
        self, event_list: list[InotifyEvent]
    ) -> list[InotifyEvent | tuple[InotifyEvent, InotifyEvent]]:
        # Watchdog remembers each file that ever left. If it forgets a folder that is just moving,
        # what comes to its new name is not heard, and another watch is opened.
        self._left += sum(event.is_moved_from for event in event_list)
        if self._left > _MOST_MOVES:
            self._inotify.clear_move_records()
            self._left = 0
        return super()._group_events(event_list)


class _Emitter(InotifyFullEmitter):
    """Read what the system says of a folder."""

    def on_thread_start(self) -> None:
        self._inotify = _Buffer(
            os.fsencode(self.watch.path),
            recursive=self.watch.is_recursive,
            event_mask=self.get_event_mask_from_filter(),
        )


class Watch(FileSystemEventHandler):
    """What was heard of the files below a folder; those with an `ignored` name are left out."""

    def __init__(
        self,
        folder: Path,
        waits: Waits,
        ignored: Callable[[str], bool],
        is_closed: Callable[[Path], bool],
    ) -> None:
        # A new folder is not heard of below one that is reached by a link.
        self._folder, self._given, self._waits = folder.resolve(), folder, waits
        self._ignored, self._is_closed = ignored, is_closed
        self._heard: dict[str, _Heard] = {}
        self._lock, self._deaf = threading.Lock(), False
        self._observer = BaseObserver(_Emitter)
        self._is = _inode(self._folder)

    @classmethod
    def over(
        cls,
        folder: Path,
        waits: Waits,
        ignored: Callable[[str], bool],
        is_closed: Callable[[Path], bool],
    ) -> Self | None:
        """Return a watch that hears already; None where the system does not let one."""
        watch = cls(folder, waits, ignored, is_closed)
        try:
            watch._observer.schedule(watch, str(watch._folder), recursive=True, event_filter=_HEARD)
            watch._observer.start()
        except OSError as error:  # too many folders, or a file system that tells nothing
            log.warning("folder is not watched", folder=str(folder), because=str(error))
            return None
        return watch

    def close(self) -> None:
        """Hear no more."""
        self._observer.stop()
        self._observer.join()

    def is_alive(self) -> bool:
        """Return whether all would be heard; otherwise another watch is to be opened."""
        readers = [
            thread
            for emitter in self._observer.emitters
            for thread in (emitter, getattr(emitter, "_inotify", None))
            if thread is not None
        ]
        well = self._observer.is_alive() and all(thread.is_alive() for thread in readers)
        return well and not self._deaf and _inode(self._given) == self._is is not None

    def complete(self) -> list[Path]:
        """Return the complete files, each once; those that come in one go, together."""
        now = time.monotonic()
        with self._lock:
            silent = {path: now - its.at for path, its in self._heard.items()}
            done = [path for path, seconds in silent.items() if self._is_complete(path, seconds)]
            more_come = any(seconds < self._waits.closed for seconds in silent.values())
            if more_come and all(silent[path] < _BURST_SECONDS for path in done):
                return []
            for path in done:
                del self._heard[path]
        return [self._given / Path(path).relative_to(self._folder) for path in done]

    def _is_complete(self, path: str, silent_seconds: float) -> bool:
        if silent_seconds < self._waits.closed:
            return False
        if silent_seconds >= self._waits.unknown:
            return True
        with suppress(OSError):
            return Path(path).stat().st_size > 0 and (
                self._heard[path].closed or self._is_closed(Path(path))
            )
        return True  # it is gone, or not to be looked at: the scan says so

    def dispatch(self, event: FileSystemEvent) -> None:
        """Take up what the system says; that a reader opened or closed a file says nothing."""
        match event:
            case FileClosedEvent():
                self._take(event.src_path, closed=True)
            case FileMovedEvent():
                self._drop(event.src_path)
                self._take(event.dest_path, closed=True)
            case FileCreatedEvent():
                self._take(event.src_path, closed=False)
            case FileModifiedEvent():
                self._wait_longer(event.src_path)
            case FileDeletedEvent():
                self._drop(event.src_path)
            case DirMovedEvent(src_path=""):  # what comes into a folder from elsewhere is not heard
                self._deaf = True

    def _take(self, path: str | bytes, *, closed: bool) -> None:
        name = os.fsdecode(path)
        below = Path(name).parts[len(self._folder.parts) :]
        if name and below and not any(map(self._ignored, below)):
            with self._lock:
                self._heard[name] = _Heard(time.monotonic(), closed)

    def _wait_longer(self, path: str | bytes) -> None:
        with self._lock:
            if (its := self._heard.get(os.fsdecode(path))) is not None:
                self._heard[os.fsdecode(path)] = _Heard(time.monotonic(), its.closed)

    def _drop(self, path: str | bytes) -> None:
        with self._lock:
            self._heard.pop(os.fsdecode(path), None)


def _inode(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
