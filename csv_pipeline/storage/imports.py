"""Imports: what became of each arrival that was claimed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.errors import UnknownImportError
from csv_pipeline.model import (
    Claim,
    ImportReport,
    Outcome,
)
from csv_pipeline.storage import lane_lock, order, tables

_REPORT = TypeAdapter(ImportReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class SameContent:
    """An import that brought the same bytes before.

    It `is_current` if no import or undo since has changed any row that may be one of its rows.
    """

    import_id: int
    is_current: bool


def next_import_id(connection: sa.Connection) -> int:
    """Return a number for an import record."""
    return connection.execute(sa.select(tables.import_ids.next_value())).scalar_one()


def same_content(
    connection: sa.Connection, of: Claim | ImportReport, fingerprint: str | None
) -> SameContent | None:
    """Return the last import that brought the same bytes for the same account and feed, if any."""
    table = tables.import_
    found = connection.execute(
        sa.select(table.c.import_id, table.c.turn)
        .where(*order.standing(of), table.c.fingerprint == fingerprint)
        .order_by(table.c.turn.desc(), table.c.import_id.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        return None
    changed = sa.exists().where(
        table.c.account == of.account,
        table.c.feed == of.feed,
        table.c.turn > found.turn,
        (table.c.updated > 0) | (table.c.outcome == Outcome.UNDO),
    )
    is_current = not connection.scalar(sa.select(changed))
    return SameContent(import_id=found.import_id, is_current=is_current)


def is_current(connection: sa.Connection, report: ImportReport) -> bool:
    """Return whether nothing has changed rows of its account and feed since an import."""
    table = tables.import_
    query = sa.select(table.c.fingerprint).where(table.c.import_id == report.import_id)
    same = same_content(connection, report, connection.scalar(query))
    return same is None or same.is_current


def known_content(connection: sa.Connection, of: Claim, fingerprints: Collection[str]) -> set[str]:
    """Return those of which imports for the same account and feed brought the bytes before."""
    table = tables.import_
    known = table.c.fingerprint.in_(fingerprints)
    query = sa.select(table.c.fingerprint).where(*order.standing(of), known)
    return {str(fingerprint) for fingerprint in connection.scalars(query)}


def rows_brought(connection: sa.Connection, claim: Claim) -> int:
    """Return how many rows the imports for an account and feed inserted, undone ones apart.

    So many are stored, but for those that somebody deleted in the database.
    """
    query = sa.select(sa.func.sum(tables.import_.c.inserted)).where(*order.standing(claim))
    return int(connection.scalar(query) or 0)


def enter_reports(
    connection: sa.Connection, reports: Sequence[tuple[ImportReport, Mapping[str, Any]]]
) -> None:
    """Write entries of imports of one account and feed, each with columns its report has not.

    The lane of those that changed rows must be locked.
    """
    changing = {Outcome.IMPORTED, Outcome.UNDO}
    turn = None
    if any(report.outcome in changing for report, _ in reports):
        turn = lane_lock.next_turn(connection, reports[0][0].account, reports[0][0].feed)
    connection.execute(
        sa.insert(tables.import_),
        [
            {**_entry(report), **facts, "turn": turn if report.outcome in changing else None}
            for report, facts in reports
        ],
    )


def _entry(report: ImportReport) -> dict[str, Any]:
    """Return the row of an import by its columns, as far as its report tells them."""
    return {
        "import_id": report.import_id,
        "arrival_id": report.arrival_id,
        "account": report.account,
        "feed": report.feed,
        "name": report.name,
        "outcome": report.outcome,
        "problem": report.problem,
        "problem_code": report.problem_code,
        "same_as": report.same_as,
        "repairs_import_id": report.repairs,
        "report": _REPORT.dump_python(report, mode="json"),
        **asdict(report.counts),
    }


def settled(connection: sa.Connection, claim: Claim) -> ImportReport | None:
    """Return what became of a claim's own import, if it was settled."""
    table = tables.import_
    query = sa.select(table.c.report).where(table.c.import_id == claim.import_id)
    found = connection.scalar(query)
    return None if found is None else _REPORT.validate_python(found)


def store_report(connection: sa.Connection, report: ImportReport) -> None:
    """Replace the report of a settled import by one that knows more, such as the last seconds."""
    table = tables.import_
    connection.execute(
        sa.update(table)
        .where(table.c.import_id == report.import_id)
        .values(report=_REPORT.dump_python(report, mode="json"))
    )


def store_seconds(
    connection: sa.Connection, import_ids: Sequence[int], seconds: Mapping[str, float]
) -> None:
    """Complete the reports of settled imports by the seconds that the stages of each took."""
    table = tables.import_
    said = sa.func.jsonb_set(
        table.c.report,
        sa.literal(["stage_seconds"], pg.ARRAY(sa.Text)),
        sa.literal(dict(seconds), pg.JSONB),
    )
    mine = table.c.import_id.in_(import_ids)
    connection.execute(sa.update(table).where(mine).values(report=said))


def newest(
    connection: sa.Connection,
    *,
    account: str | None = None,
    feed: str | None = None,
    limit: int = 50,
) -> list[tuple[ImportReport, datetime]]:
    """Return the newest imports with the time each was settled, the newest first."""
    table = tables.import_
    query = sa.select(table.c.report, table.c.finished_at).order_by(table.c.import_id.desc())
    if account is not None:
        query = query.where(table.c.account == account)
    if feed is not None:
        query = query.where(table.c.feed == feed)
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
