"""Imports: what became of each file."""

from typing import Any

from fastapi import APIRouter

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.engine import views
from csv_pipeline.storage import imports

router = APIRouter(prefix="/imports", tags=["imports"])


@router.get("/{import_id}")
def one(import_id: int, caller: Reader, service: ServiceOf) -> dict[str, Any]:
    """Return what became of every row of one file."""
    with service.reading(caller) as connection:
        return views.import_facts(imports.report_of(connection, import_id))
