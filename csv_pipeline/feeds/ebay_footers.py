"""The footers of eBay's orders report, and what is held against them.

Below the rows the report says how many sales records it has, of which days, and whose they are:

    4,record(s) downloaded,from Aug-01-26 to Sep-30-26
    Seller ID : test_seller_1

Reports that were joined have several, each of the rows above it, and a byte order mark on the empty
first line of each. A footer is padded to the width of
the report, or one cell, or of as many cells as it has commas.
"""

import re

import polars as pl

from csv_pipeline.errors import ContradictionError
from csv_pipeline.model import Evidence, NonDataLine
from csv_pipeline.spec.feed import NonDataPattern, WholeFile

HUB = "seller_hub"
"""The layout of the Seller Hub report, which alone has footers."""

# Each explains its whole line, padded to the report's width or not, so that no row is taken for it.
_BEGIN, _END, _SEPARATOR = r'^[\s"\ufeff]*', r'"?\s*$', r'"?\s*[,;\t|]?\s*"?\s*'
_COUNT = r"(\d{1,3}(?:[,.]\d{3})+|\d+)"
_RECORDS = r"(?:records?|Datens(?:a|ä|ae)tze?|enregistrements?|registros?)"
_DOWNLOADED = (
    r"(?:downloaded|heruntergeladen|t[ée]\u0301?l[ée]\u0301?charg[ée]\u0301?e?s?|descargad[oa]s?"
    r"|scaricat[ie])(?:\(\w\))?"
)
_PERIOD = r'(?:from|von|vom|du|de|del|desde|dal?)\b(?:[^",;\t|\n]|, ){1,80}'
_SELLER = (
    r"(?:Seller ID|Verk[aä]ufer(?:-ID|name)?|(?:ID|Identifiant) du vendeur|Vendeur"
    r"|(?:ID|Identificador) del vendedor|Vendedor|ID (?:del )?venditore)"
)
FOOTERS = (
    NonDataPattern(
        name="record count",
        pattern=rf"{_BEGIN}{_COUNT}{_SEPARATOR}{_RECORDS}(?:\(\w\))?\s+{_DOWNLOADED}"
        rf"(?:{_SEPARATOR}{_PERIOD})?{_END}",
    ),
    NonDataPattern(name="byte order mark", pattern=r"^\ufeff[,;\t]*$"),
    NonDataPattern(name="seller", pattern=rf'{_BEGIN}{_SELLER}\s*:\s*([^",;\t|\s]+){_END}'),
)


def footer_agrees(file: WholeFile) -> Evidence | None:
    """Hold the number of each footer against the rows above it, up to the footer before.

    It counts sales records, not rows; a malformed record may hold one that no row shows,
    and so may a row without any number. A report without a footer may have been cut off.

    Raises:
        ContradictionError: The number of a footer is not that of the file.
    """
    above = 0
    for footer in file.non_data:
        if footer.reason == "record count":
            _count_agrees(file, footer, above)
            above = footer.line_number
    if file.layout != HUB:
        return None
    return Evidence(
        subject="completeness",
        decision="proven" if above else "not proven",
        because=f"the footer on line {above} counts the sales records above it"
        if above
        else "the report has no footer that counts its sales records",
    )


def _count_agrees(file: WholeFile, footer: NonDataLine, above: int) -> None:
    above_it = (above, footer.line_number)
    sales = pl.coalesce("sales_record_number", "order_key")
    rows = file.rows.filter(pl.col("_line_number").is_between(*above_it))
    found, nameless = (
        rows.select(sales.drop_nulls().n_unique(), nameless=sales.is_null().sum()).collect().row(0)
    )
    malformed = file.malformed.filter(pl.col("line_number").is_between(*above_it))
    unread = malformed.select(pl.len()).collect().item()
    stated = int(re.sub(r"\D", "", footer.facts[0]))
    if not found <= stated <= found + unread + nameless:
        beside = f" and {unread:,} malformed records" if unread else ""
        raise ContradictionError(
            file.name,
            f"the {stated:,} sales records of the footer on line {footer.line_number} were needed",
            f"the rows above it hold {found:,}{beside}",
        )
