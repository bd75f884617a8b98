"""Whether the service lives, and whether it can work."""

from fastapi import APIRouter
from sqlalchemy import text

from csv_pipeline.api.examples import example
from csv_pipeline.api.service import ServiceOf

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", responses=example({"status": "live"}))
def live() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "live"}


@router.get("/ready", responses=example({"status": "ready"}))
def ready(service: ServiceOf) -> dict[str, str]:
    """Say that the database answers, too; otherwise 503."""
    with service.pipeline.database.begin() as connection:
        connection.execute(text("SELECT 1"))
    return {"status": "ready"}
