r"""Coupa purchase orders: a ledger of which attachments were downloaded, and which are still to be.

Several workers process purchase orders side by side and report each outcome at once. Reports may
arrive in any order, and any worker may be killed:

- The report with the newest LAST_PROCESSED counts. One of the same time, or without a time, leaves
  the stored row as it is; so does a file that lacks a purchase order.
- LAST_PROCESSED has no zone in these files. It is read as UTC, so that reports are in the order of
  their times as written, and no hour is skipped or comes twice; `last_processed_local` has the
  text. Where workers' clocks are ahead of UTC, an order counts as remaining some hours too long;
  where they are behind it, a time of the next hours is not seen to be one to come.
- Reports of one purchase order are to be told apart by their times: workers should write
  microseconds, as `report_progress` does.

Files come with a comma and 9 columns, with a semicolon and 10, or in lower case and another order;
the names of several attachments are joined by `;` in a quoted cell. What stands behind a column
`<|>` is the account's own: it is kept in `_extra` whatever it is called. A backslash is a character
as others are: `"ACME\2025\"` ends the cell.
"""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from csv_pipeline.spec.conflict import NewestWins
from csv_pipeline.spec.contract import Contract, Timestamp, column, optional
from csv_pipeline.spec.duplicates import NewestInFile
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.worklist import Worklist

_STATUS = (
    "PENDING",
    "COMPLETED",
    "PARTIAL",
    "FAILED",
    "NO_ATTACHMENTS",
    "SKIPPED",
    "PO_NOT_FOUND",
    "PR_NOT_ACCESSIBLE",
    "ERROR",
)


class PurchaseOrder(Contract):
    """One purchase order, and what became of its attachments."""

    po_number: str = column(
        "PO_NUMBER",
        str_matches=r"^(?:PO|PM)?[0-9]{6,}$",
        needs="a number of six digits or more, with PO or PM before it or not",
        examples=("PO15262984", "PO15262985"),
        description="stored in capital letters; with and without PO it is another number",
    )
    status: str = column("STATUS", choices=_STATUS, examples=("COMPLETED", "PARTIAL"))
    supplier: str = optional("SUPPLIER")
    attachments_found: int = optional("ATTACHMENTS_FOUND", ge=0, examples=("1", "2"))
    attachments_downloaded: int = optional("ATTACHMENTS_DOWNLOADED", ge=0, examples=("1",))
    attachment_names: str = optional("AttachmentName", description="several are joined by ;")
    last_processed: Timestamp = optional("LAST_PROCESSED", description="read as UTC")
    last_processed_local: str = optional("LAST_PROCESSED", description="as it is in the file")
    error_message: str = optional("ERROR_MESSAGE")
    download_folder: str = optional("DOWNLOAD_FOLDER")
    coupa_url: str = optional("COUPA_URL")

    @pa.check(
        "attachments_downloaded",
        name="at_most_found",
        description="no more attachments than were found",
    )
    def at_most_found(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        """Hold the two counts to one another; one alone says nothing of the other."""
        few = pl.col("attachments_downloaded") <= pl.col("attachments_found")
        return data.lazyframe.select(few.fill_null(value=True))

    @pa.check(
        "status",
        name="partial_if_some",
        description="PARTIAL if some attachments were downloaded and not all, and only then",
    )
    def partial_if_some(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        """Hold the status to the counts; where any is missing, it is not known that some were."""
        found, downloaded = pl.col("attachments_found"), pl.col("attachments_downloaded")
        some = ((downloaded > 0) & (downloaded < found)).fill_null(value=False)
        return data.lazyframe.select((pl.col("status") == "PARTIAL").eq_missing(some))


def capital_letters(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Write numbers in capital letters, so that `po15262984` is the order `PO15262984`."""
    return rows.with_columns(pl.col("po_number").str.to_uppercase())


COUPA_PURCHASE_ORDERS = Feed(
    name="coupa_purchase_orders",
    description="Purchase orders of Coupa, and which of their attachments are still to be fetched.",
    contract=PurchaseOrder,
    key=("po_number",),
    conflict=NewestWins("last_processed"),
    duplicates=NewestInFile("last_processed"),
    transforms=(capital_letters,),
    extras_after="<|>",
    time_zone="UTC",
    worklist=Worklist(
        description="Purchase orders that are not completed, or whose completion is in doubt: "
        "without a time, of a time to come, or with fewer attachments than were found.",
        where="""
            status <> 'COMPLETED'
            OR last_processed IS NULL
            OR last_processed > now()
            OR coalesce(attachments_downloaded, 0) < attachments_found
        """,
        columns=(
            "po_number",
            "status",
            "supplier",
            "attachments_found",
            "attachments_downloaded",
            "attachment_names",
            "last_processed_local",
            "error_message",
            "download_folder",
            "coupa_url",
        ),
    ),
    max_rejected_share=0.5,
    group="purchase_orders",
)
