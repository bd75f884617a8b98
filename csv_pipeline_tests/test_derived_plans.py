"""What follows from a few rows is recomputed without reading all rows of their feed or account."""
# ruff: noqa: S608  # the statements are made of this module's own names

from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.feeds import FEEDS
from csv_pipeline_tests.conftest import Desk, own_settings

ROWS = 20_000
FEW = 1_000
"""More rows than any small file of this module touches, and far fewer than an account has."""
CONTRACT = "C" * 44
OWNER = "CASE n % 4 WHEN 0 THEN 'other' WHEN 1 THEN 'third' ELSE 'acme' END AS account"
OF_IMPORTS = "-1 - n / 400 AS _import_id, -1 - n / 400 AS _created_import_id"
LINEAGE = f"{OF_IMPORTS}, 2 + n % 400 AS _row_number, now() AS _updated_at"
FILL = {
    "ebay_orders": """
        CASE WHEN n % 10 = 0 THEN n::text ELSE 'order ' || n END AS order_key,
        CASE WHEN n % 10 > 0 THEN 'order ' || n END AS order_id,
        n::text AS sales_record_number, 'item ' || n % 500 AS item_number, 't' || n AS
        transaction_id, 'single' AS line_kind, 'seller_hub' AS layout, 5 AS sold_for,
        date '1990-01-01' + n::int / 2 AS sold_on
    """,
    "ebay_listings": """
        'item ' || n / 5 AS item_number, 'Color=' || n % 5 AS variation_details, '' AS sku,
        'variation' AS line_kind, 3 AS available_quantity
    """,
    "election_transactions": f"""
        'tx ' || n AS nested_tx_id, 104 AS type, 'vote' AS operation, '[]'::jsonb AS params,
        repeat('s', 88) AS signature, to_jsonb(repeat('d', 400)) AS diff,
        timestamptz '2024-09-06 00:00Z' + n % 48 * interval '1 hour' AS ts,
        overlay('{CONTRACT}' PLACING translate((n / 100)::text, '0', 'A') FROM 1) AS contract_id,
        date '2024-09-06' AS day, '0800-0900' AS hours
    """,
}
SALES = (
    "Sales Record Number,Order Number,Item Number,Transaction ID,Sold For,Total Price,Sale Date\n"
)
SMALL = {
    "sales_by_day": (
        "ebay_orders",
        "orders.csv",
        SALES + "7,11-10000-00001,item 7,t7,$5.00,$6.00,Sep-18-94\n"
        "10,11-10000-00002,item 10,t10,$5.00,$6.00,Sep-19-94\n"
        "77778,,item 8,,$5.00,$6.00,Sep-18-94\n",
    ),
    "listing_stock": (
        "ebay_listings",
        "listings.csv",
        "Item number,Title,Variation details,Custom label (SKU),Available quantity\n"
        "item 7,Hat,Color=9,,4\nitem 8,Cap,Color=1,,4\n",
    ),
    "constituency_metrics": (
        "election_transactions",
        f"7{CONTRACT[1:]}_2024-09-06_0800-0900.csv",
        'a;104;s;4;1725609600000;k;0;;[{"key":"operation","stringValue":"vote"}];[];{};\n',
    ),
}
READ = sa.text("SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables")
TELL_NOW = sa.text("SELECT pg_stat_force_next_flush()")


@pytest.fixture(scope="module")
def crowded() -> Iterator[Desk]:
    """The desk of one of three accounts, each with thousands of rows and what follows from them."""
    with own_settings(settle_seconds=0) as settings:
        pipeline = open_pipeline(settings, FEEDS)
        (folder := settings.home / "files").mkdir()
        engine = pipeline.database.engine
        sa.event.listen(engine, "commit", lambda connection: connection.execute(TELL_NOW))
        with pipeline.database.begin() as connection:
            for feed, columns in FILL.items():
                rows = f"SELECT {OWNER}, {LINEAGE}, {columns} FROM generate_series(1, {ROWS}) AS n"
                names = connection.execute(sa.text(f"{rows} LIMIT 0")).keys()
                connection.execute(sa.text(f"INSERT INTO data.{feed} ({', '.join(names)}) {rows}"))
        for derived in SMALL:
            pipeline.recompute(derived, "acme", everything=True)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM (ANALYZE)"))
            connection.execute(TELL_NOW)  # of what it read itself
        yield Desk(pipeline, "acme", folder)
        pipeline.close()


def read_so_far(pipeline: Pipeline) -> Counter[str]:
    """Return how many rows of each table the server has read."""
    with pipeline.database.begin() as connection:
        return Counter(dict(map(tuple, connection.execute(READ))))


@pytest.mark.parametrize("derived", SMALL)
def test_a_small_import_and_its_undo_recompute_without_reading_the_table(
    crowded: Desk, derived: str
) -> None:
    feed, name, content = SMALL[derived]
    before = read_so_far(crowded.pipeline)
    report = crowded.bring(content, feed, name=name)
    crowded.pipeline.undo(report.import_id)
    read = read_so_far(crowded.pipeline) - before
    assert report.counts.inserted, report.problem
    assert 0 < read[feed] < FEW
    assert 0 < read[derived] < FEW


def test_recomputing_everything_is_seen_to_read_the_table(crowded: Desk) -> None:
    before = read_so_far(crowded.pipeline)
    crowded.pipeline.recompute("sales_by_day", "acme", everything=True)
    assert (read_so_far(crowded.pipeline) - before)["ebay_orders"] >= ROWS // 2
