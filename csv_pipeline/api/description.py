"""The API's description of itself, with what FastAPI leaves out: refusals, and whole examples.

FastAPI drops what is null from examples, so that they do not fit their schemas. They are taken here
from the models and routes themselves, beside the schema of each body and answer.
"""

from collections.abc import Iterator
from typing import Any, cast, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

from csv_pipeline.api.examples import PROBLEM, refusals
from csv_pipeline.api.idempotency import METHODS, PATHS
from csv_pipeline.api.problems import MEDIA_TYPE

_SAFE = {"GET", "HEAD", "OPTIONS"}
_JSON = "application/json"


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an app; it is made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        for route, method, operation in _operations(app, made):
            _show_answers(route, operation)
            _show_body(route, operation)
            _show_refusals(route, method, operation)
        schemas = made["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for its in schemas.values():
            its.pop("examples", None)
        schemas["Problem"] = dict(PROBLEM)
        app.openapi_schema = made
    return app.openapi_schema


def _operations(
    app: FastAPI, made: dict[str, Any]
) -> Iterator[tuple[APIRoute, str, dict[str, Any]]]:
    for found in iter_route_contexts(app.routes):
        if isinstance(found.original_route, APIRoute):
            route = cast("APIRoute", found)  # it has what a route has, with that of its routers
            for method in (route.methods or ()) if route.include_in_schema else ():
                yield route, method, made["paths"][route.path_format][method.lower()]


def _show_answers(route: APIRoute, operation: dict[str, Any]) -> None:
    """Give each answer the example of its route, or else of its model."""
    for status, its in operation["responses"].items():
        said = route.responses.get(int(status), {})
        model = said.get("model", route.response_model if _is_main(route, status) else None)
        for kind, content in its.get("content", {}).items():
            given = said.get("content", {}).get(kind, {})
            shown = {word: given[word] for word in ("example", "examples") if word in given}
            if not shown and (found := _example_of(model)) is not None:
                shown = {"example": found}
            content.update(shown)


def _is_main(route: APIRoute, status: str) -> bool:
    return int(status) == (route.status_code or 200)


def _show_body(route: APIRoute, operation: dict[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if content is not None and route.body_field is not None:
        content["example"] = _example_of(route.body_field.field_info.annotation)


def _example_of(model: Any) -> Any:
    """Return the first example of a model, or of that in a list or union; None if it has none."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        extra = model.model_config.get("json_schema_extra")
        return extra["examples"][0] if isinstance(extra, dict) and "examples" in extra else None  # type: ignore[index]
    found = [its for its in map(_example_of, get_args(model)) if its is not None]
    if not found:
        return None
    return found[:1] if getattr(model, "__origin__", None) is list else found[0]


def _show_refusals(route: APIRoute, method: str, operation: dict[str, Any]) -> None:
    """Give a route its refusals, and those of the gate, the keys and the reading of parameters."""
    answers = operation["responses"]
    codes = [
        code
        for its in route.responses.values()
        for code in its.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    ]
    if answers.pop("422", None) is not None:  # FastAPI's own, or the route's
        codes.append("invalid_request")
    codes += ["unauthenticated", "not_allowed", "too_many_requests", "unavailable"]
    codes += [] if method in _SAFE else ["other_site"]
    if method in METHODS and route.path.startswith(PATHS):
        codes += ["key_in_use", "key_reused", "invalid_request"]
    if _JSON in operation.get("requestBody", {}).get("content", {}):
        codes.append("body_too_large")
    for status, its in refusals(*dict.fromkeys(codes)).items():
        answers[str(status)] = its
