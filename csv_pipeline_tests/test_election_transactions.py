"""The feed of election transactions: a dump without a header or quotes, of JSON cells."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline_tests.conftest import SAMPLES, Desk, ingest
from csv_pipeline_tests.test_replay import sent_out

FEED = "election_transactions"
CONTRACT = "AsrxMqfGWsXEgTmvdw95omtQ4Gv1Vi4mGAvLYy23DHpM"
NAME = f"{CONTRACT}_2024-09-06_0800-0900.csv"
DUMP = (SAMPLES / NAME).read_text()


def line(tx: str, params: str = "", *, kind: object = 104, **others: str) -> str:
    """Return one line of a dump."""
    called = params or '[{"key":"operation","stringValue":"vote"}]'
    cells = {"diff": "[]", "extra": '{"contractVersion":1}', "rollback": ""} | others
    end = (cells["diff"], cells["extra"], cells["rollback"])
    return (
        ";".join([tx, str(kind), "sig", "4", "1725595228819", "key", "0", "", called, *end]) + "\n"
    )


def imported(desk: Desk, path: str, content: str | bytes) -> ImportReport:
    """Import a file below the folder of the feed."""
    file = desk.pipeline.settings.home / "landing" / desk.account / FEED / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    desk.pipeline.scan(seconds=60, account=desk.account)
    (claim,) = desk.pipeline.claim(desk.account, FEED)
    return ingest(desk.pipeline, claim)


def stored(desk: Desk, columns: str = "*") -> list[Any]:
    return desk.rows(FEED, columns, "nested_tx_id")


def rules(desk: Desk, report: ImportReport) -> list[tuple[int, str]]:
    return [(reject.line_number, reject.rule) for reject in desk.rejects(report)]


def test_the_sample_is_stored_as_it_is(desk: Desk) -> None:
    report = imported(desk, NAME, DUMP)
    counts = report.counts
    assert (counts.read, counts.inserted, counts.superseded, counts.rejected) == (8, 7, 1, 0)
    called = [row.operation for row in stored(desk)]
    assert sorted(called) == sorted(
        [
            "createContract",
            "addVotersList",
            "blindSigIssue",
            "blindSigIssue",
            "vote",
            "vote",
            "vote",
        ]
    )


def test_a_row_has_each_field_and_what_the_name_tells(desk: Desk) -> None:
    imported(desk, NAME, DUMP)
    row = next(row for row in stored(desk) if row.nested_tx_id.startswith("9create"))
    assert (row.type, row.version, row.fee, row.fee_asset_id, row.rollback) == (
        103,
        4,
        0,
        None,
        None,
    )
    assert row.ts == datetime(2024, 9, 6, 4, 0, 28, 819_000, tzinfo=UTC)
    assert row.params == [{"key": "contractName", "stringValue": "Выборы; тест"}]
    (base,) = row.diff
    assert json.loads(base["stringValue"]) == {"title": "Округ №1", "dimension": [[1, 1, 3]]}
    assert row.extra["image"] == "voting-contract"
    assert (row.contract_id, row.day, row.hours) == (CONTRACT, date(2024, 9, 6), "0800-0900")
    assert (row.region, row.election, row.constituency) == (None, None, None)


def test_a_rollback_is_kept_as_it_is(desk: Desk) -> None:
    imported(
        desk, NAME, line("a", rollback="-1") + line("b", rollback="") + line("c", rollback="0")
    )
    assert [row.rollback for row in stored(desk)] == [-1, None, 0]


def test_a_semicolon_in_json_is_written_as_its_code_and_read_as_one(desk: Desk) -> None:
    called = (
        r'[{"key":"operation","stringValue":"vote"},{"key":"x","stringValue":"a\u003bb\"\u003b"}]'
    )
    imported(desk, NAME, line("a", called))
    assert stored(desk)[0].params[1]["stringValue"] == 'a;b";'


@pytest.mark.parametrize(
    "called",
    [
        r'[{"key":"data","stringValue":"{\"key\":\"operation\",\"stringValue\":\"vote\"}"},'
        r'{"key":"operation","stringValue":"results"}]',
        '[{"stringValue":"results","key":"operation"}]',
        '[ {"key" : "operation", "stringValue" : "results"} ]',
        r'[{"key":"operation","stringValue":"\u0072esults"}]',
        '[{"key":"x","value":[{"key":"operation","stringValue":"vote"}]},'
        '{"key":"operation","stringValue":"results"}]',
        '[{"key":"operationId","stringValue":"vote"},{"key":"operation","stringValue":"results"}]',
    ],
)
def test_the_operation_is_that_of_the_entry_with_this_key(desk: Desk, called: str) -> None:
    imported(desk, NAME, line("a", called))
    assert stored(desk)[0].operation == "results"


def test_each_known_operation_is_stored(desk: Desk) -> None:
    calls = "addMainKey startVoting addVotersList blindSigIssue vote finishVoting decryption"
    operations = [*calls.split(), "commissionDecryption", "results"]
    text = "".join(
        line(str(n), f'[{{"key":"operation","stringValue":"{one}"}}]')
        for n, one in enumerate(operations)
    )
    assert imported(desk, NAME, text).counts.inserted == len(operations) == 9
    assert {row.operation for row in stored(desk)} == set(operations)


def test_a_call_of_an_unknown_operation_or_of_none_is_a_reject(desk: Desk) -> None:
    text = line("a") + line("b", '[{"key":"operation","stringValue":"Vote"}]')
    text += line("c", '[{"key":"vote","stringValue":"vote"}]') + line("d", "{}")
    report = imported(desk, NAME, text)
    assert rules(desk, report) == [
        (2, "operation.isin"),
        (3, "operation.required"),
        (4, "operation.required"),
    ]


def test_a_contract_is_created_whatever_its_params_say(desk: Desk) -> None:
    imported(desk, NAME, line("a", kind=103) + line("b", "[]", kind=103))
    assert [row.operation for row in stored(desk)] == ["createContract", "createContract"]


def test_a_row_of_11_fields_is_a_reject_with_its_text(desk: Desk) -> None:
    short = "b;104;sig;4;1725595228819;key;0;;[];[];{}"
    report = imported(desk, NAME, line("a") + short + "\n" + line("c", rollback=";"))
    assert rules(desk, report) == [(2, "row.too_short"), (3, "row.too_long")]
    assert desk.rejects(report)[0].raw == short


def test_faults_of_a_cell_are_rejects_of_its_row(desk: Desk) -> None:
    text = line("a") + line("b", diff="{'x':1}") + line("c", kind=105) + line("d", rollback="no")
    text += line("e").replace("1725595228819", "2024-09-06") + line("")
    text += line("f").replace("1725595228819", "1725595228")
    report = imported(desk, NAME, text)
    assert rules(desk, report) == [
        (2, "diff.json"),
        (3, "type.isin"),
        (4, "rollback.integer"),
        (5, "ts.timestamp"),
        (6, "nested_tx_id.required"),
        (7, "ts.ge"),
    ]


def test_cells_of_300_kb_are_read(desk: Desk) -> None:
    hashes = json.dumps([f"{n:064x}" for n in range(4_500)]).replace('"', r"\"")
    assert len(hashes) > 300_000
    called = '[{"key":"operation","stringValue":"addVotersList"},{"key":"userIdHashes",'
    called += f'"stringValue":"{hashes}"}}]'
    text = "".join(line(f"t{n:02}", called) for n in range(20))
    assert imported(desk, NAME, text).counts.inserted == 20
    assert {len(json.loads(row.params[1]["stringValue"])) for row in stored(desk)} == {4_500}


def test_windows_1251_is_read_as_such(desk: Desk) -> None:
    report = imported(desk, NAME, DUMP.encode("cp1251"))
    assert report.counts.inserted == 7
    row = next(row for row in stored(desk) if row.type == 103)
    assert row.params[0]["stringValue"] == "Выборы; тест"
    assert "Округ №1" in row.diff[0]["stringValue"]


def test_transactions_that_other_files_repeat_are_unchanged(desk: Desk) -> None:
    imported(desk, NAME, DUMP)
    again = imported(desk, NAME.replace("0800-0900", "0900-1000"), DUMP)
    assert (again.outcome, again.counts.unchanged, again.counts.superseded) == (
        Outcome.IMPORTED,
        7,
        1,
    )
    assert {row.hours for row in stored(desk)} == {"0800-0900"}


def test_folders_of_a_later_file_fill_in_what_the_first_did_not_tell(desk: Desk) -> None:
    imported(desk, NAME, DUMP)
    folders = f"2024/90 - Пермский край/Выборы депутатов/Округ № 1/{CONTRACT}"
    report = imported(desk, f"{folders}/{NAME}", DUMP)
    assert report.counts.updated == 7
    told = ("90 - Пермский край", "Выборы депутатов", "Округ № 1")
    assert {(r.region, r.election, r.constituency) for r in stored(desk)} == {told}


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        ("90 - Пермский край", ("90 - Пермский край", None, None)),
        (f"90 - Пермский край/{CONTRACT}", ("90 - Пермский край", None, None)),
        ("77 - Москва/Выборы", ("77 - Москва", "Выборы", None)),
        (f"77 - Москва/Выборы/{CONTRACT}", ("77 - Москва", "Выборы", None)),
        ("dump", (None, None, None)),
    ],
)
def test_folders_tell_region_election_and_constituency(
    desk: Desk, folders: str, told: tuple[str | None, ...]
) -> None:
    imported(desk, f"{folders}/{NAME}", DUMP)
    assert {(r.region, r.election, r.constituency) for r in stored(desk)} == {told}


@pytest.mark.parametrize(
    "name",
    [
        "dump.csv",
        f"{CONTRACT[:31]}_2024-09-06_0800-0900.csv",
        *(f"{CONTRACT[:-1]}{letter}_2024-09-06_0800-0900.csv" for letter in "0OIl"),  # no base58
        f"{CONTRACT}_2024-09-06.csv",
        f"{CONTRACT}_06.09.2024_0800-0900.csv",
        f"{CONTRACT}_2024-02-30_0800-0900.csv",
        f"{CONTRACT}_2024-09-06_2430-2459.csv",
        f"{CONTRACT}_2024-09-06_0860-0900.csv",
        f"{CONTRACT}_2024-09-06_0800-0900 (1).csv",
        f"90 - Пермский край/{'x' * 44}/{NAME}",  # the folder of another contract
    ],
)
def test_a_file_of_another_name_is_refused(desk: Desk, name: str) -> None:
    report = imported(desk, name, DUMP)
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "file_name")
    if "90 - " not in name and "02-30" not in name:
        assert report.problem is not None
        assert "<contract id>_<YYYY-MM-DD>_<HHMM-HHMM>.csv was needed" in report.problem


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("b;104;sig;4;1725595228819;key;0;;[];[];{}\n", "contradiction"),
        (line("a", kind=1), "no_good_row"),
        (line("").replace("sig", ""), "no_good_row"),
    ],
)
def test_a_file_without_a_valid_row_is_a_failed_import(desk: Desk, content: str, code: str) -> None:
    report = imported(desk, NAME, content)
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, code)
    assert stored(desk) == []


def test_rejected_transactions_are_corrected_and_come_back(desk: Desk) -> None:
    odd = r'[{"key":"operation","stringValue":"voteX"},{"key":"x","stringValue":"=\"1\""}]'
    first = imported(desk, f"90 - Пермский край/{NAME}", line("a") + line("b", odd))
    back = desk.bring(sent_out(desk, first).replace("voteX", "vote"), FEED, "corrected.csv")
    assert (back.outcome, back.repairs, back.counts.inserted) == (
        Outcome.IMPORTED,
        first.import_id,
        1,
    )
    row = stored(desk)[1]
    assert (row.operation, row.params[1]["stringValue"]) == ("vote", '="1"')
    assert (row.contract_id, row.hours, row.region) == (CONTRACT, "0800-0900", "90 - Пермский край")
    desk.pipeline.undo(back.import_id)
    desk.pipeline.undo(first.import_id)
    assert stored(desk) == []
