"""Whatever is sent to any path, the service does not break: a problem tells what is wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings

from csv_pipeline.api.app import make_app
from csv_pipeline.api.service import Service

_STREAMS = "/events"
OF_NO_ROUTE = {"not_found", "wrong_method"}


def refusals_of(operation: dict[str, Any]) -> Iterator[str]:
    """Give the codes by which an operation says that it refuses."""
    for answer in operation["responses"].values():
        yield from answer.get("content", {}).get("application/problem+json", {}).get("examples", ())


@schemathesis.serializer("application/offset+octet-stream")
def _bytes(_: Any, value: Any) -> Any:
    return value


@pytest.fixture(scope="module")
def described(service: Service) -> Any:
    """The API's description of itself."""
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", make_app(service))


def test_nothing_that_is_sent_breaks_the_service_and_each_answer_is_documented(
    described: Any, api_of: Callable[..., TestClient]
) -> None:
    authorization = api_of("fuzzed").headers["authorization"]
    sent = 0
    for found in described.get_all_operations():
        operation = found.ok()
        if not operation.path.endswith(_STREAMS):
            sent += cases_sent(operation, authorization)
    assert sent > 100


def cases_sent(operation: Any, authorization: str) -> int:
    """Send requests that are as an operation says, and nearly so; return how many."""
    answers = operation.definition.raw["responses"]
    documented = OF_NO_ROUTE | set(refusals_of(operation.definition.raw))
    sent = 0

    @settings(
        max_examples=6,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        nonlocal sent
        sent += 1
        response = case.call(headers={"Authorization": authorization})
        what = f"{case.method} {case.path} {response.status_code}: {response.text[:500]}"
        assert response.status_code < 500, what
        kind = response.headers.get("content-type", ["none"])[0]
        if response.status_code < 400:
            assert str(response.status_code) in answers, what
        else:
            assert kind == "application/problem+json", what
            is_head = case.method.upper() == "HEAD"  # an answer to it has no body
            assert is_head or response.json()["code"] in documented, what

    send()
    return sent
