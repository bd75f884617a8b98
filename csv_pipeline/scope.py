"""What a snapshot means for the stored rows of its scope, as nouns."""

from dataclasses import dataclass
from enum import StrEnum


class Missing(StrEnum):
    """What becomes of a stored row of the scope that is not in the file."""

    KEEP = "keep"
    FLAG = "flag"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeCounts:
    """How many stored rows a snapshot's scope has, rows flagged as missing apart.

    `before` the import; `entered` are rows that it inserted, that came again or that came over from
    another scope, `left` those that went over to another one. `absent` are not in the file; so many
    are flagged or deleted if the snapshot `marks` them, and `missing` in the import's counts.
    `first_absent` are keys of some, in a dry run.
    """

    policy: Missing
    columns: tuple[str, ...] = ()
    before: int = 0
    entered: int = 0
    left: int = 0
    absent: int = 0
    after: int = 0
    marks: bool = False
    first_absent: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """The rows that this import flagged or deleted."""
        return self.absent if self.marks else 0

    @property
    def deleted(self) -> int:
        """The rows that this import deleted."""
        return self.missing if self.policy is Missing.DELETE else 0

    @property
    def balance(self) -> bool:
        """Whether every row of the scope is accounted for."""
        return self.before + self.entered == self.after + self.left + self.missing
