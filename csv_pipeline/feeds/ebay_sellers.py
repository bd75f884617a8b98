"""Whose an eBay report is: the seller that its footer or its preamble names."""

from csv_pipeline.errors import ContradictionError
from csv_pipeline.model import Evidence
from csv_pipeline.spec.feed import SELLER, WholeFile


def seller(file: WholeFile) -> Evidence | None:
    """Hold each seller that the report names against the one that the account declares.

    Raises:
        ContradictionError: The report names another, or several, as joined ones of several do.
    """
    declared = file.account.seller_id
    lines = {line.line_number: line.facts[0] for line in file.non_data if line.reason == SELLER}
    for number, stated in lines.items():
        if declared is not None and stated.casefold() not in file.account.sellers:
            raise ContradictionError(
                file.name,
                f"the seller {declared!r} of account {file.account.account!r} was needed",
                f"line {number} names {stated!r}",
            )
    if len(sellers := {stated.casefold(): number for number, stated in lines.items()}) > 1:
        first, second = sorted(sellers.values())[:2]
        raise ContradictionError(
            file.name,
            "reports of one seller were needed",
            f"line {first} names {lines[first]!r} and line {second} {lines[second]!r}; bring each "
            "seller's by itself, for the account that it is of",
        )
    if lines:
        return Evidence(
            subject=SELLER,
            decision=lines[min(lines)],
            because=f"line {min(lines)} names the seller",
        )
    if declared is None:
        return None
    return Evidence(
        subject=SELLER,
        decision=declared,
        because="the account declares it, and no line of the file names one",
        proven=False,
    )
