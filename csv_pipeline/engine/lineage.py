"""Say in OpenLineage's words what imports read and wrote: a file, and a table of the database.

Each import is a run of its own, whose number is always the same, so that an event which comes twice
is known. Names are those that OpenLineage's naming convention gives files and PostgreSQL's tables.
No value of a row and no message of an error is sent.
"""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from uuid import NAMESPACE_URL, uuid5

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    error_message_run,
    output_statistics_output_dataset,
    schema_dataset,
)
from sqlalchemy import URL

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.location import Location, location_of
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import arrivals
from csv_pipeline.storage.settled import Settled
from csv_pipeline.storage.targets import SCHEMA

_PRODUCER = "https://pypi.org/project/csv-pipeline"
_NAMESPACE = "csv_pipeline"
_WROTE = frozenset({Outcome.IMPORTED, Outcome.UNDO})
_BROKE = frozenset({Outcome.REFUSED, Outcome.FAILED})


def emit(pipeline: Pipeline, settled: list[Settled]) -> int:
    """Send the events of imports and undos, and return how many those are.

    Raises:
        Exception: The receiver did not take one, as its transport says.
    """
    client, sent = OpenLineageClient(), 0
    with pipeline.database.begin() as connection:
        arrived = arrivals.landed(connection, [its.report.arrival_id for its in settled])
    for its in settled:
        if (feed := pipeline.feeds.get(its.report.feed)) is not None:
            url, file = pipeline.database.engine.url, location_of(arrived[its.report.arrival_id])
            for event in _events(its.report, its.finished_at, feed, file, url):
                client.emit(event)
                sent += 1
    client.close()
    return sent


def _events(
    report: ImportReport, at: datetime, feed: Feed, file: Location, url: URL
) -> Iterator[RunEvent]:
    """Give the event of a start and that of an end."""
    database = f"postgres://{url.host or 'localhost'}:{url.port or 5432}"
    run = Run(str(uuid5(NAMESPACE_URL, f"{database}/{url.database}/import/{report.import_id}")))
    namespace = os.environ.get("OPENLINEAGE_NAMESPACE", _NAMESPACE)
    job = Job(namespace, f"{report.account}.{feed.name}")
    undo = report.outcome is Outcome.UNDO
    inputs = [] if undo else [InputDataset(file.root or "file", file.key)]
    began = at - timedelta(seconds=sum(report.stage_seconds.values()))
    event = partial(RunEvent, job=job, inputs=inputs, producer=_PRODUCER)
    yield event(eventType=RunState.START, eventTime=began.isoformat(), run=run)
    outputs = []
    if report.outcome in _WROTE:
        name = f"{url.database}.{SCHEMA}.{feed.name}"
        outputs = [_output(database, name, feed, report)]
    state = RunState.COMPLETE
    if report.outcome in _BROKE:
        state, code = RunState.FAIL, report.problem_code or report.outcome.value
        run = Run(
            run.runId, {"errorMessage": error_message_run.ErrorMessageRunFacet(code, "Python")}
        )
    yield event(eventType=state, eventTime=at.isoformat(), run=run, outputs=outputs)


def _output(namespace: str, name: str, feed: Feed, report: ImportReport) -> OutputDataset:
    columns = [
        schema_dataset.SchemaDatasetFacetFields(
            column.name, column.kind.value, column.description or None
        )
        for column in feed.columns
    ]
    counts, undo = report.counts, report.undo
    rows = counts.inserted + counts.updated
    if undo is not None:
        rows = undo.inserted + undo.restored + undo.deleted
    written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    return OutputDataset(
        namespace,
        name,
        {"outputStatistics": written},
        facets={"schema": schema_dataset.SchemaDatasetFacet(columns)},
    )
