"""The docs say what the code does, in the words of the glossary."""

import inspect
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from csv_pipeline import errors
from csv_pipeline.casts import dates, documents, percents, timestamps
from csv_pipeline.casts.by_kind import CASTS
from csv_pipeline.cli.commands import app
from csv_pipeline.feeds import FEEDS
from csv_pipeline.model import ArrivalStatus, Counts, Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.spec import conflict, duplicates
from csv_pipeline.stages.validate.rules import RULES
from csv_pipeline.storage import api_tables

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))
DOCS = "\n".join(page.read_text() for page in PAGES)
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
WORDS_IN_HALF_AN_HOUR = 9_000

RETIRED = {
    "furniture": r"furniture",
    "mended": r"(?<![a-z])(?:un)?mend(?:s|ed|ing)?(?![a-z])",
    "keeper": r"(?<![a-z])keepers?(?![a-z])",
    "turned away": r"(?<![a-z])turn(?:s|ed|ing)?\s+(?:\S+\s+){0,3}?away(?![a-z])",
    "rehearsal": r"rehears(?!ed_as)",  # a column of earlier releases
    "beats": r"(?<![a-z])beats?(?![a-z])",
    "memo": r"(?<![a-z])memos?(?![a-z])",
    "suspect": r"(?<![a-z])suspects?(?![a-z])",
    "given up": r"(?<![a-z])(?:giv(?:e|es|en|ing)|gave)\s+up(?![a-z])",
    "let go": r"(?<![a-z])let(?:s|ting)?[\s_]+go(?![a-z])",
    "put up with": r"(?<![a-z])puts?\s+up\s+with(?![a-z])",
    "way of a file": r"(?<![a-z])ways?[\s_]of[\s_](?:a|one|the)[\s_]files?(?![a-z])",
    "inbox": r"inbox",
    "tenant": r"(?<![a-z])tenants?(?![a-z])",
    "dataset": r"(?<![a-z_])data ?sets?(?![a-z_])",  # dlt and OpenLineage have such names
}
RETIRED_IN_DOCS = {"stands": r"(?<![a-z])stands?(?![a-z])"}
"""Words that the docs do without; in code they are English besides."""


def code() -> str:
    return "\n".join(path.read_text() for path in sources("csv_pipeline"))


def sources(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    return [path for path in found if "versions" not in path.parts and path != Path(__file__)]


def classes(module: object) -> list[str]:
    return [
        name
        for name, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == getattr(module, "__name__", "")
    ]


def first_cells(text: str) -> list[str]:
    """Return the first cells of a page's table rows, headings and rules left out."""
    rows = re.findall(r"^\| (.*?) \|.*\n(?!\|---)", text, re.MULTILINE)
    return [cell for cell in rows if not cell.startswith("---")]


def named(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("word", RETIRED)
def test_nothing_uses_a_retired_word(word: str) -> None:
    pages = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "Makefile"]
    cases = (ROOT / "csv_pipeline_tests" / "corpus").rglob("*.json")
    texts = [*pages, *cases, *(path for name in FOLDERS for path in sources(name))]
    assert list(uses(RETIRED[word], texts)) == []


FOLDERS = ("csv_pipeline", "csv_pipeline_tests", "benchmarks", "tools")


@pytest.mark.parametrize("word", RETIRED_IN_DOCS)
def test_the_docs_use_no_word_that_they_do_without(word: str) -> None:
    assert list(uses(RETIRED_IN_DOCS[word], PAGES)) == []


def uses(pattern: str, paths: Any) -> Iterator[str]:
    for path in paths:
        text = path.read_text()
        for match in re.finditer(pattern, text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(ROOT)}:{line}: {match.group()}"


def test_the_docs_are_read_in_half_an_hour() -> None:
    looked_up = {
        README,
        ROOT / "docs" / "reference.md",
        ROOT / "docs" / "api.md",
        *(ROOT / "docs" / "decisions").iterdir(),
    }  # the reference is not read from end to end, and decisions where a page leads to them
    pages = "\n".join(page.read_text() for page in PAGES if page not in looked_up)
    prose = re.sub(r"```.*?```|\]\([^)]*\)", "", pages, flags=re.DOTALL)
    words = [word for word in prose.split() if re.search(r"\w", word)]
    assert len(words) <= WORDS_IN_HALF_AN_HOUR


@pytest.mark.parametrize(
    "name",
    [
        *(feed.name for feed in FEEDS),
        *(name for name in classes(conflict) if name != "ConflictPolicy"),
        *(name for name in classes(duplicates) if name != "DuplicatePolicy"),
    ],
)
def test_the_docs_name_every_feed_and_policy(name: str) -> None:
    assert f"`{name}`" in DOCS or f"`{name}(" in DOCS


def test_the_readme_lists_every_feed_with_what_is_derived_from_it() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|(.*)", section(README.read_text(), "Accounts and feeds"), re.M
    )
    assert Counter(name for name, _ in rows) == Counter(feed.name for feed in FEEDS)
    text = dict(rows)
    for feed in FEEDS:
        for table in (feed.name, *feed.views, *(table.name for table in feed.derived)):
            assert f"`data.{table}`" in text[feed.name]


def test_the_glossary_has_every_status_of_an_arrival_and_no_other() -> None:
    listed = named(first_cells(section(GLOSSARY, "Status of an arrival")))
    assert Counter(listed) == Counter(status.value for status in ArrivalStatus)


def test_the_glossary_has_every_outcome_of_an_import_and_no_other() -> None:
    listed = named(first_cells(section(GLOSSARY, "Outcome of an import")))
    assert Counter(listed) == Counter(outcome.value for outcome in Outcome)


def test_the_glossary_has_every_outcome_of_a_row_and_no_other() -> None:
    counted = {field.name for field in fields(Counts)} - {"read", "blank", "non_data"}
    listed = named(first_cells(section(GLOSSARY, "Outcome of a row")))
    assert Counter(listed) == Counter(counted)


def test_the_glossary_has_each_word_once() -> None:
    cells = first_cells(GLOSSARY.partition("\n## ")[0])
    words = Counter(word for cell in cells for word in cell.split(", "))
    assert {word: number for word, number in words.items() if number > 1} == {}
    assert WORDS - words.keys() == set()


WORDS = {
    *("account", "feed", "landing area", "location", "scan", "arrival", "import", "claim", "lease"),
    *("lane", "run", "contract", "row_number", "line_number", "reject", "rule", "refused"),
    *("quarantine", "replay", "repair", "upsert", "key", "conflict policy", "staging table"),
    *("history", "report", "preamble", "footer", "padding", "non-data line", "dry run"),
    *("poison file", "workspace"),
}


def test_the_reference_has_every_setting_once_and_no_other() -> None:
    settings = {f"CSV_PIPELINE_{name.upper()}" for name in Settings.model_fields}
    listed = [name for name in named(first_cells(DOCS)) if name.startswith("CSV_PIPELINE_")]
    assert Counter(listed) == Counter(settings)


def test_every_setting_that_the_docs_name_exists() -> None:
    found = set(re.findall(r"CSV_PIPELINE_([A-Z_]+)", DOCS))
    assert {name.casefold() for name in found} <= set(Settings.model_fields) | {
        "test_database_url",
        "pg_bin",
    }


def test_the_reference_has_every_error_once() -> None:
    listed = Counter(re.findall(r"`(\w+Error)`", REFERENCE))
    assert listed == Counter(classes(errors))


def test_the_reference_has_every_rule_once_and_no_other() -> None:
    text = code()
    whole = re.findall(r'"((?:row|key)\.[a-z_]+)"', text)
    causes = re.findall(r', "([a-z_]+)", (?=needed|"a value in|[a-z]+\.[A-Z]|TOO_LARGE)', text)
    checks = {
        *causes,
        *(cast.rule for cast in CASTS.values() if cast.rule),
        "conflict",
        *dates.NEEDED,
        *timestamps.NEEDED,
        *documents.NEEDED,
        *percents.NEEDED,
        *RULES.values(),
    }
    rules = {*whole, "database.{constraint}", *(f"{{column}}.{check}" for check in checks)}
    assert Counter(named(first_cells(section(REFERENCE, "Rules")))) == Counter(rules)


def test_the_reference_has_every_warning_once_and_no_other() -> None:
    warnings = set(
        re.findall(r'"((?:rows|ids|cells|lines|column|encoding|snapshot)\.[a-z_]+)"', code())
    )
    assert Counter(named(first_cells(section(REFERENCE, "Warnings")))) == Counter(warnings)


def test_the_reference_has_every_state_table_once() -> None:
    listed = re.findall(r"^\| (?:`csv_pipeline`)? ?\| `(\w+)` \|", REFERENCE, re.MULTILINE)
    assert Counter(listed) == Counter(table.name for table in api_tables.metadata.sorted_tables)


@cache
def commands() -> dict[str, Any]:
    return dict(get_command(app).commands)  # type: ignore[attr-defined]


def options_of(command: str) -> set[str]:
    its = commands()[command]
    below = getattr(its, "commands", {}).values()
    known = {"--help", "-h"}
    for option in (one for each in (its, *below) for one in each.params):
        known.update(option.opts, option.secondary_opts)
    return known


def commands_in_docs() -> Iterator[tuple[str, list[str]]]:
    """Give the commands of code blocks and of code within lines, with their words."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL))
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", DOCS, flags=re.DOTALL))
    for line in [*re.findall(r"^csv-pipeline .*$", blocks, re.MULTILINE), *spans]:
        words = shlex.split(line, comments=True) if "csv-pipeline " in line else line.split()
        words = words[1:] if words[:1] == ["csv-pipeline"] else words
        is_command = line.startswith("csv-pipeline ") or any(w.startswith("--") for w in words[1:])
        if words and is_command and not words[0].startswith(("-", "python")):
            yield words[0], words[1:]


def test_every_command_in_the_docs_exists() -> None:
    assert {name for name, _ in commands_in_docs()} - commands().keys() == set()


def test_every_option_of_a_command_in_the_docs_exists() -> None:
    used = [(name, word) for name, words in commands_in_docs() for word in words]
    assert len(used) > 30
    assert [
        (name, word)
        for name, word in used
        if word.startswith("-") and word.partition("=")[0] not in options_of(name)
    ] == []


def test_every_option_in_the_table_of_commands_exists() -> None:
    rows = re.findall(r"^\| `csv-pipeline (\w+).*$", README.read_text(), re.MULTILINE)
    assert set(rows) == commands().keys()
    for line in README.read_text().splitlines():
        if found := re.match(r"\| `csv-pipeline (\w+)", line):
            assert set(re.findall(r"--[a-z-]+", line)) - options_of(found[1]) == set()


def test_every_option_that_the_docs_name_exists() -> None:
    programs = (ROOT / "benchmarks" / name for name in ("__main__.py", "soak.py"))
    benchmarks = "".join(program.read_text() for program in programs)
    known = {option for name in commands() for option in options_of(name)}
    known |= set(re.findall(r'"(--[a-z-]+)"', benchmarks))
    code_in_docs = "\n".join(re.findall(r"```sh\n.*?```|`[^`\n]+`", DOCS, re.DOTALL))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", code_in_docs)) - known == set()


def test_the_readme_names_every_make_target_and_no_other() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    readme = README.read_text()
    assert {name for name in targets - {"help", "clean"} if f"`{name}`" not in readme} == set()
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", DOCS, re.MULTILINE)) <= targets


def test_every_link_of_the_docs_leads_somewhere() -> None:
    links = [
        (page, link)
        for page in PAGES
        for link in re.findall(r"\]\((?!https?:)([^)]+)", page.read_text())
    ]
    assert [link for page, link in links if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    if not (anchor and target.is_file()):
        return target.exists()
    headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", h.casefold()).replace(" ", "-") for h in headings}


def test_every_import_in_the_docs_works() -> None:
    lines = set(re.findall(r"^from (csv_pipeline[\w.]*) import (.+)$", DOCS, re.MULTILINE))
    wanted = {(module, name) for module, names in lines for name in names.split(", ")}
    wanted |= set(re.findall(r"`(csv_pipeline\.[a-z_.]+)\.(\w+)\(", DOCS))
    assert len(wanted) > 5
    assert [
        (module, name)
        for module, name in sorted(wanted)
        if not hasattr(import_module(module), name)
    ] == []


def test_every_path_in_the_docs_exists() -> None:
    paths = set(re.findall(r"`((?:csv_pipeline|benchmarks|docs|tools)/[\w./]*(?:/|\.\w+))`", DOCS))
    assert len(paths) > 5
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_every_test_that_the_promises_name_exists() -> None:
    tests = Path(__file__).parent
    promised = re.findall(r"`(test_[\w*]+\.py)`", DOCS)
    assert [name for name in promised if not list(tests.glob(name))] == []
    assert promised
