"""Ask Dagster for runs, over its GraphQL: the API starts nothing by itself.

If Dagster does not answer, a file that lies in the landing area is not lost: the sensor asks for
its run as soon as it is back.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2

from csv_pipeline.api.problems import ProblemError
from csv_pipeline.engine.import_requests import ACCOUNT, ACCOUNTS, JOB, ImportRequest

_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_ADD_PARTITION = """
mutation AddPartition($key: String!, $name: String!, $repository: RepositorySelector!) {
  addDynamicPartition(
    partitionKey: $key, partitionsDefName: $name, repositorySelector: $repository
  ) { __typename ... on PythonError { message } ... on UnauthorizedError { message } }
}
"""
_END = """
mutation End($runId: String!) {
  terminateRun(runId: $runId) { __typename ... on PythonError { message } }
}
"""
_STATUS = """
query Status($runId: ID!) { runOrError(runId: $runId) { __typename ... on Run { status } } }
"""
_WHERE = """
query Where {
  repositoriesOrError {
    ... on RepositoryConnection { nodes { name location { name } jobs { name } } }
  }
}
"""


class Dagster(Protocol):
    """What is asked of Dagster.

    Every method raises `ProblemError` by `no_dagster` if it does not answer.
    """

    def add_partition(self, partition: str) -> None:
        """Have a partition of accounts; it may be there already."""

    def launch(
        self,
        job: str,
        run_config: Mapping[str, Any],
        tags: Mapping[str, str],
        assets: Collection[str] = (),
    ) -> str:
        """Start a run and return its id at once; of the job's assets it makes these only."""

    def end(self, run_id: str) -> bool:
        """End a run; return whether it went on."""

    def is_over(self, run_id: str) -> bool:
        """Return whether a run has ended, however it did."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs that the API asks Dagster for."""

    dagster: Dagster

    def import_files(self, request: ImportRequest) -> str:
        """Import files that arrived, as the sensor would ask for it."""
        self.dagster.add_partition(request.partition)
        tags = request.tags | {"dagster/partition": request.partition}
        return self.dagster.launch(JOB, request.run_config, tags, request.assets)

    def check(self, account: str, upload_id: int) -> str:
        """Do all for an upload but commit it."""
        return self._launch_op("check_upload", "check", account, upload_id=upload_id)

    def undo(self, account: str, import_id: int) -> str:
        """Take back what an import wrote."""
        return self._launch_op("undo_import", "undo", account, import_id=import_id)

    def end(self, run_id: str) -> bool:
        """End a run; return whether it went on."""
        return self.dagster.end(run_id)

    def is_over(self, run_id: str) -> bool:
        """Return whether a run has ended, however it did."""
        return self.dagster.is_over(run_id)

    def _launch_op(self, job: str, op: str, account: str, **config: int) -> str:
        run_config = {"ops": {op: {"config": config}}}
        return self.dagster.launch(job, run_config, {ACCOUNT: account})


def _client() -> httpx2.Client:
    """Return a client; to make one reads all certificates, which takes as long as 20 answers.

    No connection is kept: Dagster may end one just when the next run is asked for.
    """
    return httpx2.Client(limits=httpx2.Limits(max_keepalive_connections=0))


@dataclass(frozen=True, slots=True)
class DagsterServer:
    """The Dagster whose web server answers at `url`."""

    url: str
    timeout_seconds: float = 10.0
    _known: dict[str, dict[str, str]] = field(default_factory=dict, init=False)
    _http: httpx2.Client = field(default_factory=_client, init=False, repr=False)

    def add_partition(self, partition: str) -> None:
        """Have a partition of accounts; it may be there already."""
        what = {"key": partition, "name": ACCOUNTS, "repository": self._where(JOB)}
        answer = self._ask(_ADD_PARTITION, what)["addDynamicPartition"]
        if answer["__typename"] not in {
            "AddDynamicPartitionSuccess",
            "DuplicateDynamicPartitionError",
        }:
            raise self._refusal(answer)

    def launch(
        self,
        job: str,
        run_config: Mapping[str, Any],
        tags: Mapping[str, str],
        assets: Collection[str] = (),
    ) -> str:
        """Start a run and return its id at once; of the job's assets it makes these only."""
        selector: dict[str, Any] = self._where(job) | {"jobName": job}
        if assets:
            selector["assetSelection"] = [{"path": name.split("/")} for name in assets]
        params = {
            "selector": selector,
            "runConfigData": run_config,
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        answer = self._ask(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise self._refusal(answer)
        return str(answer["run"]["runId"])

    def end(self, run_id: str) -> bool:
        """End a run; return whether it went on."""
        answer = self._ask(_END, {"runId": run_id})["terminateRun"]
        return bool(answer["__typename"] == "TerminateRunSuccess")

    def is_over(self, run_id: str) -> bool:
        """Return whether a run has ended, however it did."""
        answer = self._ask(_STATUS, {"runId": run_id})["runOrError"]
        return answer.get("status") in {"SUCCESS", "FAILURE", "CANCELED", None}

    def _refusal(self, answer: Mapping[str, Any]) -> ProblemError:
        """Return what Dagster said, and ask it again next time where our jobs are."""
        self._known.clear()
        said = answer.get("message") or "; ".join(e["message"] for e in answer.get("errors", ()))
        return ProblemError("no_dagster", f"{answer['__typename']}: {said}")

    def _where(self, job: str) -> dict[str, str]:
        """Return the repository and the code location that have a job; Dagster is asked once."""
        if job not in self._known:
            nodes = self._ask(_WHERE, {})["repositoriesOrError"].get("nodes", ())
            self._known.update(
                {
                    one["name"]: {
                        "repositoryName": node["name"],
                        "repositoryLocationName": node["location"]["name"],
                    }
                    for node in nodes
                    for one in node["jobs"]
                }
            )
        if job not in self._known:
            needed = f"Dagster at {self.url} has no job {job!r} loaded"
            raise ProblemError("no_dagster", needed)
        return self._known[job]

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = self._http.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                timeout=self.timeout_seconds,
            )
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()["data"]
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            because = f"{type(error).__name__}: {error}"
            if isinstance(error, httpx2.ConnectError):
                because = "nothing listens there; CSV_PIPELINE_DAGSTER_URL names its web server"
            raise ProblemError(
                "no_dagster",
                f"Dagster was to answer at {self.url}; {because}",
                headers={"Retry-After": "5"},
            ) from error
        return found
