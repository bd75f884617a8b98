"""The audit log: who did what, and from where."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from csv_pipeline.api.callers import Admin
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.storage import audit

router = APIRouter(prefix="/audit", tags=["audit"])


class Entry(BaseModel):
    """Something that was done by the API."""

    audit_id: int
    at: datetime
    who: str
    address: str | None
    account: str | None
    action: str
    subject: str
    details: dict[str, Any]


class Page(BaseModel):
    """Entries, the newest first; `before` is where the next page goes on."""

    entries: list[Entry]
    before: int | None


@router.get("")
def listed(
    caller: Admin,
    service: ServiceOf,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page:
    """Return what was done for your account, or for all."""
    with service.reading(caller) as connection:
        rows = audit.listed(connection, before=before, limit=limit)
    entries = [Entry(**row) for row in rows]
    return Page(entries=entries, before=entries[-1].audit_id if len(entries) == limit else None)
