"""The app: the gate, the routes below `/api/v1`, and every refusal as a problem."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware

from csv_pipeline.api import pages
from csv_pipeline.api.body_limit import BodyLimit
from csv_pipeline.api.cors import Cors
from csv_pipeline.api.description import describe
from csv_pipeline.api.ending import Ending
from csv_pipeline.api.entity_tags import EntityTags
from csv_pipeline.api.gate import Gate
from csv_pipeline.api.idempotency import Idempotency
from csv_pipeline.api.live import Live
from csv_pipeline.api.problems import add_handlers
from csv_pipeline.api.routes import (
    accounts,
    actions,
    aggregates,
    alerts,
    audit,
    corrections,
    details,
    feed_rows,
    feeds,
    health,
    imports,
    metrics,
    needs,
    progress,
    rejects,
    tokens,
    tus,
    uploads,
    webhooks,
)
from csv_pipeline.api.service import Service

ROOT = "/api/v1"
_ROUTERS: tuple[APIRouter, ...] = (
    actions.router,
    imports.router,
    needs.router,
    progress.router,
    details.router,
    rejects.router,
    corrections.router,
    uploads.router,
    tus.router,
    feeds.router,
    feed_rows.router,
    aggregates.router,
    accounts.router,
    tokens.router,
    webhooks.router,
    alerts.router,
    audit.router,
)


def make_app(service: Service) -> FastAPI:
    """Return the app of a service."""
    app = FastAPI(
        title="csv_pipeline",
        version="1",
        summary="CSV imports you can trust, account by account.",
        openapi_url=f"{ROOT}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.state.service = service
    app.state.root = ROOT
    app.state.live = Live(service.pipeline)
    add_handlers(app)
    for router in _ROUTERS:
        app.include_router(router, prefix=ROOT)
    app.include_router(health.router)
    pages.add_to(app)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.include_router(metrics.router)
    app.add_middleware(BodyLimit)
    app.add_middleware(Idempotency, service=service)
    app.add_middleware(EntityTags)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    app.add_middleware(Gate, service=service)
    app.add_middleware(Ending)
    app.add_middleware(Cors, origins=service.pipeline.settings.embed_origins)
    return app
