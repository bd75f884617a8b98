"""Every command and statement in the docs that ends by itself does what it is there for."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import nullcontext
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from csv_pipeline.cli import commands, opening
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.feeds import FEEDS, sources
from csv_pipeline_tests.conftest import Desk, own_settings
from csv_pipeline_tests.feeds import TEST_FEEDS
from csv_pipeline_tests.test_house import DOCS, ROOT

CUSTOMERS = "Customer ID,Name,Email\nC1,Ann,ann@example.org\nC2,Bob,bob@example.org\nC3,Cid,none\n"
SERVING = {"demo", "dev"}  # the demo has tests of its own; the other runs until it is ended
NEED_NOTHING = {"accounts", "feeds", "imports"}
PROJECT = (ROOT / "docs" / "your-own-project.md").read_text()  # followed as a whole, below
BLOCKS = re.findall(r"```(sh|sql)\n(.*?)```", DOCS.replace(PROJECT, ""), re.DOTALL)


def commands_in_docs() -> list[str]:
    """Return the calls of blocks, tables and sentences that have all their arguments."""
    lines = "\n".join(block for kind, block in BLOCKS if kind == "sh")
    calls = re.findall(r"^(csv-pipeline .*?)(?: +#.*)?$", lines, re.MULTILINE)
    calls += re.findall(r"`(csv-pipeline [^`]+)`", DOCS)
    complete = [c for c in calls if len(c.split()) > 2 or c.split()[1] in NEED_NOTHING]
    return sorted({c for c in complete if c.split()[1] not in SERVING and "s3://" not in c})


class Reader:
    """Somebody who follows the docs, with a file, an import of it, and its rejected rows."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.new = desk, desk.folder / "new.csv"
        self.new.write_text(CUSTOMERS.replace("Ann", "Anna"))
        self.corrected = desk.folder / "correct.csv"
        self.import_id = desk.bring(CUSTOMERS, "customers").import_id

    def follow(self, line: str) -> Result:
        """Call a command with real names in the place of those that the docs make up."""
        verb, *words = shlex.split(line)[1:]
        if verb == "replay":
            self.call("rejects", str(self.import_id), "--out", str(self.corrected))
            rows = self.corrected.read_text(encoding="utf-8-sig")
            self.corrected.write_text(rows.replace(",none", ",cid@example.org"))
        known = {
            "FILE": str(self.corrected if verb in {"replay", "rejects"} else self.new),
            "correct.csv": str(self.corrected),
            "feeds.d/products.yaml": str(self.desk.folder / "products.yaml"),
            "clean.csv": str(self.desk.folder / "clean.csv"),
            "todo.csv": str(self.desk.folder / "todo.csv"),
            **dict.fromkeys(("A", "ACCOUNT", "my-shop", "acme"), self.desk.account),
            **dict.fromkeys(
                ("F", "FEED"), "coupa_purchase_orders" if verb == "worklist" else "customers"
            ),
            "NAME": "customers" if verb == "feeds" else self.desk.account,
            **({"NAME": str(self.desk.folder / "my_package")} if verb == "new" else {}),
            "N": "1000000",
            "URL": "json://example.com",
        }
        ids = {"ID", *(word for word in words if word.isdigit())}
        known |= dict.fromkeys(ids, str(self.import_id))
        return self.call(verb, *(known.get(word, word) for word in words))

    def call(self, *words: str) -> Result:
        return CliRunner().invoke(commands.app, words)


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    """A pipeline without the records that other tests make: commands show those of all accounts."""
    with own_settings(settle_seconds=0) as settings:
        opened = open_pipeline(settings, (*FEEDS, *TEST_FEEDS))
        yield opened
        opened.close()


@pytest.fixture
def reader(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """A reader whose commands work on the pipeline of the tests."""
    monkeypatch.setattr(opening, "pipeline", lambda: desk.pipeline)
    monkeypatch.setattr(opening, "database", lambda: nullcontext(desk.pipeline.database))
    return Reader(desk)


@pytest.mark.parametrize("line", commands_in_docs())
def test_every_command_in_the_docs_runs(line: str, reader: Reader) -> None:
    role = re.search(r"--reader (\w+)", line)
    with reader.desk.pipeline.database.begin() as connection:
        if role:
            connection.execute(sa.text(f"CREATE ROLE {role[1]} LOGIN"))
    try:
        done = reader.follow(line)
    finally:
        with reader.desk.pipeline.database.begin() as connection:
            if role:
                reader.call("account", reader.desk.account, "--no-reader", role[1])
                connection.execute(sa.text(f"DROP ROLE {role[1]}"))
    said = done.stderr if "token new" in line else ""  # whose token it is, and until when
    assert (done.exit_code, done.stderr) == (0, said), done.stdout
    assert done.stdout


def test_the_corrected_rows_of_the_docs_are_imported(reader: Reader) -> None:
    reader.follow("csv-pipeline replay correct.csv")
    names = {row.name for row in reader.desk.rows("customers", "name, customer_key")}
    assert names == {"Ann", "Bob", "Cid"}


def test_every_statement_in_the_docs_runs(pipeline: Pipeline) -> None:
    texts = [block for kind, block in BLOCKS if kind == "sql"]
    texts += re.findall(r"-c '(SELECT [^']*)'", DOCS)
    statements = [one for text in texts for one in re.sub(r"--.*", "", text).split(";")]
    statements = [one.strip() for one in statements if one.strip()]
    assert len(statements) >= 5
    with pipeline.database.engine.connect() as connection:  # rolled back in the end
        connection.execute(sa.text("CREATE ROLE web_app LOGIN"))
        for statement in statements:
            connection.execute(sa.text(statement))


def test_the_docs_have_commands_of_every_kind() -> None:
    verbs = {line.split()[1] for line in commands_in_docs()}
    wanted = {"account", "accounts", "alerts", "feeds", "import", "imports", "inspect", "dismiss"}
    assert verbs == wanted | {
        "dismiss",
        "rejects",
        "new",
        "replay",
        "reprocess",
        "status",
        "suggest",
        "token",
        "undo",
        "worklist",
    }


def test_a_project_of_ones_own_is_started_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Follow the page line by line, but for the installation, of which the entry point is taken."""
    (block,) = re.findall(r"```sh\n(.*?)```", PROJECT, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with own_settings(settle_seconds=0) as found:
        monkeypatch.setattr(opening, "settings", lambda: found)
        for line in block.splitlines():
            verb, *words = shlex.split(line, comments=True)
            if verb == "cd":
                monkeypatch.chdir(words[0])
            elif verb == "pip":
                install(Path.cwd(), monkeypatch)
            elif verb == "pytest":
                assert pytest.main(["-q", "-p", "no:randomly", "tests"]) == 0
            else:
                done = CliRunner().invoke(commands.app, words)
                assert (done.exit_code, line) == (0, line), done.output
                assert "inserted 2" in " ".join(done.stdout.split()) or words[0] != "import"


def install(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do for this process what an installation does."""
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]["entry-points"]
    entries = [EntryPoint(n, value, sources.GROUP) for n, value in declared[sources.GROUP].items()]
    monkeypatch.syspath_prepend(project)
    monkeypatch.setattr(sources, "entry_points", lambda group: entries)
