"""Step the clock of what a soak runs, and of nothing else on this machine."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

STEP_SECONDS = 3600
"""Steps are of so much: far more than a soak's files wait, so that times can be told apart."""
_SOURCE = Path(__file__).with_name("clock.c")


@dataclass(frozen=True, slots=True)
class Clock:
    """How far clocks are from this machine's, as a library finds it in a file: two numbers.

    The first is that of the database, which may be another machine; the second of all others.
    """

    library: Path
    file: Path

    @classmethod
    def made_in(cls, folder: Path) -> Self:
        """Compile the library in a folder; the clock is right at first."""
        compiler = shutil.which("cc")
        if compiler is None:
            raise SystemExit(
                "the soak steps the clocks of what it runs by a small library in C: the command cc "
                "was needed, and is not there. On Debian and Ubuntu: apt-get install gcc libc6-dev"
            )
        clock = cls(folder / "clock.so", folder / "clock")
        clock.step(0)
        flags = ("-shared", "-fPIC", "-O2", "-Wall", "-Werror")
        subprocess.run(  # noqa: S603
            [compiler, *flags, "-o", clock.library, _SOURCE, "-ldl"], check=True
        )
        return clock

    def step(self, seconds: int, *, others: bool = True) -> None:
        """Let the clock be so many seconds ahead, or if negative behind, from now on.

        That of the whole machine, or without the `others` that of the database.
        """
        self.file.touch()
        steps = (seconds, seconds if others else 0)
        with self.file.open("r+b") as file:  # in place: it is mapped
            file.write(b"".join(one.to_bytes(8, "little", signed=True) for one in steps))

    def environment(self) -> dict[str, str]:
        """Return what programs are to be started with, so that they obey."""
        return {"LD_PRELOAD": str(self.library), "SOAK_CLOCK": str(self.file)}
