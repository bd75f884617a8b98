"""Dagster's daemon, made prompt: it hears of files, starts runs at once, and forks them.

`python -m csv_pipeline.defs.daemon run` takes the place of `dagster-daemon run`. Under that one
files wait for the next tick of the sensor, and runs for the next look at the queue.
"""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import click
from dagster import DagsterInstance
from dagster._cli.utils import get_instance_for_cli
from dagster._cli.workspace.cli_target import workspace_opts_to_load_target
from dagster._daemon.controller import create_daemons_from_instance, daemon_controller_from_instance
from dagster._daemon.daemon import DagsterDaemon
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._utils.interrupts import capture_interrupts
from dagster_shared.cli import WorkspaceOpts, workspace_options

from csv_pipeline.defs.clock import go_on_when_it_is_set_back, without_long_waits
from csv_pipeline.defs.launcher import SOURCE, ForkingRunLauncher
from csv_pipeline.defs.outages import say_in_one_line
from csv_pipeline.defs.prompt_queue import PromptQueue
from csv_pipeline.defs.watcher import Watcher
from csv_pipeline.files.watching import Waits
from csv_pipeline.settings import settings


def daemons(instance: DagsterInstance) -> Iterator[DagsterDaemon[Any]]:
    """Give what Dagster's own daemon does, with a prompt queue, and the watcher."""
    asked, required = threading.Event(), instance.get_required_daemon_types()
    known = create_daemons_from_instance(instance)
    # Dagster takes one that it does not require for one that is not well.
    instance.get_required_daemon_types = lambda: [*required, Watcher.daemon_type()]  # type: ignore[method-assign]
    waits = Waits(closed=settings().closed_or_settle_seconds, unknown=settings().settle_seconds)
    yield Watcher(settings().landing_areas, waits, asked)
    for daemon in known:
        prompt = isinstance(daemon, QueuedRunCoordinatorDaemon)
        yield PromptQueue(asked) if prompt else without_long_waits(daemon)


@click.group()
def main() -> None:
    """Do what Dagster's daemon does."""


@main.command()
@click.option("--log-level", default="info")
@workspace_options
def run(log_level: str, **workspace: object) -> None:
    """Run until told to end."""
    target = workspace_opts_to_load_target(WorkspaceOpts.extract_from_cli_options(workspace))
    # What dagster-postgres says of a database that is away gives the root logger a handler of its
    # own, and all that Dagster says would be said twice from then on.
    logging.getLogger("dagster").propagate = False
    say_in_one_line()
    go_on_when_it_is_set_back()
    try:
        with capture_interrupts(), get_instance_for_cli() as instance:
            if isinstance(instance.run_launcher, ForkingRunLauncher):
                SOURCE.start()
            with daemon_controller_from_instance(
                instance,
                workspace_load_target=target,
                gen_daemons=daemons,
                log_level=log_level,
                code_server_log_level="warning",
            ) as controller:
                controller.check_daemon_loop()
    except KeyboardInterrupt:
        return
    finally:
        SOURCE.stop()


if __name__ == "__main__":
    main()
