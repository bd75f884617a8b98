"""Dates, times of day and time zones are read as they are written, or rejected; none is dropped."""
# ruff: noqa: RUF001  # digits that look like letters are part of what this is about

import csv
import datetime as dt
import io
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csv_pipeline.account import DateOrder, DecimalMark
from csv_pipeline.batches import batches, scan
from csv_pipeline.casts import cells as of_cells
from csv_pipeline.casts import dates, times, zones
from csv_pipeline.casts.reading import Reading, years
from csv_pipeline.handover import TypedFile
from csv_pipeline.parts import together
from csv_pipeline.spec.contract import Contract, Money, Timestamp, column, columns_of
from csv_pipeline.spec.declared import feed_in
from csv_pipeline.spec.declared.writing import table_schema
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline_tests.conftest import Desk, typed_file

NEAR = Reading(since=1966, until=2026)


def moment(text: str, reading: Reading = NEAR) -> tuple[dt.date | None, dt.time | None]:
    found = dates.read(pl.Series([text]), reading)
    return found["date"].item(), found["time"].item()


def wide(text: str) -> str:
    """Return digits and signs in full width, as Japanese keyboards write them."""
    return "".join(chr(ord(sign) + 0xFEE0) for sign in text)


def clock(*texts: str, **how: Any) -> list[dt.time | None]:
    return times.cast(pl.Series(texts), Reading(**how)).to_list()


@pytest.mark.parametrize(
    ("text", "iso"),
    [("١٧:٠٢", "17:02"), ("１７：０２", "17:02"), ("१७:०२ PM", "17:02"), ("١٧٠٢", None)],
)
def test_a_time_in_digits_of_any_script_is_read_or_none(text: str, iso: str | None) -> None:
    assert clock(text, "09:15")[0] == (dt.time.fromisoformat(iso) if iso else None)


def test_a_date_in_digits_of_any_script_is_read() -> None:
    day = dt.date(2026, 4, 15)
    assert moment("١٥/٠٤/٢٠٢٦")[0] == day
    assert moment("१५.०४.२०२६ 9:05") == (day, dt.time(9, 5))


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("Wed, 15 Apr 2026", "2026-04-15"),
        ("Wednesday 15 April 2026", "2026-04-15"),
        ("16th April 2026", "2026-04-16"),
        ("1er avril 2026", "2026-04-01"),
        ("mié, 15 abr 2026", "2026-04-15"),
        ("mercredi 15 avril 2026", "2026-04-15"),
        ("Mi, 15.04.2026", "2026-04-15"),
        ("15 de abril de 2026", "2026-04-15"),
        ("quarta-feira, 15 de abril de 2026", "2026-04-15"),
        ("15. dubna 2026", "2026-04-15"),
        ("15 kwietnia 2026 r.", "2026-04-15"),
        ("ke 15. huhtikuuta 2026", "2026-04-15"),
        ("15 апреля 2026 \u0433.", "2026-04-15"),
        ("15 mrt 2026", "2026-03-15"),
        ("20260415", "2026-04-15"),
        ("20260415.0", "2026-04-15"),
        ("2026/3/13", "2026-03-13"),
        ("2026年4月15日", "2026-04-15"),
        ("31.12.2026", "2026-12-31"),
        ("31. 12. 2026", "2026-12-31"),
        (wide("2026-04-15"), "2026-04-15"),
        ("2026\u201304\u201315", "2026-04-15"),
        ("9999-12-31", "9999-12-31"),
        ("12/31/9999", "9999-12-31"),
    ],
)
def test_a_date_with_one_reading_is_read_however_it_is_written(text: str, iso: str) -> None:
    assert moment(text) == (dt.date.fromisoformat(iso), None)


@pytest.mark.parametrize(
    "text",
    [
        *("45000", "202604", "2026041", "20261399", "20250229", "2025-02-29", "29/02/2025"),
        *(
            "9999-12-30",
            "2999-01-01",
            "Thu, 15 Apr 2026",
            "foo 15 Apr 2026",
            "15 Apr",
            "1746223200",
        ),
        *("2026-05-02 25:15", "2026-05-02 16:15 AM", "2026-05-02 foo", "2²/05/2026", "17:02"),
    ],
)
def test_what_is_no_date_or_contradicts_itself_is_not_made_one(text: str) -> None:
    assert moment(text) == (None, None)


def test_a_weekday_settles_the_order_that_nothing_else_does() -> None:
    assert moment("Wed 03/04/2026")[0] == dt.date(2026, 3, 4)
    assert moment("Fri 03/04/2026")[0] == dt.date(2026, 4, 3)
    assert moment("Wed 03/04/2026", Reading(style=DateOrder.DAY_FIRST)) == (None, None)


def test_an_odd_spelling_of_an_open_date_is_not_guessed() -> None:
    for text in (wide("03/04/2025"), "03.04.2025 um 17:02"):
        assert moment(text) == (None, None)
        assert moment(text, Reading(style=DateOrder.DAY_FIRST))[0] == dt.date(2025, 4, 3)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-05-02 17:02:34.5", dt.time(17, 2, 34, 500000)),
        ("2026-05-02T17:02:34,1234567", dt.time(17, 2, 34, 123456)),
        ("20260502T170234", dt.time(17, 2, 34)),
        ("20260502170234", dt.time(17, 2, 34)),
        ("May 2, 2026 at 5:02 p.m.", dt.time(17, 2)),
        ("2. Mai 2026 um 17.02 Uhr", dt.time(17, 2)),
        ("le 2 mai 2026 à 17h02", dt.time(17, 2)),
        ("2026-05-02 9 PM", dt.time(21)),
        ("2026-05-02 12:05 AM", dt.time(0, 5)),
    ],
)
def test_the_time_of_a_moment_is_read_however_it_is_written(text: str, time: dt.time) -> None:
    assert moment(text) == (dt.date(2026, 5, 2), time)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-05-02T22:15:00Z", "2026-05-02 22:15"),
        ("2026-05-02T22:15:00-07:00", "2026-05-03 05:15"),
        ("2026-05-02 00:30 +0530", "2026-05-01 19:00"),
        ("Sat, 02 May 2026 22:15:00 GMT", "2026-05-02 22:15"),
        ("Wed, 15 Apr 2026 10:00:00 +0200", "2026-04-15 08:00"),
        ("Apr-29-26 17:02:34 PDT", "2026-04-30 00:02:34"),
        ("2026-05-02T22:15:00+02:00[Europe/Berlin]", "2026-05-02 20:15"),
        ("Wed Apr 15 2026 10:00:00 GMT+0200 (Central European Summer Time)", "2026-04-15 08:00"),
        ("9999-12-31T00:00:00-07:00", "9999-12-31 00:00"),
    ],
)
def test_a_moment_with_a_known_zone_is_converted_to_utc(text: str, utc: str) -> None:
    date, time = moment(text)
    assert dt.datetime.combine(date or dt.date.min, time or dt.time.min) == (
        dt.datetime.fromisoformat(utc)
    )


@pytest.mark.parametrize("zone", ["CST", "IST", "BST", "XYZ", "+25:00", "-07:75", "Europe/Berlin"])
def test_a_zone_that_is_not_known_for_certain_is_not_guessed(zone: str) -> None:
    assert moment(f"2026-05-02 22:15 {zone}") == (None, None)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("17:02:34", dt.time(17, 2, 34)),
        ("9:05", dt.time(9, 5)),
        ("12:30 PM", dt.time(12, 30)),
        ("12:30 am", dt.time(0, 30)),
        ("9 PM", dt.time(21)),
        ("9 p.m.", dt.time(21)),
        ("17h02", dt.time(17, 2)),
        ("17h", dt.time(17)),
        ("17.02 Uhr", dt.time(17, 2)),
        ("5.02 pm", dt.time(17, 2)),
        ("17:02:34.123456", dt.time(17, 2, 34, 123456)),
        ("T07:45", dt.time(7, 45)),
        ("07:45Z", dt.time(7, 45)),
        ("1899-12-30 07:45:00", dt.time(7, 45)),
        ("17.02", None),
        ("1702", None),
        ("25:00", None),
        ("24:00", None),
        ("23:59:60", None),
        ("13 PM", dt.time(13)),
        ("13 AM", None),
        ("7:5", None),
        ("07:45 CET", None),
        ("2026-05-04", None),
        ("soon", None),
    ],
)
def test_a_time_that_stands_alone_is_read_or_none(text: str, time: dt.time | None) -> None:
    assert clock(text) == [time]


def form(*texts: str) -> str | None:
    forms = times.Forms("begins", "Begins", protected=False)
    forms.add(pl.Series(texts), pl.Series(range(len(texts))))
    return forms.style()


@pytest.mark.parametrize(
    ("texts", "proven"),
    [
        (["1702"], "hhmm"),
        (["1702", "930", "soon"], "hhmm"),
        (["170234", "90500"], "hhmmss"),
        (["17.02", "9.30"], "hh.mm"),
        (["17.02.34"], "hh.mm.ss"),
        (["1702", "17:02"], times.MARKED),  # two forms
        (["1702", "1375"], times.MARKED),  # 13:75 is no time, so that 1702 is perhaps none
        (["1702", "5"], times.MARKED),
        (["17.02", "7.5"], times.MARKED),
        (["8.00", "8.25", "8.50"], times.MARKED),  # hours and quarters of them
        (["17:02", "9 PM"], times.MARKED),
        (["soon"], None),
    ],
)
def test_digits_alone_are_times_only_where_the_column_proves_it(
    texts: list[str], proven: str | None
) -> None:
    assert form(*texts) == proven


def test_digits_alone_are_read_by_the_form_that_is_proven() -> None:
    assert clock("1702", "930", form="hhmm") == [dt.time(17, 2), dt.time(9, 30)]
    assert clock("17.02", "9.30", form="hh.mm") == [dt.time(17, 2), dt.time(9, 30)]
    assert clock("1702", "2575", form=times.MARKED) == [None, None]


def test_a_column_of_times_stores_them_or_rejects_them(desk: Desk) -> None:
    report = desk.bring("Shift;Begins\nA;1702\nB;930\nC;soon\nD;\nE;n/a\n", "shifts")
    assert [row.begins for row in desk.rows("shifts", "begins, shift", "2")] == [
        dt.time(17, 2), dt.time(9, 30), None, None,
    ]  # fmt: skip
    (reject,) = desk.rejects(report)
    assert (reject.rule, reject.value) == ("begins.time", "soon")


def test_no_digit_of_a_second_is_lost(desk: Desk) -> None:
    report = desk.bring(
        "Shift,Begins,Logged\nA,17:02:03.1234560,2026-05-02 17:02\nB,17:02:03.1234567,\n"
        "C,,2026-05-02 17:02:03.1234567\nD,,2026-05-02 17:02:03.1234560\n",
        "shifts",
    )
    stored = desk.rows("shifts", "begins::text, logged_time::text, shift", "3")
    assert [tuple(row) for row in stored] == [
        ("17:02:03.123456", "17:02:00", "A"), (None, "17:02:03.123456", "D"),
    ]  # fmt: skip
    assert [(reject.row_number, reject.rule) for reject in desk.rejects(report)] == [
        (3, "begins.too_fine"),
        (4, "logged_time.too_fine"),
    ]


def test_digits_alone_beside_times_with_marks_are_rejects(desk: Desk) -> None:
    report = desk.bring("Shift,Begins\nA,17:02\nB,930\n", "shifts")
    assert [reject.row_number for reject in desk.rejects(report)] == [3]
    assert "the column holds times of several forms" in [one.because for one in report.evidence]


def test_a_time_that_follows_a_date_is_absent_only_where_the_date_stands_alone(desk: Desk) -> None:
    report = desk.bring(
        "Shift,Logged\nA,2026-05-02\nB,2026-05-02 17:02\nC,2026-05-02 17:62\nD,17:02\n", "shifts"
    )
    stored = [(row.shift, row.logged_time) for row in desk.rows("shifts", "shift, logged_time")]
    assert stored == [("A", None), ("B", dt.time(17, 2))]
    assert [(reject.row_number, reject.rule) for reject in desk.rejects(report)] == [
        (4, "logged_on.time"),
        (5, "logged_on.date"),
    ]


def logged(desk: Desk, *cells: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Bring moments and return what is stored of them, and the rules that the others break."""
    rows = "".join(f"{n},{cell}\n" for n, cell in enumerate(cells))
    report = desk.bring(f"Shift,Logged\n{rows}", "shifts")
    stored = desk.rows("shifts", "logged_on::text, logged_time::text, shift", "3")
    return [tuple(row[:2]) for row in stored], [reject.rule for reject in desk.rejects(report)]


def test_moments_of_several_zones_are_converted_and_one_without_is_rejected(desk: Desk) -> None:
    stored, rules = logged(
        desk, "2026-05-02T22:15:00Z", "2026-05-02T22:15:00-07:00", "2026-05-02 22:15", "2026-05-04"
    )
    assert stored == [("2026-05-02", "22:15:00"), ("2026-05-03", "05:15:00"), ("2026-05-04", None)]
    assert rules == ["logged_on.zone"]


def test_a_few_moments_with_a_zone_among_others_without_are_rejects(desk: Desk) -> None:
    stored, rules = logged(desk, "2026-05-02 22:15", "2026-05-02 22:16", "2026-05-02 22:17 PDT")
    assert stored == [("2026-05-02", "22:15:00"), ("2026-05-02", "22:16:00")]
    assert rules == ["logged_on.zone"]


def test_a_zone_of_several_countries_is_a_reject_that_names_it(desk: Desk) -> None:
    report = desk.bring("Shift,Logged\nA,2026-05-02 22:15 CST\nB,2026-05-02 22:15 PDT\n", "shifts")
    (reject,) = desk.rejects(report)
    assert reject.rule == "logged_on.zone"
    assert "CST" in reject.message


def test_a_date_without_its_time_is_kept_as_written_if_all_state_one_zone(desk: Desk) -> None:
    report = desk.bring(
        "Shift,Hired\nA,2026-05-02T00:15:00+02:00\nB,2026-05-03T00:15:00+02:00\n", "shifts"
    )
    assert [row.hired_on.day for row in desk.rows("shifts", "hired_on, shift", "2")] == [2, 3]
    assert [(one.subject, one.decision) for one in report.evidence[-2:]] == [
        ("time zone of Hired", "+02:00, as written"),
        ("time of day in Hired", "left out"),
    ]
    assert not report.warnings


def test_dates_of_several_zones_are_those_of_utc_and_a_warning(desk: Desk) -> None:
    report = desk.bring(
        "Shift,Hired\nA,2026-05-02T22:15:00Z\nB,2026-05-02T22:15:00-07:00\n", "shifts"
    )
    assert [row.hired_on.day for row in desk.rows("shifts", "hired_on, shift", "2")] == [2, 3]
    assert [(one.code, one.count) for one in report.warnings] == [("column.zones_differ", 2)]


def test_summer_and_winter_time_of_one_place_are_one_zone(desk: Desk) -> None:
    report = desk.bring("Shift,Hired\nA,Jan-02-26 23:00 PST\nB,May-02-26 23:00 PDT\n", "shifts")
    assert [row.hired_on.day for row in desk.rows("shifts", "hired_on, shift", "2")] == [2, 2]
    assert not report.warnings


def test_dates_beside_moments_that_are_converted_are_of_utc_too(desk: Desk) -> None:
    late = "May-02-26 22:15 PDT"
    desk.bring(f"Shift,Hired,Logged\nA,{late},{late}\n", "shifts")
    (row,) = desk.rows("shifts", "hired_on, logged_on, logged_time")
    assert tuple(row) == (dt.date(2026, 5, 3), dt.date(2026, 5, 3), dt.time(5, 15))


def test_a_time_alone_is_stored_without_its_zone_only_with_a_warning(desk: Desk) -> None:
    report = desk.bring("Shift,Begins\nA,07:45+02:00\nB,08:45+02:00\n", "shifts")
    assert report.counts.inserted == 2
    assert [one.code for one in report.warnings] == ["column.zone_left_out"]
    report = desk.bring("Shift,Begins\nA,07:45+02:00\nB,08:45+01:00\n", "shifts")
    assert report.counts.rejected == 2


@pytest.mark.parametrize(
    ("past", "year", "expected"),
    [
        (True, "26", 2026),
        (True, "27", None),
        (True, "57", None),
        (True, "65", None),
        (True, "66", 1966),
        (True, "99", 1999),
        (False, "27", 2027),
        (False, "36", 2036),
        (False, "37", None),
        (False, "66", 1966),
    ],
)
def test_two_digits_are_a_year_near_the_import_or_none(
    past: bool, year: str, expected: int | None
) -> None:
    since, until = years(2026, past=past)
    found = dates.read(pl.Series([f"14-Jun-{year}"]), Reading(since=since, until=until))
    assert (found["date"].item() and found["date"].item().year) == expected
    assert found["fault"].item() == (None if expected else "century")


def test_the_century_that_comes_is_as_near_as_the_one_that_was() -> None:
    since, until = years(2099, past=False)
    found = dates.read(pl.Series(["14-Jun-05", "14-Jun-99"]), Reading(since=since, until=until))
    assert [date.year for date in found["date"]] == [2105, 2099]


class Moment(Contract):
    """A column of every kind that is not text, and a moment in two columns."""

    choice: str = column("Choice", choices=("in stock", "sold"), nullable=True)
    whole: int = column("Whole", nullable=True)
    amount: Money = column("Amount", nullable=True)
    day: pl.Date = column("Day", nullable=True)
    time: pl.Time = column("Time", nullable=True)
    logged_on: pl.Date = column("Logged", nullable=True)
    logged_time: pl.Time = column("Logged", nullable=True)
    at: Timestamp = column("At", nullable=True, zone="Europe/Berlin")
    flag: bool = column("Flag", nullable=True)
    document: str = column("Document", nullable=True, kind=Kind.JSON)
    uuid: str = column("UUID", nullable=True, kind=Kind.UUID)
    share: Money = column("Share", nullable=True, kind=Kind.PERCENT)


MOMENTS = Feed(name="moments", description="Moments.", contract=Moment)
HEADER = (
    "Choice",
    "Whole",
    "Amount",
    "Day",
    "Time",
    "Logged",
    "At",
    "Flag",
    "Document",
    "UUID",
    "Share",
)


def typed(
    rows: Sequence[tuple[str, ...]], work: Path, **how: Any
) -> tuple[pl.DataFrame, TypedFile]:
    """Return the cells that were read, by heading, and what became of them."""
    out = io.StringIO()
    padded = ([*row, *[""] * (len(HEADER) - len(row))] for row in rows)
    csv.writer(out).writerows([HEADER, *padded])
    path = work / "file.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    text = read(path, work, ReadHints(name=path.name, headings=MOMENTS.headings))
    files = replace(together([text], [path.name], work), styles=how.pop("settled", {}))
    made = typed_file(files, MOMENTS, **how)
    cells = pl.concat(batches(text.rows))
    return cells.rename({str(n): name for n, name in enumerate(HEADER)}), made


SIGNS = st.text(st.sampled_from("0123456789.,-/:+ ThZamprMYil$€'"), max_size=14)
LIKE_MOMENTS = st.from_regex(
    re.compile(
        r"(?:(?:20)?2[0-9][-/.][01]?[0-9][-/.][0-3]?[0-9]|[0-3]?[0-9](?:th)? (?:Apr|Mai|foo) 2[06]"
        r"|202604[0-3][0-9])?[ T]?(?:[0-2]?[0-9][:h.][0-6][0-9](?::[0-6][0-9])?)?"
        r"(?: ?[ap]m)?(?:Z| CST| PDT|[+-]0[0-9]:?00)?"
    ),
    fullmatch=True,
)
NO_VALUE = st.sampled_from(["", " ", "N/A", "-", "null"])


ANY_TEXTS = given(
    rows=st.lists(st.tuples(*[SIGNS | LIKE_MOMENTS | NO_VALUE] * len(HEADER)), max_size=6),
    day_first=st.booleans(),
)


@settings(deadline=None, max_examples=25)
@ANY_TEXTS
def test_a_text_that_is_not_blank_becomes_a_value_or_a_reject(
    rows: list[tuple[str, ...]], day_first: bool
) -> None:
    _becomes_a_value_or_a_reject(rows, day_first=day_first)


@pytest.mark.slow
@settings(deadline=None, max_examples=1_500)
@ANY_TEXTS
def test_of_many_texts_each_becomes_a_value_or_a_reject(
    rows: list[tuple[str, ...]], day_first: bool
) -> None:
    _becomes_a_value_or_a_reject(rows, day_first=day_first)


def _becomes_a_value_or_a_reject(rows: list[tuple[str, ...]], *, day_first: bool) -> None:
    order = DateOrder.DAY_FIRST if day_first else DateOrder.MONTH_FIRST
    rows = [("sold", "1", "1.00", "2026-05-02", "17:02", "2026-05-02"), *rows]
    with tempfile.TemporaryDirectory() as folder:
        settled = {"day": order, "logged_on": order, "at": order, "amount": DecimalMark.POINT}
        settled["share"] = DecimalMark.POINT
        cells, made = typed(rows, Path(folder), settled=settled)
        values = scan(made.rows).collect()
        faults = set(scan(made.rejects).select("row_number", "column").collect().iter_rows())
    for of in columns_of(Moment):
        for cell, value, row_number in zip(
            cells[of.aliases[0]], values[of.name], cells["row_number"], strict=True
        ):
            blank = cell is None or cell.strip().casefold() in {"", *of_cells.NO_VALUE}
            at_fault = (row_number, of.name) in faults
            if of.name == "logged_time":
                at_fault = (row_number, "logged_on") in faults
                alone = cell is not None and not re.search(r"\d[:h.]\d\d|[ap]m\b", cell[6:])
                assert value is not None or at_fault or blank or alone, cell
            else:
                assert blank or (value is None) == at_fault, (of.name, cell)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.TEXT, Kind.CURRENCY}])
def test_the_property_above_covers_every_kind(kind: Kind) -> None:
    assert kind in {of.kind for of in columns_of(Moment)}


def test_two_digit_years_are_read_by_the_day_of_the_import(tmp_path: Path) -> None:
    rows = [("sold", "1", "1.00", "14-Jun-31", "17:02", "2026-05-02")]
    for today, year in ((dt.date(2026, 3, 1), 2031), (dt.date(2020, 3, 1), None)):
        _, made = typed(rows, tmp_path, today=today)
        found = scan(made.rows).collect()["day"].item()
        assert (found and found.year) == year
    decided = {one.subject: one.decision for one in made.evidence}
    assert decided["two-digit years"] == "1960 to 2030"
    settled = {"two-digit years": "2026"}
    _, made = typed(rows, tmp_path, today=dt.date(2020, 3, 1), settled=settled)
    assert scan(made.rows).collect()["day"].item().year == 2031


def test_the_feed_says_whose_two_digits_are_no_year_to_come(desk: Desk) -> None:
    soon = f"14-Jun-{(dt.datetime.now(dt.UTC).year + 3) % 100:02}"
    report = desk.bring(f"Shift,Day,Hired\nA,{soon},\nB,,{soon}\n", "shifts")
    assert [row.shift for row in desk.rows("shifts", "shift")] == ["A"]
    assert [reject.rule for reject in desk.rejects(report)] == ["hired_on.century"]


def test_rejected_moments_come_back_as_they_were_read_before(desk: Desk) -> None:
    first = desk.bring(
        "Shift,Logged,Begins\nA,2026-05-02T22:15:00Z,1702\nB,2026-05-02 22:15,0930\n", "shifts"
    )
    assert (first.styles["logged_on.zone"], first.styles["begins.form"]) == (zones.UTC, "hhmm")
    corrected = f"_import_id,_row_number,Shift,Logged,Begins\n{first.import_id},3,B,{{}},0930\n"
    again = desk.bring(corrected.format("2026-05-02 22:15"), "shifts")
    assert again.counts.rejected == 1
    again = desk.bring(corrected.format("2026-05-02T22:15-07:00"), "shifts")
    assert again.counts.inserted == 1
    (row,) = desk.rows("shifts", "logged_on, begins", "1 DESC LIMIT 1")
    assert row == (dt.date(2026, 5, 3), dt.time(9, 30))


def test_words_for_no_value_are_null_where_a_column_is_not_text(desk: Desk) -> None:
    words = ["N/A", "#N/A", "NULL", r"\N", "-", "--", "n/a", "\N{EM DASH}", "#NV"]
    texts = [word.removeprefix("#") for word in words]  # an error of a spreadsheet is no text
    rows = "".join(
        f"{n},{w},{w},{w},{w},{w},{t}\n" for n, (w, t) in enumerate(zip(words, texts, strict=True))
    )
    report = desk.bring(f"Shift,Day,Begins,Logged,Break,Pay,Note\n{rows}", "shifts")
    assert (report.counts.inserted, report.counts.rejected) == (len(words), 0)
    stored = desk.rows("shifts", "day, begins, logged_on, logged_time, break_minutes, pay, note")
    assert {tuple(row[:-1]) for row in stored} == {(None,) * 6}
    assert {row.note for row in stored} == set(texts)


def test_words_for_no_value_are_declared_by_column_and_by_account(desk: Desk) -> None:
    content = "Shift,Day,Break,Note\nA,n/k,OPEN,open\nB,2026-05-02,n/k,(blank)\n"
    assert desk.bring(content, "shifts").counts.rejected == 2
    desk.declare(null_words=("n/k",))
    assert desk.bring(content.replace("B,", "C,"), "shifts").counts.inserted == 2
    stored = desk.rows("shifts", "shift, day, break_minutes, note")
    assert [tuple(row) for row in stored] == [
        ("A", None, None, "open"),
        ("C", dt.date(2026, 5, 2), None, None),
    ]


def test_words_for_no_value_of_a_feed_hold_in_text_and_in_columns_that_it_does_not_know(
    desk: Desk,
) -> None:
    desk.bring("Customer ID,Name,City,Shoe\nA,--,N/A,--\n", "customers")
    (row,) = desk.rows("customers", "name, city, _extra")
    assert tuple(row) == (None, "N/A", None)


def test_a_column_of_words_for_no_value_has_no_value_to_tell_rows_by(desk: Desk) -> None:
    header = "Sales Record Number,Order Number,Item Number,Sold For,Total Price\n"
    for total in ("", "n/a"):
        desk.bring(f"{header}1,21-50500-00001,7,$5.00,{total}\n", "ebay_orders")
        (row,) = desk.rows("ebay_orders", "line_kind, total_price")
        assert tuple(row) == ("single", None)


def test_a_word_for_no_value_where_each_row_needs_one_is_a_reject(desk: Desk) -> None:
    header = "Order ID,Buyer Name,Order Total,Order Date\n"
    report = desk.bring(f"{header}21-50500-00001,Ann,n/a,null\n", "ebay_orders")
    found = {(reject.rule, reject.value) for reject in desk.rejects(report)}
    assert found == {("total_price.required", None), ("sold_on.required", None)}


@pytest.mark.parametrize(
    ("declared", "content", "said"),
    [
        (
            {"date_order": DateOrder.DAY_FIRST},
            "ID|Born\n1|02/04/2026\n2|04/28/2026\n",
            "column 'Born' needs the date order day first, as {declared}; "
            "'04/28/2026' in row 3 can only be month first",
        ),
        (
            {"date_order": DateOrder.MONTH_FIRST},
            "ID;Born\n1;03.04.25\n2;25.12.25\n",
            "'25.12.25' in row 3 can only be day first",
        ),
        (
            {"decimal_mark": DecimalMark.COMMA},
            'ID,Name,Amount\n1,A,"1,234"\n2,B,"1,234.50"\n',
            "column 'Amount' needs the decimal mark comma, as {declared}; "
            "'1,234.50' in row 3 can only be point",
        ),
    ],
)
def test_what_the_file_proves_otherwise_than_declared_refuses_it(
    desk: Desk, declared: dict[str, Any], content: str, said: str
) -> None:
    desk.declare(**declared)
    report = desk.bring(content)
    assert report.problem_code == "contradiction"
    who = f"account {desk.account!r} declares it"
    assert said.format(declared=who) in str(report.problem)


@pytest.mark.parametrize("text", ["31/02/2025", "25/25/2025", "25/12/20256", "25/12", "1.2.3"])
def test_what_is_no_date_disproves_no_declared_order(desk: Desk, text: str) -> None:
    desk.declare(date_order=DateOrder.MONTH_FIRST)
    report = desk.bring(f"ID,Born\n1,03/04/2025\n2,{text}\n")
    assert (report.counts.inserted, report.counts.rejected) == (1, 1)


@pytest.mark.parametrize(
    ("proof", "doubted"),
    [
        ("26/05/2018", "26-05-18"),
        ("26.05.2018", "25-05-18"),
        ("05/26/2018", "05-06-18"),
        ("26/05/99", "05-05-18"),
        ("26-05-2018", "26-05-18 10:00"),
    ],
)
def test_a_date_that_may_begin_with_its_year_is_not_read_by_dates_of_another_form(
    desk: Desk, proof: str, doubted: str
) -> None:
    report = desk.bring(f"ID,Born\n1,{proof}\n2,{doubted}\n")
    (reject,) = desk.rejects(report)
    assert (reject.rule, reject.value) == ("born_on.year", doubted)
    assert "begin with its year" in reject.message


def test_a_date_that_may_begin_with_its_year_is_not_read_by_another_column(desk: Desk) -> None:
    report = desk.bring("ID,Born,Seen\n1,26-05-18,26/05/2018\n2,,27/05/2018\n")
    assert [reject.rule for reject in desk.rejects(report)] == ["born_on.year"]


@pytest.mark.parametrize(
    ("dates", "days"),
    [
        (["5-18-26", "5-6-26"], [dt.date(2026, 5, 18), dt.date(2026, 5, 6)]),
        (["05-18-26", "05-06-26"], [dt.date(2026, 5, 18), dt.date(2026, 5, 6)]),
        (["18-05-99", "05-06-26"], [dt.date(1999, 5, 18), dt.date(2026, 6, 5)]),
        (["5-6-26", "26/05/2026", "26-05-18"],
         [dt.date(2026, 6, 5), dt.date(2026, 5, 26), dt.date(2018, 5, 26)]),
    ],
)  # fmt: skip
def test_hyphens_are_read_by_what_no_year_in_front_allows(
    desk: Desk, dates: list[str], days: list[dt.date]
) -> None:
    report = desk.bring("ID,Born\n" + "".join(f"{n},{day}\n" for n, day in enumerate(dates)))
    assert report.problem is None
    assert [row.born_on for row in desk.rows(columns="born_on, person_id", order="2")] == days


@pytest.mark.parametrize(
    "dates",
    [
        ["25/03/10", "25/03/28", "25/12/01", "26/01/15"],  # fewer years than days
        ["25.03.10", "25.03.28", "25.12.01"],
        ["25/03/10"],  # as many
        ["25/03/10 09:30", "25/03/28 10:00"],
    ],
)
@pytest.mark.parametrize("other", ["", "28/03/2025", "Mar-28-25"])
def test_dates_that_look_as_if_they_began_with_their_year_are_not_read_otherwise(
    desk: Desk, dates: list[str], other: str
) -> None:
    rows = "".join(f"{n},{day},{other}\n" for n, day in enumerate(dates))
    report = desk.bring(f"ID,Born,Seen\n{rows}")
    assert report.problem_code == "undecidable"
    mark = dates[0][2]
    assert f"25{mark}03{mark}10" in str(report.problem)
    assert "25 March 2010 by day first, 10 March 2025 by year first" in str(report.problem)
    assert "--date-order day-first or csv" in str(report.problem)
    assert "--date-order year-first" in str(report.problem)
    assert "month-first" not in str(report.problem)
    assert desk.rows() == []


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("25/03/10", dt.date(2025, 3, 10)),
        ("25.3.10", dt.date(2025, 3, 10)),
        ("25-03-10", dt.date(2025, 3, 10)),
        ("25/03/10 09:30", dt.date(2025, 3, 10)),
        ("03/04/05", dt.date(2003, 4, 5)),
        ("99. 12. 31", dt.date(1999, 12, 31)),  # a space is no other form
        ("2025/03/10", dt.date(2025, 3, 10)),
        ("10-Mar-25", dt.date(2025, 3, 10)),  # the name tells which is the month
    ],
)
def test_dates_that_are_declared_to_begin_with_their_year_are_read_so(
    desk: Desk, written: str, day: dt.date
) -> None:
    desk.declare(date_order=DateOrder.YEAR_FIRST)
    report = desk.bring(f"ID,Born\n1,{written}\n2,\n")
    assert report.problem is None
    assert [row.born_on for row in desk.rows(columns="born_on, person_id", order="2")] == [
        day,
        None,
    ]


def test_a_format_with_the_year_first_declares_it_and_is_written_as_such() -> None:
    feed = feed_in(b'fields: [{name: day, type: date, format: "%y/%m/%d"}]', "x.yaml", "days")
    assert feed.columns[0].style == DateOrder.YEAR_FIRST
    assert table_schema(feed)["fields"][0]["format"] == "%y/%m/%d"


@pytest.mark.parametrize("no_day", ["25/13/10", "25/02/30", "5/03/10", "25/03/0", "25-31-31"])
def test_what_does_not_begin_with_a_year_of_two_digits_is_rejected_if_that_is_declared(
    desk: Desk, no_day: str
) -> None:
    desk.declare(date_order=DateOrder.YEAR_FIRST)
    report = desk.bring(f"ID,Born\n1,25/03/10\n2,{no_day}\n")
    if report.problem is None:
        assert report.rejects_by_rule == {"born_on.date": 1}
    else:
        assert f"{no_day!r} can only end with its year" in report.problem


@pytest.mark.parametrize("last", ["25/12/2025", "12/25/25", "25.03.45"])
@pytest.mark.parametrize("others", ["", "2,25/03/10\n"])
def test_a_date_that_can_only_end_with_its_year_contradicts_that_it_begins_with_it(
    desk: Desk, last: str, others: str
) -> None:
    desk.declare(date_order=DateOrder.YEAR_FIRST)
    report = desk.bring(f"ID,Born\n1,{last}\n{others}")
    assert report.problem_code == "contradiction"
    assert f"{last!r} can only end with its year" in str(report.problem)
    assert "--forget date-order" in str(report.problem)


@pytest.mark.parametrize(
    ("dates", "days"),
    [
        (["25/03/10", "26/03/10"], [25, 26]),  # fewer numbers at the end
        (["25/03/10", "25/04/31", "1/3/10"], [25, 25, 1]),  # a year has two digits
        (["25/03/10", "25/03/32"], [25, 25]),  # no day at the end
        (["25.03.10", "26.03.2010"], [25, 26]),
        (["03/25/10", "03/26/11"], [25, 26]),  # no month in the middle
        (["10/03/25", "25/03/10"], [10, 25]),
    ],
)
def test_dates_with_slashes_or_points_end_with_their_year_where_any_says_so(
    desk: Desk, dates: list[str], days: list[int]
) -> None:
    if dates[0] == "10/03/25":
        desk.declare(date_order=DateOrder.DAY_FIRST)
    desk.bring("ID,Born\n" + "".join(f"{n},{day}\n" for n, day in enumerate(dates)))
    found = {int(row.person_id): row.born_on for row in desk.rows(columns="born_on, person_id")}
    assert {at: day.day for at, day in found.items()} == dict(enumerate(days))


def test_what_another_column_says_of_its_year_counts_for_dates_of_the_same_form(desk: Desk) -> None:
    report = desk.bring("ID,Born,Seen\n1,25/03/10,25/03/10\n2,,26/03/10\n")
    assert report.problem is None
    assert {row.born_on for row in desk.rows(columns="born_on")} == {dt.date(2010, 3, 25), None}


@pytest.mark.parametrize("text", ["18-05-26", "05-06-26", "05-05-05", "29-02-24"])
def test_hyphens_that_may_hide_a_year_in_front_prove_nothing(desk: Desk, text: str) -> None:
    assert desk.bring(f"ID,Born\n1,{text}\n").problem_code == "undecidable"


def test_a_declared_order_settles_dates_that_may_begin_with_their_year(desk: Desk) -> None:
    desk.declare(date_order=DateOrder.DAY_FIRST)
    desk.bring("ID,Born\n1,26-05-18\n2,26/05/2018\n")
    assert {row.born_on for row in desk.rows()} == {dt.date(2018, 5, 26)}


@pytest.mark.parametrize(
    ("dates", "months"),
    [
        (["3 lip 2026", "3 gru 2025"], [7, 12]),  # Polish
        (["3. lip 2026", "3. svi 2026"], [6, 5]),  # Croatian
        (["3 srp 2026", "3 led 2026"], [8, 1]),  # Czech
        (["3. srpnja 2026", "3. srp 2026", "3. lis 2026"], [7, 7, 10]),
        (["3 lis 2026", "3 lip 2026", "3 mar 2026", "3 maj 2026"], [11, 7, 3, 5]),
    ],
)
def test_a_month_whose_name_is_that_of_several_is_told_by_the_others(
    desk: Desk, dates: list[str], months: list[int]
) -> None:
    report = desk.bring("ID,Born\n" + "".join(f"{n},{day}\n" for n, day in enumerate(dates)))
    assert report.counts.rejected == 0
    found = [row.born_on.month for row in desk.rows(columns="born_on, person_id", order="2")]
    assert found == months


@pytest.mark.parametrize(
    "dates",
    [
        ["3 lip 2026"],
        ["3-srp-26"],
        ["listopad 3 2026", "10 Listopada 2026"],
        ["3 lip 2026", "3 Jan 2026"],
    ],
)
def test_a_month_whose_name_is_that_of_several_is_a_reject_if_nothing_tells(
    desk: Desk, dates: list[str]
) -> None:
    report = desk.bring("ID,Born\n" + "".join(f"{n},{day}\n" for n, day in enumerate(dates)))
    rejects = desk.rejects(report)
    assert rejects[0].rule == "born_on.month"
    assert "the name of several" in rejects[0].message


def test_another_column_tells_the_language_of_months_too(desk: Desk) -> None:
    desk.bring("ID,Born,Seen\n1,3 lip 1990,4 gru 2025\n")
    assert desk.rows()[0].born_on == dt.date(1990, 7, 3)
