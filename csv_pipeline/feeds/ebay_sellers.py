"""Whose an eBay report is: the seller that its footer or its preamble names."""

from csv_pipeline.errors import ContradictionError
from csv_pipeline.model import NonDataLine
from csv_pipeline.spec.feed import WholeFile


def seller_agrees(file: WholeFile, line: NonDataLine, part: str) -> None:
    """Hold the seller that a footer or the preamble names against the one of the account.

    Raises:
        ContradictionError: The account declares another.
    """
    declared, stated = file.account.seller_id, line.facts[0]
    if declared is not None and declared.casefold() != stated.casefold():
        raise ContradictionError(
            file.name,
            f"the seller {declared!r} of account {file.account.account!r} was needed",
            f"the {part} on line {line.line_number} names {stated!r}",
        )
