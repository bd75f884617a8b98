"""Which rows of a feed's table are work that remains, and what a list of them shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Worklist:
    """The rows of an account that something is still to be done for.

    Attributes:
        description: Which rows these are, for a business user.
        where: An SQL condition over the feed's columns that is true for them.
        columns: What the list shows of each row, under the names that the columns have in headers,
            in the order of the feed's key.
    """

    description: str
    where: str
    columns: tuple[str, ...]
