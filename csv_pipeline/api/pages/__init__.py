"""The pages: one module for each thing that a person looks at, rendered on the server.

Every page is what its address with `.json` tells, laid out. It works without JavaScript: what
changes anything is a form that is posted and leads on by a redirect.
"""

from fastapi import APIRouter, FastAPI

from csv_pipeline.api.pages import (
    accounts,
    alerts,
    audit,
    checks,
    feeds,
    history,
    home,
    imports,
    patterns,
    rejects,
    sending,
    session,
    tokens,
)
from csv_pipeline.api.pages.page import problem_page

_ROUTERS: tuple[APIRouter, ...] = (
    *(home.router, sending.router, imports.router, checks.router, rejects.router),
    *(history.router, feeds.router, accounts.router, patterns.router, session.router),
    *(tokens.router, audit.router, alerts.router),
)


def add_to(app: FastAPI) -> None:
    """Add all pages to an app, and let it say problems to a browser by a page."""
    app.state.problem_page = problem_page
    for router in _ROUTERS:
        app.include_router(router, include_in_schema=False)
