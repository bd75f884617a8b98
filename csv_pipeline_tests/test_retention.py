"""What is kept no longer goes, and what cannot be done then is told before and refused after."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from csv_pipeline.cli import opening
from csv_pipeline.cli.commands import app
from csv_pipeline.engine import retention
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.reprocess import choose
from csv_pipeline.engine.retention import Going
from csv_pipeline.errors import SetupError, UndoError
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.storage import attention, quarantine
from csv_pipeline.storage.stored_files import Which
from csv_pipeline_tests.conftest import Desk, ingest

PEOPLE = "ID,Name,Amount\n"
NEVER = dict.fromkeys(
    ("history_days", "keep_rejects_days", "keep_moves_days", "keep_audit_days", "keep_runs_days")
)


class Place(Desk):
    """An account of its own in a database where nothing else expires."""

    def keeping(self, **days: int) -> Pipeline:
        its = self.pipeline.settings.model_copy(update={**NEVER, **days})
        return replace(self.pipeline, settings=its)

    def look(self, **days: int) -> dict[str, Going]:
        return {one.kind: one for one in retention.look(self.keeping(**days)) if one.items}

    def apply(self, **days: int) -> dict[str, Going]:
        went = retention.apply(self.keeping(**days), 60, None)
        return {one.kind: one for one in went if one.items}

    def age(self, *reports: ImportReport, days: int = 31) -> None:
        older = (
            "UPDATE csv_pipeline.import SET finished_at = now() - make_interval(days => :days), "
            "dismissed_at = dismissed_at - make_interval(days => :days) WHERE import_id = ANY(:ids)"
        )
        self.execute(older, days=days, ids=[report.import_id for report in reports])

    def execute(self, statement: str, **values: Any) -> None:
        with self.pipeline.database.begin() as connection:
            connection.execute(sa.text(statement), values)

    def repair(self, report: ImportReport) -> ImportReport:
        path = self.folder / f"corrected-{report.import_id}.csv"
        self.pipeline.write_rejects(report.import_id, path)
        corrected = path.read_text("utf-8-sig").replace("abc", "8.00")
        path.unlink()
        return self.bring(corrected, name=path.name)

    def dismiss(self, report: ImportReport) -> None:
        with self.pipeline.database.begin() as connection:
            attention.dismiss(connection, report.import_id)

    def rows_open(self) -> int:
        with self.pipeline.database.begin() as connection:
            return quarantine.open_rows(connection, self.account, "people")


@pytest.fixture
def place(uncrowded_pipeline: Pipeline, account: str, tmp_path: Path) -> Iterator[Place]:
    yield Place(uncrowded_pipeline, account, tmp_path)
    for table in ("reject", "file_move", "audit"):
        with uncrowded_pipeline.database.begin() as connection:
            connection.execute(sa.text(f"DELETE FROM csv_pipeline.{table}"))  # noqa: S608
    Place(uncrowded_pipeline, account, tmp_path).execute(
        "UPDATE csv_pipeline.import SET finished_at = now()"
    )


def test_a_dry_run_names_imports_that_could_be_undone_no_more_and_removes_nothing(
    place: Place,
) -> None:
    first, second = place.bring(PEOPLE + "1,Ann,5\n"), place.bring(PEOPLE + "1,Ann,6\n")
    place.age(first, second)
    (told,) = place.look(history_days=30).values()
    assert (told.kind, told.setting, told.items) == ("history", "history_days", 1)
    assert told.then == f"no undo: import {second.import_id}"
    assert told.size_bytes > 50
    assert len(place.rows("people_history")) == 1
    assert place.apply(history_days=30) == {"history": told}
    assert place.rows("people_history") == []
    with pytest.raises(UndoError, match="by the setting history_days"):
        place.pipeline.undo(second.import_id)
    assert place.look(history_days=30) == {}


def test_rejected_rows_go_once_all_are_repaired_and_that_is_long_ago(place: Place) -> None:
    report = place.bring(PEOPLE + "1,Ann,5\n2,Bob,abc\n")
    place.age(report)
    assert place.look(keep_rejects_days=30) == {}  # it is open
    repair = place.repair(report)
    assert repair.counts.inserted == 1
    assert place.look(keep_rejects_days=30) == {}  # the repair is young, and may be undone
    place.age(repair)
    (told,) = place.look(keep_rejects_days=30).values()
    assert (told.items, told.then.split(": ")[1]) == (1, f"import {report.import_id}")
    assert place.apply(keep_rejects_days=30) == {"rejected rows": told}
    assert place.rejects(report) == []
    assert place.rows_open() == 0


def test_what_would_need_removed_rejects_is_refused_and_says_why(place: Place) -> None:
    report = place.bring(PEOPLE + "1,Ann,5\n2,Bob,abc\n")
    path = place.folder / "sent-out.csv"
    place.pipeline.write_rejects(report.import_id, path)
    late = path.read_text("utf-8-sig").replace("abc", "9.00")
    repair = place.repair(report)
    place.age(report, repair)
    place.apply(keep_rejects_days=30)
    with pytest.raises(UndoError, match=r"would be open again.*keep_rejects_days"):
        place.pipeline.undo(repair.import_id)
    with pytest.raises(SetupError, match=r"removed, by the setting\s+keep_rejects_days"):
        place.pipeline.write_rejects(report.import_id, path)
    replayed = place.bring(late)
    assert replayed.outcome is Outcome.REFUSED
    assert f"those of import {report.import_id} were removed" in (replayed.problem or "")
    undone = place.pipeline.undo(report.import_id)  # which needs none of them
    with pytest.raises(UndoError, match="keep_rejects_days"):
        place.pipeline.undo(undone.import_id)
    assert len(place.rows()) == 1


def test_rejects_of_a_dismissed_import_go_and_those_of_an_undone_one(place: Place) -> None:
    dismissed, undone = (place.bring(PEOPLE + f"{n},Ann,5\n1{n},Bob,abc\n") for n in (1, 2))
    place.dismiss(dismissed)
    undo = place.pipeline.undo(undone.import_id)
    place.age(undone)
    assert place.look(keep_rejects_days=30) == {}
    place.age(dismissed, undo)
    assert place.apply(keep_rejects_days=30)["rejected rows"].items == 2
    assert place.rejects(dismissed) == place.rejects(undone) == []


def test_files_go_and_what_they_brought_cannot_be_imported_once_more(place: Place) -> None:
    folder = place.pipeline.settings.landing_folder / place.account / "people"
    folder.mkdir(parents=True)
    reports = []
    for number in range(2):
        (folder / f"{number}.csv").write_text(PEOPLE + f"{number},Ann,5\n")
        place.pipeline.scan(seconds=10)
        (claim,) = place.pipeline.claim(place.account, "people")
        reports.append(ingest(place.pipeline, claim))
    told = place.look(keep_files=1)["files in archive"]
    assert told.then.startswith("no import once more: import ")
    assert str(reports[0].import_id) in re.findall(r"\d+", told.then)
    assert place.apply(keep_files=1).keys() >= {"files in archive", "files in results"}
    gone, kept = choose(place.pipeline, Which(accounts=[place.account])).files
    assert "it was removed" in (gone.fault or "")
    assert kept.fault is None


def test_logs_go_by_their_own_settings(place: Place) -> None:
    for table, column, rest, values in (
        ("file_move", "moved_at", "account, feed, source", "'a', 'f', '/x'"),
        ("audit", "at", "who, action, subject", "'me', 'undo', '1'"),
    ):
        for days in (31, 29):
            place.execute(
                f"INSERT INTO csv_pipeline.{table} ({column}, {rest}) "  # noqa: S608
                f"VALUES (now() - make_interval(days => :days), {values})",
                days=days,
            )
    assert place.apply(keep_audit_days=30).keys() == {"audit log"}
    assert place.apply(keep_moves_days=30)["moves of files"].items == 1
    assert place.look(keep_audit_days=28, keep_moves_days=28).keys() == {
        "audit log", "moves of files",
    }  # fmt: skip


def test_the_ledger_and_all_else_stays_whatever_its_age_unless_a_setting_says_so(
    place: Place,
) -> None:
    first, second = place.bring(PEOPLE + "1,Ann,5\n2,Bob,abc\n"), place.bring(PEOPLE + "1,Ann,6\n")
    place.age(first, second, days=4_000)
    assert place.apply() == {}
    assert len(place.rejects(first)) == 1
    place.pipeline.undo(second.import_id)
    assert [row.amount for row in place.rows()] == [5]


def test_the_command_shows_what_would_go_and_removes_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = place.bring(PEOPLE + "1,Ann,5\n2,Bob,abc\n")
    place.dismiss(report)
    place.age(report)
    monkeypatch.setattr(opening, "pipeline", lambda: place.keeping(keep_rejects_days=30))
    monkeypatch.setenv("COLUMNS", "300")

    def call(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["retention", *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    told = {one["kind"]: one for one in json.loads(call("--dry-run", "--json"))}
    assert told["rejected rows"]["items"] == 1
    assert "CSV_PIPELINE_KEEP_REJECTS_DAYS" in call("--dry-run")
    assert len(place.rejects(report)) == 1
    call()
    assert place.rejects(report) == []
    done = CliRunner().invoke(app, ["rejects", str(report.import_id)])
    assert done.exit_code != 0
    assert "keep_rejects_days" in done.stderr
