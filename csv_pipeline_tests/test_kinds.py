"""Every kind of fault that real files have shown ends as a person would expect.

A case is a folder of `corpus/kinds`: small files, and `case.json` with the steps to take and what
must come of them. It holds if its own ending does, or one of those it accepts.
"""

import csv
import io
import json
import logging
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
import structlog
from typer.testing import CliRunner

from csv_pipeline.cli import commands, opening
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.feeds import FEEDS
from csv_pipeline.spec.contract import Contract, Money, column
from csv_pipeline.spec.feed import Feed
from csv_pipeline_tests.conftest import ingest, own_settings
from csv_pipeline_tests.feeds import TEST_FEEDS

KINDS = Path(__file__).parent / "corpus" / "kinds"
CASES = sorted(path.name for path in KINDS.iterdir() if path.is_dir())


class Product(Contract):
    """A product with a price and no column for its currency."""

    sku: str = column("SKU")
    title: str = column("Title")
    price: Money = column("Price")
    stock: int = column("Stock", nullable=True)


class Shift(Contract):
    """A shift with a time of day in a column of its own."""

    shift: str = column("Shift")
    day: pl.Date = column("Day")
    begins: pl.Time = column("Begins", nullable=True)


SKETCHED = (
    Feed(name="products", description="Products.", contract=Product, key=("sku",)),
    Feed(name="shifts", description="Shifts.", contract=Shift, key=("shift",)),
    next(feed for feed in TEST_FEEDS if feed.name == "events"),
)
KNOWN = tuple({feed.name: feed for feed in (*FEEDS, *SKETCHED)}.values())
"""The shipped feeds, and what the cases sketch instead of one of their name."""


@pytest.fixture(scope="module")
def own_pipeline() -> Iterator[Pipeline]:
    """A pipeline with the shipped feeds and those that the cases sketch."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with own_settings(settle_seconds=0) as settings:
        opened = open_pipeline(settings, KNOWN)
        yield opened
        opened.close()


class Case:
    """The steps of a case, and what came of those that were taken."""

    def __init__(
        self, name: str, pipeline: Pipeline, folder: Path, patch: pytest.MonkeyPatch
    ) -> None:
        self.files, self.folder, self.pipeline = KINDS / name, folder, pipeline
        self.told = json.loads((self.files / "case.json").read_text())
        self.account = re.sub(r"[^a-z0-9]", "-", name)[:60]
        self.found: list[dict[str, Any]] = []
        self._rejects_file = Path()
        patch.setattr(opening, "pipeline", lambda: self.pipeline)

    def run(self) -> None:
        """Take all steps."""
        facts = self.told.get("account", {})
        self.call("account", self.account, *(w for k, v in facts.items() for w in (f"--{k}", v)))
        for step in self.told["steps"]:
            self.found.append(getattr(self, f"_{step['do']}")(step))

    def call(self, *words: object) -> str:
        result = CliRunner().invoke(commands.app, [str(word) for word in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout or json.dumps({"outcome": "refused", "problem": result.stderr})

    def _import(self, step: dict[str, Any]) -> dict[str, Any]:
        path = self.folder / f"{len(self.found)}-{step['file']}"
        path.write_bytes((self.files / step["file"]).read_bytes())
        return self._done("import", path, "-a", self.account, "-f", self.told["feed"])

    def _done(self, *words: object) -> dict[str, Any]:
        done: dict[str, Any] = json.loads(self.call(*words, "--json"))
        if done.get("import_id"):
            more = self.call("rejects", done["import_id"], "--json", "--limit", 100_000)
            done["rejects"] = json.loads(more)["rejects"]
            results = done.get("results")
            done["result_file"] = Path(results).read_text() if results else ""
        return done

    def _inspect(self, step: dict[str, Any]) -> dict[str, Any]:
        out = self.folder / "clean.csv"
        path = self.files / step["file"]
        done: dict[str, Any] = json.loads(self.call("inspect", path, "--out", out, "--json"))
        done["outcome"] = done.get("outcome", "read")
        done["rejects"] = done.get("first_rejects", [])
        done["clean"] = out.read_text() if out.exists() else ""
        return done

    def _rejects_out(self, step: dict[str, Any]) -> dict[str, Any]:
        imports = [one for one in self.found if one.get("import_id")]
        of = imports[step["of"]] if "of" in step else imports[-1]
        self._rejects_file = self.folder / f"rejects-{of['import_id']}-{len(self.found)}.csv"
        self.call("rejects", of["import_id"], "--out", self._rejects_file)
        return {}

    def _replay(self, step: dict[str, Any]) -> dict[str, Any]:
        text = self._rejects_file.read_text(encoding="utf-8-sig")
        for old, new in step.get("edit", []):
            assert old in text, f"{old!r} is not in the rejects file"
            text = text.replace(old, new)
        if "correct" in step:
            text = _corrected(
                text, step["correct"], only_corrected=step.get("only_corrected", False)
            )
        path = self.folder / f"corrected-{len(self.found)}.csv"
        path.write_text(text, encoding="utf-8-sig")
        return self._done("replay", path)

    def _undo(self, step: dict[str, Any]) -> dict[str, Any]:
        imports = [one for one in self.found if one.get("import_id")]
        of = imports[step["of"]] if "of" in step else imports[-1]
        return self._done("undo", of["import_id"])

    def _drop_and_wait(self, step: dict[str, Any]) -> dict[str, Any]:
        feed = self.told["feed"]
        landing = self.pipeline.settings.landing_folder / self.account / feed
        landing.mkdir(parents=True)
        for one in step["files"]:
            path = landing / one["as"]
            path.write_bytes((self.files / one["file"]).read_bytes())
            modified = datetime.fromisoformat(one["modified"]).timestamp()
            os.utime(path, (modified, modified))
        for _ in range(2):
            self.pipeline.scan(seconds=20)
        claims = self.pipeline.claim(self.account, feed)
        reports = [ingest(self.pipeline, claim) for claim in claims]
        return {"outcomes": [report.outcome.value for report in reports]}

    def misses(self, ending: dict[str, Any]) -> list[str]:
        """Return what an ending asks for and is not there."""
        missed = []
        for number, (step, wanted) in enumerate(
            zip(self.told["steps"], ending["expect"], strict=True)
        ):
            found = self.found[number]
            for fact, value in (wanted or {}).items():
                if not _holds(fact, value, wanted, found, self.files):
                    missed.append(f"step {number} ({step['do']}), {fact}: {value}")
        for kind, table in (("table", self.told["feed"]), ("totals", "ebay_order_totals")):
            if kind in ending and (rows := self._rows(table, ending[kind])) != _sorted(
                ending[kind]
            ):
                missed.append(f"{kind}: {rows}")
        return missed

    def _rows(self, table: str, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = list(wanted[0]) if wanted else ["account"]
        columns = ", ".join(f'"{name}"::text' for name in names)
        query = f"SELECT {columns} FROM data.{table} WHERE account = :account"  # noqa: S608
        with self.pipeline.database.begin() as connection:
            rows = connection.execute(sa.text(query), {"account": self.account})
            return _sorted([dict(row._mapping) for row in rows])

    def endings(self) -> list[dict[str, Any]]:
        """Return every ending that is as good as another."""
        own = {"expect": [step.get("expect") for step in self.told["steps"]]}
        own |= {kind: self.told[kind] for kind in ("table", "totals") if kind in self.told}
        return [own, *self.told.get("accept", [])]


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def _holds(  # noqa: PLR0911  # a fact each
    fact: str, value: Any, wanted: dict[str, Any], found: dict[str, Any], files: Path
) -> bool:
    match fact:
        case "outcome":
            return bool(found.get("outcome") == value)
        case "outcomes":
            return bool(found.get("outcomes") == value)
        case "counts":
            return all(found.get("counts", {}).get(name) == n for name, n in value.items())
        case "problem_contains":
            problem = str(found.get("problem")).casefold()
            return any(word.casefold() in problem for word in value)
        case "rejects":
            return _rejected_are(value, wanted.get("may_reject", []), found.get("rejects", []))
        case "skipped_lines":
            named = {line["line_number"] for line in found.get("non_data_lines", [])}
            return set(value) <= named
        case "told":
            said = {k: v for k, v in found.items() if k not in {"header", "name", "account"}}
            return re.search(value, json.dumps(said)) is not None
        case "clean":
            clean = list(csv.reader(io.StringIO(found["clean"])))
            return clean == list(csv.reader(io.StringIO((files / value).read_text())))
        case "may_reject":
            return True
        case _:
            raise AssertionError(f"no check of {fact!r}")


def _rejected_are(
    wanted: list[dict[str, Any]], perhaps: list[int], found: list[dict[str, Any]]
) -> bool:
    lines = {one["line_number"] for one in found}
    asked = {one["line_number"] for one in wanted}
    if not asked <= lines <= asked | set(perhaps):
        return False
    for one in wanted:
        said = " ".join(f["message"] for f in found if f["line_number"] == one["line_number"])
        some, every = one.get("message_contains"), one.get("message_contains_all", [])
        if some and not any(word.casefold() in said.casefold() for word in some):
            return False
        if not all(word.casefold() in said.casefold() for word in every):
            return False
    return True


def _corrected(text: str, correct: list[dict[str, Any]], *, only_corrected: bool) -> str:
    delimiter = next(mark for mark in (",", ";", "\t", "|") if f"_import_id{mark}" in text)
    rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    changes = {one["row_number"]: one["set"] for one in correct}
    kept = []
    for row in rows:
        change = changes.get(int(row["_row_number"].strip("'")))
        if change is not None or not only_corrected:
            kept.append({**row, **(change or {})})
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(kept)
    return out.getvalue()


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_this_kind_ends_as_a_person_expects(
    name: str, own_pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads((KINDS / name / "case.json").read_text())
    pipeline = own_pipeline
    if env := told.get("env"):
        for variable, value in env.items():
            monkeypatch.setenv(variable, value)
        pipeline = open_pipeline(own_pipeline.settings, KNOWN)
    case = Case(name, pipeline, tmp_path, monkeypatch)
    case.run()
    missed = [case.misses(ending) for ending in case.endings()]
    if env:
        pipeline.close()
    assert [] in missed, missed
