"""Sums over imports: how many, of how many rows, and how many were rejected."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.examples import refusals
from csv_pipeline.api.routes.imports import storable
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.storage import aggregates
from csv_pipeline.storage.aggregates import By

router = APIRouter(prefix="/aggregates", tags=["aggregates"])


class Total(BaseModel):
    """What came together under one name; by rule, `rejects` counts faults, otherwise rows."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {"name": "2026-11-26", "imports": 3, "read": 1000, "stored": 992, "rejects": 8}
            ]
        },
    )

    name: str
    imports: int
    read: int
    stored: int
    rejects: int


@router.get("", responses=refusals("unknown_account"))
def totals(  # noqa: PLR0913, PLR0917  # what can be asked
    caller: Reader,
    service: ServiceOf,
    by: Annotated[By, Query(description="What is summed up together.")] = By.DAY,
    days: Annotated[int, Query(ge=1, le=400, description="Of how many days until now.")] = 30,
    account: Annotated[str | None, Query(description="Only of this account.")] = None,
    feed: Annotated[str | None, Query(description="Only of this feed.")] = None,
) -> list[Total]:
    """Return sums over imports that stored rows and are not undone, by day, feed, account, rule."""
    if account is not None:
        caller.hold_to_account(account)
    with service.reading(caller) as connection:
        found = aggregates.totals(
            connection,
            by,
            since=datetime.now(UTC) - timedelta(days=days),
            account=storable(account) or caller.account,
            feed=storable(feed),
        )
    return [Total.model_validate(one) for one in found]
