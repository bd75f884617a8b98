"""Moments, flags and JSON are stored as they are meant, or rejected: nothing is rounded or lost."""
# ruff: noqa: RUF001  # digits that look like letters are part of what this is about

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from csv_pipeline.casts import documents, timestamps
from csv_pipeline.casts.by_kind import CASTS
from csv_pipeline.casts.reading import Reading
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.contract import Contract, Money, Timestamp, column, columns_of
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.feeds import TEST_FEEDS, Event

FEED = "events"
COLUMNS = {column.name: column for column in columns_of(Event)}
COLUMNS_OF_FILE = ("Happened", "Paid", "Sent", "Seen", "Open", "Listed", "Carries")
PACIFIC = "America/Los_Angeles"


def file(*events: dict[str, str]) -> str:
    """Return a file of events, numbered from 1."""
    out = io.StringIO()
    names = [name for name in COLUMNS_OF_FILE if any(name in event for event in events)]
    writer = csv.DictWriter(out, ["Event", *names], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({"Event": str(number), **its} for number, its in enumerate(events, 1))
    return out.getvalue()


def stored(desk: Desk, columns: str) -> list[Any]:
    rows = desk.rows(FEED, columns, "event")
    return [row[0] if len(row) == 1 else tuple(row) for row in rows]


def rules(desk: Desk, report: ImportReport) -> list[str]:
    return [reject.rule for reject in desk.rejects(report)]


def moment(text: str, zone: str | None = None, **facts: Any) -> str | None:
    """Return the moment that a text is, or the rule that it breaks after a `!`."""
    reading = Reading(zone=zone, since=1966, until=2026, **facts)
    found = timestamps.read(pl.Series("text", [text]), reading)
    at: dt.datetime | None = found["moment"].item()
    return at.isoformat() if at else f"!{found['fault'].item()}"


def counted(text: str, unit: str) -> dt.datetime | None:
    class Counted(Contract):
        at: Timestamp = column(unit=unit)  # type: ignore[arg-type]  # of a parameter

    (its,) = columns_of(Counted)
    return timestamps.cast(pl.Series([text]), its, Reading()).item()  # type: ignore[no-any-return]


def flag(text: str, name: str = "open") -> bool | None:
    cast = CASTS[Kind.BOOLEAN].values
    return cast(pl.Series([text]), COLUMNS[name], Reading()).item()  # type: ignore[no-any-return]


def spelled(text: str) -> str | None:
    return documents.cast(pl.Series([text])).item()  # type: ignore[no-any-return]


def fault(text: str) -> str | None:
    found = documents.reasons(pl.Series([text]))
    rules = [rule for mask, rule, _ in found if mask.fill_null(value=False).any()]
    return rules[0] if rules else None


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-05-02T17:02:34Z", "2026-05-02T17:02:34"),
        ("2026-05-02T17:02:34.123456+05:30", "2026-05-02T11:32:34.123456"),
        ("2026-05-02 17:02:34 +0530", "2026-05-02T11:32:34"),
        ("2026-05-02 17:02 UTC+2", "2026-05-02T15:02:00"),
        ("Sep-28-2026 16:31:55 PM PDT", "2026-09-28T23:31:55"),
        ("Apr-29-26 17:02:34 PDT", "2026-04-30T00:02:34"),
        ("2026-11-01 01:30 PDT", "2026-11-01T08:30:00"),
        ("2026-11-01 01:30 PST", "2026-11-01T09:30:00"),
        ("20260502T170234.1234560Z", "2026-05-02T17:02:34.123456"),
        ("9999-12-31T23:59:59-05:00", "9999-12-31T23:59:59"),
        ("2026-05-02T17:02:34+02:00[Europe/Berlin]", "2026-05-02T15:02:34"),
    ],
)
def test_a_moment_that_states_its_zone_is_that_moment_whatever_is_declared(
    text: str, utc: str
) -> None:
    assert moment(text) == moment(text, zone="Asia/Tokyo") == f"{utc}+00:00"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("2026-05-02", "time"),
        ("2026-05-02 17:02", "zone"),
        ("2026-05-02 17:02 IST", "zone"),
        ("2026-05-02 17:02 CST", "zone"),
        ("2026-05-02 17:02 +15:00", "zone"),
        ("2026-05-02T17:02:34.1234567Z", "too_fine"),
        ("20260502170234.1234567Z", "too_fine"),
        ("0001-01-01T00:00:00Z", "date"),
        ("2026-02-30T00:00:00Z", "date"),
        ("2026-05-02T24:00:00Z", "time"),
        ("2026-05-02T23:59:60Z", "time"),
        ("1746223200000", "date"),
        ("now", "date"),
    ],
)
def test_what_is_no_moment_or_may_be_several_is_none(text: str, rule: str) -> None:
    assert moment(text) == f"!{rule}"


def test_a_time_without_a_zone_is_of_the_declared_one_where_its_clocks_have_it_once() -> None:
    assert moment("2026-03-08 01:59", PACIFIC) == "2026-03-08T09:59:00+00:00"
    assert moment("2026-03-08 03:00", PACIFIC) == "2026-03-08T10:00:00+00:00"
    assert moment("2026-03-08 02:30", PACIFIC) == "!skipped"
    assert moment("2026-11-01 01:30", PACIFIC) == "!repeated"
    assert moment("2026-11-01 02:00", PACIFIC) == "2026-11-01T10:00:00+00:00"


def test_a_zone_in_brackets_that_cannot_be_read_is_not_taken_for_the_declared_one() -> None:
    assert moment("2026-05-02 17:02 [Europe/Berlin]", PACIFIC) == "!zone"
    assert moment("2026-05-02 17:02 (MEZ)", PACIFIC) == "!zone"


@pytest.mark.parametrize(
    ("text", "unit", "utc"),
    [
        ("1725595228819", "ms", "2024-09-06T04:00:28.819"),
        ("１７２５５９５２２８８１９", "ms", "2024-09-06T04:00:28.819"),
        ("-1", "ms", "1969-12-31T23:59:59.999"),
        ("1725595228819.0", "ms", "2024-09-06T04:00:28.819"),
        ("1725595228.819", "s", "2024-09-06T04:00:28.819"),
        ("-1.5", "s", "1969-12-31T23:59:58.5"),
        ("0", "s", "1970-01-01T00:00:00"),
        ("-62135596800", "s", "0001-01-01T00:00:00"),
        ("253402300799.999999", "s", "9999-12-31T23:59:59.999999"),
        ("1725595228819000", "us", "2024-09-06T04:00:28.819"),
        ("-62135596801", "s", None),
        ("1725595228819", "s", None),
        ("1725595228.8190001", "s", None),
        ("1725595228819.5", "us", None),
        ("1.7e12", "ms", None),
        ("2024-09-06T04:00:28Z", "ms", None),
        ("NaN", "s", None),
        ("99999999999999999999", "us", None),
    ],
)
def test_a_number_since_1970_is_a_moment_to_the_last_digit_or_none(
    text: str, unit: str, utc: str | None
) -> None:
    wanted = dt.datetime.fromisoformat(utc).replace(tzinfo=dt.UTC) if utc else None
    assert counted(text, unit) == wanted


MOMENTS = st.datetimes(dt.datetime(1500, 1, 2), dt.datetime(2199, 12, 30))  # noqa: DTZ001
OFFSETS = st.integers(-14 * 60, 14 * 60)


@settings(deadline=None, max_examples=60)
@given(at=MOMENTS, minutes=OFFSETS, form=st.sampled_from(["{}{}", "{} {}", "{} UTC{}", "{} GMT{}"]))
def test_every_moment_in_any_zone_reads_back_exactly(
    at: dt.datetime, minutes: int, form: str
) -> None:
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    offset = f"{at.replace(tzinfo=zone):%z}"
    text = form.format(at.isoformat(sep=" ", timespec="microseconds"), offset)
    assert moment(text) == at.replace(tzinfo=zone).astimezone(dt.UTC).isoformat()


@settings(deadline=None, max_examples=60)
@given(at=MOMENTS, unit=st.sampled_from([("s", 6), ("ms", 3), ("us", 0)]))
def test_every_number_since_1970_reads_back_exactly(at: dt.datetime, unit: tuple[str, int]) -> None:
    name, digits = unit
    at = at.replace(tzinfo=dt.UTC)
    micros = (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    assert counted(f"{Decimal(micros).scaleb(-digits):f}", name) == at


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            (word, True)
            for word in ("true", "TRUE", "Yes", "y", "1", "Wahr", "JA", "Sí", "si", "１")
        ),
        *((word, False) for word in ("false", "F", "No", "0", "falsch", "Nein", "FAUX", "０")),
        *((word, None) for word in ("2", "1.0", "-1", "x", "on", "truth", "", "NaN", "yes no")),
    ],
)
def test_a_flag_is_one_of_its_words_in_any_case(text: str, *, value: bool | None) -> None:
    assert flag(text) is value


def test_declared_words_of_a_flag_take_the_place_of_the_usual_ones() -> None:
    assert (flag("ON", "listed"), flag("off", "listed"), flag("0", "listed")) == (
        True,
        False,
        False,
    )
    assert flag("true", "listed") is flag("1", "listed") is None
    with pytest.raises(SetupError, match="is true and false"):
        column(trues=("Ja", "x"), falses=("nein", "JA"))


@settings(deadline=None, max_examples=100)
@given(word=st.text(max_size=8))
def test_a_text_that_is_no_word_of_a_flag_is_none(word: str) -> None:
    assert flag(word, "listed") in {None, *({True} if word.lower().strip() == "on" else {False})}
    if flag(word, "listed") is not None:
        assert word.isascii() is False or word.strip().lower() in {"on", "off", "0"}


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "Infinity", "-Infinity", "{'a':1}", '{"a":1}x', "[1,]", "01", "1.", ".5", "+1"),
        *("１", "TRUE", "None", "{", '"a', '"\t"', "[NaN]", "[1}"),
    ],
)
def test_a_text_that_is_not_json_is_none(text: str) -> None:
    assert (spelled(text), fault(text)) == (None, None)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"a":1,"a":1}', "key_twice"),
        (r'{"a":{"b":1,"\u0062":2}}', "key_twice"),
        (r'"\u0000"', "not_storable"),
        (r'{"\u0000":1}', "not_storable"),
        (r'"\\\u0000"', "not_storable"),
        (r'"\ud800"', "not_storable"),
        (r'"\udc00\ud800"', "not_storable"),
        ("1e200000", "not_storable"),
        ("-1e-200000", "not_storable"),
        ("1e99999999999999999999", "not_storable"),
        ("9" * 200_000, "not_storable"),
        ("[" * 501 + "]" * 501, "too_deep"),
        ("[" * 10_000 + "]" * 10_000, "too_deep"),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, "too_deep"),
        ("[" * 1_000_000, "too_deep"),
    ],
)
def test_json_that_the_database_would_refuse_or_cut_is_none(text: str, rule: str) -> None:
    assert (spelled(text), fault(text)) == (None, rule)


@pytest.mark.parametrize(
    "spellings",
    [
        ('{"a":1,"b":[1,2]}', ' { "b" : [1.0, 2.00], "a" : 1e0 } ', '{"b":[1,2],"\\u0061":10E-1}'),
        ("0", "-0", "0.0", "0e5", "-0.000"),
        ('"\\ud83d\\ude00"', '"😀"'),
        (r'"\\u0000"', r'"\u005cu0000"'),
        ("100", "1e2", "100.0"),
        ("0.001", "1E-3", "0.0010"),
        (
            "12345678901234567890123456789012345678901234567890.123",
            "1234567890123456789012345678901234567890123456789012.3e-2",
        ),
    ],
)
def test_two_spellings_of_one_json_value_are_the_same(spellings: tuple[str, ...]) -> None:
    assert len({spelled(text) for text in spellings} - {None}) == 1


def exact(text: str) -> object:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda its: st.lists(its, max_size=4) | st.dictionaries(TEXTS, its, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(value=VALUES, ascii_only=st.booleans(), indent=st.none() | st.integers(0, 2))
def test_every_json_value_reads_back_however_it_is_spelled(
    value: object, indent: int | None, *, ascii_only: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    made = spelled(text)
    assert made is not None
    assert exact(made) == exact(text)
    assert spelled(made) == made


SIGNS = st.text(st.sampled_from('":,{}[]\\\1ab.e-0 й'), max_size=5)
MACHINE_MADE = st.recursive(
    st.booleans()
    | st.integers(-200, 200)
    | st.sampled_from([2**63, 2**64, 0.5, 1e30, 10**39, -(10**40), 10**41])
    | SIGNS,
    lambda its: st.lists(its, max_size=4) | st.dictionaries(SIGNS, its, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, max_examples=500)
@given(values=st.lists(MACHINE_MADE, min_size=1, max_size=4), in_order=st.booleans())
def test_a_value_in_its_one_spelling_is_told_from_those_in_another(
    values: list[object], *, in_order: bool
) -> None:
    texts = [
        json.dumps(one, ensure_ascii=False, sort_keys=in_order, separators=(",", ":"))
        for one in values
    ]
    one_by_one = [documents._judged(text)[0] for text in texts]  # noqa: SLF001
    assert documents.cast(pl.Series(texts, dtype=pl.String)).to_list() == one_by_one


MADE = ('[{"key":"x","b":-12},7]', '{"a":{"b":1,"c":"x\\"y\\\\"},"d":null}', '[":x","\\":z"]')
BROKEN = (
    *('"', "\\", '\\"', '":', ":", ",", "{", "}", "[", "]", "0", "1", "-", ".5", "e", '""', " "),
    *("\1", "\2", "\t", "\n", "}\n{", "\\u0000", "\\ud800", '\\\\":', "", "null"),
)


@settings(deadline=None, max_examples=150)
@given(
    texts=st.lists(
        st.builds(
            lambda made, at, width, put: made[:at] + put + made[at + width :],
            st.sampled_from(MADE),
            st.integers(0, 40),
            st.integers(0, 2),
            st.sampled_from(BROKEN),
        ),
        min_size=1,
        max_size=20,
    )
)
@example(["[1", ",2]", "[3][4]"])
@example(["[[1]", ",[2]]", "[3]\n[4]"])
@example(["[1", "\n2]", "3 4"])
@example(['["a', 'b"]', "[3] [4]"])
@example(["[1,\n2]", '{"b":1.50,\r\n"a":1}', "[[]]"])
def test_a_value_that_was_damaged_is_judged_as_if_it_came_alone(texts: list[str]) -> None:
    one_by_one = [documents._judged(text)[0] for text in texts]  # noqa: SLF001
    assert documents.cast(pl.Series(texts, dtype=pl.String)).to_list() == one_by_one


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"b":":x","a":1,"c":2}', '{"a":1,"b":":x","c":2}'),
        ('{"a":1,"a":1}', None),
        ('{"a":1.0}', '{"a":1}'),
        ('[{"key":"b","a":1}]', '[{"a":1,"key":"b"}]'),
        ('{"k10":1,"k9":2}', '{"k10":1,"k9":2}'),
        ('{"k9":1,"k10":2}', '{"k10":2,"k9":1}'),
        ('{"a":"\\u0000"}', None),
        ('{"a":-0}', '{"a":0}'),
        ('{"a":{"b":1},"a2":[{"c":1},{"b":2}]}', '{"a":{"b":1},"a2":[{"c":1},{"b":2}]}'),
        ('[{"key":["\\u0001",1],"a":"\\u0001"}]', '[{"a":"\\u0001","key":["\\u0001",1]}]'),
        ('[{"key":"a","b":1},7,{"d":1,"c":2}]', '[{"b":1,"key":"a"},7,{"c":2,"d":1}]'),
        ('[{"key":"a","b":1},"x",{"d":1}]', '[{"b":1,"key":"a"},"x",{"d":1}]'),
        ('[{"key":"a","b":["x"]}]', '[{"b":["x"],"key":"a"}]'),
        ('{"k":"\\"a\\":1,","b":-12}', '{"b":-12,"k":"\\"a\\":1,"}'),
        ('{"k\\\\":1,"b":2}', '{"b":2,"k\\\\":1}'),
        ('[{"b":-8,"\\":c":"/"," x":-2}]', '[{" x":-2,"\\":c":"/","b":-8}]'),
        ('{"a":"\\ud800","b":1}', None),
        ('{"a":"\\/","b":1}', '{"a":"/","b":1}'),
        ('{"a":"\\x","b":1}', None),
        ('{"a":"x\ty"}', None),
        ('{"a":1,"b":"x",}', None),
        ('["a""b"]', None),
        ('{"a":01}', None),
        ('{"a":1 2}', None),
        ('{"a":"b","c"}', None),
        ('{"a":"b"]', None),
        ('{"k1":1,"k1":2}', None),
        ('[":x\\"y","\\":z"]', '[":x\\"y","\\":z"]'),
        ('{"a\\\\":",":1,"b":"}', None),
        ('{"a":12345678901234567890,"b":-123}', '{"a":12345678901234567890,"b":-123}'),
        (f"[{'9' * 200_000}]", None),
        (f"{'[' * 501}{']' * 501}", None),
        (f"{'[' * 100_000}{']' * 100_000}", None),
        (f"{'[' * 100_000}", None),
        ("null", "null"),
    ],
)
def test_values_that_look_as_if_they_were_in_their_one_spelling(
    text: str, wanted: str | None
) -> None:
    assert spelled(text) == wanted


@settings(deadline=None, max_examples=200)
@given(text=st.text(st.sampled_from('{}[],:"\\u0123456789abef.-+ntrls '), max_size=20))
def test_a_text_reads_as_json_only_if_it_is(text: str) -> None:
    try:
        json.loads(text, parse_constant=lambda name: json.loads(f"<{name}>"))
        is_json = True
    except ValueError:
        is_json = False
    assert is_json or spelled(text) is None


def test_moments_flags_and_json_are_in_the_table_as_they_are_meant(desk: Desk) -> None:
    event = {
        "Happened": "2026-07-01 12:00 IST",
        "Paid": "Sep-28-2026 16:31:55 PM PDT",
        "Sent": "2026-07-01 12:00:00.5",
        "Seen": "1725595228819",
        "Open": "yes",
        "Listed": "OFF",
        "Carries": '{"n": 12345678901234567890.10, "ü": [null]}',
    }
    report = desk.bring(file(event), FEED)
    assert (report.outcome, report.counts.inserted) == (Outcome.IMPORTED, 1)
    assert stored(
        desk,
        "happened_at::text, happened_as_written, paid_at::text, sent_at::text, seen_at::text, "
        "open, listed, carries::text",
    ) == [
        (
            "2026-07-01 06:30:00+00",
            "2026-07-01 12:00 IST",
            "2026-09-28 23:31:55+00",
            "2026-07-01 10:00:00.5+00",
            "2024-09-06 04:00:28.819+00",
            True,
            False,
            '{"n": 12345678901234567890.1, "ü": [null]}',
        )
    ]
    told = {e.subject: (e.decision, e.because) for e in report.evidence}
    assert told["time zone of Sent"] == (
        "Europe/Berlin where none is stated, converted to UTC",
        "feed 'events' declares it",
    )
    assert told["time zone of Paid"][0] == "converted to UTC"


def test_a_time_without_zone_is_of_the_column_before_the_feed(desk: Desk) -> None:
    bare = "2026-07-01 12:00"
    report = desk.bring(file({"Paid": bare, "Sent": bare}), FEED)
    assert stored(desk, "paid_at::text, sent_at::text") == [
        ("2026-07-01 19:00:00+00", "2026-07-01 10:00:00+00")
    ]
    because = {e.subject: e.because for e in report.evidence}
    assert because["time zone of Paid"] == "the column declares it"


def test_values_that_are_none_of_their_kind_are_rejects_and_the_rest_is_stored(desk: Desk) -> None:
    report = desk.bring(
        file(
            {"Sent": "2026-03-29 02:30"},
            {"Sent": "2026-10-25 02:30"},
            {"Happened": "2026-07-01 12:00 CST"},
            {"Seen": "2026-07-01"},
            {"Open": "perhaps"},
            {"Carries": "{'a': 1}"},
            {"Carries": '{"a":1,"a":2}'},
            {"Carries": "[" * 10_000 + "]" * 10_000},
            {"Carries": r'{"a":"\u0000"}'},
            {"Carries": r'{"a":"\ud800"}'},
            {"Carries": "null", "Open": "n/a", "Sent": "-"},
        ),
        FEED,
    )
    assert (report.counts.inserted, report.counts.rejected) == (1, 10)
    assert rules(desk, report) == [
        *("sent_at.skipped", "sent_at.repeated", "happened_at.zone", "seen_at.timestamp"),
        *("open.boolean", "carries.json", "carries.key_twice", "carries.too_deep"),
        *("carries.not_storable", "carries.not_storable"),
    ]
    messages = [reject.message for reject in desk.rejects(report)]
    assert "Europe/Berlin have this hour twice" in messages[1]
    assert len(messages[7]) < 2_000
    assert stored(desk, "carries::text, open, sent_at") == [("null", None, None)]


def test_a_cell_of_300_kb_is_stored_to_the_last_character(desk: Desk) -> None:
    carried = json.dumps([{"key": f"k{n}", "value": "й" * 20} for n in range(4_000)])
    assert len(carried.encode()) > 300_000
    assert desk.bring(file({"Carries": carried}), FEED).counts.inserted == 1
    assert stored(desk, "carries") == [json.loads(carried)]


def test_what_comes_again_in_another_spelling_is_unchanged(desk: Desk) -> None:
    first = {"Happened": "2026-07-01 12:00Z", "Open": "1", "Carries": '{"a": 1.0, "b": 2}'}
    again = {"Happened": "2026-07-01T14:00+02:00", "Open": "yes", "Carries": '{"b":2,"a":1}'}
    desk.bring(file(first), FEED)
    changed = file(again).replace("2026-07-01T14:00+02:00", "2026-07-01T12:00:00Z")
    report = desk.bring(changed, FEED)
    assert (report.counts.unchanged, report.counts.updated) == (0, 1)  # the text beside it differs
    report = desk.bring(file({k: v for k, v in again.items() if k != "Happened"}), FEED)
    assert report.counts.unchanged == 1


def test_rows_without_a_key_are_the_same_however_their_json_is_spelled(desk: Desk) -> None:
    desk.bring('Carries,At\n"{""a"": 1.0, ""b"": 2}",2026-07-01T12:00Z\n', "messages")
    report = desk.bring('Carries,At\n"{""b"":2,""a"":1}",2026-07-01T14:00+02:00\n', "messages")
    assert report.counts.unchanged == 1


def test_a_changed_row_is_in_the_history_and_comes_back_by_undo(desk: Desk) -> None:
    columns = "happened_at::text, open, carries::text"
    desk.bring(file({"Happened": "2026-07-01 12:00Z", "Open": "no", "Carries": "[1]"}), FEED)
    before = stored(desk, columns)
    second = desk.bring(
        file({"Happened": "2026-07-01 12:01Z", "Open": "yes", "Carries": "[2]"}), FEED
    )
    assert second.counts.updated == 1
    assert stored(desk, columns) == [("2026-07-01 12:01:00+00", True, "[2]")]
    assert [tuple(row) for row in desk.rows("events_history", columns)] == before
    desk.pipeline.undo(second.import_id)
    assert stored(desk, columns) == before


def test_a_rejected_row_comes_back_corrected(desk: Desk) -> None:
    first = desk.bring(
        file({"Open": "perhaps", "Carries": '[1,"a;b"]', "Sent": "2026-07-01 9:00"}), FEED
    )
    path = desk.folder / "out" / "rejects.csv"
    desk.pipeline.write_rejects(first.import_id, path)
    second = desk.bring(path.read_bytes().replace(b"perhaps", b"no"), FEED)
    assert (second.repairs, second.counts.inserted) == (first.import_id, 1)
    assert stored(desk, "open, carries::text, sent_at::text") == [
        (False, '[1, "a;b"]', "2026-07-01 07:00:00+00")
    ]


def test_a_row_hash_is_the_same_for_the_same_moment_flag_and_json(desk: Desk) -> None:
    rows = file(*({"Seen": str(n), "Open": "1", "Carries": f'{{"a":{n}}}'} for n in range(2_000)))
    desk.bring(rows, FEED)
    again = rows.replace('""a"":', '""a"" : ').replace(',1,"', ',yes,"')
    assert again != rows
    report = desk.bring(again, FEED)
    assert report.counts.unchanged == 2_000


def test_a_key_of_such_values_is_known_again_however_it_is_spelled(desk: Desk) -> None:
    header = "At,Flag,Document,Share,Value,Last\n"
    first = '2026-05-02 17:02,yes,"{""a"": 1.0}",5%,"[2, 1]",2026-01-01 0:00\n'
    again = '2026-05-02T19:02+02:00,TRUE,"{ ""a"":1}",5.00 %,[1],2026-01-02 0:00\n'
    desk.bring(header + first, "signals")
    second = desk.bring(header + again, "signals")
    assert second.counts.updated == 1
    assert desk.rows("signals", "value, last::text") == [([1], "2026-01-02 00:00:00+00")]
    older = desk.bring(header + again.replace("01-02", "01-01"), "signals")
    assert (older.counts.kept, older.counts.updated) == (1, 0)
    desk.pipeline.undo(second.import_id)
    assert desk.rows("signals", "value, last::text") == [([2, 1], "2026-01-01 00:00:00+00")]


def test_a_zone_that_there_is_not_is_refused_where_it_is_declared() -> None:
    with pytest.raises(SetupError, match="Europe/Berlin, was needed; found 'Mars/Olympus'"):
        column(zone="Mars/Olympus")
    with pytest.raises(SetupError, match="offsets"):
        column(zones={"IST": "Asia/Kolkata"})
    with pytest.raises(SetupError, match="found 'CEST'"):
        Feed(name="zoned", description="", contract=Event, key=("event",), time_zone="CEST")


def test_a_timestamp_of_another_type_is_refused_where_it_is_declared() -> None:
    class Naive(Contract):
        at: pl.Datetime = column()

    with pytest.raises((TypeError, SetupError)):
        columns_of(Naive)


class Typed(Contract):
    """A type of each form in which one can be declared."""

    bare: pl.Decimal = column()
    called: pl.Decimal(9, 3) = column()  # type: ignore[valid-type]
    annotated: Money = column()
    united: str | None = column()


@pytest.mark.parametrize("contract", [Typed, *(feed.contract for feed in FEEDS + TEST_FEEDS)])
def test_columns_have_the_types_that_pandera_holds_them_to(contract: type[Contract]) -> None:
    columns = [(its.name, its.dtype, its.nullable) for its in columns_of(contract)]
    held = contract.to_schema().columns
    assert columns == [(name, its.dtype.type, its.nullable) for name, its in held.items()]


def test_a_type_that_no_table_has_is_refused_where_it_is_declared() -> None:
    class Listed(Contract):
        parts: list[int] = column()

    with pytest.raises(TypeError, match="found List"):
        columns_of(Listed)
