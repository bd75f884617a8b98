"""What goes on right now, for all who listen: one look at the database a second serves them all.

Who listens gets a snapshot of each file whenever it changes, of their own account only. An event's
id leads on from it as long as this process remembers; else the listener is told to read anew.
"""

import asyncio
import itertools
import json
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
import structlog
from fastapi.sse import format_sse_event

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import browse, progress
from csv_pipeline.storage.browse import Entry, ImportState
from csv_pipeline.storage.progress import Step

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 10.0
_REMEMBERED = 2_000
_SLACK = 200  # numbers below the newest that are looked at, because they are not taken in order
_MOST = 1_000
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """How a file is now; `event` is what listeners are sent of it, made once for all of them."""

    place: int
    account: str
    entry: Entry
    facts: Mapping[str, Any]
    mark: str
    event: bytes


@dataclass(eq=False, slots=True)
class _Listener:
    sees: Callable[[str], bool]
    queue: "asyncio.Queue[list[News]]" = field(default_factory=asyncio.Queue)


class Live:
    """The one that looks, while anybody listens, and tells all of them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._epoch = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._past: deque[News] = deque(maxlen=_REMEMBERED)
        self._listeners: set[_Listener] = set()
        self._last: dict[int, Mapping[str, Any]] = {}
        self._told: dict[int, ImportState] = {}
        self._floor: int | None = None
        self._task: asyncio.Task[None] | None = None
        self.ended = threading.Event()
        self.looks = 0

    def end(self) -> None:
        """End all streams, because the service ends; any thread may say so."""
        self.ended.set()

    async def listen(
        self, sees: Callable[[str], bool], since: str | None = None
    ) -> AsyncIterator[list[News]]:
        """Give news of files of the accounts that a caller sees, and none as a sign of life.

        The first time, none says that nothing is missed from here on. News are of what came after
        the event `since`, if that is still known; otherwise of what goes on now.
        """
        listener = _Listener(sees)
        self._listeners.add(listener)
        try:
            yield []
            if missed := [news for news in self._missed(since) if sees(news.account)]:
                yield missed
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._look())
            idle = 0.0
            while not self.ended.is_set():
                try:
                    news_now = await asyncio.wait_for(listener.queue.get(), POLL_SECONDS)
                except TimeoutError:
                    idle += POLL_SECONDS
                    if idle >= HEARTBEAT_SECONDS:
                        idle = 0.0
                        yield []
                else:
                    idle = 0.0
                    yield news_now
        finally:
            self._listeners.discard(listener)

    def _missed(self, since: str | None) -> list[News]:
        """Return what came after an event; if that is not known any more, what goes on now."""
        past = list(self._past)
        marks = [news.mark for news in past]
        if since is not None and since in marks:
            return past[marks.index(since) + 1 :]
        latest = {news.place: news for news in past if news.place in self._last}
        return sorted(latest.values(), key=lambda news: news.place)

    def knows(self, since: str) -> bool:
        """Return whether a listener that has heard an event can go on from there."""
        return any(news.mark == since for news in self._past)

    async def _look(self) -> None:
        while self._listeners and not self.ended.is_set():
            try:
                found = await anyio.to_thread.run_sync(self._news)
            except Exception as error:  # noqa: BLE001  # the database may be back in a second
                log.warning("events not read", because=type(error).__name__)
                found = []
            self._past += found
            for listener in self._listeners:
                if seen := [news for news in found if listener.sees(news.account)]:
                    listener.queue.put_nowait(seen)
            await asyncio.sleep(POLL_SECONDS)

    def _news(self) -> list[News]:
        """Return what has changed since the last look."""
        self.looks += 1
        with self._pipeline.database.begin() as connection:
            going = browse.pending(connection)
            newest = browse.last_number(connection)
            if self._floor is None:
                self._floor = newest
                self._told = {newest: ImportState.IMPORTED}
            settled = browse.settled_above(connection, self._floor, _MOST)
            places = {one.place for one in going} | {one.place for one in settled}
            canceled = browse.canceled_of(connection, self._last.keys() - places)
            numbers = [number for one in going if (number := one.import_id or one.number)]
            steps = progress.of_imports(connection, numbers)
        fresh = [one for one in settled if self._told.get(one.place) is not one.state]
        self._told |= {one.place: one.state for one in settled}
        running = [one.import_id for one in going if one.import_id is not None]
        last = settled[-1].place if len(settled) == _MOST else newest
        self._floor = max(self._floor, min([last - _SLACK, *(one - 1 for one in running)]))
        self._told = {place: its for place, its in self._told.items() if place > self._floor}
        now: dict[int, Mapping[str, Any]] = {
            one.place: facts_of(one, steps.get(one.import_id or one.number or 0)) for one in going
        }
        changed = [one for one in going if self._last.get(one.place) != now[one.place]]
        self._last = now
        return [self._news_of(one, now[one.place]) for one in changed] + [
            self._news_of(one, facts_of(one, None)) for one in (*fresh, *canceled)
        ]

    def _news_of(self, entry: Entry, facts: Mapping[str, Any]) -> News:
        mark = f"{self._epoch}-{next(self._numbers)}"
        return News(
            place=entry.place,
            account=entry.account,
            entry=entry,
            facts=facts,
            mark=mark,
            event=event_of(entry, facts, mark),
        )


def facts_of(entry: Entry, step: Step | None) -> dict[str, Any]:
    """Return how far a file is, as JSON types; the success rate is over what was processed."""
    counts = entry.counts
    if entry.outcome is not None:
        total: int | None = counts.read
        done, failed = counts.read, counts.rejected
    else:
        total = None if step is None else step.total_rows
        done, failed = (0, 0) if step is None else (step.rows, step.rejected)
    stage = None if step is None else step.stage
    return {
        "job_id": entry.number,
        "import_id": entry.import_id,
        "account": entry.account,
        "feed": entry.feed,
        "name": entry.name,
        "total_rows": total,
        "processed_rows": done,
        "failed_rows": failed,
        "success_rate": round(max(done - failed, 0) / done, 4) if done else None,
        "status": entry.state.value,
        "step": stage,
        "seconds_left": None if step is None else step.seconds_left,
        "message": entry.problem or _message(entry, step),
    }


def _message(entry: Entry, step: Step | None) -> str:
    if entry.outcome is not None:
        counts = entry.counts
        return f"{counts.read:,} rows read, {counts.rejected:,} rejected"
    return entry.state.value if step is None else f"{step.stage}: {step.rows:,} rows"


def event_of(entry: Entry, facts: Mapping[str, Any], mark: str | None = None) -> bytes:
    """Return what listeners are sent of how a file is."""
    kind = "settled" if entry.state.is_final else "progress"
    return format_sse_event(data_str=json.dumps(facts), event=kind, id=mark)
