"""Look at what the demo's files became in the tables, views and derived tables: a few rows each."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from csv_pipeline.demo.story import ACCOUNTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One table or view, and what its rows show."""

    table: str
    shows: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rows of a topic."""

    topic: Topic
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


TOPICS = (
    Topic(
        table="ebay_order_totals",
        shows="revenue, each order once: a summary row repeats the sum of its order's items",
        query="""
            SELECT account, currency, count(*) AS orders,
                count(*) FILTER (WHERE is_unpaid) AS unpaid, sum(revenue) AS revenue,
                sum(revenue) + coalesce((
                    SELECT sum(sold_for)
                    FROM data.ebay_orders AS line
                    WHERE line.account = totals.account AND line_kind = 'summary'
                        AND line.currency IS NOT DISTINCT FROM totals.currency
                ), 0) AS with_summary_rows_added
            FROM data.ebay_order_totals AS totals
            WHERE account = ANY (:accounts)
            GROUP BY account, totals.currency
            ORDER BY account, totals.currency
        """,
    ),
    Topic(
        table="sales_by_day",
        shows="derived from ebay_orders: the newest two days of each account",
        query="""
            SELECT account, day, currency, orders, unpaid_orders, items, revenue
            FROM (
                SELECT *, dense_rank() OVER (PARTITION BY account ORDER BY day DESC) AS back
                FROM data.sales_by_day
                WHERE account = ANY (:accounts)
            ) AS newest
            WHERE back <= 2
            ORDER BY account, day DESC, currency
        """,
    ),
    Topic(
        table="listing_stock",
        shows="derived from ebay_listings: each parent row against its variations",
        query="""
            SELECT item_number, title, state, available, available_of_parent, difference, sold,
                variations
            FROM data.listing_stock
            WHERE account = ANY (:accounts)
            ORDER BY state = 'single', state DESC, item_number
            LIMIT 4
        """,
    ),
    Topic(
        table="dme_fees",
        shows="a view of dme_fee_schedule: a row a state and area; 0.00 in the grid is no price",
        query="""
            SELECT hcpcs_code, modifier, schedule_period, state, is_rural, fee
            FROM data.dme_fees
            WHERE account = ANY (:accounts) AND hcpcs_code = 'E0601' AND modifier = 'RR'
            ORDER BY state, is_rural
        """,
    ),
    Topic(
        table="coupa_purchase_orders",
        shows="the newest report of each order, whichever file came last",
        query="""
            SELECT po_number, status, attachments_found AS found,
                attachments_downloaded AS downloaded, last_processed_local AS last_processed
            FROM data.coupa_purchase_orders
            WHERE account = ANY (:accounts)
            ORDER BY po_number
        """,
    ),
    Topic(
        table="election_transactions",
        shows="what the names of files and folders tell",
        query="""
            SELECT region, election, constituency, day, hours, count(*) AS transactions
            FROM data.election_transactions
            WHERE account = ANY (:accounts)
            GROUP BY 1, 2, 3, 4, 5
            ORDER BY 3, 4, 5
        """,
    ),
    Topic(
        table="constituency_metrics",
        shows="derived from election_transactions: a row a constituency and hour",
        query="""
            SELECT constituency, hour AT TIME ZONE 'UTC' AS hour_utc, registered_voters,
                ballots_issued, votes_cast, votes_accepted, votes_rejected, turnout
            FROM data.constituency_metrics
            WHERE account = ANY (:accounts)
            ORDER BY contract_id, hour
        """,
    ),
    Topic(
        table="demo_invoices",
        shows="declared in YAML, which says that bezahlt means paid",
        query="""
            SELECT number, supplier, issued_on, total, status
            FROM data.demo_invoices
            WHERE account = ANY (:accounts)
            ORDER BY number
            LIMIT 3
        """,
    ),
)


def look(connection: sa.Connection) -> tuple[Found, ...]:
    """Return the rows of every topic."""
    return tuple(_find(connection, topic) for topic in TOPICS)


def _find(connection: sa.Connection, topic: Topic) -> Found:
    accounts = [account.account for account in ACCOUNTS]
    result = connection.execute(sa.text(topic.query), {"accounts": accounts})
    columns = tuple(result.keys())
    return Found(topic=topic, columns=columns, rows=tuple(map(tuple, result)))
