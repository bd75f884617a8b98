"""What is sent twice by one key is done once; another request by the same key is refused."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from csv_pipeline.api.app import make_app
from csv_pipeline.api.runs import Runs
from csv_pipeline.api.service import Service
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import idempotency
from csv_pipeline.storage.api_tables import idempotency_key as table
from csv_pipeline.storage.idempotency import Key
from csv_pipeline_tests.api.live import DagsterNoting
from csv_pipeline_tests.conftest import Desk

Api = Callable[..., TestClient]
BYTES = b"ID,Name,Secret,Amount\n1,one,111,1.00\n"


@pytest.fixture
def dagster() -> DagsterNoting:
    return DagsterNoting()


@pytest.fixture
def api(desk: Desk, pipeline: Pipeline, dagster: DagsterNoting, api_of: Api) -> TestClient:
    app = make_app(Service(pipeline=pipeline, runs=Runs(dagster)))
    return TestClient(
        app, headers=dict(api_of(desk.account).headers), raise_server_exceptions=False
    )


@pytest.fixture
def address(desk: Desk) -> str:
    return f"/api/v1/uploads/{desk.account}/people.csv?feed=people"


def test_the_same_request_by_the_same_key_is_answered_as_before(
    api: TestClient, dagster: DagsterNoting, address: str
) -> None:
    key = {"Idempotency-Key": "one"}
    first = api.put(address, content=BYTES, headers=key)
    again = api.put(address, content=BYTES, headers=key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert len(dagster.imports) == 1
    assert api.put(address, content=BYTES, headers={"Idempotency-Key": "two"}).is_success
    assert len(dagster.imports) == 2


def test_another_request_by_the_same_key_is_refused(
    api: TestClient, dagster: DagsterNoting, address: str
) -> None:
    key = {"Idempotency-Key": "one"}
    api.put(address, content=BYTES, headers=key)
    for answer in (
        api.put(address, content=BYTES.replace(b"one", b"two"), headers=key),
        api.put(f"{address}&check=true", content=BYTES, headers=key),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert len(dagster.imports) == 1


def test_a_key_is_its_callers_own(
    api: TestClient, desk: Desk, address: str, api_of: Api, dagster: DagsterNoting
) -> None:
    key = {"Idempotency-Key": "one"}
    api.put(address, content=BYTES, headers=key)
    app = make_app(Service(pipeline=desk.pipeline, runs=Runs(dagster)))
    other = TestClient(app, headers=dict(api_of(desk.account).headers))
    answer = other.put(address, content=BYTES, headers=key)
    assert "idempotency-replayed" not in answer.headers
    assert len(dagster.imports) == 2


def test_a_refused_request_may_be_sent_again(api: TestClient, desk: Desk, address: str) -> None:
    key = {"Idempotency-Key": "one"}
    desk.declare(max_file_bytes=3)
    assert api.put(address, content=BYTES, headers=key).status_code == 413
    desk.declare(max_file_bytes=1_000)
    assert api.put(address, content=BYTES, headers=key).status_code == 201


def test_a_key_whose_request_is_being_answered_is_refused_until_its_process_is_gone(
    api: TestClient, address: str, pipeline: Pipeline
) -> None:
    key = {"Idempotency-Key": "one"}
    api.put(address, content=BYTES, headers=key)
    with pipeline.database.begin() as connection:
        held = connection.execute(
            sa.update(table)
            .values(status=None, answer=None, created_at=sa.func.now())
            .returning(table.c.who, table.c.key)
        ).first()
    assert held is not None
    answer = api.put(address, content=BYTES, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "key_in_use")
    with pipeline.database.begin() as connection:
        connection.execute(
            sa.update(table).values(created_at=sa.func.now() - 2 * idempotency.LEASE)
        )
    assert api.put(address, content=BYTES, headers=key).status_code == 201


def test_keys_are_kept_for_a_day(pipeline: Pipeline) -> None:
    with pipeline.database.begin() as connection:
        assert Key.of("somebody", "old").take(connection) is None
        past = sa.func.now() - idempotency.KEPT - timedelta(seconds=1)
        connection.execute(
            sa.update(table).where(table.c.who == "somebody").values(created_at=past)
        )
        idempotency.prune(connection)
        left = sa.select(sa.func.count()).where(table.c.who == "somebody")
        assert connection.scalar(left) == 0


@pytest.mark.parametrize("key", ["", "x" * 201, "\x01"])
def test_a_key_that_is_none_is_refused(api: TestClient, address: str, key: str) -> None:
    answer = api.put(address, content=BYTES, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
