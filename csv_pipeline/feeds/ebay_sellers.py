"""Whose an eBay report is: the seller that its footer or its preamble names."""

from csv_pipeline.errors import ContradictionError
from csv_pipeline.model import Evidence
from csv_pipeline.spec.feed import WholeFile


def seller(file: WholeFile) -> Evidence | None:
    """Hold each seller that the report names against the one that the account declares.

    Raises:
        ContradictionError: The report names another.
    """
    declared = file.account.seller_id
    lines = {line.line_number: line.facts[0] for line in file.non_data if line.reason == "seller"}
    for number, stated in lines.items():
        if declared is not None and declared.casefold() != stated.casefold():
            raise ContradictionError(
                file.name,
                f"the seller {declared!r} of account {file.account.account!r} was needed",
                f"line {number} names {stated!r}",
            )
    if lines:
        return Evidence(
            subject="seller",
            decision=", ".join(dict.fromkeys(lines.values())),
            because=f"line {min(lines)} names the seller",
        )
    if declared is None:
        return None
    return Evidence(
        subject="seller",
        decision=declared,
        because="the account declares it, and no line of the file names one",
        proven=False,
    )
