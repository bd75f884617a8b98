"""Imports: what became of each arrival that was claimed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from csv_pipeline.errors import UnknownImportError
from csv_pipeline.model import Claim, ImportReport, Outcome
from csv_pipeline.spec.feed import SELLER
from csv_pipeline.storage import order, tables
from csv_pipeline.storage.situation import same_content

_REPORT = TypeAdapter(ImportReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """Which imports are wanted: those of an outcome, and those settled since a moment."""

    outcome: Outcome | None = None
    since: datetime | None = None


def next_import_id(connection: sa.Connection) -> int:
    """Return a number for an import record."""
    return connection.execute(sa.select(tables.import_ids.next_value())).scalar_one()


def is_current(connection: sa.Connection, report: ImportReport) -> bool:
    """Return whether nothing has changed rows of its account and feed since an import."""
    table = tables.import_
    query = sa.select(table.c.fingerprint).where(table.c.import_id == report.import_id)
    same = same_content(connection, report, connection.scalar(query))
    return same is None or same.is_current


def rows_stored(connection: sa.Connection, account: str, feed: str) -> int:
    """Return how many rows of an account and feed are stored, but for changes by hand."""
    table = tables.import_
    last = (
        sa.select(table.c.rows_stored)
        .where(table.c.account == account, table.c.feed == feed, table.c.turn.is_not(None))
        .order_by(table.c.turn.desc(), table.c.import_id.desc())
        .limit(1)
    )
    return connection.scalar(last) or 0


def settings_used(connection: sa.Connection, account: str, feed: str) -> list[int]:
    """Return by which versions of an account's settings the rows of a feed were read."""
    table = tables.import_
    version = table.c.report["settings_version"].astext.cast(sa.Integer)
    query = sa.select(version).where(
        table.c.account == account,
        table.c.feed == feed,
        table.c.outcome == Outcome.IMPORTED,
        table.c.undone_by_import_id.is_(None),
        version.is_not(None),
    )
    return sorted(connection.scalars(query.distinct()))


def settled(connection: sa.Connection, claim: Claim) -> ImportReport | None:
    """Return what became of a claim's own import, if it was settled."""
    table = tables.import_
    query = sa.select(table.c.report).where(table.c.import_id == claim.import_id)
    found = connection.scalar(query)
    return None if found is None else _REPORT.validate_python(found)


def mark_undone(connection: sa.Connection, report: ImportReport) -> None:
    """Store in an import's report, and beside it, which import undid it, if any does."""
    facts = {"report": _REPORT.dump_python(report, mode="json")}
    table = tables.import_
    connection.execute(
        sa.update(table)
        .where(table.c.import_id == report.import_id)
        .values(undone_by_import_id=report.undone_by, **facts)
    )


def newest(
    connection: sa.Connection,
    *,
    account: str | None = None,
    feed: str | None = None,
    only: Only | None = None,
    limit: int = 50,
) -> list[tuple[ImportReport, datetime]]:
    """Return the newest imports with the time each was settled, the newest first."""
    table = tables.import_
    query = sa.select(table.c.report, table.c.finished_at).order_by(table.c.import_id.desc())
    if account is not None:
        query = query.where(table.c.account == account)
    if feed is not None:
        query = query.where(table.c.feed == feed)
    if only is not None and only.outcome is not None:
        query = query.where(table.c.outcome == only.outcome)
    if only is not None and only.since is not None:
        query = query.where(table.c.finished_at >= only.since)
    rows = connection.execute(query.limit(limit))
    return [(_REPORT.validate_python(row.report), row.finished_at) for row in rows]


def report_of(connection: sa.Connection, import_id: int) -> ImportReport:
    """Return what became of one import.

    Raises:
        UnknownImportError: The ledger has no such import.
    """
    table = tables.import_
    found = connection.scalar(sa.select(table.c.report).where(table.c.import_id == import_id))
    if found is None:
        raise UnknownImportError(import_id)
    return _REPORT.validate_python(found)


def brought_by_replays(connection: sa.Connection, import_id: int) -> dict[int, int]:
    """Return how many rows each replay of an import's rejects stored that is not undone."""
    its = tables.import_.c
    query = sa.select(its.import_id, its.inserted + its.updated).where(
        *(its.repairs_import_id == import_id, its.outcome == Outcome.IMPORTED),
        *(its.undone_by_import_id.is_(None), its.inserted + its.updated > 0),
    )
    return {row[0]: row[1] for row in connection.execute(query.order_by(its.import_id))}


def report_in(facts: Mapping[str, Any], number: int) -> ImportReport:
    """Return a stored report under its number; one of an upload's check has that of the upload."""
    return _REPORT.validate_python({**facts, "import_id": number})


def has_header(connection: sa.Connection, claim: Claim, header: tuple[str, ...]) -> bool:
    """Return whether an import of the same account and feed that counts had this very header."""
    table = tables.import_
    same = table.c.report["header"] == sa.cast(list(header), JSONB)
    return bool(connection.scalar(sa.select(sa.exists().where(*order.standing(claim), same))))


def last_seller(connection: sa.Connection, claim: Claim) -> tuple[str, str] | None:
    """Return the seller whose rows were stored last for the same account and feed, and by what.

    Files that name none, and imports that were undone, say nothing.
    """
    table = tables.import_
    named = f'$.evidence[*] ? (@.subject == "{SELLER}" && @.proven == true).decision'
    seller = sa.func.jsonb_path_query_first(
        table.c.report, sa.cast(named, JSONPATH), type_=JSONB
    ).op("#>>", return_type=sa.Text)(sa.cast([], sa.ARRAY(sa.Text)))
    query = (
        sa.select(seller, table.c.import_id)
        .where(*order.standing(claim), table.c.read > table.c.rejected, seller.is_not(None))
        .order_by(table.c.import_id.desc())
        .limit(1)
    )
    found = connection.execute(query).one_or_none()
    return None if found is None else (found[0], f"import {found.import_id}")


def last_header(connection: sa.Connection, claim: Claim, layout: str) -> tuple[str, ...]:
    """Return the header of the last import for the same account and feed in a layout, if any."""
    table = tables.import_
    found = connection.scalar(
        sa.select(table.c.report["header"])
        .where(
            *order.standing(claim),
            table.c.repairs_import_id.is_(None),
            table.c.report["layout"].astext == layout,
        )
        .order_by(table.c.import_id.desc())
        .limit(1)
    )
    return tuple(found or ())
