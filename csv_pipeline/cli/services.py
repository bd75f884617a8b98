"""Run several processes until they are told to end, and start again what ends before."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from csv_pipeline.cli.terminal import note

_LOOK_SECONDS = 0.2
_SECONDS_TO_END = 15.0
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0


@dataclass(slots=True)
class Process:
    """A process that is to run all the time; `ready` says whether those after it may start."""

    name: str
    command: Sequence[str]
    ready: Callable[[], bool] = lambda: True
    running: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    starts: int = 0
    due_at: float = field(default=0.0)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it, in a session of its own, so that Ctrl-C reaches this process only."""
        self.running = subprocess.Popen(  # noqa: S603  # our own interpreter, and no shell
            self.command, env=dict(environment), start_new_session=True
        )
        self.started_at, self.starts = time.monotonic(), self.starts + 1

    def look(self, environment: Mapping[str, str]) -> None:
        """Start it again if it ended, later each time that it does so soon."""
        now = time.monotonic()
        if self.running is None:
            if now >= self.due_at:
                self.start(environment)
            return
        if (code := self.running.poll()) is None:
            return
        self._end_children()
        if now - self.started_at > _STEADY_SECONDS:
            self.starts = 0
        pause = min(2.0**self.starts - 1, _LONGEST_PAUSE_SECONDS)
        self.running, self.due_at = None, now + pause
        note(f"{self.name} ended ({_how(code)}); it is started again in {pause:.0f} s.")

    def end(self) -> None:
        """Ask it to end."""
        self.tell(signal.SIGINT)

    def renew(self) -> None:
        """Have it start again without a pause, with what is declared now."""
        self.starts = 0
        self.end()

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.running is not None:
            with suppress(ProcessLookupError):
                self.running.send_signal(number)

    def wait(self, deadline: float) -> None:
        """Wait for its end, and enforce it in the end."""
        if self.running is None:
            return
        try:
            self.running.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
        self._end_children()

    def _end_children(self) -> None:
        """Kill what it started and left behind; runs are in sessions of their own."""
        if self.running is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.running.pid, signal.SIGKILL)


def run_all(
    processes: Sequence[Process],
    environment: Mapping[str, str],
    on_ready: Callable[[], None],
    look: Callable[[], None] = lambda: None,
) -> int:
    """Run processes, each started once the one before it is ready, until a signal ends them all.

    Every moment it calls `look`, for what goes on beside them. Returns the exit code.
    """
    over = threading.Event()
    ends = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup has it ignored
        ends.add(signal.SIGHUP)  # the terminal was closed
    for number in ends:
        signal.signal(number, lambda *_: over.set())
    waiting, started = list(processes), list[Process]()
    told = False
    try:
        while not over.wait(_LOOK_SECONDS):
            look()
            for process in started:
                process.look(environment)
            if not all(process.ready() for process in started):
                continue
            if waiting:
                started.append(waiting.pop(0))
            elif not told:
                told = True
                on_ready()
    finally:
        for process in reversed(started):
            process.end()
        deadline = time.monotonic() + _SECONDS_TO_END
        for process in reversed(started):
            process.wait(deadline)
    return 0


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
