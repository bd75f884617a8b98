"""UUIDs, percentages, signs from another column, and words: one meaning each, or a reject."""
# ruff: noqa: RUF001  # signs that look like others are part of what this is about

import uuid
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csv_pipeline.casts import cells, percents, uuids
from csv_pipeline.errors import SetupError
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.contract import Contract, Money, column, columns_of
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import TYPES, Kind
from csv_pipeline.spec.sign import SignFrom, TwoAmounts
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.feeds import Booking

FEED = "bookings"
COLUMNS = {column.name: column for column in columns_of(Booking)}
KEYS = [f"00000000-0000-4000-8000-{n:012}" for n in range(20)]


def canonical(text: str) -> str | None:
    return uuids.cast(pl.Series([text])).item()  # type: ignore[no-any-return]


def share(text: str, name: str, mark: str | None = None) -> Decimal | None:
    return percents.cast(pl.Series([text]), COLUMNS[name], mark).item()  # type: ignore[no-any-return]


def bring(desk: Desk, header: str, *rows: str) -> ImportReport:
    numbered = (f"{key},{row}\n" for key, row in zip(KEYS, rows, strict=False))
    return desk.bring(f"Booking,{header}\n{''.join(numbered)}", FEED)


def stored(desk: Desk, columns: str) -> list[Any]:
    rows = desk.rows(FEED, columns, "booking")
    return [row[0] if len(row) == 1 else tuple(row) for row in rows]


def rules(desk: Desk, report: ImportReport) -> list[tuple[int | None, str]]:
    return [(reject.row_number, reject.rule) for reject in desk.rejects(report)]


SPELLINGS = [
    str,
    lambda its: str(its).upper(),
    lambda its: f"{{{its}}}",
    lambda its: its.urn,
    lambda its: its.hex,
]


@settings(deadline=None, max_examples=60)
@given(its=st.uuids(), spell=st.sampled_from(SPELLINGS))
def test_every_uuid_reads_back_in_one_spelling_whatever_its_spelling(
    its: uuid.UUID, spell: Any
) -> None:
    assert canonical(spell(its)) == str(its)


@pytest.mark.parametrize(
    "text",
    [
        *("", "123", "g23e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-42661417400"),
        *("{123e4567-e89b-12d3-a456-426614174000", "123e4567e89b-12d3-a456-426614174000"),
        *("123e4567-e89b-12d3-a456-426614174000 ", "１23e4567-e89b-12d3-a456-426614174000"),
        "urn:uuid:{123e4567-e89b-12d3-a456-426614174000}",
    ],
)
def test_what_is_no_uuid_is_none(text: str) -> None:
    assert canonical(text) is None


@pytest.mark.parametrize(
    ("text", "percent", "fraction"),
    [
        ("12.5%", "12.50", "0.1250"),
        ("12,5 %", "12.50", "0.1250"),
        ("%12,5", "12.50", "0.1250"),
        ("１２.５％", "12.50", "0.1250"),
        ("12.5٪", "12.50", "0.1250"),
        ("-3%", "-3.00", "-0.0300"),
        ("(3%)", "-3.00", "-0.0300"),
        ("(3)%", "-3.00", "-0.0300"),
        ("0%", "0.00", "0.0000"),
        ("150 %", "150.00", "1.5000"),
        ("0.05%", "0.05", "0.0005"),
        (".5%", "0.50", "0.0050"),
        ("12.500000%", "12.50", "0.1250"),
        ("12.345%", None, None),
        *((text, None, None) for text in ("%", "12.5‰", "12%5", "12.5%%", "% 5 %", "5 % EUR")),
        *((text, None, None) for text in ("NaN%", "1e3%", "Infinity", "five %", "$5%")),
    ],
)
def test_a_percentage_is_stored_as_declared_and_never_rounded(
    text: str, percent: str | None, fraction: str | None
) -> None:
    expected = [None if one is None else Decimal(one) for one in (percent, fraction)]
    assert [share(text, "share"), share(text, "rate")] == expected


def test_a_number_without_a_percent_sign_is_what_the_column_declares_or_none() -> None:
    assert (share("0.125", "share"), share("0,125", "share", "comma")) == (Decimal("12.50"),) * 2
    assert (share("1", "share"), share("-.5", "share")) == (Decimal("100.00"), Decimal("-50.00"))
    assert share("0.12345", "share") is None
    assert share("0.125", "rate") is share("12.5", "rate") is None


@settings(deadline=None, max_examples=100)
@given(
    value=st.decimals(-9999, 9999, places=2),
    form=st.sampled_from(["{}%", "{} %", "%{}", "{}\u00a0%"]),
)
def test_every_percentage_reads_back_exactly(value: Decimal, form: str) -> None:
    text = form.format(value)
    assert share(text, "share", "point") == value
    assert share(text, "rate", "point") == value.scaleb(-2)


@settings(deadline=None, max_examples=100)
@given(text=st.text(st.sampled_from("0123456789.,-+()% ‰eE"), max_size=8))
def test_a_text_without_a_percent_sign_is_no_percentage_unless_declared(text: str) -> None:
    assert share(text, "rate", "point") is None or text.count("%") == 1


def test_shares_uuids_and_words_are_in_the_table_as_declared(desk: Desk) -> None:
    report = desk.bring(
        "Booking,Rate,Share,Currency,Status\n"
        '{123E4567-E89B-12D3-A456-426614174000},"12,5 %","0,5",Mark,VERSENDET\n'
        'urn:uuid:123e4567-e89b-12d3-a456-426614174001,"7,25 %","12,5 %",€,versendet\n',
        FEED,
    )
    assert (report.outcome, report.counts.inserted) == (Outcome.IMPORTED, 2)
    assert stored(desk, "booking::text, rate::text, share::text, currency, status") == [
        ("123e4567-e89b-12d3-a456-426614174000", "0.1250", "50.00", "DEM", "shipped"),
        ("123e4567-e89b-12d3-a456-426614174001", "0.0725", "12.50", "EUR", "shipped"),
    ]
    again = desk.bring("Booking,Status\n123e4567e89b12d3a456426614174000,Versendet\n", FEED)
    assert again.counts.unchanged == 1


def test_values_that_are_none_of_their_kind_are_rejects(desk: Desk) -> None:
    report = desk.bring(
        f"Booking,Rate,Status,Currency\n{KEYS[0]},0.5,,\nnone,,,\n{KEYS[1]},,sent,\n"
        f"{KEYS[2]},,,Taler\n{KEYS[3]},12.345%,,\n",
        FEED,
    )
    assert rules(desk, report) == [
        (2, "rate.percent_sign"),
        (3, "booking.uuid"),
        (4, "status.choice"),
        (5, "currency.currency"),
        (6, "rate.percent"),
    ]


def test_an_amount_has_the_sign_of_the_word_beside_it(desk: Desk) -> None:
    report = bring(
        desk, "Amount,Side", "5.00,H", "5.00,soll", "5.00,ＤＲ", "5.00, cr ", "0.00,", ",S", ","
    )
    assert report.counts.rejected == 0
    assert stored(desk, "amount::text, side")[:5] == [
        *(("5.00", "H"), ("-5.00", "SOLL"), ("-5.00", "ＤＲ"), ("5.00", "CR"), ("0.00", None))
    ]
    assert stored(desk, "amount")[5:] == [None, None]


def test_an_amount_without_a_known_sign_or_with_two_is_a_reject_and_never_positive(
    desk: Desk,
) -> None:
    rows = ("5.00,", "5.00,X", "-5.00,S", "-5.00,H", "+5.00,S", "(5.00),S", "5.00-,H", "5.00,H")
    report = bring(desk, "Amount,Side", *rows)
    assert rules(desk, report) == [(number, "amount.sign") for number in range(2, 9)]
    assert stored(desk, "amount::text") == ["5.00"]
    messages = [reject.message for reject in desk.rejects(report)]
    assert "H, Haben, CR or S, Soll, DR in side" in messages[0]


def test_amounts_of_a_file_without_the_column_of_their_sign_are_rejects(desk: Desk) -> None:
    report = bring(desk, "Amount", "5.00", "0.00")
    assert rules(desk, report) == [(2, "amount.sign")]


def test_of_two_amounts_one_is_the_turnover_with_its_sign(desk: Desk) -> None:
    report = bring(desk, "Debit,Credit", "5.00,", ",5.00", "5.00,0.00", "0,5.00", ",", "0,0", "0,")
    assert report.counts.rejected == 0
    turnovers = [None if one is None else str(one) for one in stored(desk, "turnover")]
    assert turnovers == ["-5.00", "5.00", "-5.00", "5.00", None, "0.00", "0.00"]


def test_two_amounts_at_once_or_with_a_sign_of_their_own_are_rejects(desk: Desk) -> None:
    report = bring(desk, "Debit,Credit", "5.00,3.00", "-5.00,", ",-5.00", "5.00,1.00")
    assert rules(desk, report) == [
        *((2, "credit.sign"), (3, "debit.sign"), (4, "credit.sign"), (5, "credit.sign"))
    ]
    assert stored(desk, "turnover") == []


def test_a_rejected_sign_comes_back_corrected(desk: Desk) -> None:
    first = bring(desk, "Amount,Side", "5.00,X")
    path = desk.folder / "out" / "rejects.csv"
    desk.pipeline.write_rejects(first.import_id, path)
    second = desk.bring(path.read_bytes().replace(b"5.00,X", b"5.00,S"), FEED)
    assert (second.repairs, stored(desk, "amount::text")) == (first.import_id, ["-5.00"])


@pytest.mark.parametrize(
    ("sign", "told"),
    [
        (SignFrom(column="nowhere", plus=("H",), minus=("S",)), "nowhere"),
        (SignFrom(column="side", plus=("H",), minus=("H",)), "means both"),
        (TwoAmounts(plus="side", minus="side"), "two amounts of its type"),
    ],
)
def test_a_sign_that_cannot_be_told_is_refused_where_it_is_declared(sign: Any, told: str) -> None:
    class Wrong(Contract):
        side: str = column()
        amount: Money = column(sign=sign)

    with pytest.raises(SetupError, match=told):
        Feed(name="wrong", description="", contract=Wrong, key=("side",))


@pytest.mark.parametrize(
    ("type_", "facts", "told"),
    [
        (int, {"choices": ("a",)}, "kind boolean or choice or currency was needed for choices"),
        (str, {"trues": ("x",)}, "kind boolean was needed for trues"),
        (pl.Date, {"zone": "UTC"}, "kind timestamp was needed for zone"),
        (Money, {"bare_as": "percent"}, "kind percent was needed for bare_as"),
        (int, {"normalise": ("upper",)}, "kind text was needed for normalise"),
        (str, {"sign": TwoAmounts(plus="a", minus="b")}, "kind decimal was needed for sign"),
        (int, {"kind": Kind.JSON}, "another type was needed for kind json"),
        (bool, {"choices": {"ja": "yes"}}, "choices of true and false were needed"),
    ],
)
def test_what_a_column_of_this_kind_cannot_mean_is_refused(
    type_: Any, facts: dict[str, Any], told: str
) -> None:
    class Wrong(Contract):
        it: type_ = column(**facts)

    with pytest.raises(SetupError, match=told):
        columns_of(Wrong)


def test_texts_are_normalised_as_declared() -> None:
    class Tidy(Contract):
        one: str = column(normalise=("nfc", "blanks", "upper"))
        other: str = column(normalise=("lower",))
        plain: str = column()

    one, other, plain = columns_of(Tidy)
    written = pl.Series(["Cafe\u0301  au\u00a0\t lait", None])
    assert cells.text(written, one).to_list() == ["CAFÉ AU LAIT", None]
    assert cells.text(written, other)[0] == "cafe\u0301  au\u00a0\t lait"
    assert cells.text(written, plain).equals(written)


def test_every_kind_has_a_type_of_table_schema() -> None:
    known = {kind.value: (its.schema, its.schema_format) for kind, its in TYPES.items()}
    assert known == {
        **dict.fromkeys(("text", "choice", "currency"), ("string", "default")),
        **{name: (name, "default") for name in ("integer", "date", "time", "boolean")},
        **dict.fromkeys(("decimal", "percent"), ("number", "default")),
        "timestamp": ("datetime", "default"),
        "json": ("any", "default"),
        Kind.UUID.value: ("string", "uuid"),
    }
