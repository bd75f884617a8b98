"""The API over the session's pipeline; runs go through Dagster's own ops, in this process."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.api.app import make_app
from csv_pipeline.api.runs import Runs
from csv_pipeline.api.service import Service
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNTS
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import accounts, tokens

ALL = tuple(Scope)


@dataclass(slots=True)
class DagsterHere:
    """A Dagster instance in this process, whose runs are done before `launch` returns."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    done: list[str] = field(default_factory=list)

    def add_partition(self, partition: str) -> None:
        self.instance.add_dynamic_partitions(ACCOUNTS, [partition])

    def launch(
        self,
        job: str,
        run_config: Mapping[str, Any],
        tags: Mapping[str, str],
        assets: Collection[str] = (),
    ) -> str:
        chosen = [dg.AssetKey.from_user_string(name) for name in assets]
        result = self.definitions.resolve_job_def(job).execute_in_process(
            run_config=dict(run_config),
            tags=dict(tags),
            instance=self.instance,
            asset_selection=chosen or None,
            partition_key=tags.get("dagster/partition"),
            raise_on_error=False,
        )
        self.done.append(result.run_id)
        return result.run_id

    def end(self, run_id: str) -> bool:
        return run_id not in self.done

    def is_over(self, run_id: str) -> bool:
        return run_id in self.done


@pytest.fixture(scope="session")
def shared_dagster(shared_pipeline: Pipeline) -> Iterator[DagsterHere]:
    """One Dagster instance in memory with the definitions of all feeds."""
    feeds = list(shared_pipeline.feeds.values())
    with dg.DagsterInstance.ephemeral() as instance:
        yield DagsterHere(assemble(feeds, Engine(lambda: shared_pipeline)), instance)


@pytest.fixture(scope="session")
def service(shared_pipeline: Pipeline, shared_dagster: DagsterHere) -> Service:
    """A service that asks for tokens."""
    return Service(pipeline=shared_pipeline, runs=Runs(shared_dagster))


@pytest.fixture(scope="session")
def api_of(service: Service) -> Callable[..., TestClient]:
    """Give a caller of the API for an account, or for all, with scopes."""
    app = make_app(service)

    def make(account: str | None, *scopes: Scope) -> TestClient:
        with service.pipeline.database.begin() as connection:
            if account is not None:
                accounts.add(connection, account)
            text, _ = tokens.make(connection, "test", account=account, scopes=scopes or ALL)
        return TestClient(
            app, headers={"Authorization": f"Bearer {text}"}, raise_server_exceptions=False
        )

    return make


@pytest.fixture
def anyone(service: Service) -> TestClient:
    """A caller without a token."""
    return TestClient(make_app(service), raise_server_exceptions=False)
