"""The API over the session's pipeline; runs go through Dagster's own ops, in this process."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.api.app import make_app
from csv_pipeline.api.service import Service
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.partitions import ACCOUNTS
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import accounts, tokens

ALL = tuple(Scope)


@dataclass(slots=True)
class RunsHere:
    """Runs of a Dagster instance in this process, done before the call returns."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    done: list[str] = field(default_factory=list)

    def import_files(
        self, account: str, feed: str, arrival_ids: Sequence[int], *, again: bool = False
    ) -> str:
        self.instance.add_dynamic_partitions(ACCOUNTS, [account])
        return self._run(
            "import_files",
            {feed: {"config": {"arrival_ids": list(arrival_ids), "again": again}}},
            partition_key=account,
            asset_selection=[dg.AssetKey(feed), dg.AssetKey(f"{feed}_rejects")],
        )

    def check(self, account: str, upload_id: int) -> str:
        del account
        return self._run("check_upload", {"check": {"config": {"upload_id": upload_id}}})

    def undo(self, account: str, import_id: int) -> str:
        del account
        return self._run("undo_import", {"undo": {"config": {"import_id": import_id}}})

    def end(self, run_id: str) -> bool:
        return run_id not in self.done

    def is_over(self, run_id: str) -> bool:
        return run_id in self.done

    def _run(self, job: str, ops: dict[str, Any], **how: Any) -> str:
        result = self.definitions.resolve_job_def(job).execute_in_process(
            run_config={"ops": ops}, instance=self.instance, raise_on_error=False, **how
        )
        self.done.append(result.run_id)
        return result.run_id


@pytest.fixture(scope="session")
def dagster_runs(shared_pipeline: Pipeline) -> Iterator[RunsHere]:
    """One Dagster instance in memory with the definitions of all feeds."""
    feeds = list(shared_pipeline.feeds.values())
    with dg.DagsterInstance.ephemeral() as instance:
        yield RunsHere(assemble(feeds, Engine(lambda: shared_pipeline)), instance)


@pytest.fixture(scope="session")
def service(shared_pipeline: Pipeline, dagster_runs: RunsHere) -> Service:
    """A service that asks for tokens."""
    return Service(pipeline=shared_pipeline, runs=dagster_runs)


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
