"""The audit log: who did what by the API, from where."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from csv_pipeline.storage.api_tables import audit as table


def note(  # noqa: PLR0913  # who did what, to what, from where
    connection: sa.Connection,
    *,
    who: str,
    action: str,
    subject: str,
    account: str | None = None,
    address: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Enter an action; `details` hold no value of a row and no secret."""
    connection.execute(
        sa.insert(table).values(
            who=who,
            action=action,
            subject=subject,
            account=account,
            address=address,
            details=dict(details or {}),
        )
    )


def listed(connection: sa.Connection, *, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Return entries, the newest first, from before one on."""
    query = sa.select(table).order_by(table.c.audit_id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.audit_id < before)
    return [dict(row._mapping) for row in connection.execute(query)]
