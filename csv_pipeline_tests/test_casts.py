"""Text becomes values only where it can mean one thing."""

import datetime as dt
from decimal import Decimal
from types import ModuleType
from typing import Annotated, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csv_pipeline.account import DateOrder, DecimalMark
from csv_pipeline.casts import cells as cells_
from csv_pipeline.casts import dates, decimals, times
from csv_pipeline.casts.by_kind import CASTS
from csv_pipeline.casts.reading import Reading
from csv_pipeline.spec.contract import Column, Contract, Money, Timestamp, column, columns_of
from csv_pipeline.spec.kinds import TYPES, Kind
from csv_pipeline_tests.conftest import Desk

MONEY = pl.Decimal(18, 2)


class OneOfEachKind(Contract):
    """A column of every kind."""

    text: str = column(substitute="none")
    choice: str = column(choices=("in stock", "sold"))
    currency: str = column(kind=Kind.CURRENCY)
    whole: int = column()
    amount: Money = column()
    day: pl.Date = column()
    time: pl.Time = column()
    moment: Timestamp = column()
    flag: bool = column()
    document: str = column(kind=Kind.JSON)
    uuid: str = column(kind=Kind.UUID)
    share: Annotated[pl.Decimal, 9, 4] = column(kind=Kind.PERCENT, bare_as="percent")


def money(text: str, mark: str | None = None) -> Decimal | None:
    return decimals.cast(pl.Series([text]), MONEY, mark).item()  # type: ignore[no-any-return]


def day(text: str, order: str | None = None) -> dt.date | None:
    reading = Reading(style=order, since=1966, until=2026)
    return dates.cast(pl.Series([text]), reading).item()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$1,022.25", "1022.25"),
        ("AU $3,000.00", "3000.00"),
        ("EUR 90,00", "90.00"),
        ("£1,012.50", "1012.50"),
        ("1\u00a0234,50\u00a0€", "1234.50"),
        ("1\u202f234,50 €", "1234.50"),
        ("($25.99)", "-25.99"),
        ("-3,666.78", "-3666.78"),
        ("\u22124.10", "-4.10"),
        ("65.0", "65.00"),
        ("1.5000", "1.50"),
        ("0", "0.00"),
    ],
)
def test_an_amount_is_read_as_its_country_writes_it(text: str, amount: str) -> None:
    assert money(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text",
    [
        *("NaN", "1e3", "Infinity", "-inf", "1.555", "12 34", "1,02,25", "($5", "--5", "$"),
        *("12 pcs", "No5", "e5", "$5 EUR", "$5$", "9" * 17),
    ],
)
def test_what_is_no_amount_is_not_made_one(text: str) -> None:
    assert money(text, DecimalMark.POINT) is None


@given(st.decimals(-(10**15), 10**15, places=2))
def test_every_amount_survives_its_own_text(amount: Decimal) -> None:
    assert money(f"{amount:,.2f}") == amount


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("Sep-18-26", "2026-09-18"),
        ("26-May-26", "2026-05-26"),
        ("10-Dez-25", "2025-12-10"),
        ("01-Mär-26", "2026-03-01"),
        ("05-oct.-26", "2026-10-05"),
        ("01-août-26", "2026-08-01"),
        ("Aug 31, 2026", "2026-08-31"),
        ("2025-02-01 10:11:12", "2025-02-01"),
        ("2025-07-28T12:43:22.123456", "2025-07-28"),
        ("31.12.99", "1999-12-31"),
    ],
)
def test_a_date_is_read_as_its_country_writes_it(text: str, iso: str) -> None:
    assert day(text) == dt.date.fromisoformat(iso)


@pytest.mark.parametrize(
    "text",
    ["2025-02-30", "Foo-01-26", "13/13/2025", "NaN", "20250", "1-2", "0000-01-01", "0026-01-31"],
)
def test_what_is_no_day_of_the_calendar_is_not_made_one(text: str) -> None:
    assert day(text) is None


def test_a_declared_order_rejects_what_contradicts_it() -> None:
    assert day("25/12/2025", DateOrder.MONTH_FIRST) is None


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2025-02-01 10:11:12", dt.time(10, 11, 12)),
        ("Sep-28-2026 16:31:55 PM", dt.time(16, 31, 55)),
        ("09/18/26 5:01 PM", dt.time(17, 1)),
        ("2025-02-01", None),
    ],
)
def test_the_time_of_day_follows_the_date(text: str, time: dt.time | None) -> None:
    assert times.cast(pl.Series([text]), Reading(follows=True)).item() == time


def test_the_whole_column_decides_how_a_date_is_read(desk: Desk) -> None:
    rows = "".join(f"{n},03/04/2025\n" for n in range(500))
    desk.bring(f"ID,Born\n{rows}999,12/25/2025\n")
    assert {row.born_on for row in desk.rows() if row.person_id != "999"} == {dt.date(2025, 3, 4)}


def test_a_date_that_nothing_settles_refuses_the_file(desk: Desk) -> None:
    report = desk.bring("ID,Born\n1,03/04/2025\n2,05/05/2025\n", name="birthdays.csv")
    assert report.problem_code == "undecidable"
    lane = f"{desk.account} --feed people --header a301b09c6129"
    settles = f"csv-pipeline account {lane} --date-order"
    assert report.problem == (
        "birthdays.csv: column 'Born' needs a value that settles day first or month first, or the "
        f"setting 'date_order' of account {desk.account!r}; '03/04/2025' in row 2 could be either: "
        "3 April 2025 by day first, 4 March 2025 by month first; to settle it: "
        f"{settles} day-first or {settles} month-first"
    )


def test_what_the_account_declares_settles_a_date(desk: Desk) -> None:
    desk.declare(date_order=DateOrder.MONTH_FIRST)
    desk.bring("ID,Born\n1,03/04/2025\n")
    assert desk.rows(columns="born_on")[0].born_on == dt.date(2025, 3, 4)


def test_another_column_of_the_file_settles_a_date(desk: Desk) -> None:
    report = desk.bring("ID,Born,Seen\n1,03/04/2025,25/12/2025\n")
    assert desk.rows(columns="born_on")[0].born_on == dt.date(2025, 4, 3)
    assert report.evidence[-2].because == (
        "the column settles nothing; other columns of the file prove day first"
    )


def test_proofs_of_both_orders_refuse_what_could_be_either(desk: Desk) -> None:
    report = desk.bring("ID,Born\n1,25/12/2025\n2,12/25/2025\n3,03/04/2025\n")
    assert report.problem_code == "undecidable"


def test_an_amount_that_nothing_settles_refuses_the_file(desk: Desk) -> None:
    assert desk.bring('ID,Name,Amount\n1,A,"1,234"\n').problem_code == "undecidable"


def test_the_column_decides_what_a_mark_before_three_digits_is(desk: Desk) -> None:
    desk.bring('ID,Name,Amount\n1,A,"1.234"\n2,B,"5,50"\n')
    assert [row.amount for row in desk.rows(columns="amount, person_id", order="2")] == [
        Decimal("1234.00"),
        Decimal("5.50"),
    ]


def test_text_around_a_number_proves_nothing(desk: Desk) -> None:
    report = desk.bring('ID,Name,Amount\n1,A,"1,234"\n2,B,"see note 1,5"\n')
    assert report.problem_code == "undecidable"


def test_pairs_of_digits_with_hyphens_prove_nothing(desk: Desk) -> None:
    assert desk.bring("ID,Born\n1,26-09-18\n").problem_code == "undecidable"


def test_a_month_in_decomposed_letters_is_read() -> None:
    assert day("01-Ma\u0308r-26") == dt.date(2026, 3, 1)


CELLS = st.text(st.sampled_from("0123456789.,-/:+ ()'$€\u2212jandecpmsoldtzä\0"), max_size=12)
STYLES: dict[str, tuple[str | None, ...]] = {
    "amount": (None, *DecimalMark),
    "day": (None, *DateOrder),
}


@settings(deadline=None, max_examples=25)
@given(cells=st.lists(st.none() | CELLS | st.text(max_size=6), max_size=4))
@pytest.mark.parametrize("of", columns_of(OneOfEachKind), ids=lambda of: of.name)
def test_any_text_and_any_blanks_are_cast_one_by_one(of: Column, cells: list[str | None]) -> None:
    values = pl.Series(cells, dtype=pl.String)
    for style in STYLES.get(of.name, (None,)):
        reading = Reading(style=style, since=1966, until=2026)
        cast = CASTS[of.kind].values
        made = cast(values, of, reading)
        assert made.dtype == of.dtype
        alone = [cast(values[n : n + 1], of, reading).item() for n in range(len(cells))]
        assert made.to_list() == alone


ODD_CELLS = st.sampled_from(
    [
        "",
        "#N/A",
        '="00417"',
        "'123",
        "1E5",
        "A\u00a01",
        "A\u200b",
        "\u200b",
        "a\u0308",
        "none",
        "A1",
    ]
)


@given(cells=st.lists(st.none() | ODD_CELLS | CELLS, max_size=6), is_id=st.booleans())
def test_only_odd_cells_change_when_all_are_cleaned(
    cells: list[str | None], *, is_id: bool
) -> None:
    (column,) = (of for of in columns_of(OneOfEachKind) if of.kind is Kind.TEXT)
    values, words = pl.Series(cells, dtype=pl.String), ("", "none")
    every = cells_._cleaned(values, column, words, is_id=is_id)  # noqa: SLF001
    assert cells_.cleaned(values, column, words, is_id=is_id).to_list() == every.to_list()


@settings(deadline=None, max_examples=25)
@given(cells=st.lists(st.none() | CELLS, max_size=6))
@pytest.mark.parametrize("of", [dates, decimals])
def test_any_text_and_any_blanks_are_surveyed(of: ModuleType, cells: list[str | None]) -> None:
    values = pl.Series(cells, dtype=pl.String)
    survey = of.survey(columns_of(OneOfEachKind)[0], "Heading")
    survey.add(values, values.to_frame().with_row_index()["index"])
    assert survey.open.count + sum(seen.count for seen in survey.seen) <= len(cells)


def read_as(name: str, text: str, style: str | None = None) -> Any:
    (of,) = (of for of in columns_of(OneOfEachKind) if of.name == name)
    reading = Reading(style=style, since=1, until=9999)
    return CASTS[of.kind].values(pl.Series([text]), of, reading).item()


@settings(deadline=None, max_examples=60)
@given(number=st.integers(-(2**63) + 1, 2**63 - 1), form=st.sampled_from(["{}", "{:+}", "{:040}"]))
def test_every_whole_number_reads_back_exactly(number: int, form: str) -> None:
    assert read_as("whole", form.format(number)) == number


@settings(deadline=None, max_examples=60)
@given(
    date=st.dates(dt.date(1500, 1, 1), dt.date(2199, 12, 31)),
    form=st.sampled_from(
        [
            ("%Y-%m-%d", None),
            ("%Y%m%d", None),
            ("%d %b %Y", None),
            ("%B %d, %Y", None),
            ("%d.%m.%Y", DateOrder.DAY_FIRST),
            ("%d/%m/%Y", DateOrder.DAY_FIRST),
            ("%m/%d/%Y", DateOrder.MONTH_FIRST),
        ]
    ),
)
def test_every_day_reads_back_exactly(date: dt.date, form: tuple[str, str | None]) -> None:
    assert read_as("day", date.strftime(form[0]), form[1]) == date


@settings(deadline=None, max_examples=60)
@given(time=st.times(), form=st.sampled_from(["%H:%M:%S.%f", "%I:%M:%S.%f %p"]))
def test_every_time_of_day_reads_back_exactly(time: dt.time, form: str) -> None:
    assert read_as("time", time.strftime(form)) == time


@pytest.mark.parametrize(
    ("feed", "rows"),
    [("people", "ID,Born\n1,\n2,n/k\n"), ("payments", "Payer,Amount,Paid\na,1.00,\nb,1.00,nope\n")],
)
def test_an_unreadable_date_beside_blank_ones_is_a_reject(desk: Desk, feed: str, rows: str) -> None:
    report = desk.bring(rows, feed)
    assert (report.counts.inserted, report.counts.rejected) == (1, 1)


def test_every_kind_of_column_has_a_type_and_a_cast() -> None:
    assert set(Kind) == set(TYPES) == set(CASTS)
    assert {column.kind for column in columns_of(OneOfEachKind)} == set(Kind)
