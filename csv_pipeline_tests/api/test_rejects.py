"""Rejected rows are read in pages, corrected cell by cell, and imported again."""

import json
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pytest
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.engine.corrections import Replacing, replace_cells
from csv_pipeline.model import ImportReport
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.storage import corrections, expiry, quarantine
from csv_pipeline_tests.conftest import Desk

Api = Callable[..., TestClient]
GOOD = "1,one,111,1.00\n"
BAD = "2,two,abc,x\n3,three,333,y\n4,four,444,x\n5,five\n"
DEVICES = "Asset Tag,Status\nSN-1,nonsense\nSN-2,sold\n"
PEOPLE = f"ID,Name,Secret,Amount\n{GOOD}{BAD}"


@pytest.fixture
def brought(desk: Desk) -> ImportReport:
    """An import of which four rows are rejected, one of them malformed."""
    return desk.bring(PEOPLE)


def address(report: ImportReport, more: str = "rejects") -> str:
    return f"/api/v1/imports/{report.import_id}/{more}"


def rejected(api: TestClient, report: ImportReport, asked: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"{address(report)}?{asked}")
    assert answer.status_code == 200, answer.json()
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def test_pages_give_every_rejected_row_once(desk: Desk, api_of: Api, brought: ImportReport) -> None:
    api = api_of(desk.account)
    at: str | None = f"{address(brought)}?limit=1"
    numbers = []
    while at is not None:
        answer = api.get(at).json()
        numbers += [row["row_number"] for row in answer["rows"]]
        at = answer["next"]
    assert numbers == [3, 4, 5, 6]


def test_rejects_that_are_kept_no_longer_are_refused_with_the_reason(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    with desk.pipeline.database.begin() as connection:
        expiry.remove_rejects(connection, [brought.import_id])
    answer = api_of(desk.account).get(address(brought))
    assert answer.status_code == 422, answer.json()
    assert "keep_rejects_days" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ("column=amount", [3, 4, 5]),
        ("column=secret", [3]),
        ("search=x", [3, 5]),
        ("search=abc", []),
        ("rule=row.too_short", [6]),
        ("open=true", [3, 4, 5, 6]),
        ("open=false", []),
    ],
)
def test_rejected_rows_are_filtered_and_masked_values_are_not_searched(
    desk: Desk, api_of: Api, brought: ImportReport, asked: str, numbers: list[int]
) -> None:
    found = rejected(api_of(desk.account), brought, asked)
    assert [row["row_number"] for row in found] == numbers


def test_no_value_of_a_protected_column_is_shown(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    api = api_of(desk.account)
    for text in (api.get(address(brought)).text, api.get(address(brought, "rejects.ndjson")).text):
        assert "abc" not in text
        assert "333" not in text
    (row,) = rejected(api, brought, "column=secret")
    assert row["cells"] == {"ID": "2", "Name": "two", "Secret": MASK, "Amount": "x"}


def test_nothing_of_a_confidential_feed_is_shown_or_searched(desk: Desk, api_of: Api) -> None:
    report = desk.bring(DEVICES, "dme_equipment")
    assert report.counts.rejected, report
    api = api_of(desk.account)
    assert "nonsense" not in api.get(address(report)).text
    assert rejected(api, report, "search=nonsense") == []


def test_rejects_of_another_account_are_nothing(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    other = api_of(f"{desk.account[:40]}-other")
    calls = [
        other.get(address(brought)),
        other.get(address(brought, "rejects.csv")),
        other.patch(address(brought), json={"cells": [amount(4, "1")]}),
        other.post(address(brought, "rejects/replace"), json={"find": "x", "replace": "1"}),
        other.post(address(brought, "replay")),
    ]
    assert {answer.status_code for answer in calls} == {404}


def amount(row: int, value: str) -> dict[str, Any]:
    return {"row_number": row, "column": "Amount", "value": value}


def test_corrected_cells_are_imported_and_the_rows_are_closed(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    api = api_of(desk.account)
    changed = api.patch(address(brought), json={"cells": [amount(4, "3.00"), amount(5, "4.00")]})
    assert changed.json()["cells"] == 2, changed.json()
    replayed = api.post(address(brought, "replay"))
    assert replayed.status_code == 202, replayed.json()
    assert replayed.json()["repairs"] == brought.import_id
    assert replayed.json()["counts"]["inserted"] == 2
    assert {row.name for row in desk.rows()} == {"one", "three", "four"}
    assert [row["row_number"] for row in rejected(api, brought, "open=true")] == [3, 6]
    assert [row["repaired_by"] for row in rejected(api, brought, "open=false")] == [
        replayed.json()["import_id"]
    ] * 2


def test_a_row_whose_cells_could_not_be_told_apart_is_corrected_too(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    api = api_of(desk.account)
    cells = [amount(6, "5.00"), {"row_number": 6, "column": "Secret", "value": "555"}]
    api.patch(address(brought), json={"cells": cells})
    assert api.post(address(brought, "replay")).json()["counts"]["inserted"] == 1
    assert ("five", "555") in [(row.name, row.secret) for row in desk.rows()]


def test_a_cell_that_looks_like_a_formula_is_imported_as_it_was_written(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    api = api_of(desk.account)
    name = {"row_number": 4, "column": "Name", "value": "'=1+1"}
    api.patch(address(brought), json={"cells": [amount(4, "3.00"), name]})
    api.post(address(brought, "replay"))
    assert "'=1+1" in [row.name for row in desk.rows()]


def test_masked_cells_of_a_confidential_feed_stay_as_they_were(desk: Desk, api_of: Api) -> None:
    report = desk.bring(DEVICES, "dme_equipment")
    api = api_of(desk.account)
    cell = {"row_number": 2, "column": "Status", "value": "sold"}
    assert api.patch(address(report), json={"cells": [cell]}).status_code == 200
    assert api.post(address(report, "replay")).json()["counts"]["inserted"] == 1
    assert {row.asset_tag for row in desk.rows("dme_equipment")} == {"SN-1", "SN-2"}


@pytest.mark.parametrize(
    ("cells", "status"),
    [
        ([{"row_number": 2, "column": "Amount", "value": "1"}], 422),
        ([{"row_number": 4, "column": "amount", "value": "1"}], 422),
        ([{"row_number": 4, "column": "Amount", "value": "\0"}], 422),
        ([{"row_number": -4, "column": "Amount", "value": "1"}], 422),
        ([], 422),
    ],
)
def test_what_is_no_cell_of_an_open_reject_is_not_corrected(
    desk: Desk, api_of: Api, brought: ImportReport, cells: list[dict[str, Any]], status: int
) -> None:
    api = api_of(desk.account)
    answer = api.patch(address(brought), json={"cells": [amount(4, "1"), *cells] if cells else []})
    assert answer.status_code == status, answer.json()
    assert api.get(address(brought, "corrections")).json()["corrections"] == []


def test_a_replacement_says_how_many_cells_it_changes_and_is_taken_back(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    api = api_of(desk.account)
    how = {"find": "x", "replace": "7.00", "column": "Amount"}
    tried = api.post(address(brought, "rejects/replace"), json=how | {"dry_run": True}).json()
    assert (tried["cells"], tried["change"]) == (2, None)
    done = api.post(address(brought, "rejects/replace"), json=how).json()
    assert (done["cells"], done["change"]) == (2, 1)
    again = api.post(address(brought, "rejects/replace"), json=how).json()
    assert (again["cells"], again["change"]) == (0, None)
    listed = api.get(address(brought, "corrections?limit=1")).json()
    assert listed["corrections"][0]["value"] == "7.00"
    assert len(api.get(listed["next"]).json()["corrections"]) == 1
    assert api.delete(address(brought, "corrections")).json()["cells"] == 2
    assert api.get(address(brought, "corrections")).json()["corrections"] == []
    assert api.delete(address(brought, "corrections")).status_code == 422


def test_the_change_before_holds_again_when_one_is_taken_back(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    api = api_of(desk.account)
    for value in ("1", "2"):
        api.patch(address(brought), json={"cells": [amount(4, value)]})
    assert rejected(api, brought)[1]["corrected"] == {"Amount": "2"}
    api.delete(address(brought, "corrections?change=2"))
    assert rejected(api, brought)[1]["corrected"] == {"Amount": "1"}


def test_a_replacement_writes_cells_as_they_are_found(
    desk: Desk, brought: ImportReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    row_of, store = quarantine.row_of, corrections.store

    def counted(*what: Any) -> Any:
        read.append(what)
        return row_of(*what)

    def watched(connection: Any, import_id: int, by: str, cells: Iterator[Any]) -> int:
        first = next(cells)
        assert len(read) == 2  # of four rows, the first of which has none
        return store(connection, import_id, by, chain([first], cells))

    monkeypatch.setattr(quarantine, "row_of", counted)
    monkeypatch.setattr(corrections, "store", watched)
    everywhere = Replacing(find="e", put="E", whole_cell=False)
    done = replace_cells(desk.pipeline, brought.import_id, everywhere, by="test", dry_run=False)
    assert (done.cells, done.rows) == (1, 1)  # in row 6, which is malformed, none is shown
    assert [(row, then) for row, _, _, then in done.first] == [(4, "thrEE")]
    again = Replacing(find="E", put="", whole_cell=False)
    tried = replace_cells(desk.pipeline, brought.import_id, again, by="test", dry_run=True)
    assert [(before, then) for _, _, before, then in tried.first] == [("thrEE", "thr")]


def test_no_replacement_tells_what_a_protected_column_holds(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    api = api_of(desk.account)
    how = {"find": "3", "replace": "", "whole_cell": False, "dry_run": True}
    found = api.post(address(brought, "rejects/replace"), json=how).json()
    assert [cell["column"] for cell in found["first"]] == ["ID"]
    answer = api.post(address(brought, "rejects/replace"), json=how | {"column": "Secret"})
    assert answer.status_code == 422


def test_an_undone_import_is_not_corrected(desk: Desk, api_of: Api, brought: ImportReport) -> None:
    desk.pipeline.undo(brought.import_id)
    answer = api_of(desk.account).patch(address(brought), json={"cells": [amount(4, "1")]})
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


def test_who_may_only_read_corrects_nothing(desk: Desk, api_of: Api, brought: ImportReport) -> None:
    answer = api_of(desk.account, Scope.READ).patch(address(brought), json={"cells": []})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def test_a_file_of_rejects_that_was_corrected_by_hand_is_imported(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    api = api_of(desk.account)
    text = api.get(address(brought, "rejects.csv")).text
    assert text.startswith("﻿_import_id,_row_number")
    corrected = text.replace(",333,y,", ",333,3.00,")
    sent = api.put(
        f"/api/v1/uploads/{desk.account}/corrected.csv?feed=people", content=corrected.encode()
    )
    shown = api.get(f"/api/v1/imports/{sent.json()['upload_id']}").json()
    assert (shown["repairs"], shown["counts"]["inserted"]) == (brought.import_id, 1)


def test_rejects_are_downloaded_as_lines_of_json(
    desk: Desk, api_of: Api, brought: ImportReport
) -> None:
    lines = api_of(desk.account).get(address(brought, "rejects.ndjson")).text.splitlines()
    assert [json.loads(line)["row_number"] for line in lines] == [3, 4, 5, 6]


def test_the_rejects_that_a_check_found_are_read_like_others(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    sent = api.put(
        f"/api/v1/uploads/{desk.account}/p.csv?feed=people&check=true", content=PEOPLE
    ).json()
    found = api.get(f"/api/v1/imports/{sent['upload_id']}/rejects").json()
    assert [row["row_number"] for row in found["rows"]] == [3, 4, 5, 6]
