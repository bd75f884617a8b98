"""How files are written that have no header to tell their columns by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDialect:
    """Records without a header: each is a line, or several if `quote` is around a line end.

    Their fields are the contract's columns that are not derived, in the order of the contract.
    Without a `quote` every character but the delimiter is text.
    """

    delimiter: str
    quote: str = ""
