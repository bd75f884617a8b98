"""What may stand in a file that declares a feed: the one description of it.

The standard's words are those of a Frictionless Table Schema 2, as it writes them; what it lacks is
in blocks named `csv_pipeline`. Python names are those of the file in small letters with `_`.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from csv_pipeline.spec.contract import Normal, Share, Unit
from csv_pipeline.spec.declared.policies import ConflictWord, DuplicateWord
from csv_pipeline.spec.declared.types import FIELD_TYPES, FORMATS
from csv_pipeline.spec.feed import FieldsMatch
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.snapshot import Missing

Number = Annotated[
    int | Decimal, PlainSerializer(lambda its: its), WithJsonSchema({"type": "number"})
]
Scalar = str | Number | bool
"""A value as YAML has it; dates and times are text."""


_Type = Annotated[str, WithJsonSchema({"enum": list(FIELD_TYPES)})]
_Format = Annotated[
    str, WithJsonSchema({"anyOf": [{"enum": list(FORMATS)}, {"type": "string", "pattern": "%"}]})
]
_Missing = Annotated[str, WithJsonSchema({"enum": [its.value for its in Missing]})]
_Kind = Annotated[str, WithJsonSchema({"enum": [kind.value for kind in Kind]})]


class _Standard(BaseModel):
    """Words of the standard, which are written `likeThis`."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class _Own(BaseModel):
    """Words of the pipeline's own, which are written `like_this`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Labelled(_Standard):
    """A value and what it means to people."""

    value: str
    label: str = ""


def words_in(given: Iterable[str | Labelled]) -> list[str]:
    """Return the words of a list without their labels, and without the empty one."""
    words = (one.value if isinstance(one, Labelled) else one for one in given)
    return [word for word in words if word]


class Constraints(_Standard):
    """What a value must be, besides of its type."""

    required: bool = Field(False, description="each row has a value, and each header the column")
    unique: bool = Field(False, description="the column alone is the key")
    min_length: int | None = Field(None, ge=0, description="letters of a text at least")
    max_length: int | None = Field(None, ge=0, description="letters of a text at most")
    minimum: Scalar | None = Field(None, description="the least value")
    maximum: Scalar | None = Field(None, description="the greatest value")
    exclusive_minimum: Scalar | None = Field(None, description="values are greater")
    exclusive_maximum: Scalar | None = Field(None, description="values are less")
    pattern: str | None = Field(None, description="a regular expression for the whole value")
    enum: list[Scalar] | None = Field(None, min_length=1, description="the values there are")


class GathersOfField(_Own):
    """Columns of a file that are one of the table, as JSON."""

    pattern: str = Field(description="of their whole names; groups are the keys")
    scale: int = Field(ge=0, le=18, description="decimals of their amounts")
    ge: int | None = Field(None, description="no amount is below")
    currency: str | None = Field(None, description="that of all amounts")


class SignOfField(_Own):
    """Where the sign of an amount is from: words of another column, or of two amounts which."""

    column: str | None = Field(None, description="the column of the words; none: two amounts")
    plus: str | list[str] = Field(description="words for plus, or the column of amounts that are")
    minus: str | list[str] = Field(description="words for minus, or the column of those that are")


class OwnOfField(_Own):
    """What the standard cannot say of a column."""

    aliases: list[str] = Field([], description="other names of the column in headers")
    kind: _Kind | None = Field(None, description="how text becomes a value, if the type is not it")
    precision: int | None = Field(None, ge=1, le=38, description="digits of a number at most")
    scale: int | None = Field(None, ge=0, le=38, description="digits behind the decimal mark")
    values: dict[str, str] = Field({}, description="words in files, and what each is stored as")
    conflict: ConflictWord | None = Field(None, description="if the key is stored, of this column")
    protected: bool = Field(False, description="personal data, masked in messages and logs")
    identifier: bool = Field(False, description="says which thing is meant; one spelling is stored")
    fold_case: bool = Field(False, description="ids that differ in case only are the same")
    pad: int = Field(0, ge=0, description="ids of digits get zeros in front up to this length")
    substitute: str | None = Field(None, description="stored where there is no value")
    past: bool = Field(False, description="dates of what has happened")
    zone: str | None = Field(None, description="time zone of moments that state none")
    zones: dict[str, str] = Field({}, description="what abbreviations of zones mean: +05:30")
    unit: Unit | None = Field(None, description="what numbers count since 1970")
    local_of: str | None = Field(None, description="keeps the text of this moment without a zone")
    normalise: list[Normal] = Field([], description="what is made one in texts")
    stored_as: Share = Field("percent", description="what 12.5% is stored as")
    bare_as: Share | None = Field(None, description="what a percentage without its sign is")
    derived: bool = Field(False, description="the name of the file tells it, or two amounts")
    gathers: GathersOfField | None = Field(None, description="columns of a file that are this one")
    sign: SignOfField | None = Field(None, description="another column tells the sign")
    currency_in: list[str] = Field([], description="columns of the currency of an amount")
    needs: str = Field("", description="what a value must be, in plain words for messages")
    examples: list[str] = Field([], description="cells of further rows of the template")


class FieldOfFeed(_Standard):
    """A column."""

    name: str = Field(description="the column of the table; also its name in headers")
    type: _Type = Field("string", description="what values are")
    format: _Format = Field("default", description="what texts are")
    title: str = Field("", description="the column's usual name in headers")
    description: str = Field("", description="what the column holds")
    constraints: Constraints = Field(
        default_factory=Constraints, description="what a value must be"
    )
    categories: list[str | Labelled] = Field([], description="the words there are, in any case")
    categories_ordered: bool = Field(False, description="for people")
    missing_values: list[str | Labelled] = Field([], description="words for no value")
    decimal_char: str = Field("", description="the mark before decimals, if it is certain")
    group_char: str = Field("", description="the mark between thousands; any is read")
    bare_number: bool = Field(True, description="without effect: signs of currencies are read")
    true_values: list[str] = Field(["true", "1"], description="the words for true, in any case")
    false_values: list[str] = Field(["false", "0"], description="the words for false, in any case")
    example: Any = Field(None, description="a cell of the first row of the template")
    rdf_type: str = Field("", description="for people")
    own: OwnOfField = Field(
        default_factory=OwnOfField, alias="csv_pipeline", description="what the standard lacks"
    )


class LayoutOfFeed(_Own):
    """One shape in which files come."""

    name: str
    marks: list[str] = Field([], description="a file with any of these columns has this layout")
    required: list[str] = Field([], description="columns the header needs then")
    filled: list[str] = Field([], description="columns that each row needs a value in then")


class NonData(_Own):
    """Lines that are no rows, such as a footer."""

    name: str
    pattern: str = Field(description="a regular expression for the whole line")
    above: bool = Field(False, description="it may be above the header as well")


class SnapshotOfFeed(_Own):
    """A file brings every row of a scope."""

    scope: list[str] = Field([], description="columns that say which; none: of the account")
    missing: _Missing = Field("keep", description="what becomes of stored rows not in the file")
    max_missing_rows: int | None = Field(None, ge=0, description="more, and a file is refused")
    max_missing_share: Number | None = Field(
        Decimal("0.2"), ge=0, le=1, description="more, and a file is refused"
    )


class NameOfFile(_Own):
    """How files are named."""

    pattern: str = Field(description="of the whole name; groups tell derived columns")
    shown: str = Field(description="the pattern as a person reads it")
    folders: str = Field("", description="the same of the folders below the feed's")
    example: str = Field("", description="the name of the template")


class WorklistOfFeed(_Own):
    """Rows that are work which remains."""

    description: str = Field("", description="which rows these are")
    where: str = Field(description="an SQL condition over the columns")
    columns: list[str] = Field(min_length=1, description="what the list shows")


class DialectOfFiles(_Standard):
    """How files are written; what is not declared of those with a header, the bytes show."""

    header: bool = Field(True, description="false: none, and fields come in the order declared")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="between fields")
    quote_char: str | None = Field(None, max_length=1, description="around fields; empty: none")
    encoding: str | None = Field(None, description="of the text")


class CatalogOfFeed(_Own):
    """What the feed's assets are in Dagster's catalogue."""

    owners: list[str] = Field(["team:imports"], description="team:NAME, or e-mail addresses")
    tags: dict[str, str] = Field({}, description="of the assets")
    key_prefix: list[str] = Field([], description="names before those of the assets")
    automation: str | None = Field(None, description="eager, or a cron expression in UTC")


class OwnOfFeed(_Own):
    """What the standard cannot say of a feed."""

    name: str | None = Field(None, description="the feed's name; the file's, if not given")
    description: str | None = Field(None, description="what files hold")
    group: str = Field("default", description="feeds of a group are shown together")
    catalog: CatalogOfFeed = Field(
        default_factory=CatalogOfFeed, description="owners, tags, names and automation in Dagster"
    )
    counted: list[str] = Field([], description="what rows without a key are known by")
    conflict: ConflictWord | None = Field(None, description="what happens if the key is stored")
    duplicates: DuplicateWord | None = Field(None, description="if it comes twice in a file")
    layouts: list[LayoutOfFeed] = Field([], description="tried in this order")
    non_data: list[NonData] = Field([], description="lines that are no rows")
    snapshot: SnapshotOfFeed | None = Field(None, description="a file brings every row")
    file_name: NameOfFile | None = Field(None, description="how files are named")
    extras: list[str] = Field([], description="patterns of names that are no drift")
    time_zone: str | None = Field(None, description="of moments that state none")
    extras_after: str | None = Field(None, description="columns behind this one are the account's")
    worklist: WorklistOfFeed | None = Field(None, description="rows that are work which remains")
    confidential: bool = Field(False, description="no cell is shown outside of the database")
    needs_good_row: bool = Field(False, description="without a good row a file is refused")
    encodings: list[str] = Field(["cp1252"], description="tried if a file is not Unicode")
    views: dict[str, str] = Field({}, description="SELECT statements by the name of a view")
    reject_rate_warning: Number = Field(
        Decimal("0.05"), ge=0, le=1, description="share of rejects to warn of"
    )
    max_rejected_rows: int | None = Field(None, ge=0, description="more, and a file is refused")
    max_rejected_share: Number | None = Field(
        None, ge=0, le=1, description="more, and a file is refused"
    )


class FeedFile(_Standard):
    """A feed: a Table Schema, and the block `csv_pipeline`."""

    schema_: str = Field("", alias="$schema", description="the standard's, for editors")
    name: str | None = Field(None, description="the feed's name; the file's, if not given")
    title: str = Field("", description="what files hold, in short")
    description: str = Field("", description="what files hold")
    fields: list[FieldOfFeed] = Field(min_length=1, description="the columns")
    primary_key: str | list[str] = Field([], description="the columns that make a row the same")
    unique_keys: list[list[str]] = Field([], description="no others than the primary key")
    missing_values: list[str | Labelled] = Field([""], description="words for no value")
    fields_match: FieldsMatch = Field(
        "partial",
        description="the header has: exact, the columns in this order; equal, in any; subset, all "
        "columns and perhaps others; superset, no others; partial, those that are required",
    )
    dialect: DialectOfFiles | None = Field(None, description="how files are written")
    own: OwnOfFeed = Field(
        default_factory=OwnOfFeed, alias="csv_pipeline", description="what the standard lacks"
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of files, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **FeedFile.model_json_schema(by_alias=True),
    }
