"""Imports, rows and rejects summed up by day, feed, account or rule."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from csv_pipeline.model import Outcome
from csv_pipeline.storage import tables

_MOST = 400


class By(StrEnum):
    """What is summed up together."""

    DAY = "day"
    FEED = "feed"
    ACCOUNT = "account"
    RULE = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What came together under one name; `rejects` counts rows or, by rule, faults."""

    name: str
    imports: int
    read: int
    stored: int
    rejects: int


def totals(
    connection: sa.Connection,
    by: By,
    *,
    since: datetime,
    account: str | None = None,
    feed: str | None = None,
) -> list[Total]:
    """Return sums over imports that stored rows since a moment and are not undone, by name."""
    its = tables.import_.c
    held = [
        its.finished_at >= since,
        its.outcome == Outcome.IMPORTED,
        its.undone_by_import_id.is_(None),
    ]
    if account is not None:
        held.append(its.account == account)
    if feed is not None:
        held.append(its.feed == feed)
    source: sa.FromClause = tables.import_
    rejects: sa.ColumnElement[int] = its.rejected
    name: sa.ColumnElement[str]
    if by is By.RULE:
        rules = sa.func.jsonb_each_text(its.report["rejects_by_rule"]).table_valued("key", "value")
        source = tables.import_.join(rules.render_derived(name="rules"), sa.true())
        name, rejects = (
            sa.column("key", sa.Text),
            sa.cast(sa.column("value", sa.Text), sa.BigInteger),
        )
    elif by is By.DAY:
        name = sa.func.to_char(sa.func.timezone("UTC", its.finished_at), "YYYY-MM-DD")
    else:
        name = its[by.value]
    stored = its.inserted + its.updated + its.unchanged + its.kept
    sums = [sa.cast(sa.func.sum(one), sa.BigInteger) for one in (its.read, stored, rejects)]
    query = (
        sa.select(name.label("name"), sa.func.count(), *sums)
        .select_from(source)
        .where(*held)
        .group_by(sa.text("1"))
        .order_by(sa.text("1"))
        .limit(_MOST)
    )
    return [
        Total(name=name, imports=imports, read=read, stored=stored, rejects=rejects)
        for name, imports, read, stored, rejects in connection.execute(query)
    ]
