"""Serve the HTTP API and its pages, on the same database as Dagster."""

import ipaddress

import uvicorn

from csv_pipeline.api.app import make_app
from csv_pipeline.api.gate import LOOPBACK
from csv_pipeline.api.runs import DagsterRuns
from csv_pipeline.api.service import Service
from csv_pipeline.cli.terminal import note
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.storage import tokens

_SECONDS_TO_END = 5


def serve(pipeline: Pipeline, host: str, port: int) -> None:
    """Answer requests until the process is told to end.

    Raises:
        SetupError: Others could reach it, and there is no token.
    """
    guarded = hold_to_tokens(pipeline, host)
    if not guarded:
        note("There is no token, so whoever can reach this machine's own address may do all.")
    runs = DagsterRuns(pipeline.settings.dagster_url)
    app = make_app(Service(pipeline=pipeline, runs=runs, open=not guarded))
    note(f"The import page is at http://{host}:{port}/; Ctrl-C stops it.")
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=_SECONDS_TO_END,
        server_header=False,
    )


def hold_to_tokens(pipeline: Pipeline, host: str) -> bool:
    """Return whether there is a token; there must be one where others can reach the service.

    Raises:
        SetupError: There is none.
    """
    with pipeline.database.begin() as connection:
        guarded = tokens.any_valid(connection)
    if not guarded and not _is_loopback(host):
        raise SetupError(
            f"address {host}: a token was needed, because others can reach this address; there is "
            "none: make one by csv-pipeline token new NAME --account ACCOUNT"
        )
    return guarded


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK
