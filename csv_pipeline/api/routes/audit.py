"""The audit log: who did what, and from where."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

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

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "entries": [
                        {
                            "audit_id": 5,
                            "at": "2026-11-26T22:00:00Z",
                            "who": "the shop's ERP",
                            "address": "203.0.113.7",
                            "account": "acme",
                            "action": "undo",
                            "subject": "import 17",
                            "details": {"run_id": "0d3c"},
                        }
                    ],
                    "before": None,
                }
            ]
        }
    )

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
