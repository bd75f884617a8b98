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


def test_each_of_the_twelve_fields_is_stored_under_its_own_name(desk: Desk) -> None:
    called = '[{"key":"operation","stringValue":"vote"}]'
    fields = ("id", "104", "signed", "5", "1725595228819", "sender", "7", "WAVES", called)
    imported(desk, NAME, ";".join((*fields, '["d"]', '["e"]', "-1")) + "\n")
    (row,) = stored(desk)
    assert (row.nested_tx_id, row.type, row.signature, row.version) == ("id", 104, "signed", 5)
    assert (row.sender_public_key, row.fee, row.fee_asset_id) == ("sender", 7, "WAVES")
    assert (row.params, row.diff, row.extra) == (json.loads(called), ["d"], ["e"])
    assert (row.ts.timestamp(), row.rollback) == (1725595228.819, -1)
    columns = "pg_typeof(params)::text, pg_typeof(diff)::text, pg_typeof(extra)::text"
    assert desk.rows(FEED, columns) == [("jsonb", "jsonb", "jsonb")]


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


def test_a_semicolon_that_json_does_not_write_as_its_code_is_a_reject(desk: Desk) -> None:
    report = imported(desk, NAME, line("a", diff='[{"key":"a;b"}]') + line("b") + "c;d\n")
    assert [reject.message for reject in desk.rejects(report)] == [
        "row 1 (line 1): 12 fields were needed, as the feed declares; found 13",
        "row 3 (line 3): 12 fields were needed, as the feed declares; found 2",
    ]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_and_a_byte_order_mark_are_no_part_of_a_field(desk: Desk, end: str) -> None:
    text = line("a", rollback="-1") + line("b")
    report = imported(desk, NAME, "\ufeff" + text.replace("\n", end))
    assert (report.counts.inserted, report.warnings) == (2, ())
    assert [(row.nested_tx_id, row.rollback) for row in stored(desk)] == [("a", -1), ("b", None)]


WHOLE = line("b", rollback="-1")


@pytest.mark.parametrize(
    ("lost", "kept", "warned"),
    [
        pytest.param(0, {"a": None, "b": -1}, False, id="nothing"),
        pytest.param(1, {"a": None, "b": -1}, True, id="the line end"),
        # Nothing in the file says that the vote was taken back.
        pytest.param(3, {"a": None, "b": None}, True, id="the rollback"),
        pytest.param(40, {"a": None}, True, id="half of the JSON"),
    ],
)
def test_a_file_whose_last_line_is_cut_off_says_so(
    desk: Desk, lost: int, kept: dict[str, int | None], *, warned: bool
) -> None:
    report = imported(desk, NAME, line("a") + WHOLE[: len(WHOLE) - lost])
    assert {row.nested_tx_id: row.rollback for row in stored(desk)} == kept
    assert [warning.code for warning in report.warnings] == ["lines.no_end"] * warned


def test_a_header_is_a_reject_or_refuses_the_file_and_is_no_transaction(desk: Desk) -> None:
    names = "nested_tx_id;type;signature;version;ts;sender_public_key;fee;fee_asset_id;params;diff"
    report = imported(desk, NAME, f"{names};extra;rollback\n{line('a')}")
    assert (report.problem_code, stored(desk)) == ("contradiction", [])
    report = imported(desk, NAME, f"id;kind;s;v;time;key;fee;asset;p;d;e;r\n{line('a')}")
    assert {line_number for line_number, _ in rules(desk, report)} == {1}
    assert [row.nested_tx_id for row in stored(desk)] == ["a"]


def test_zeros_that_no_text_has_reject_their_row_alone(desk: Desk) -> None:
    escaped = line("b", diff=r'[{"key":"\u0000"}]') + line("c", diff=r'[{"key":"\ud800"}]')
    report = imported(desk, NAME, line("a") + escaped + line("d\0") + line("e"))
    found = [(2, "diff.not_storable"), (3, "diff.not_storable"), (4, "row.nul_byte")]
    assert rules(desk, report) == found
    assert [row.nested_tx_id for row in stored(desk)] == ["a", "e"]


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


@pytest.mark.parametrize("word", ["УИК № 1", "Ёж"])
def test_a_few_letters_are_of_windows_1251_and_not_of_what_is_as_likely(
    desk: Desk, word: str
) -> None:
    called = f'[{{"key":"operation","stringValue":"vote"}},{{"key":"x","stringValue":"{word}"}}]'
    imported(desk, NAME, line("a", called).encode("cp1251"))
    assert stored(desk)[0].params[1]["stringValue"] == word


@pytest.mark.parametrize(("by_utf8", "by_1251"), [(3, 1), (1, 3)])
def test_lines_of_two_encodings_are_never_read_by_one(
    desk: Desk, by_utf8: int, by_1251: int
) -> None:
    called = '[{"key":"operation","stringValue":"vote"},{"key":"x","stringValue":"Выборы, Округ"}]'
    lines = "".join(line(f"u{n}", called) for n in range(by_utf8)).encode()
    lines += "".join(line(f"w{n}", called) for n in range(by_1251)).encode("cp1251")
    report = imported(desk, NAME, lines)
    if by_utf8 < by_1251:
        assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "unreadable")
    else:
        assert rules(desk, report) == [(4, "row.undecodable")]
        assert {row.params[1]["stringValue"] for row in stored(desk)} == {"Выборы, Округ"}


def test_a_transaction_of_two_constituencies_is_a_reject_in_the_second(desk: Desk) -> None:
    imported(desk, NAME, line("a") + line("b"))
    other = imported(desk, NAME.replace("Asrx", "Bsrx"), line("a") + line("c"))
    assert rules(desk, other) == [(1, "contract_id.conflict")]
    assert [row.contract_id[:4] for row in stored(desk)] == ["Asrx", "Asrx", "Bsrx"]


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
        (f"dump/{CONTRACT}", (None, None, None)),
        # The first one that looks like a region is it; what is below it comes in its order.
        ("1/90 - Пермский край/12 - Округ", ("90 - Пермский край", "12 - Округ", None)),
        # A folder more than these, or after the contract's: which is which is not known.
        (f"77 - Москва/Выборы/Округ/Участок/{CONTRACT}", (None, None, None)),
        (f"77 - Москва/{CONTRACT}/Выборы", (None, None, None)),
    ],
)
def test_folders_tell_region_election_and_constituency(
    desk: Desk, folders: str, told: tuple[str | None, ...]
) -> None:
    imported(desk, f"{folders}/{NAME}", DUMP)
    assert {(r.region, r.election, r.constituency) for r in stored(desk)} == {told}


@pytest.mark.parametrize(
    ("contract", "hours"), [(CONTRACT[:32], "2300-2400"), (CONTRACT + "2" * 9, "0000-0059")]
)
def test_a_contract_has_32_letters_or_more_of_base58(desk: Desk, contract: str, hours: str) -> None:
    imported(desk, f"{contract}_2024-09-06_{hours}.csv", line("a"))
    assert [(row.contract_id, row.hours) for row in stored(desk)] == [(contract, hours)]


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
        f"{CONTRACT}_2024-09-06_2300-2430.csv",
        f"{CONTRACT}_2024-09-06_0800-0900 (1).csv",
        f"{CONTRACT}_\u0662\u0660\u0662\u0664-09-06_0800-0900.csv",  # other digits
        f"90 - Пермский край/{'x' * 44}/{NAME}",  # the folder of another contract
        f"dump/{'x' * 44}/{NAME}",
    ],
)
def test_a_file_of_another_name_is_refused(desk: Desk, name: str) -> None:
    report = imported(desk, name, DUMP)
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "file_name")
    if "/" not in name and "02-30" not in name:
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
