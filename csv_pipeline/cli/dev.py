"""Run Dagster's web page and daemon beside the database until they are told to stop."""

import os
import signal
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from csv_pipeline.cli import show
from csv_pipeline.errors import SetupError
from csv_pipeline.settings import Settings

_FINISH_SECONDS = 30


def dagster_home(settings: Settings) -> Path:
    """Return the folder that DAGSTER_HOME names, with this version's dagster.yaml in it."""
    home = settings.dagster_area
    home.mkdir(parents=True, exist_ok=True)
    packaged = files("csv_pipeline").joinpath("dagster.yaml").read_text(encoding="utf-8")
    (home / "dagster.yaml").write_text(packaged, encoding="utf-8")
    return home


def serve(settings: Settings, host: str, port: int) -> int:
    """Run `dagster dev` over the feeds and return its exit code.

    The caller holds the database open, so the embedded server outlives all of Dagster's processes.

    Raises:
        SetupError: Something listens on the port already.
    """
    if _answers(host, port):
        raise SetupError(
            f"port {port} of {host}: a free port was needed; something listens there already "
            "(choose another by --port)"
        )
    landing = settings.landing_area
    landing.mkdir(parents=True, exist_ok=True)
    show.note(f"Dagster starts at http://{host}:{port} in some seconds; Ctrl-C stops it.")
    child = subprocess.Popen(  # noqa: S603  # our own interpreter, and no shell
        _command(host, port), env=_environment(settings), start_new_session=True
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
                _tell(host, port, landing)


def _tell(host: str, port: int, landing: Path) -> None:
    lines = (
        "",
        f"Dagster:       http://{host}:{port}",
        f"Landing area:  {landing}",
        f"Drop a file:   mkdir -p {landing}/acme/ebay_orders && cp FILE.csv {landing}/acme/ebay_orders/",
        "               where acme is an account of yours; its rows are in the table within 20 seconds",
        "",
    )
    show.notes.print("\n".join(lines), style="bold", soft_wrap=True)


def _command(host: str, port: int) -> list[str]:
    dagster = Path(sys.executable).with_name("dagster")
    return [str(dagster), "dev", "-m", "csv_pipeline.definitions", "-h", host, "-p", str(port)]


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment with every folder absolute, whatever Dagster's processes work in."""
    return {
        **os.environ,
        "CSV_PIPELINE_HOME": str(settings.home.absolute()),
        "CSV_PIPELINE_LANDING": str(settings.landing_area),
        "DAGSTER_HOME": str(dagster_home(settings)),
    }


def _answers(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0
