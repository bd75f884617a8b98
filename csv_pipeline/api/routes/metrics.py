"""Metrics for Prometheus, of all accounts: a token for all accounts is needed."""

from collections.abc import Iterable, Iterator

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.examples import example
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.storage.figures import Figure, figures

router = APIRouter(tags=["health"])

HELP = {
    "imports": "Imports by account, feed and outcome.",
    "rows": "Rows of imported files by account, feed and what became of them.",
    "arrivals": "Files that are not settled, by account, feed and status.",
    "oldest_waiting_seconds": "How long the oldest file of an account and feed has waited.",
    "open_rejects": "Faults of rejected rows that are not repaired.",
    "step_seconds": "What each step took in the imports of the last hour, by account and feed.",
    "queued_runs": "Runs of Dagster that wait to be started.",
    "oldest_queued_seconds": "How long the oldest of them has waited.",
    "sensor_lag_seconds": "How long ago the landing sensor ticked.",
    "daemon_silent_seconds": "How long ago each of Dagster's daemons was heard of.",
}


class _Figures(Collector):
    def __init__(self, found: Iterable[Figure]) -> None:
        self.found = list(found)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        for one in self.found:
            family = families.setdefault(
                one.name,
                GaugeMetricFamily(
                    f"csv_pipeline_{one.name}", HELP[one.name], labels=list(one.labels)
                ),
            )
            family.add_metric(list(one.labels.values()), one.value)
        yield from families.values()


@router.get(
    "/metrics",
    response_class=Response,
    responses=example("csv_pipeline_queued_runs 0.0\n", kind="text/plain", description="Figures."),
)
def metrics(caller: Reader, service: ServiceOf) -> Response:
    """Return figures of the ledger in the text format of Prometheus."""
    if caller.account is not None:
        raise ProblemError("not_allowed", "a token for all accounts was needed")
    registry = CollectorRegistry()
    with service.reading(caller) as connection:
        registry.register(_Figures(figures(connection)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
