"""A check of something that imports need, and what it found."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Verdict(StrEnum):
    """How a check ended: as it should be, worth a look, or nothing can be imported."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """What was needed and found, and the command that repairs it."""

    name: str
    verdict: Verdict
    needed: str
    found: str
    repair: str = ""

    @classmethod
    def passed(cls, name: str, needed: str, found: str) -> Self:
        """Return a check that found what was needed."""
        return cls(name, Verdict.OK, needed, found)

    @classmethod
    def warned(cls, name: str, needed: str, found: str, repair: str) -> Self:
        """Return a check that found something that will go wrong, or goes slowly."""
        return cls(name, Verdict.WARN, needed, found, repair)

    @classmethod
    def failed(cls, name: str, needed: str, found: str, repair: str) -> Self:
        """Return a check that found why files are not imported."""
        return cls(name, Verdict.FAIL, needed, found, repair)
