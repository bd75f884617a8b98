"""The house is as its docs say."""

import inspect
import re
from pathlib import Path

import pytest

from csv_pipeline import errors
from csv_pipeline.cli.commands import app
from csv_pipeline.feeds import FEEDS
from csv_pipeline.settings import Settings
from csv_pipeline.spec import conflict, duplicates
from csv_pipeline.storage import tables

ROOT = Path(__file__).parent.parent
DOCS = "\n".join(
    path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
)


def classes(module: object) -> list[str]:
    return [
        name
        for name, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == getattr(module, "__name__", "")
    ]


@pytest.mark.parametrize(
    "name",
    [
        *(feed.name for feed in FEEDS),
        *(table.name for table in tables.metadata.sorted_tables),
        *(name for name in classes(conflict) if name != "ConflictPolicy"),
        *(name for name in classes(duplicates) if name != "DuplicatePolicy"),
        *classes(errors),
    ],
)
def test_the_docs_name_every_feed_table_policy_and_error(name: str) -> None:
    assert f"`{name}`" in DOCS or f"`{name}(" in DOCS


def test_the_readme_names_every_command() -> None:
    names = {
        str(command.name or command.callback.__name__).replace("_", "-")
        for command in app.registered_commands
        if command.callback is not None
    }
    readme = (ROOT / "README.md").read_text()
    assert {name for name in names if f"csv-pipeline {name}" not in readme} == set()


def test_the_readme_names_every_make_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)) - {"help", "clean"}
    readme = (ROOT / "README.md").read_text()
    assert {target for target in targets if f"`{target}`" not in readme} == set()


def test_every_setting_in_the_readme_exists() -> None:
    named = set(re.findall(r"CSV_PIPELINE_([A-Z_]+)", DOCS))
    assert {name.casefold() for name in named} <= set(Settings.model_fields) | {
        "test_database_url",
        "pg_bin",
    }


def test_the_docs_name_every_warning() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "csv_pipeline").rglob("*.py"))
    codes = set(re.findall(r'"((?:cells|column|ids|lines|rows)\.[a-z_]+)"', code))
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert len(codes) > 9
    assert {found for found in codes if f"`{found}`" not in operations} == set()


def test_every_test_that_the_docs_name_exists() -> None:
    named = set(re.findall(r"\btest_[a-z_*]+\.py", DOCS))
    assert {name for name in named if not [*Path(__file__).parent.glob(name)]} == set()


def test_every_link_of_the_docs_leads_somewhere() -> None:
    pages = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    ]
    assert [link for page, link in links if not (page.parent / link).exists()] == []
