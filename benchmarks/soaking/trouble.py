"""Random trouble: processes are killed, folders are away, clocks are stepped."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.soaking.clock import STEP_SECONDS, Clock
from benchmarks.soaking.processes import running
from benchmarks.soaking.sender import ACCOUNTS, Sender

_KILLED = ("run", "run", "run", "session", "daemon", "code", "code server", "database",
           "runs' source", "web server", "import page")  # fmt: skip
_STORE = ("archive", "folder")
_CLOCK = "clock"
ARCHIVE, FOLDER = "archive is no folder", "account's folder is away"
AHEAD, BEHIND = "clock is ahead", "clock is behind"


@dataclass(slots=True)
class Trouble:
    """What happened, each as (seconds since the beginning, what)."""

    folder: Path
    sender: Sender
    clock: Clock
    is_spared: Callable[[int], bool]
    seed: int
    happened: list[tuple[float, str]] = field(default_factory=list)

    def make(self, over: Callable[[], bool], every_seconds: float) -> None:
        """Make trouble at random intervals until it is over."""
        chance = random.Random(self.seed)  # noqa: S311  # so that it can be the same again
        due = time.monotonic() + every_seconds
        while not over():
            time.sleep(0.2)
            if time.monotonic() < due:
                continue
            kind = chance.choice((*_KILLED, *_STORE, *_STORE, _CLOCK, _CLOCK))
            done = self._make(kind, chance)
            # A run lives for a second: it is waited for.
            pause = chance.expovariate(1 / every_seconds) if done else 0.1
            due = time.monotonic() + pause

    def _make(self, kind: str, chance: random.Random) -> bool:
        if kind == _CLOCK:
            return self._step(chance)
        return self._store(kind, chance) if kind in _STORE else self._kill(kind, chance)

    def _kill(self, role: str, chance: random.Random) -> bool:
        found = [one for one in running(self.folder) if one.role == role]
        found = [one for one in found if role != "run" or not self.is_spared(one.pid)]
        if not found:
            return False
        with suppress(ProcessLookupError):
            os.kill(chance.choice(found).pid, signal.SIGKILL)
            self._note(f"{role} killed")
        return True

    def _store(self, kind: str, chance: random.Random) -> bool:
        """Let the store fail for some seconds, as root too, to whom permissions are nothing."""
        home = self.folder / "data"
        account = chance.choice(ACCOUNTS)
        place = home / "archive" if kind == "archive" else home / "landing" / account
        if not place.is_dir() or (kind == "folder" and not self.sender.keep_off(account)):
            return False
        aside = place.with_name(f".{place.name}.aside")
        place.rename(aside)
        if kind == "archive":
            place.touch()
        self._note(ARCHIVE if kind == "archive" else FOLDER)
        time.sleep(chance.uniform(3, 8))
        with suppress(FileNotFoundError):
            place.unlink() if kind == "archive" else place.rmdir()
        aside.rename(place)
        self.sender.go_on(account)
        return True

    def _step(self, chance: random.Random) -> bool:
        """Let the clock of the database, or of all, be wrong for seconds; processes live on."""
        step, others = chance.choice((STEP_SECONDS, -STEP_SECONDS)), chance.random() < 0.5
        self.clock.step(step, others=others)
        whose = "machine's" if others else "database's"
        self._note(f"{whose} {AHEAD if step > 0 else BEHIND}")
        time.sleep(chance.uniform(3, 8))
        self.clock.step(0)
        return True

    def _note(self, what: str) -> None:
        self.happened.append((time.monotonic() - self.sender.began, what))
