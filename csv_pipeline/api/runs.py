"""Ask Dagster for runs, over its GraphQL: the API starts nothing by itself.

If Dagster does not answer, a file that lies in the landing area is not lost: the sensor asks for
its run as soon as it is back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

from csv_pipeline.api.problems import ProblemError

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


class Runs(Protocol):
    """Who starts and ends runs; each method returns the run's id at once.

    Every method raises `ProblemError` by `no_dagster` if Dagster does not answer.
    """

    def import_files(
        self, account: str, feed: str, arrival_ids: Sequence[int], *, again: bool = False
    ) -> str:
        """Import files that arrived, perhaps `again` though they were imported before."""

    def check(self, account: str, upload_id: int) -> str:
        """Do all for an upload but commit it."""

    def undo(self, account: str, import_id: int) -> str:
        """Take back what an import wrote."""

    def end(self, run_id: str) -> bool:
        """End a run; return whether it went on."""

    def is_over(self, run_id: str) -> bool:
        """Return whether a run has ended, however it did."""


@dataclass(frozen=True, slots=True)
class DagsterRuns:
    """Runs of the Dagster whose web server answers at `url`."""

    url: str
    timeout_seconds: float = 10.0

    def import_files(
        self, account: str, feed: str, arrival_ids: Sequence[int], *, again: bool = False
    ) -> str:
        """Import files that arrived, as the sensor would ask for it."""
        config = {"ops": {feed: {"config": {"arrival_ids": list(arrival_ids), "again": again}}}}
        tags = {"dagster/partition": account, "csv_pipeline/lane": f"{account}/{feed}"}
        return self._launch("import_files", config, tags, feed)

    def check(self, account: str, upload_id: int) -> str:
        """Do all for an upload but commit it."""
        config = {"ops": {"check": {"config": {"upload_id": upload_id}}}}
        return self._launch("check_upload", config, {"csv_pipeline/account": account})

    def undo(self, account: str, import_id: int) -> str:
        """Take back what an import wrote."""
        config = {"ops": {"undo": {"config": {"import_id": import_id}}}}
        return self._launch("undo_import", config, {"csv_pipeline/account": account})

    def end(self, run_id: str) -> bool:
        """End a run; return whether it went on."""
        answer = self._ask(_END, {"runId": run_id})["terminateRun"]
        return bool(answer["__typename"] == "TerminateRunSuccess")

    def is_over(self, run_id: str) -> bool:
        """Return whether a run has ended, however it did."""
        answer = self._ask(_STATUS, {"runId": run_id})["runOrError"]
        return answer.get("status") in {"SUCCESS", "FAILURE", "CANCELED", None}

    def _launch(
        self, job: str, config: Mapping[str, Any], tags: Mapping[str, str], feed: str | None = None
    ) -> str:
        repository, location = self._where(job)
        selector: dict[str, Any] = {
            "repositoryName": repository,
            "repositoryLocationName": location,
            "jobName": job,
        }
        if feed is not None:
            selector["assetSelection"] = [{"path": [feed]}, {"path": [f"{feed}_rejects"]}]
        params = {
            "selector": selector,
            "runConfigData": config,
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        answer = self._ask(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            said = answer.get("message") or "; ".join(
                e["message"] for e in answer.get("errors", ())
            )
            raise ProblemError("no_dagster", f"{answer['__typename']}: {said}")
        return str(answer["run"]["runId"])

    def _where(self, job: str) -> tuple[str, str]:
        """Return the repository and the code location that have a job."""
        nodes = self._ask(_WHERE, {})["repositoriesOrError"].get("nodes", ())
        for node in nodes:
            if job in {one["name"] for one in node["jobs"]}:
                return node["name"], node["location"]["name"]
        raise ProblemError("no_dagster", f"Dagster at {self.url} has no job {job!r} loaded")

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = httpx2.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                timeout=self.timeout_seconds,
            )
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()["data"]
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ProblemError(
                "no_dagster",
                f"Dagster was to answer at {self.url}; {type(error).__name__}: {error}",
                headers={"Retry-After": "5"},
            ) from error
        return found
