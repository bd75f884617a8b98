"""The audit log: who did what, and from where."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from csv_pipeline.api.callers import Admin
from csv_pipeline.api.pages.page import answer
from csv_pipeline.api.routes import audit as api
from csv_pipeline.api.service import ServiceOf

router = APIRouter()


@router.get("/audit")
@router.get("/audit.json")
def audit(
    request: Request,
    caller: Admin,
    service: ServiceOf,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """Show what was done, the newest first."""
    found = api.listed(caller, service, before=before)
    after = f"/audit?before={found.before}" if found.before else ""
    page = {"before": "", "after": after, "shown": f"{len(found.entries)} actions"}
    return answer(request, "audit.html", found.model_dump(mode="json"), {"page": page})
