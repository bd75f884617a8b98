"""Whatever is sent to any path, the service does not break: a problem tells what is wrong."""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings

from csv_pipeline.api.app import make_app
from csv_pipeline.api.service import Service

_STREAMS = "/events"


@schemathesis.serializer("application/offset+octet-stream")
def _bytes(_: Any, value: Any) -> Any:
    return value


@pytest.fixture(scope="module")
def described(service: Service) -> Any:
    """The API's description of itself."""
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", make_app(service))


def test_nothing_that_is_sent_breaks_the_service(
    described: Any, api_of: Callable[..., TestClient]
) -> None:
    authorization = api_of("fuzzed").headers["authorization"]
    sent = 0
    for found in described.get_all_operations():
        operation = found.ok()
        if operation.path.endswith(_STREAMS):
            continue

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
            assert response.status_code < 400 or kind == "application/problem+json", what

        send()
    assert sent > 100
