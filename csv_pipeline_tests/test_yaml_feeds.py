"""A feed in YAML is the feed that Python would declare, and what is wrong in it is named."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import pytest
from pydantic import BaseModel

from csv_pipeline.account import Account, DateOrder, DecimalMark
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.errors import ContradictionError, SetupError
from csv_pipeline.parts import together
from csv_pipeline.spec.conflict import Greatest, NewestWins, Precedence
from csv_pipeline.spec.contract import Contract, Gathers, Timestamp, column, columns_of, optional
from csv_pipeline.spec.declared import read_feed, read_folder
from csv_pipeline.spec.declared import words as declared_words
from csv_pipeline.spec.declared.forms import written
from csv_pipeline.spec.duplicates import NewestInFile
from csv_pipeline.spec.feed import Feed, Layout, NonDataPattern, feed_named
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.readings import readings_of
from csv_pipeline.spec.sign import SignFrom, TwoAmounts
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.transform import transform
from csv_pipeline_tests.conftest import Desk, own_settings
from csv_pipeline_tests.test_house import REFERENCE, ROOT, section

EXAMPLE = re.findall(
    r"```yaml\n(.*?)```", (ROOT / "docs" / "yaml-feeds.md").read_text(), re.DOTALL
)[0]

INVOICES = """\
Rechnungsnummer;Supplier Email;Issued;Lines;Total;Status
AB0001;ann@example.org;31.12.2024;2;1.234,50;bezahlt
AB0002;;30.12.2024;1;9,00;OPEN
ab0003;bob;29.12.2024;0;n/a;lost
Total: 2 invoices
"""


@pytest.fixture
def declared(tmp_path: Path) -> Callable[..., Feed]:
    """Return the feed that a text declares."""

    def declare(text: str, name: str = "orders.yaml") -> Feed:
        path = tmp_path / name
        path.write_text(text)
        return read_feed(path)

    return declare


class Order(Contract):
    """One row of orders."""

    order_id: str = column("Order ID", str_matches=r"^[0-9]{3}$", identifier=True)
    ordered_on: pl.Date = optional("Date", "Day", ge=date(2020, 1, 1), past=True)
    total: Annotated[pl.Decimal, 18, 2] = optional(gt=Decimal("0.5"), description="What is paid.")
    rate: Annotated[pl.Decimal, 38, 9] = optional()
    status: str = optional(choices={"open": "open", "paid": "paid", "bezahlt": "paid"})
    email: str = optional(
        str_matches=r"^[^@\s]+@[^@\s]+\.[^@\s.]+$",
        needs="an address such as name@example.com",
        protected=True,
        nulls=("none",),
    )
    size: str = optional(
        isin=["S", "M"], str_length={"min_value": 1, "max_value": 1}, needs="text of 1 letters"
    )
    pieces: int = optional(le=10)
    part: str = column("Part", substitute="", fold_case=True, pad=6)
    paid: bool = optional(trues=("x",), falses=("o",))
    seen_at: Timestamp = optional(
        ge=datetime(2020, 1, 1, tzinfo=UTC),
        zone="Europe/Berlin",
        zones={"IST": "+05:30"},
        style=DateOrder.MONTH_FIRST,
    )
    logged_at: Timestamp = optional(unit="ms")
    details: str = optional(kind=Kind.JSON)
    tax: Annotated[pl.Decimal, 38, 9] = optional(style=DecimalMark.COMMA)
    shipped_on: pl.Date = optional(style=DateOrder.DAY_FIRST)
    currency: str = optional(kind=Kind.CURRENCY)
    token: str = optional(kind=Kind.UUID)
    share: Annotated[pl.Decimal, 38, 9] = optional(
        kind=Kind.PERCENT, stored_as="fraction", bare_as="percent"
    )
    city: str = optional(normalise=("nfc", "upper"))


ORDERS = """\
description: One row of orders.
fields:
  - name: Order ID
    constraints: {required: true, pattern: "[0-9]{3}"}
    csv_pipeline: {identifier: true}
  - name: ordered_on
    type: date
    title: Date
    constraints: {minimum: 2020-01-01}
    csv_pipeline: {aliases: [Day], past: true}
  - name: total
    type: number
    description: What is paid.
    constraints: {exclusiveMinimum: 0.5}
    csv_pipeline: {precision: 18, scale: 2, conflict: greatest}
  - {name: rate, type: number}
  - {name: status, categories: [open, paid], csv_pipeline: {values: {bezahlt: paid}}}
  - {name: email, format: email, missingValues: [none], csv_pipeline: {protected: true}}
  - {name: size, constraints: {enum: [S, M], minLength: 1, maxLength: 1}}
  - {name: pieces, type: integer, constraints: {maximum: 10}}
  - {name: part, title: Part, csv_pipeline: {substitute: "", fold_case: true, pad: 6}}
  - {name: paid, type: boolean, trueValues: [x], falseValues: [o]}
  - name: seen_at
    type: datetime
    format: "%m/%d/%Y %H:%M"
    constraints: {minimum: "2020-01-01T00:00:00Z"}
    csv_pipeline: {zone: Europe/Berlin, zones: {IST: "+05:30"}}
  - {name: logged_at, type: datetime, csv_pipeline: {unit: ms}}
  - {name: details, type: any}
  - {name: tax, type: number, decimalChar: ",", groupChar: "."}
  - {name: shipped_on, type: date, format: "%d.%m.%Y"}
  - {name: currency, csv_pipeline: {kind: currency}}
  - {name: token, format: uuid}
  - name: share
    type: number
    csv_pipeline: {kind: percent, stored_as: fraction, bare_as: percent}
  - {name: city, csv_pipeline: {normalise: [nfc, upper]}}
primaryKey: [Order ID, part]
missingValues: ["", "-"]
csv_pipeline:
  group: shop
  conflict: {newest_wins: ordered_on}
  duplicates: {newest_in_file: ordered_on}
  layouts:
    - {name: with status, marks: [status], required: [total], filled: [Order ID]}
    - {name: other}
  non_data:
    - {name: footer, pattern: 'Total: (\\d+)'}
  encodings: [cp1250]
  time_zone: America/New_York
  views: {orders_open: "SELECT account FROM data.orders"}
  reject_rate_warning: 0.1
  max_rejected_rows: 7
  max_rejected_share: 0.25
"""


def test_a_yaml_feed_is_the_feed_that_python_declares(declared: Callable[..., Feed]) -> None:
    python = Feed(
        name="orders",
        description="One row of orders.",
        contract=Order,
        key=("order_id", "part"),
        conflict=NewestWins("ordered_on"),
        column_conflicts={"total": Greatest()},
        duplicates=NewestInFile("ordered_on"),
        layouts=(
            Layout(
                name="with status",
                marks=frozenset({"status"}),
                required=frozenset({"total"}),
                filled=frozenset({"order_id"}),
            ),
            Layout(name="other"),
        ),
        non_data=(NonDataPattern(name="footer", pattern=r"Total: (\d+)"),),
        nulls=frozenset({"-"}),
        encodings=("cp1250",),
        time_zone="America/New_York",
        views={"orders_open": "SELECT account FROM data.orders"},
        group="shop",
        reject_rate_warning=0.1,
        max_rejected_rows=7,
        max_rejected_share=0.25,
    )
    same(declared(ORDERS), python)


def same(one: Feed, other: Feed) -> None:
    """Hold two feeds to be the same, contract and checks as well."""
    own = {f.name: getattr(one, f.name) for f in fields(Feed) if f.name != "contract"}
    its = {f.name: getattr(other, f.name) for f in fields(Feed) if f.name != "contract"}
    assert own == its
    assert columns_of(one.contract) == columns_of(other.contract)
    assert readings_of(one).as_json() == readings_of(other).as_json()
    assert checks(one) == checks(other)


def checks(feed: Feed) -> dict[str, Any]:
    declared = feed.contract.to_schema().columns
    return {
        name: [(check.name, check.statistics) for check in its.checks]
        for name, its in declared.items()
    }


def test_two_columns_of_a_heading_list_it_both(declared: Callable[..., Feed]) -> None:
    two = "{name: day, type: date, title: At}, {name: at, type: time, title: At}"
    assert declared(f"fields: [{two}]").meanings["at"] == "day at"
    with pytest.raises(SetupError, match="'At' is also of 'at'"):
        declared(f"fields: [{two.replace('time, title: At', 'time')}]")


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("trueValues: [x]", {"x": "true", "false": "false", "0": "false"}),
        ("falseValues: [o]", {"o": "false", "true": "true", "1": "true"}),
        ("trueValues: [x], falseValues: []", {"x": "true"}),
    ],
)
def test_the_words_of_the_standard_stay_where_one_list_is_declared(
    words: str, known: dict[str, str], declared: Callable[..., Feed]
) -> None:
    feed = declared(f"fields: [{{name: a, type: boolean, {words}}}]")
    assert feed.columns[0].choices == known
    again = declared(written(feed, "table-schema"), "again.yaml")
    assert again.columns[0].choices == known


class Thing(Contract):
    """One thing."""

    a: str = column()


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ("a", "a")},
        {"counted": ("a", "a")},
        {"max_rejected_share": 50},
        {"max_rejected_share": float("nan")},
        {"max_rejected_rows": -1},
        {"reject_rate_warning": -0.1},
    ],
    ids=str,
)
def test_python_is_held_to_the_same_limits(wrong: dict[str, Any]) -> None:
    with pytest.raises(SetupError, match=r"twice|from 0 to 1"):
        Feed(name="things", description="", contract=Thing, **wrong)


def test_an_unknown_feed_is_told_the_nearest_one() -> None:
    with pytest.raises(SetupError, match=r"did you mean 'inventory'\?"):
        feed_named(
            {"inventory": Feed(name="inventory", description="", contract=Thing)}, "invntory"
        )


def test_rows_are_the_same_that_hold_the_same_where_there_is_no_key(
    declared: Callable[..., Feed],
) -> None:
    assert declared("fields: [{name: a}]").key == ()


@pytest.mark.parametrize(
    "text",
    [
        "fields: [{name: a, constraints: {unique: true}}, {name: b}]",
        "fields: [{name: a}, {name: b}]\nuniqueKeys: [[a]]",
        "fields: [{name: a, constraints: {unique: true}}, {name: b}]\nprimaryKey: a",
        "fields: [{name: a}, {name: b}]\nprimaryKey: [a]\nuniqueKeys: [[a, b]]",
    ],
)
def test_what_is_unique_is_the_key(text: str, declared: Callable[..., Feed]) -> None:
    assert declared(text).key == ("a",)


def test_a_file_has_to_have_all_columns_of_a_subset(declared: Callable[..., Feed]) -> None:
    feed = declared("fields: [{name: a}, {name: b}]\nfieldsMatch: subset")
    assert feed.fields_match == "subset"


SIGNED = """\
fields:
  - {name: Booking No}
  - name: amount
    type: number
    csv_pipeline: {sign: {column: Side, plus: [CR], minus: [DR]}, currency_in: [Coin]}
  - {name: Side}
  - {name: Coin}
  - {name: credit, type: number}
  - {name: debit, type: number}
  - {name: total, type: number, csv_pipeline: {derived: true, sign: {plus: credit, minus: debit}}}
  - name: fees
    type: any
    csv_pipeline: {gathers: {pattern: "([A-Z]{2}) (NR|R)", scale: 2, ge: 0, currency: USD}}
primaryKey: Booking No
"""


def test_signs_and_gathered_columns_are_those_of_python(declared: Callable[..., Feed]) -> None:
    feed = declared(SIGNED)
    by_name = {one.name: one for one in feed.columns}
    assert by_name["amount"].sign == SignFrom(column="side", plus=("CR",), minus=("DR",))
    assert by_name["amount"].currency_in == ("coin",)
    assert by_name["total"].sign == TwoAmounts(plus="credit", minus="debit")
    assert by_name["fees"].gathers == Gathers("([A-Z]{2}) (NR|R)", 2, 0, "USD")
    assert declared(written(feed, "table-schema"), "again.yaml").columns == feed.columns
    assert declared(written(feed, "odcs"), "other.yaml").columns == feed.columns


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("column: Side", "column: Sid", "line 5, column 35: one of .*did you mean Side"),
        ("[Coin]", "[Coins]", "did you mean Coin"),
        ("plus: [CR]", "plus: CR", "line 5, .*column with lists plus and minus"),
        ("plus: credit", "plus: credits", "did you mean credit"),
        ("minus: debit", "minus: Side", "two amounts of its type were needed"),
        ("minus: [DR]", "minus: [CR]", "a word that means one was needed"),
        ('"([A-Z]{2}) (NR|R)"', '"[A-Z]{2}"', "line 13, .*a group for each key was needed"),
        ('"([A-Z]{2}) (NR|R)"', '"("', "a regular expression was needed"),
    ],
)
def test_what_cannot_be_signed_or_gathered_is_named(
    old: str, new: str, message: str, declared: Callable[..., Feed]
) -> None:
    with pytest.raises(SetupError, match=message):
        declared(SIGNED.replace(old, new))


def test_a_signed_amount_of_a_yaml_feed_is_stored_with_its_sign(tmp_path: Path) -> None:
    with own_settings(settle_seconds=0) as settings:
        (tmp_path / "signed.yaml").write_text(SIGNED)
        opened = open_pipeline(settings, [read_feed(tmp_path / "signed.yaml")])
        desk = Desk(opened, "acme", tmp_path)
        desk.bring("Booking No,Amount,Side,Debit,AL R\nA1,5.00,DR,2.50,$1.00\n", "signed")
        assert desk.rows("signed", "amount, total, fees", "booking_no") == [
            (Decimal(-5), Decimal("-2.5"), {"AL": {"R": "1.00"}})
        ]
        opened.close()


MATCHES = """\
fields:
  - {name: id, title: Order ID, constraints: {required: true}}
  - {name: day}
  - {name: total}
"""


@pytest.mark.parametrize(
    ("header", "taken_by", "found"),
    [
        ("Order ID,Day,Total", "exact equal subset superset partial", ""),
        ("Day,Order ID,Total", "equal subset superset partial", "'Order ID' in column 2"),
        ("Order ID,Day", "superset partial", "lacks|has no|needed column"),
        ("Order ID,Day,Total,Colour", "subset partial", "'Colour' besides"),
        ("Order ID,Day,Total,Day", "subset partial", "'Day' besides"),
        ("Order ID,Colour", "partial", ""),
        ("Day,Total", "", ""),
    ],
)
@pytest.mark.parametrize("match", ["exact", "equal", "subset", "superset", "partial"])
def test_a_header_has_to_match_as_the_standard_defines_it(  # noqa: PLR0917
    match: str,
    header: str,
    taken_by: str,
    found: str,
    tmp_path: Path,
    declared: Callable[..., Feed],
) -> None:
    feed = declared(f"{MATCHES}fieldsMatch: {match}\n")
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n" + ",".join("1" for _ in header.split(",")) + "\n")
    files = together(
        [read(path, tmp_path, ReadHints(name="a.csv").of_feed(feed))], ["a.csv"], tmp_path
    )
    (given,) = transform(files, feed, Account(account="somebody"))
    assert (not isinstance(given, Exception)) == (match in taken_by.split())
    if isinstance(given, ContradictionError):
        assert f"as its fieldsMatch is {match}" in str(given)
        assert re.search(found or "besides", str(given))


def test_a_policy_with_several_arguments_names_them(declared: Callable[..., Feed]) -> None:
    policy = "{precedence: {column: b, order: [x, y]}}"
    feed = declared(f"fields: [{{name: B}}]\ncsv_pipeline: {{conflict: {policy}}}")
    assert feed.conflict == Precedence("b", ("x", "y"))


def test_a_table_schema_in_json_is_a_feed(declared: Callable[..., Feed]) -> None:
    text = '{\n\t"fields": [\n\t\t{"name": "a", "type": "integer"}\n\t],\n\t"primaryKey": "a"\n}'
    assert declared(text, "things.json").name == "things"


FIELD = "fields:\n  - name: a\n"


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("fields: [{name: a, typ: date}]", 1, 20, "found 'typ' (did you mean type?)"),
        (FIELD + "    type: dat\n", 3, 11, "found 'dat' (did you mean date?)"),
        (FIELD + "    type: integer\n    format: email\n", 4, 13, "one of default was needed"),
        (FIELD + "csv_pipeline:\n  grup: x\n", 4, 3, "(did you mean group?)"),
        (FIELD + "    csv_pipeline: {alias: [x]}", 3, 20, "(did you mean aliases?)"),
        (FIELD + "    constraints: {requierd: true}", 3, 19, "(did you mean required?)"),
        (FIELD + "primaryKey: [b]", 3, 14, "one of a was needed; found 'b'"),
        (FIELD + "csv_pipeline: {conflict: newest}", 3, 26, "(did you mean newest_wins?)"),
        (FIELD + "csv_pipeline: {conflict: {newest_wins: c}}", 3, 26, "found 'c'"),
        (FIELD + "csv_pipeline: {conflict: {newest_wins: [a]}}", 3, 26, "the name of a column"),
        (FIELD + "csv_pipeline: {conflict: {overwrite: a}}", 3, 26, "without arguments"),
        (FIELD + "csv_pipeline: {conflict: {precedence: a}}", 3, 26, "with column, order"),
        (FIELD + "csv_pipeline: {layouts: [{name: x, marks: [y]}]}", 3, 44, "found 'y'"),
        (FIELD + "csv_pipeline: {non_data: [{name: x, pattern: '('}]}", 3, 46, "a regular"),
        (FIELD + "fieldsMatch: exakt", 3, 14, "did you mean exact?"),
        (FIELD + "    constraints: {required: yes}", 3, 29, "true or false, or text in"),
        (FIELD + "    required: true", 3, 5, "'required', which belongs in constraints"),
        (FIELD + "    aliases: [x]", 3, 5, "'aliases', which belongs in csv_pipeline"),
        (FIELD + "conflict: overwrite", 3, 1, "'conflict', which belongs in csv_pipeline"),
        (FIELD + "    type: date\n    format: DD.MM.YYYY", 4, 13, "(did you mean %d.%m.%Y?)"),
        (FIELD + "    type: time\n    format: hh:mm", 4, 13, "(did you mean %H:%M?)"),
        (FIELD + "primaryKey: [a, a]", 3, 17, "each column once was needed; found 'a' twice"),
        ("fields: [{name: A B}]\nprimaryKey: [A B, a_b]", 2, 19, "found 'a_b' twice"),
        (FIELD + "csv_pipeline: {max_rejected_share: 50}", 3, 36, "less than or equal to 1"),
        (FIELD + "csv_pipeline: {max_rejected_share: -0.1}", 3, 36, "greater than or equal to 0"),
        (FIELD + "csv_pipeline: {reject_rate_warning: 5}", 3, 37, "less than or equal to 1"),
        (FIELD + "csv_pipeline: {snapshot: {max_missing_share: 20}}", 3, 46, "or equal to 1"),
        (FIELD + "  - {name: b, title: A}", 3, 22, "'A' is also of 'a'"),
        (FIELD + "  - {name: b, csv_pipeline: {aliases: [x, A]}}", 3, 43, "'A' is also of 'a'"),
        (FIELD + "    title: B\n  - {name: b, type: date}", 3, 12, "'B' is also of 'b'"),
        (FIELD + "    title: X\n  - {name: b, title: x}", 3, 12, "'X' is also of 'b'"),
        ("fields: [{name: a_b}, {name: ab}]", 1, 17, "'a_b' is also of 'ab'"),
        (FIELD + "    constraints: {required: 1}", 3, 29, "true or false was needed; found 1"),
        (FIELD + "    constraints: {pattern: '('}", 3, 28, "a regular expression as Rust has it"),
        (FIELD + "    constraints: {pattern: '(?=x)'}", 3, 28, "look-around"),
        (FIELD + "    constraints: {minimum: 1}", 3, 28, "type integer or number or date"),
        (FIELD + "    type: date\n    constraints: {minimum: 2020-13-01}", 4, 28, "2025-12-31"),
        (FIELD + "    type: integer\n    constraints: {minimum: 0.5}", 4, 28, "a whole number was"),
        (FIELD + "    type: integer\n    csv_pipeline: {scale: 2}", 4, 27, "type number for scale"),
        (FIELD + "    type: number\n    csv_pipeline: {precision: 2, scale: 3}", 4, 41, "found 3"),
        (FIELD + "    csv_pipeline: {kind: date}", 3, 26, "one of text, choice, currency"),
        (FIELD + "    type: boolean\n    trueValues: [yes]", 4, 18, "text in quotes, as 'yes'"),
        (FIELD + "    type: boolean\n    trueValues: [x]\n    falseValues: [X]", 2, 5, "true and"),
        (FIELD + "    trueValues: [x]", 3, 17, "type boolean for trueValues was needed"),
        (FIELD + "    type: number\n    decimalChar: ;", 4, 18, "one of . and , was needed"),
        (FIELD + "    type: number\n    groupChar: .", 4, 16, "another mark than that of decimals"),
        (FIELD + "    type: datetime\n    csv_pipeline: {unit: sec}", 4, 26, "found 'sec'"),
        (FIELD + "    type: datetime\n    csv_pipeline: {zone: Berlin}", 2, 5, "a time zone"),
        (FIELD + "    type: datetime\n    constraints: {minimum: 2020-01-01}", 4, 28, "a moment"),
        (FIELD + "    type: any\n    constraints: {enum: [x]}", 4, 26, "no listed value"),
        (FIELD + "    csv_pipeline: {pad: -1}", 3, 25, "greater than or equal to 0 was needed"),
        (FIELD + "    categories: [x]\n    csv_pipeline: {values: {z: y}}", 4, 32, "found 'y'"),
        (FIELD + "    title: [x]\n", 3, 12, "text was needed; found a list"),
        (FIELD + "    title: 2024\n", 3, 12, "text was needed; found 2024; put it in quotes"),
        ("fields: [{name: 2024}]", 1, 17, "text was needed; found 2024; put it in quotes"),
        ("fields: [{name: 2024-01-01}]", 1, 17, "begins with a letter from a to z was needed"),
        ("fields: [{name: no}]", 1, 17, "text in quotes, as 'no'"),
        ("fields: [{name: _x}]", 1, 17, "begins with a letter from a to z was needed"),
        ("fields: [{name: account}]", 1, 1, "a column of another name than account"),
        ("fields: [{name: a}, {name: A}]", 1, 28, "'a' is there already"),
        ("fields: [{type: date}]", 1, 10, "a name was needed; there is none"),
        ("fields: []", 1, 9, "at least 1 item"),
        ("fields: {a: date}", 1, 9, "a list was needed; found keys with values"),
        ("feilds: [{name: a}]", 1, 1, "a fields was needed"),
        ("- a\n", 1, 1, "keys with values was needed; found a list"),
        ("", 1, 1, "keys with values was needed; found nothing"),
        (FIELD + "    constraints: {unique: true}\nprimaryKey: b\n", 3, 27, "the primary key b"),
        (FIELD + "fields: []\n", 3, 1, "a key once was needed; 'fields' is also in line 1"),
        (FIELD + "    1: x\n", 3, 5, "a word as key"),
        (FIELD + "    <<: {title: x}\n", 3, 5, "found '<<'"),
        (FIELD + "    ? [x]\n    : y\n", 3, 7, "a word as key"),
        (FIELD + "    title: 0x10\n", 3, 12, "text in quotes, as '0x10'"),
        (FIELD + "    example: 12:30\n", 3, 14, "text in quotes, as '12:30'"),
        (FIELD + "    title: !!python/object:os.system x\n", 3, 12, "a value without a tag"),
        (FIELD + "    title: &x y\n", 3, 12, "a value without an anchor was needed; found &x"),
        (FIELD + "    title: *x\n", 3, 12, "found the alias *x"),
        (FIELD + "---\na: b\n", 3, 1, "one document was needed"),
        (FIELD + "    title: 'x\n", 4, 1, "YAML was needed"),
        (FIELD + "\ttitle: x\n", 3, 1, "YAML was needed"),
        (FIELD + "    title: \x07\n", 1, 1, "YAML in UTF-8 was needed"),
        ("a: " + "[" * 100_000, 1, 23, "a depth of at most 20"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(
    text: str, line: int, column: int, message: str, declared: Callable[..., Feed]
) -> None:
    with pytest.raises(SetupError) as caught:
        declared(text)
    told = str(caught.value)
    assert f"orders.yaml, line {line}, column {column}: " in told
    assert message in told


def test_anchors_that_multiply_are_refused_at_once(declared: Callable[..., Feed]) -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{new}: &{new} [{', '.join(f'*{old}' for _ in range(9))}]\n"
        for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    )
    with pytest.raises(SetupError, match="without an anchor"):
        declared(bomb)


def test_all_faults_of_a_file_are_named(declared: Callable[..., Feed]) -> None:
    with pytest.raises(SetupError) as caught:
        declared("fields:\n  - {name: a, typ: date}\nprimarykey: a\n")
    assert [
        line.partition(": ")[0].partition(", ")[2] for line in str(caught.value).split("\n")
    ] == ["line 2, column 15", "line 3, column 1"]


def test_files_that_are_no_text_or_too_large_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"fields: \xff\xfe\x00")
    with pytest.raises(SetupError, match="YAML in UTF-8 was needed"):
        read_feed(path)
    path.write_bytes(b"#" * (1024**2 + 1))
    with pytest.raises(SetupError, match="at most 1,048,576 bytes was needed"):
        read_feed(path)
    with pytest.raises(SetupError, match="No such file"):
        read_feed(tmp_path / "none.yaml")


def test_the_reference_has_every_word_of_a_yaml_feed() -> None:
    words = [
        m
        for m in vars(declared_words).values()
        if isinstance(m, type)
        and issubclass(m, BaseModel)
        and m.__module__ == declared_words.__name__
    ]
    spans = re.findall(r"`([^`]+)`", section(REFERENCE, "Words of a YAML feed"))
    named = {word for span in spans for word in re.findall(r"[\w$]+", span)}
    wanted = {f.alias or n for model in words for n, f in model.model_fields.items()}
    assert wanted - named == set()


@pytest.mark.slow
def test_feeds_in_yaml_are_loaded_almost_as_fast_as_pandera_makes_their_models(
    tmp_path: Path,
) -> None:
    for number in range(100):
        text = ORDERS.replace("orders_open", f"open_{number}")
        (tmp_path / f"feed_{number}.yaml").write_text(text)
    loaded = quickest(lambda: list(read_folder(tmp_path)))
    made = quickest(lambda: [same_model().to_schema() for _ in range(100)])
    assert loaded < 4 * made


def same_model() -> type[Contract]:
    """Return a model like that of the feeds, which Pandera has not seen."""

    class Same(Order):
        """One row of orders."""

    return Same


def quickest(call: Callable[[], Any]) -> float:
    """Return the CPU seconds of a call, which others that run at the same time prolong."""
    took = []
    for _ in range(3):
        start = time.process_time()
        call()
        took.append(time.process_time() - start)
    return min(took)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline of the example of the docs and a feed that declares how values are written."""
    folder = tmp_path_factory.mktemp("feeds")
    (folder / "invoices.yaml").write_text(EXAMPLE)
    (folder / "marked.yaml").write_text(MARKED)
    with own_settings(settle_seconds=0) as settings:
        opened = open_pipeline(settings, [feed for _, feed in read_folder(folder)])
        yield opened
        opened.close()


MARKED = """\
fields:
  - {name: id}
  - {name: tax, type: number, decimalChar: ","}
  - {name: pieces, type: integer, decimalChar: ","}
  - {name: day, type: date, format: "%d/%m/%Y"}
primaryKey: id
"""


def test_what_a_feed_declares_settles_what_the_values_leave_open(desk: Desk) -> None:
    desk.bring("id,tax,pieces,day\n1,1.234,1.000,03/04/2025\n", "marked")
    (row,) = desk.rows("marked", "tax, pieces, day")
    assert (row.tax, row.pieces, row.day) == (Decimal(1234), 1000, date(2025, 4, 3))


def test_what_an_account_declares_comes_before_what_the_feed_does(desk: Desk) -> None:
    desk.declare(decimal_mark=DecimalMark.POINT, date_order=DateOrder.MONTH_FIRST)
    desk.bring("id,tax,pieces,day\n1,1.234,1.000,03/04/2025\n", "marked")
    (row,) = desk.rows("marked", "tax, pieces, day")
    assert (row.tax, row.pieces, row.day) == (Decimal("1.234"), 1, date(2025, 3, 4))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("1,1.50,,", "column 'tax' needs the decimal mark comma, as the feed declares it"),
        ("1,,,12/25/2025", "column 'day' needs the date order day first, as the feed declares it"),
    ],
)
def test_a_file_that_proves_another_style_than_the_feed_declares_is_refused(
    row: str, problem: str, desk: Desk
) -> None:
    report = desk.bring(f"id,tax,pieces,day\n{row}\n", "marked")
    assert problem in str(report.problem)


def test_a_corrected_value_of_another_style_than_the_feed_declares_is_told_what_it_needs(
    desk: Desk,
) -> None:
    first = desk.bring('id,tax,pieces,day\n1,"1,50",,\n2,?,,\n3,?,,\n', "marked")
    path = desk.folder / "out" / "rejects.csv"
    desk.pipeline.write_rejects(first.import_id, path)
    corrected = path.read_text().replace(",?,", ",1.50,", 1).replace(",?,", ',"2,50",')
    second = desk.bring(corrected, "marked")
    (reject,) = desk.rejects(second)
    assert "by the decimal mark comma, as the feed declares it" in reject.message
    assert not second.warnings
    assert second.counts.inserted == 1


def test_the_example_of_the_docs_imports_a_file(desk: Desk) -> None:
    report = desk.bring(INVOICES, "invoices")
    assert (report.counts.inserted, report.counts.rejected) == (2, 1)
    assert [row.status for row in desk.rows("invoices", "status, number", "number")] == [
        "paid",
        "open",
    ]
    assert desk.rows("invoices", "total, number", "number")[0].total == Decimal("1234.50")
    assert {reject.rule for reject in desk.rejects(report)} == {
        "number.matches",
        "supplier_email.matches",
        "lines.ge",
        "status.choice",
    }
