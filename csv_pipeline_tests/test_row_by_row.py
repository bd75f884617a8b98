"""Every feed looks at one row at a time."""

from dataclasses import replace
from pathlib import Path

import pandera.polars as pa
import polars as pl
import pytest
from pandera.api.polars.types import PolarsData

from csv_pipeline.engine.row_by_row import rows_that_need_others
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.feeds.ebay_orders import EBAY_ORDERS
from csv_pipeline.model import FileFacts
from csv_pipeline.spec.contract import Contract, column
from csv_pipeline.spec.feed import Feed
from csv_pipeline_tests.feeds import TEST_FEEDS

SAMPLES = {
    "customers": (
        "Customer ID,Username,Name,Email,Customer Since,Shoe\n"
        "C1,ann,Ann,ann@example.com,2026-01-31,38\n"
        ",bob,Bob,,2025-12-24,\n"
        "C3,--,Cid,not an address,2026-02-30,41\n"
        ",,Nobody,,,\n"
        "C1,ann,Ann again,ann@example.com,,\n"
    ),
    "dme_equipment": (
        "Asset Tag,HCPCS,Status,Purchased On,Price,Patient Ref,Shoe\n"
        "A1,E0601,rented,2026-01-31,450.00,P1,38\n"
        "A2,0601,in_stock,2025-12-24,,,\n"
        "A3,,lost,2026-02-30,x,P3,\n"
    ),
    "coupa_purchase_orders": (
        "PO_NUMBER,STATUS,ATTACHMENTS_FOUND,ATTACHMENTS_DOWNLOADED,LAST_PROCESSED,<|>,Region\n"
        "po100001,COMPLETED,2,2,2025-07-28 12:43:11,,LATAM\nPO100002,PARTIAL,2,1,,,\n"
        "POABC,DONE,x,3,2025-07-28T12:43:22.123456,,\nPO100001,COMPLETED,3,1,,,\n"
    ),
    "dme_fee_schedule": (
        "2024 DMEPOS Fee Schedule,,,,,,\n"
        "HCPCS,Mod,Mod2,JURIS,CATG,AL (NR),AL (R)\nE0601,RR,,D,CR,91.20,0.00\n"
        "E0601,NU,,D,CR,n/c,\n601,,,D,CR,1.00,2.00\n"
    ),
    "dme_supplier_services": (
        "Suplr_NPI,HCPCS_Cd,Suplr_Rentl_Ind,Tot_Suplr_Benes,Avg_Suplr_Mdcr_Pymt_Amt\n"
        "1234567893,E0601,Y,25,71.5\n1234567894,E0601,Y,*,71.5\n1234567893,601,N,#,x\n"
        "1003000126,K0001,,,1.25\n"
    ),
    "ebay_orders": (
        "Sales Record Number,Order Number,Buyer Username,Buyer Email,Item Number,Transaction ID,"
        "Quantity,Sold For,Shipping And Handling,Total Price,Sale Date,Paid On Date,Shoe\n"
        "71,53-00000-00001,ann,,,,2,$30.00,$5.00,$35.00,May-18-26,May-19-26,38\n"
        "71,53-00000-00001,ann,a@example.com,2550,3001,1,$10.00,,,May-18-26,,\n"
        "71,53-00000-00001,ann,,2551,3002,1,$20.00,,,May-18-26,May-19-26,39\n"
        "72,53-00000-00002,bob,,2550,3003,2,$4.00,$1.50,$9.50,May-18-26,,\n"
        "73,,cid,,2550,3004,1,$4.00,$1.50,$5.50,May-18-26,,\n"
        ",,dee,,2550,3005,1,--,--,--,--,--,--\n"
        "74,53-00000-00004,eve,not an address,,,x,$6.00,,$7.50,May-40-26,,\n"
        "74,53-00000-00004,eve,,2552,3006,0,($6.00),,,May-20-26,,40\n"
        "71,53-00000-00001,ann,,2551,3002,1,$20.00,,,May-18-26,May-19-26,41\n"
    ),
    "ebay_listings": (
        "Item number,Title,Variation details,Custom label (SKU),Available quantity,Currency,"
        "Start price,Start date,CD:Size\n"
        "2001,Cup,,CUP,3,USD,5.00,Apr-29-26 17:02:34 PDT,\n"
        "2002,Hat,Color=Red;Blue,HAT,5,USD,9.00,Apr-29-26 17:02:34 PDT,L\n"
        "2002,Hat,Color=Red,HAT-R,2,USD,9.00,--,\n"
        "2002,Hat,Color=Blue,HAT-B,x,USD,9.00,,\n"
    ),
    "ebay_transactions": (
        "Transaction creation date,Type,Order number,Net amount,Payout ID,Transaction ID,Fee\n"
        "Aug-02-2026,Order,12-34567-89012,9.50,--,100,\n"
        "Aug-02-2026,Hold,12-34567-89012,-9.50,--,100,\n"
        "Aug-02-2026,Other fee,--,-1.00,--,--,1\n"
        "Aug-02-2026,Other fee,--,-1.00,--,--,1\n"
        "Aug-03-2026,Payout,--,x,55,--,\n"
    ),
    "election_transactions": (
        't1;104;s;4;1725595228819;k;0;;[{"key":"operation","stringValue":"vote"}];[];{};\n'
        't2;104;s;4;1725595228820;k;0;;[{"key":"operation","stringValue":"Vote"}];[];{};-1\n'
        "t3;103;s;4;1725595228821;k;0;;[];[];{};\nt4;105;s;4;x;k;0;;{;[];{};\nt1;104\n"
    ),
    "products": (
        "SKU,Title,Price,Cost,Currency,Quantity,EAN,Shoe\n"
        "CUP,Cup,5.00,2.00,USD,3,4006381333931,\n"
        "HAT,Hat,9.00,,USD,-1,4006381333932,L\n"
        ",Bag,x,,,,123,\n"
    ),
    "people": "ID,Name,Amount,Born\n1,Ann,1.50,2026-01-31\n2,,2.00,\n,Cid,x,\n1,Ann,-1.00,\n",
}


NAMES = {
    "dme_fee_schedule": "DMEPOS24_JAN.csv",
    "election_transactions": (
        "AsrxMqfGWsXEgTmvdw95omtQ4Gv1Vi4mGAvLYy23DHpM_2024-09-06_0800-0900.csv"
    ),
}
OWN_LIST = (
    "Order ID,Buyer Name,Order Total,Order Date,Order Status,Quantity,Colour\n"
    "11-00000-00001,Ann,5.00,2026-09-18,shipped,1,red\n"
    "11-00000-00002,Bob,6.00,2026-09-19,lost,2,\n"
    "11-00000-00003,,7.00,2026-09-20,pending,0,blue\n"
)


WITHOUT_ITEMS = (
    "Order Number,Item Number,Sold For,Total Price,Sale Date\n"
    "53-00000-00001,,$2.00,,May-18-26\n53-00000-00002,--,$5.00,--,May-18-26\n"
)


@pytest.mark.parametrize(
    ("feed", "sample"),
    [
        *(
            pytest.param(feed, SAMPLES[feed.name], id=feed.name)
            for feed in (*FEEDS, *TEST_FEEDS)
            if feed in FEEDS or feed.name in SAMPLES
        ),
        pytest.param(EBAY_ORDERS, OWN_LIST, id="ebay_orders, a list of one's own"),
        pytest.param(EBAY_ORDERS, WITHOUT_ITEMS, id="ebay_orders, without items"),
    ],
)
def test_a_feed_looks_at_one_row_at_a_time(feed: Feed, sample: str, tmp_path: Path) -> None:
    path = written(tmp_path, sample)
    if feed.file_name is not None:
        path = path.rename(tmp_path / NAMES[feed.name])
    assert rows_that_need_others(feed, path) == []


class Reading(Contract):
    """A reading of a meter."""

    day: int = column("Day")
    reading: int = column("Reading")
    since: int = column(derived=True, nullable=True)


class RisingReading(Reading):
    """A reading that may not be less than the one before."""

    @pa.check("reading", name="never_falls", description="a reading not below the one before")
    def never_falls(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        """A rule over two rows."""
        return data.lazyframe.select(pl.col("reading").diff().fill_null(0) >= 0)


def since_the_last(rows: pl.LazyFrame) -> pl.LazyFrame:
    """A transform over two rows."""
    return rows.with_columns(since=pl.col("reading").diff())


def by_day(rows: pl.LazyFrame) -> pl.LazyFrame:
    """A transform of one row."""
    return rows.with_columns(since=pl.col("reading") // pl.col("day"))


READINGS = Feed(
    name="readings", description="Readings.", contract=Reading, key=("day",), transforms=(by_day,)
)
SAMPLE = "Day,Reading\n1,10\n2,30\n3,20\n3,20\n"


def test_a_transform_that_looks_at_the_row_before_is_found(tmp_path: Path) -> None:
    feed = replace(READINGS, transforms=(since_the_last,))
    assert rows_that_need_others(feed, written(tmp_path, SAMPLE)) == [3, 4, 5]


def test_a_rule_that_looks_at_the_row_before_is_found(tmp_path: Path) -> None:
    feed = replace(READINGS, contract=RisingReading)
    assert rows_that_need_others(feed, written(tmp_path, SAMPLE)) == [4]


def by_what_the_file_has(rows: pl.LazyFrame, facts: FileFacts) -> pl.LazyFrame:
    """A transform of one row, and of what is true of its whole file."""
    return rows.with_columns(since=pl.lit(facts.any_value("reading")).cast(pl.Int64))


def test_a_transform_may_ask_for_facts_of_the_whole_file(tmp_path: Path) -> None:
    feed = replace(READINGS, transforms=(by_what_the_file_has,), asks_filled=("reading",))
    assert rows_that_need_others(feed, written(tmp_path, "Day,Reading\n1,\n2,\n3,7\n")) == []


def test_a_transform_that_asks_for_what_the_feed_does_not_name_is_refused(tmp_path: Path) -> None:
    feed = replace(READINGS, transforms=(by_what_the_file_has,))
    with pytest.raises(SetupError, match="'reading': a name in the feed's asks_filled was needed"):
        rows_that_need_others(feed, written(tmp_path, SAMPLE))


def nothing() -> pl.LazyFrame:
    """A transform of no rows."""
    return pl.LazyFrame()


def test_a_transform_of_other_arguments_is_refused_where_the_feed_is_declared() -> None:
    with pytest.raises(SetupError, match="it takes 0"):
        replace(READINGS, transforms=(nothing,))  # type: ignore[arg-type]


def test_rows_that_are_judged_by_themselves_need_no_others(tmp_path: Path) -> None:
    assert rows_that_need_others(READINGS, written(tmp_path, SAMPLE)) == []


def written(folder: Path, content: str) -> Path:
    path = folder / "sample.csv"
    path.write_text(content)
    return path
