"""Serve the HTTP API and its pages, on the same database as Dagster."""

import asyncio
import ipaddress
import logging
import socket
from contextlib import suppress
from types import FrameType

import uvicorn

from csv_pipeline.api.app import make_app
from csv_pipeline.api.gate import LOOPBACK
from csv_pipeline.api.live import Live
from csv_pipeline.api.runs import DagsterServer, Runs
from csv_pipeline.api.service import Service
from csv_pipeline.cli.terminal import note
from csv_pipeline.engine.logs import write_log
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.storage import tokens

CONNECTIONS = 10  # that are kept open; to open one takes longer than most requests
_SECONDS_TO_END = 2  # for requests that go on
_SECONDS_TO_KEEP = 2  # for what came of uploads by then


def serve(pipeline: Pipeline, host: str, port: int) -> None:
    """Answer requests until the process is told to end.

    Raises:
        SetupError: Others could reach it, and there is no token.
    """
    write_log(logging.INFO, pipeline.settings.log_format)
    guarded = hold_to_tokens(pipeline, host)
    if not guarded:
        note("There is no token, so whoever can reach this machine's own address may do all.")
    runs = Runs(DagsterServer(pipeline.settings.dagster_url))
    app = make_app(Service(pipeline=pipeline, runs=runs, open=not guarded))
    note(f"The import page is at http://{host}:{port}/; Ctrl-C stops it.")
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=_SECONDS_TO_END,
        server_header=False,
    )
    with suppress(KeyboardInterrupt):
        _Server(config, app.state.live).run()


class _Server(uvicorn.Server):
    """A server that ends the streams of all who listen as soon as it is told to end."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self.live = live

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the streams, then all else."""
        self.live.end()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all requests, and wait until those that were broken off have kept what came."""
        await super().shutdown(sockets)
        if tasks := set(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=_SECONDS_TO_KEEP)


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
