"""A feed is written in the forms of others, and read back from them as the same feed."""

import json
from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from csv_pipeline.cli import commands
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.spec.contract import Column, Contract, Money, Timestamp, column
from csv_pipeline.spec.declared import read_feed
from csv_pipeline.spec.declared.document import parse
from csv_pipeline.spec.declared.emitting import yaml_of
from csv_pipeline.spec.declared.forms import written
from csv_pipeline.spec.declared.words import OwnOfFeed, OwnOfField, json_schema
from csv_pipeline.spec.declared.writing import left_out
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.template import template_file, template_name
from csv_pipeline_tests.test_yaml_feeds import EXAMPLE, ORDERS, checks, same

TOLD_BY_NAME = """\
fields:
  - {name: amount, type: number, example: 9.50, csv_pipeline: {examples: ["1"]}}
  - {name: month, type: date, csv_pipeline: {derived: true}}
  - {name: shop}
dialect: {header: false, delimiter: "\\t", quoteChar: ""}
csv_pipeline:
  file_name:
    pattern: 'x_(?P<month>\\d{4}-\\d{2}-\\d{2})\\.csv'
    shown: x_<date>.csv
    example: x_2025-01-31.csv
  counted: [amount, shop]
  non_data: [{name: title, pattern: Prices, above: true}]
  extras: ["CD:"]
  confidential: true
  needs_good_row: true
  snapshot: {missing: flag, max_missing_share: 0.1}
"""


@pytest.fixture
def declared(tmp_path: Path) -> Callable[..., Feed]:
    """Return the feed that a text declares."""

    def declare(text: str, name: str = "orders.yaml") -> Feed:
        path = tmp_path / name
        path.write_text(text)
        return read_feed(path)

    return declare


@pytest.mark.parametrize("form", ["table-schema", "odcs"])
@pytest.mark.parametrize("text", [ORDERS, EXAMPLE, TOLD_BY_NAME], ids=["all", "example", "name"])
def test_a_feed_that_is_written_and_read_is_the_same(
    text: str, form: str, declared: Callable[..., Feed]
) -> None:
    feed = declared(text)
    same(declared(written(feed, form), "other.yaml"), feed)


@pytest.mark.parametrize("form", ["table-schema", "odcs"])
def test_the_template_of_a_feed_has_the_examples_declared(
    form: str, declared: Callable[..., Feed]
) -> None:
    feed = declared(written(declared(TOLD_BY_NAME), form))
    assert template_name(feed) == "x_2025-01-31.csv"
    assert template_file(feed) == b"9.50\tshop 1\r\n1\tshop 2\r\n"


def test_an_example_of_a_name_that_the_pattern_does_not_explain_is_refused(
    declared: Callable[..., Feed],
) -> None:
    with pytest.raises(SetupError, match=r"line 10, .* like x_<date>.csv was.*found 'y.csv'"):
        declared(TOLD_BY_NAME.replace("x_2025-01-31.csv", "y.csv"))


def test_all_that_a_feed_declares_without_code_has_a_word() -> None:
    code = {"contract", "transforms", "asks_filled", "file_checks", "derived"}
    of_accounts = {"aliases", "maps"}
    elsewhere = {"name", "description", "key", "column_conflicts", "nulls", "dialect"}
    elsewhere |= {"fields_match"}
    words = set(OwnOfFeed.model_fields)
    assert {one.name for one in fields(Feed)} - code - of_accounts - elsewhere - words == set()


def test_all_that_a_column_declares_without_code_has_a_word() -> None:
    of_standard = {"name", "dtype", "nullable", "choices", "nulls", "style", "asked", "description"}
    declared = {one.name for one in fields(Column)} - of_standard
    assert declared - set(OwnOfField.model_fields) == set()


def test_a_feed_in_python_without_code_is_the_same_in_yaml(declared: Callable[..., Feed]) -> None:
    free = [feed for feed in FEEDS if not left_out(feed)]
    assert free
    for feed in free:
        again = declared(written(feed, "table-schema"))
        assert again.columns == feed.columns
        assert checks(again) == checks(feed)


def test_what_is_python_is_named_and_its_columns_are_not_made_up(
    declared: Callable[..., Feed],
) -> None:
    feed = next(feed for feed in FEEDS if feed.name == "customers")
    assert left_out(feed) == ["customer_key", "LostZeros"]
    with pytest.raises(SetupError, match="a group 'customer_key' of file_name was needed"):
        declared(written(feed, "table-schema"))


class Patterned(Contract):
    """Patterns that Python looks for from the beginning."""

    begins: str = column(str_matches=r"[A-Z]")
    dollar: str = column(str_matches=r"^x\$")
    either: str = column(str_matches=r"^(?:a|b)$")
    groups: str = column(str_matches=r"^(?:a|b)c(?:d|[)])$")


def test_a_pattern_of_the_beginning_is_written_as_one_of_the_whole_value(
    declared: Callable[..., Feed],
) -> None:
    feed = Feed(name="patterned", description="", contract=Patterned)
    patterns = {
        name: facts[0][1]["pattern"]
        for name, facts in checks(declared(written(feed, "table-schema"))).items()
    }
    assert patterns == {
        "begins": "^(?s:[A-Z].*)$",
        "dollar": r"^(?s:x\$.*)$",
        "either": "^(?:a|b)$",
        "groups": "^(?:(?:a|b)c(?:d|[)]))$",
    }


@pytest.fixture(scope="module")
def standard() -> Any:
    """The standard; to look whether it is one takes longer than to look at a contract by it."""
    schema = json.loads(
        (resources.files("open_data_contract_standard") / "schema.json").read_text()
    )
    return jsonschema.validators.validator_for(schema)(schema)


@pytest.mark.parametrize("feed", FEEDS, ids=[feed.name for feed in FEEDS])
def test_the_contract_is_one_by_the_standard(feed: Feed, standard: Any) -> None:
    standard.validate(yaml.safe_load(written(feed, "odcs")))


def test_a_contract_has_the_types_of_the_table() -> None:
    class Typed(Contract):
        """All types."""

        token: str = column(kind=Kind.UUID)
        seen_at: Timestamp = column()
        more: str = column(kind=Kind.JSON)
        total: Money = column()

    made = yaml.safe_load(written(Feed(name="typed", description="", contract=Typed), "odcs"))
    types = {its["name"]: its["physicalType"] for its in made["schema"][0]["properties"]}
    assert types == {
        "token": "uuid",
        "seen_at": "timestamp with time zone",
        "more": "jsonb",
        "total": "numeric(18, 2)",
    }


def test_a_contract_of_others_is_a_feed(declared: Callable[..., Feed]) -> None:
    feed = declared(CONTRACT)
    assert (feed.name, feed.description, feed.key) == ("sales_fact", "Sales.", ("day", "shop"))
    kinds = {c.name: (c.kind.value, c.nullable, c.protected) for c in feed.columns}
    assert kinds == {
        "shop": ("text", False, True),
        "day": ("date", False, False),
        "amount": ("decimal", False, False),
        "pieces": ("integer", True, False),
    }
    assert str(feed.columns[2].dtype) == "Decimal(precision=10, scale=2)"
    assert checks(feed)["pieces"] == [("less_than_or_equal_to", {"max_value": 5})]


CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
version: 1.0.0
status: active
servers: [{server: x, type: postgres}]
schema:
  - name: sales
    physicalName: sales_fact
    description: Sales.
    quality: [{type: sql, query: SELECT 1}]
    properties:
      - name: shop
        logicalType: string
        businessName: Shop
        classification: restricted
        primaryKey: true
        primaryKeyPosition: 2
      - {name: day, physicalType: DATE, primaryKey: true, primaryKeyPosition: 1}
      - {name: amount, physicalType: 'DECIMAL(10,2)', required: true}
      - name: pieces
        logicalType: integer
        logicalTypeOptions: {maximum: 5}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("logicalType: integer", "logicalType: vector", 22, "found 'vector'"),
        ("physicalType: DATE", "physicalType: XML", 19, "a logicalType was needed; found"),
        ("    properties:", "    columns:", 8, "properties, which are the columns"),
        ("schema:", "tables:", 1, "one table in the schema was needed; there is none"),
        ("name: shop", "name: 2", 13, "text was needed; found 2"),
        ("maximum: 5", "maximum: five", 23, "a whole number was needed"),
    ],
)
def test_a_fault_of_a_contract_is_named_by_its_line(
    old: str, new: str, line: int, message: str, declared: Callable[..., Feed]
) -> None:
    with pytest.raises(SetupError) as caught:
        declared(CONTRACT.replace(old, new, 1))
    assert f", line {line}, " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", [ORDERS, EXAMPLE, TOLD_BY_NAME], ids=["all", "example", "name"])
def test_editors_take_what_is_a_feed(text: str) -> None:
    jsonschema.validate(plain(parse(text, "x").value), json_schema())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("type: date", "type: dat"),
        ("primaryKey:", "primarykey:"),
        ("newest_wins", "newest"),
        ("scale: 2", "scale: two"),
        ("description:", "descr:"),
    ],
)
def test_editors_mark_what_is_none(old: str, new: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain(parse(ORDERS.replace(old, new), "x").value), json_schema())


def plain(value: Any) -> Any:
    """Return a value with floats, which JSON has, in the place of decimals."""
    if isinstance(value, dict):
        return {key: plain(its) for key, its in value.items()}
    if isinstance(value, list):
        return [plain(its) for its in value]
    return float(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize(
    "text",
    [
        *("no", "Y", "~", "", " a", "a ", "010", "1e3", "1_0", "12:30", "2020-01-01", "a: b"),
        *("a #b", "- a", "'", '"', "\\", "\u2028", "\x85", "\x7f", "é", "😀", "a\nb", "\t", "*a"),
        *("&a", "!a", "null", "0x1f", ".5", "+1", "<<", "=", "%a", "@a", "`a", "{a}", "[a]", "a,b"),
        *("?", "|", ">"),
    ],
)  # fmt: skip
def test_text_is_written_so_that_it_is_read_as_text(text: str) -> None:
    value = {"a": text, "b": [text], "c": {"d": text}, "e": [{"f": text, "g": {"h": [text]}}]}
    made = yaml_of(value, {("e", 0): "said"})
    assert parse(made, "x").value == value
    assert yaml.safe_load(made) == value


def test_the_command_writes_every_form() -> None:
    for form, word in (
        ("table-schema", "fields:"),
        ("odcs", "apiVersion:"),
        ("markdown", "| kind"),
    ):
        said = CliRunner().invoke(commands.app, ["feeds", "customers", "--as", form])
        assert (said.exit_code, word in said.stdout) == (0, True)
        assert "Python: " in said.stdout
    said = CliRunner().invoke(commands.app, ["feeds", "schema"])
    assert json.loads(said.stdout)["title"] == "FeedFile"
    assert CliRunner().invoke(commands.app, ["feeds", "custmers"]).exit_code != 0
