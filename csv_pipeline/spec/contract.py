"""Say once what a feed's rows are; aliases, casts, checks, table and docs all follow from it.

A contract is a Pandera model whose fields carry what the pipeline needs beyond the check itself:
the names the column has in headers, whether it is protected, which words it may hold. Nothing here
reads data.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal

import pandera.backends.polars.builtin_checks  # noqa: F401  # else checks declared here lack them
import pandera.polars as pa
import polars as pl
from pandera.api.dataframe.model_components import FieldInfo
from pandera.engines.polars_engine import Engine
from pandera.typing.common import AnnotationInfo

from csv_pipeline.account import DateOrder, DecimalMark
from csv_pipeline.errors import SetupError
from csv_pipeline.spec.kinds import Kind, hold_facts, kind_of
from csv_pipeline.spec.sign import Sign

Money = Annotated[pl.Decimal, 18, 2]
"""An amount with two decimal places; it never passes through a float."""

Timestamp = Annotated[pl.Datetime, "us", "UTC"]
"""A moment, in UTC."""

Unit = Literal["s", "ms", "us"]
"""What a number since 1970 counts."""

Normal = Literal["nfc", "blanks", "upper", "lower"]
"""What is made one in texts."""

Share = Literal["percent", "fraction"]
"""What 12.5% is: 12.5 or 0.125."""

Style = DecimalMark | DateOrder

_METADATA = "csv_pipeline"
_NO_SIGNS = {number: None for number in range(128) if not chr(number).isalnum()}
_OFFSET = re.compile(r"[+-][0-9]{1,2}:[0-9]{2}")
TRUE = ("true", "t", "yes", "y", "1", "wahr", "ja", "vrai", "oui", "verdadero", "vero", "sí", "si")
FALSE = ("false", "f", "no", "n", "0", "falsch", "nein", "faux", "non", "falso")
"""The words of a boolean, unless its column declares others."""

_ASKS = {
    "greater_than_or_equal_to": "at least {}",
    "greater_than": "more than {}",
    "less_than_or_equal_to": "at most {}",
    "less_than": "less than {}",
    "isin": "one of {}",
    "notin": "none of {}",
    "str_matches": "text like {}",
}


@dataclass(frozen=True, slots=True)
class Gathers:
    r"""The columns of a file that are one of the contract, told by their names.

    `pattern` explains the whole name, and its groups are the keys under which the cell is found in
    a JSON object, an object in it, and so on. Cells are amounts with a decimal point, unless the
    account declares another mark; they are kept as text with `scale` decimals, blank ones as null.
    All are in one `currency`, and none is below `ge`; without a `currency`, none states any.

    >>> Gathers(r"([A-Z]{2}) \((NR|R)\)", scale=2).keys("AL (NR)")
    ('AL', 'NR')
    """

    pattern: str
    scale: int
    ge: int | None = None
    currency: str | None = None

    def keys(self, name: str) -> tuple[str, ...]:
        """Return the keys that a name tells, none if it is that of another column."""
        match = re.fullmatch(self.pattern, name.strip())
        return match.groups() if match else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a contract.

    `aliases` are the names it has in headers, the likeliest first; a `derived` column has none and
    is made by the feed's transforms. `substitute` is used where the file has no value, so that the
    column can be part of a key. `choices` maps every accepted word, case-folded, to what is stored;
    of a boolean that is `true` or `false`. An `identifier` says which thing is meant, so that
    spelling matters: see `casts.identifiers`. `nulls` are words that mean no value here. A `past`
    column holds dates of what happened. A timestamp that states no zone is of the `zone`, by its
    name of IANA; `zones` are the offsets of abbreviations that only this column knows, in small
    letters, and `unit` is what its numbers count since 1970. `normalise`, `stored_as`, `bare_as`,
    `sign`, `currency_in` and `local_of` are as `column` has them. The `style` is how values are
    written that may be read in two ways. `needs` says in plain words what the column's checks ask
    for, as the contract declares it, and `asked` what a value must be, whoever says so. `examples`
    are cells for the template of the feed's files.
    """

    name: str
    kind: Kind
    dtype: pl.DataType
    aliases: tuple[str, ...]
    nullable: bool
    derived: bool
    substitute: str | None
    protected: bool
    choices: Mapping[str, str]
    identifier: bool
    fold_case: bool
    pad: int
    gathers: Gathers | None
    nulls: frozenset[str]
    past: bool
    zone: str | None
    zones: Mapping[str, str]
    unit: Unit | None
    normalise: tuple[Normal, ...]
    stored_as: Share
    bare_as: Share | None
    sign: Sign | None
    currency_in: tuple[str, ...]
    style: Style | None
    local_of: str | None
    needs: str
    asked: str
    description: str
    examples: tuple[str, ...]

    @property
    def headings(self) -> frozenset[str]:
        """Every spelling that names this column, as `heading` reduces it."""
        return frozenset(heading(name) for name in (self.name, *self.aliases))


class Contract(pa.DataFrameModel):
    """Base of every contract: columns in order, types exact, unknown columns an error."""

    class Config:
        """Hold typed frames to exactly the declared columns."""

        strict = True
        ordered = False


class _Facts(dict[str, Any]):
    """What a field says of its column; nothing changes it, so that copies of a field share it.

    Pandera copies all fields of a model once; to copy these would take half of the time.
    """

    def __deepcopy__(self, _: Any) -> "_Facts":
        return self


def column(  # noqa: PLR0913  # a declaration, all by name
    *aliases: str,
    nullable: bool = False,
    derived: bool = False,
    substitute: str | None = None,
    protected: bool = False,
    choices: Iterable[str] | Mapping[str, str] = (),
    identifier: bool = False,
    fold_case: bool = False,
    pad: int = 0,
    gathers: Gathers | None = None,
    kind: Kind | None = None,
    nulls: Iterable[str] = (),
    past: bool = False,
    trues: Iterable[str] = (),
    falses: Iterable[str] = (),
    zone: str | None = None,
    zones: Mapping[str, str] | None = None,
    unit: Unit | None = None,
    normalise: Iterable[Normal] = (),
    stored_as: Share = "percent",
    bare_as: Share | None = None,
    sign: Sign | None = None,
    currency_in: Iterable[str] = (),
    style: Style | None = None,
    local_of: str | None = None,
    needs: str = "",
    description: str = "",
    examples: Iterable[str] = (),
    **checks: Any,
) -> Any:
    """Declare a column of a contract: a Pandera field that also knows its names in headers.

    Args:
        *aliases: Names the column has in headers; case, spaces, punctuation and accents do not
            matter.
        nullable: A row may lack the value, and a header the column.
        derived: The feed's transforms make the value; no header has it.
        substitute: Stored where the file has no value; only for text.
        protected: Personal or health data: values are masked in messages, logs and metadata.
        choices: The words accepted, or what each accepted word is stored as.
        identifier: The value says which thing is meant, as those of the feed's key do.
        fold_case: Ids that differ in case only are the same; stored in small letters.
        pad: Ids of digits get zeros in front up to this length.
        gathers: Which columns of a file are this one, as JSON; then aliases are examples of names.
        kind: How the text becomes a value, where the type does not say it. `Kind.CURRENCY` is the
            currency of the row's amounts, by ISO 4217: in a column of its own, or as the amounts
            state it; a contract has one such column at most.
        nulls: Words for no value, besides those of the feed and, where the column is not text, the
            usual ones such as `N/A`.
        past: The dates are of what has happened, so that no year of two digits is one to come.
        trues: The words of a boolean that mean true, in the place of the usual ones of several
            languages; so do the `falses`, if either is declared.
        falses: The words that mean false.
        zone: The time zone, such as `Europe/Berlin`, of timestamps that state none.
        zones: What abbreviations of time zones mean here, such as `{"IST": "+05:30"}`.
        unit: Timestamps are numbers of seconds `s`, or of `ms` or `us`, since 1970 in UTC.
        normalise: What is made one in texts: `nfc` of Unicode, `blanks` by one space each, letters
            `upper` or `lower`.
        stored_as: A percentage is stored as the `percent` that is written, or as a `fraction`.
        bare_as: What a percentage without its sign is; None: a reject.
        sign: Where the sign of an amount is from: `SignFrom` another column, or `TwoAmounts`.
        currency_in: Columns that hold the currency of an amount. One that states another than all
            of them is a reject.
        style: The decimal mark of numbers, or the order of day and month. It settles what values
            leave open, unless the account declares one; a file that proves another is refused.
        local_of: A text keeps the cells of this timestamp that state no zone, as they are in the
            file; it has the names of that column, and is null where the cell states its zone.
        needs: What the checks ask for, in plain words, for the message of a reject.
        description: What the column holds, for the docs and the Dagster column schema.
        examples: Cells of the rows of the template, in turn, where no type says how to write one.
        **checks: Pandera's built-in checks, such as `ge`, `str_matches`, `isin`.
    """
    words = dict(choices) if isinstance(choices, Mapping) else {word: word for word in choices}
    if zone is not None:
        hold_zone(zone)
    if wrong := [its for its in (zones or {}).values() if not _OFFSET.fullmatch(its)]:
        raise SetupError(f"zones: offsets such as +05:30 were needed; found {', '.join(wrong)}")
    if both := {choice_key(word) for word in trues} & {choice_key(word) for word in falses}:
        raise SetupError(f"a word that means one was needed; {', '.join(both)} is true and false")
    return pa.Field(
        nullable=nullable or local_of is not None,
        description=description,
        metadata={
            _METADATA: _Facts(
                aliases=aliases,
                derived=derived,
                substitute=substitute,
                protected=protected,
                choices={word.casefold(): stored for word, stored in words.items()},
                identifier=identifier or fold_case or pad > 0,
                fold_case=fold_case,
                pad=pad,
                gathers=gathers,
                kind=kind,
                nulls=frozenset(nulls),
                past=past,
                trues=tuple(trues),
                falses=tuple(falses),
                zone=zone,
                zones={name.lower(): its for name, its in (zones or {}).items()},
                unit=unit,
                normalise=tuple(normalise),
                stored_as=stored_as,
                bare_as=bare_as,
                sign=sign,
                currency_in=tuple(currency_in),
                style=style,
                local_of=local_of,
                needs=needs,
                examples=tuple(examples),
            )
        },
        **checks,
    )


def optional(*aliases: str, **facts: Any) -> Any:
    """Declare a `column` that is `nullable`."""
    return column(*aliases, nullable=True, **facts)


@cache
def columns_of(contract: type[Contract]) -> tuple[Column, ...]:
    """Return the contract's columns in the order they are declared.

    They are of its fields: to make its schema takes several times as long, and who declares many
    feeds uses few of them in a process.
    """
    checks = contract.__checks__
    columns = {
        name: _column(name, _dtype_of(declared), spec, checks.get(name, ()))
        for name, (declared, spec) in contract.__fields__.items()
    }
    return tuple(_named_as_its_moment(column, columns) for column in columns.values())


def _named_as_its_moment(column: Column, columns: Mapping[str, Column]) -> Column:
    """Return a column of local texts by the names of its timestamp; any other as it is.

    Raises:
        SetupError: It names no timestamp with a zone, or has names of its own.
    """
    if column.local_of is None:
        return column
    of = columns.get(column.local_of)
    if of is None or of.kind is not Kind.TIMESTAMP or of.unit is not None or column.aliases:
        raise SetupError(
            f"column {column.name!r}: a timestamp of the contract that is no number, and no other "
            f"names, were needed for local_of; found {column.local_of!r}"
        )
    aliases, hidden = (*of.aliases, of.name), of.protected or column.protected
    return replace(column, aliases=aliases, protected=hidden)


@cache
def protected(contract: type[Contract]) -> tuple[Column, ...]:
    """Return the contract's columns, every one of them protected."""
    return tuple(replace(column, protected=True) for column in columns_of(contract))


def headings_of(columns: Iterable[Column]) -> frozenset[str]:
    """Return every spelling, as `heading` reduces it, that names any column but the derived."""
    return frozenset().union(*(c.headings for c in columns if not c.derived))


def meanings_of(columns: Iterable[Column]) -> Mapping[str, str]:
    """Return for each of these spellings what it names: the columns that it is a heading of."""
    named = [column for column in columns if not column.derived]
    return {
        name: " ".join(column.name for column in named if name in column.headings)
        for name in headings_of(named)
    }


def heading(name: str) -> str:
    """Reduce a header's name to what matters when names are compared: letters and digits.

    >>> heading("Numéro de commande"), heading(" order_number ")
    ('numerodecommande', 'ordernumber')
    """
    if name.isascii():  # nearly all are, and whoever looks for a header asks for thousands
        return name.lower().translate(_NO_SIGNS)
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(filter(str.isalnum, plain))  # accents are parted from letters, and are neither


def choice_key(word: str) -> str:
    """Reduce a word to what matters when choices are compared: case, blanks and width do not.

    >>> choice_key("Not-Shipped"), choice_key("STRASSE") == choice_key("straße")
    ('not_shipped', True)
    """
    folded = unicodedata.normalize("NFKC", word).casefold()
    # Turkish has an i with a dot and one without, in both cases.
    return re.sub(r"[\s_-]+", "_", folded.replace("i\u0307", "i").replace("\u0131", "i"))


def words_in(choices: Mapping[str, str]) -> list[str]:
    """Return the words that are accepted, those that are stored as they are in that spelling.

    >>> words_in({"h": "H", "yes": "true"})
    ['H', 'yes']
    """
    return [stored if stored.casefold() == word else word for word, stored in choices.items()]


def hold_zone(name: str) -> None:
    """Hold the name of a time zone to those of IANA.

    Raises:
        SetupError: There is none of this name.
    """
    try:
        # Not by a query, which starts threads: no process forks from one that has them.
        pl.Series([0], dtype=pl.Datetime("us", name))
    except pl.exceptions.ComputeError as error:
        raise SetupError(
            f"a time zone by its name of IANA, such as Europe/Berlin, was needed; found {name!r}"
        ) from error


def asked_by(check: Any) -> str:
    """Return in plain words what a Pandera check asks of a value.

    >>> asked_by(pa.Check.ge(1)), asked_by(pa.Check.isin(["a", "b"]))
    ('at least 1', 'one of a, b')
    """
    if check.description or check.name not in _ASKS:
        return str(check.description or check.error or check.name)
    (fact,) = check.statistics.values()
    return _ASKS[check.name].format(", ".join(map(str, fact)) if isinstance(fact, list) else fact)


def _dtype_of(declared: AnnotationInfo) -> pl.DataType:
    """Return the type of a column as Pandera has it: `Annotated` gives its arguments."""
    if declared.metadata:
        return _engine_dtype(declared.arg, *declared.metadata)
    return _engine_dtype(declared.raw_annotation if declared.origin else declared.arg)


@cache  # many columns are of few types
def _engine_dtype(declared: Any, *facts: Any) -> pl.DataType:
    dtype: Any = declared(*facts) if facts else Engine.dtype(declared).type
    made: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return made


def _column(name: str, dtype: pl.DataType, spec: FieldInfo, own: Iterable[pa.Check]) -> Column:
    facts = dict((spec.metadata or {})[_METADATA])
    kind = facts["kind"] or kind_of(dtype)
    if facts["choices"] and kind is Kind.TEXT:
        kind = Kind.CHOICE
    hold_facts(name, kind, dtype, facts)
    trues, falses = facts.pop("trues"), facts.pop("falses")
    if kind is Kind.BOOLEAN and not facts["choices"]:
        if not (trues or falses):
            trues, falses = TRUE, FALSE
        facts["choices"] = dict.fromkeys(falses, "false") | dict.fromkeys(trues, "true")
    words = [f"one of {', '.join(words_in(facts['choices']))}"] if facts["choices"] else []
    return Column(
        name=name,
        dtype=dtype,
        nullable=bool(spec.nullable),
        asked=facts["needs"] or "; ".join([*words, *map(asked_by, (*spec.checks, *own))]),
        description=spec.description or "",
        **facts | {"kind": kind},
    )
