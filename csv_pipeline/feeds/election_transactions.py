r"""Transactions of a voting blockchain: what the smart contract of each constituency was told.

An official dump has no header, 12 fields in a line and no quoting at all: its JSON is full of
quotes, and a semicolon in it is written `\u003b`, so that each semicolon parts two fields. A
file is named after its contract, day and hours; the folders it lies in may name the region, the
election and the constituency. Files repeat transactions, which are then unchanged.
"""

from datetime import UTC, datetime

import polars as pl

from csv_pipeline.feeds.election_metrics import CONSTITUENCY_METRICS
from csv_pipeline.spec.conflict import FirstKnown, RejectConflicts
from csv_pipeline.spec.contract import Contract, Timestamp, column, optional
from csv_pipeline.spec.dialect import TableDialect
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.file_name import FileName
from csv_pipeline.spec.kinds import Kind

CREATES, CALLS = 103, 104
"""The types of transactions: the one that creates a contract, and those that call it."""

CREATED = "createContract"
OPERATIONS = (
    "addMainKey", "startVoting", "addVotersList", "blindSigIssue", "vote", "finishVoting",
    "decryption", "commissionDecryption", "results",
)  # fmt: skip
"""What a call may be."""


_FIRST_CHAIN = datetime(2009, 1, 3, tzinfo=UTC)
"""Seconds taken for milliseconds are of 1970; source: the first block of the first blockchain."""

_PARAMS = ("[]", '[{"key":"operation","stringValue":"vote"}]')


class ElectionTransaction(Contract):
    """One transaction; the contract that it belongs to is the constituency."""

    nested_tx_id: str = column(description="which transaction it is")
    type: int = column(
        isin=[CREATES, CALLS],
        examples=(str(CREATES), str(CALLS)),
        description="103 creates a contract, 104 calls it",
    )
    signature: str = optional(identifier=True)
    version: int = optional()
    ts: Timestamp = column(
        unit="ms",
        ge=_FIRST_CHAIN,
        needs="milliseconds since 1970 of a day since 2009, before which no such contract was",
        description="when it was made",
    )
    sender_public_key: str = optional(identifier=True)
    fee: int = optional()
    fee_asset_id: str = optional(identifier=True)
    params: str = optional(
        kind=Kind.JSON, examples=_PARAMS, description="what the contract was called with"
    )
    diff: str = optional(kind=Kind.JSON, description="what the call changed; a FAIL key: nothing")
    extra: str = optional(kind=Kind.JSON, description="the image and version of the contract")
    rollback: int = optional(description="-1: the transaction was taken back")
    operation: str = column(
        derived=True,
        isin=[CREATED, *OPERATIONS],
        needs=f"an operation of a call in params: {', '.join(OPERATIONS)}",
        description="what was called",
    )
    contract_id: str = column(derived=True, description="the constituency, by the file's name")
    day: pl.Date = column(derived=True, description="the day of the file, by its name")
    hours: str = column(derived=True, description="the hours of the file, such as 0800-0900")
    region: str = optional(derived=True, description="by the folders, such as 90 - Пермский край")
    election: str = optional(derived=True, description="by the folder in that of the region")
    constituency: str = optional(derived=True, description="by the folder in that of the election")


def operation(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Say what was called: the `stringValue` of the entry of `params` whose key is `operation`."""
    params = pl.col("params")
    first = params.str.extract(r'^\[\{"key":"operation","stringValue":"([A-Za-z]+)"')
    others = pl.when(first.is_null()).then(params)  # few, and to read JSON takes long
    found = others.str.json_path_match('$[?(@.key == "operation")].stringValue')
    created = pl.col("type") == CREATES
    called = pl.when(created).then(pl.lit(CREATED)).otherwise(pl.coalesce(first, found))
    return rows.with_columns(operation=called)


_ID = "[1-9A-HJ-NP-Za-km-z]{32,}"  # base58
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = "(?:(?:[01][0-9]|2[0-3])[0-5][0-9]|2400)"
_REGION = "[0-9]{1,3} - [^/]+"
_NAMED = rf"(?!{_ID}(?:/|$))[^/]+"  # a folder that is no contract's

ELECTION_TRANSACTIONS = Feed(
    name="election_transactions",
    description="Transactions of the smart contracts by which constituencies vote.",
    contract=ElectionTransaction,
    key=("nested_tx_id",),
    column_conflicts={
        "contract_id": RejectConflicts(),
        # Which of the files that repeat a transaction comes last says nothing about it.
        **dict.fromkeys(("day", "hours", "region", "election", "constituency"), FirstKnown()),
    },
    dialect=TableDialect(delimiter=";"),
    encodings=("cp1251",),
    file_name=FileName(
        pattern=rf"(?P<contract_id>{_ID})_(?P<day>{_DAY})_(?P<hours>{_TIME}-{_TIME})\.csv",
        shown="<contract id>_<YYYY-MM-DD>_<HHMM-HHMM>.csv",
        example="EXAMPLEcontractEXAMPLEcontractEXAMPLE_2025-01-31_0800-0900.csv",
        folders=rf"(?:(?!{_REGION}/)[^/]+/)*(?:(?P<region>{_REGION})"
        rf"(?:/(?P<election>{_NAMED}))?(?:/(?P<constituency>{_NAMED}))?(?:/(?={_ID}$)|$))?"
        rf"(?P<contract_id>{_ID})?",
    ),
    transforms=(operation,),
    max_rejected_share=0.5,
    needs_good_row=True,
    derived=(CONSTITUENCY_METRICS,),
    group="elections",
)
