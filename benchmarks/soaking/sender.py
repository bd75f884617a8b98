"""Random files for random accounts, put into the landing area in every way that senders have."""

import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.soaking.model import Drop, Identity, Kind, Lane, Row, digest_of
from csv_pipeline.spec.feed import SHARE_FROM_ROWS

ACCOUNTS = tuple(f"account{number:02}" for number in range(50))
HEADERS = {
    "customers": "Customer ID,Name,City",
    "products": "SKU,Title,Quantity",
    "visits": "ID,Pages,Page",
}
"""The feeds, and of each the header of its files; the first column is the key."""
VISITS = """\
description: Visits of pages, in the soak.
fields:
  - {name: id, title: ID, constraints: {required: true}}
  - {name: pages, title: Pages, type: integer}
  - {name: page, title: Page}
primaryKey: id
csv_pipeline: {max_rejected_share: 0.5}
"""
"""The third feed, declared in a file where `dev` is started."""
_KEYS = 200
_BAD, _CLOCK, _REPEAT, _NEWER = 0.02, 0.06, 0.06, 0.08  # how much of all
_LANE_PAUSE_SECONDS = 2.0
_CLOCKS = (timedelta(days=-40), timedelta(hours=-1), timedelta(hours=1))
"""How far the clocks of some senders are from this one's."""


@dataclass(slots=True)
class Sender:
    """Drops files, one at a time in a lane, so that their order is known; remembers each."""

    landing: Path
    seed: int
    began: float
    drops: list[Drop] = field(default_factory=list)
    _away: set[str] = field(default_factory=set)
    _free_at: dict[Lane, float] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, over: Callable[[], bool], per_second: float) -> None:
        """Drop files until it is over, and end when the last one is complete."""
        chance = random.Random(self.seed)  # noqa: S311  # so that it can be the same again
        with ThreadPoolExecutor(8) as pool:
            going: list[Future[None]] = []
            while not over():
                lane = chance.choice(ACCOUNTS), chance.choice(list(HEADERS))
                turn = random.Random(chance.random())  # noqa: S311
                if self._take(lane):
                    going.append(pool.submit(self._turn, lane, turn))
                for one in [one for one in going if one.done()]:
                    going.remove(one)
                    one.result()
                time.sleep(chance.expovariate(per_second))
            for one in going:
                one.result()

    def keep_off(self, account: str) -> bool:
        """Write nothing for an account; returns whether nothing is being written just now."""
        with self._lock:
            self._away.add(account)
            if any(self._free_at.get((account, feed)) == float("inf") for feed in HEADERS):
                self._away.discard(account)
                return False
            return True

    def go_on(self, account: str) -> None:
        """Write for an account again."""
        with self._lock:
            self._away.discard(account)

    def _take(self, lane: Lane) -> bool:
        with self._lock:
            if lane[0] in self._away or self._free_at.get(lane, 0.0) > time.monotonic():
                return False
            self._free_at[lane] = float("inf")
            return True

    def _turn(self, lane: Lane, chance: random.Random) -> None:
        """Drop a file, or two, into a lane that is taken."""
        path = self.landing.joinpath(*lane, f"file {chance.randrange(10**6)}.csv")
        draw, keys = chance.random(), [f"K{n}" for n in chance.sample(range(_KEYS), 20)]
        if draw < _BAD:
            self._drop(lane, path, _bad(lane[1], chance), chance, kind=Kind.BAD)
        elif draw < _BAD + _CLOCK:  # with keys of its own, so that its order does not matter
            self._drop_rows(lane, path, None, chance, clock=chance.choice(_CLOCKS))
        elif draw < _BAD + _CLOCK + _REPEAT:
            content, first = self._drop_rows(lane, path, keys, chance)
            time.sleep(chance.uniform(0.5, 4))
            here = chance.random() < 0.5
            self._drop(
                lane,
                path if here else path.with_name(f"again {path.name}"),
                content,
                chance,
                kind=Kind.REPEAT,
                rows=first.rows,
                rejected=first.rejected,
                repeats=first.number,
                replaces=first.number if here else None,
            )
        elif draw < _BAD + _CLOCK + _REPEAT + _NEWER:
            _, earlier = self._drop_rows(lane, path, keys, chance)
            time.sleep(chance.uniform(0.1, 3))
            self._drop_rows(lane, path, [*keys, "K-newer"], chance, replaces=earlier.number)
        else:
            self._drop_rows(lane, path, keys, chance)
        with self._lock:
            self._free_at[lane] = time.monotonic() + _LANE_PAUSE_SECONDS

    def _drop_rows(  # noqa: PLR0913  # what is in the file, and what becomes of an earlier one
        self,
        lane: Lane,
        path: Path,
        keys: Sequence[str] | None,
        chance: random.Random,
        *,
        clock: timedelta = timedelta(),
        replaces: int | None = None,
    ) -> tuple[bytes, Drop]:
        """Drop a file with a row of new values for each key, or for each of new keys."""
        number = next(self._numbers)
        keys = [f"N{number}-{n}" for n in range(20)] if keys is None else keys
        rows = tuple(_row(lane[1], key, number) for key in keys)
        bad = chance.random() < 0.1
        lines = [HEADERS[lane[1]], *(",".join(row) for row in rows), *["too,many,cells,4"] * bad]
        content = ("\n".join(lines) + "\n").encode()
        drop = self._drop(
            *(lane, path, content, chance), number=number, rows=rows, rejected=int(bad),
            clock=clock, replaces=replaces,
        )  # fmt: skip
        return content, drop

    def _drop(  # noqa: PLR0913  # the same
        self,
        lane: Lane,
        path: Path,
        content: bytes,
        chance: random.Random,
        *,
        kind: Kind = Kind.GOOD,
        number: int | None = None,
        rows: tuple[Row, ...] = (),
        rejected: int = 0,
        clock: timedelta = timedelta(),
        replaces: int | None = None,
        repeats: int | None = None,
    ) -> Drop:
        path.parent.mkdir(parents=True, exist_ok=True)
        identity = _put(path, content, chance, clock)
        drop = Drop(
            number=number or next(self._numbers), account=lane[0], feed=lane[1], kind=kind,
            rows=rows, rejected=rejected, replaces=replaces, repeats=repeats, identity=identity,
            digest=digest_of(content), complete_at=time.monotonic() - self.began,
        )  # fmt: skip
        with self._lock:
            self.drops.append(drop)
        return drop


def _put(path: Path, content: bytes, chance: random.Random, clock: timedelta) -> Identity:
    """Write a file under another name and move it, or in place, or in place and slowly."""
    way = chance.choice(("moved", "moved", "in place", "slowly"))
    written = path.with_name(f".{path.name}.part") if way == "moved" else path
    with written.open("wb", buffering=0) as file:
        parts = 4 if way == "slowly" else 1
        size = -(-len(content) // parts)
        for start in range(0, len(content), size):
            if start:
                time.sleep(chance.uniform(0.1, 0.8))
            file.write(content[start : start + size])
        if clock:
            shown = time.time() + clock.total_seconds()
            os.utime(file.fileno(), (shown, shown))
        found = os.fstat(file.fileno())
    if way == "moved":
        written.rename(path)
    microseconds = found.st_mtime_ns // 1_000  # as PostgreSQL keeps times
    return str(path), found.st_size, datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def _row(feed: str, key: str, number: int) -> Row:
    match feed:
        case "customers":
            return key, f"Name {number}", f"City {number % 7}"
        case "products":
            return key, f"Title {number}", str(number % 1000)
        case _:
            return key, str(number), f"/page/{number % 50}"


def _bad(feed: str, chance: random.Random) -> bytes:
    """Return a file that must be refused: of another feed, no text, or with most rows wrong."""
    tail = str(chance.randrange(10**9))
    match chance.randrange(3):
        case 0:
            return f"Colour,Size\nred,{tail}\n".encode()
        case 1:
            return b"\x00\xff\xfe\x01" * 50 + tail.encode()
        case _:
            # A share of rejected rows counts from `SHARE_FROM_ROWS` rows on.
            return "\n".join([HEADERS[feed], tail, *["too few cells"] * SHARE_FROM_ROWS]).encode()
