"""Make a column of a contract of a field's words."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from csv_pipeline.account import DateOrder, DecimalMark
from csv_pipeline.errors import SetupError
from csv_pipeline.spec.contract import Gathers, Style, column
from csv_pipeline.spec.declared.document import Document, Path
from csv_pipeline.spec.declared.faults import fault, nearest
from csv_pipeline.spec.declared.types import (
    BOUND,
    CHECKS,
    FIELD_TYPES,
    PRECISION,
    SCALE,
    TypeOfField,
)
from csv_pipeline.spec.declared.words import FieldOfFeed, SignOfField, words_in
from csv_pipeline.spec.kinds import TYPES, Kind
from csv_pipeline.spec.patterns import EMAIL, EMAIL_NEEDS
from csv_pipeline.spec.sign import Sign, SignFrom, TwoAmounts

_LONGEST = 55  # of the 63 letters that PostgreSQL takes, some are left for a number
_SLUG = re.compile(r"[a-z][a-z0-9_]*")


def column_name(its: FieldOfFeed, document: Document, path: Path) -> str:
    """Return the column of the table for a field's name: `Order ID` is `order_id`."""
    if _SLUG.fullmatch(its.name):
        return its.name
    name = "" if its.name.startswith("_") else slug_of(its.name, "")
    if not re.match(r"[a-z]", name):
        raise fault(
            document, path, "a name that begins with a letter from a to z", f"found {its.name!r}"
        )
    return name


def slug_of(title: str, otherwise: str = "column") -> str:
    """Return a column's name for a title; what begins with no letter from a to z is `otherwise`.

    >>> slug_of("Numéro d'Ordre"), slug_of("2024"), slug_of("日付")
    ('numero_d_ordre', 'column_2024', 'column')
    """
    plain = unicodedata.normalize("NFKD", title).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    name = re.sub(r"[^a-z0-9_]+", "_", plain).strip("_")[:_LONGEST].rstrip("_")
    if not re.match(r"[a-z]", name):
        return f"{otherwise}_{name}".rstrip("_") if otherwise else ""
    return name


def _of_table(name: str) -> str:
    """Return the column of the table that a field's name means."""
    return name if _SLUG.fullmatch(name) else slug_of(name, "")


def column_of(its: FieldOfFeed, document: Document, path: Path, *, in_key: bool) -> tuple[Any, Any]:
    """Return the type and the Pandera field of a column.

    Raises:
        SetupError: Words of the field do not go together.
    """
    making = _Making(its, document, path)
    annotation = making.annotation()
    try:
        return annotation, making.field(in_key=in_key)
    except SetupError as error:
        if str(error).startswith(document.name):
            raise
        raise SetupError(f"{document.place(path)}: {error}") from error


_DAY_OR_TIME = re.compile(r"(?i)(?:y{4}|y{2}|m{1,2}|d{1,2}|h{1,2}|s{1,2}|[ .,:/T-])+")
_OF_STRPTIME = {
    r"(?<=h:)m{1,2}": "%M",
    "y{4}": "%Y",
    "y{2}": "%y",
    "d{1,2}": "%d",
    "h{1,2}": "%H",
    "s{1,2}": "%S",
    "(?<!%)m{1,2}": "%m",
}


def strptime_of(letters: str) -> str:
    """Return the pattern of strptime that letters of days and times mean; "" if they mean none.

    >>> strptime_of("DD.MM.YYYY"), strptime_of("yyyy-mm-dd HH:mm"), strptime_of("daily")
    ('%d.%m.%Y', '%Y-%m-%d %H:%M', '')
    """
    if not _DAY_OR_TIME.fullmatch(letters):
        return ""
    for its, directive in _OF_STRPTIME.items():
        letters = re.sub(f"(?i)(?<!%){its}", directive, letters)
    return letters


@cache
def _no_pattern(pattern: str) -> str:
    """Return why Polars cannot look for a pattern; "" if it can.

    A name is asked for, as no query may run: its threads would keep runs from being forked.
    """
    try:
        pl.col("name").name.replace(pattern, "").meta.output_name()
    except pl.exceptions.ComputeError as error:
        return " ".join(str(error).split())
    return ""


@dataclass(frozen=True, slots=True)
class _Making:
    its: FieldOfFeed
    document: Document
    path: Path

    @property
    def type(self) -> TypeOfField:
        return FIELD_TYPES[self.its.type]

    def annotation(self) -> Any:
        """Return the column's type in the contract."""
        its, known = self.its, list(FIELD_TYPES)
        if its.type not in known:
            raise self.fault(
                ("type",), f"one of {', '.join(known)}", repr(its.type), nearest(its.type, known)
            )
        if its.format not in self.type.formats and not self._is_pattern():
            known = [one for one in self.type.formats if one != "%"]
            pattern = strptime_of(its.format) if "%" in self.type.formats else ""
            needed = f"one of {', '.join(known)}" + (", or a pattern of strptime" * bool(pattern))
            near = pattern or nearest(its.format, known)
            raise self.fault(("format",), needed, repr(its.format), near)
        for model, above in self._models():
            for word in sorted(model.model_fields_set & (BOUND - self.type.words)):
                types = [name for name, one in FIELD_TYPES.items() if word in one.words]
                place = type(model).model_fields[word].alias or word
                needed = f"type {' or '.join(types)} for {place}"
                raise self.fault((*above, place), needed, its.type)
        if self.type.annotation is not pl.Decimal:
            return self.type.annotation
        precision = its.own.precision or PRECISION
        scale = min(SCALE, precision) if its.own.scale is None else its.own.scale
        if scale > precision:
            raise self.fault(
                ("csv_pipeline", "scale"), f"at most the precision {precision}", str(scale)
            )
        return Annotated[pl.Decimal, precision, scale]

    def _models(self) -> Iterable[tuple[BaseModel, Path]]:
        """Give what holds the words of this field, and where."""
        yield self.its, ()
        yield self.its.constraints, ("constraints",)
        yield self.its.own, ("csv_pipeline",)

    def field(self, *, in_key: bool) -> Any:
        """Return the Pandera field."""
        its, own = self.its, self.its.own
        asked = its.constraints
        required = asked.required or in_key
        trues, falses = self._words_of_truth()
        names = [*([its.title] if its.title else []), *own.aliases, *self._own_name()]
        return column(
            *dict.fromkeys([] if own.local_of else names),
            nullable=not required and own.substitute is None,
            derived=own.derived,
            substitute=own.substitute,
            protected=own.protected,
            choices=self._choices(),
            identifier=own.identifier,
            fold_case=own.fold_case,
            pad=own.pad,
            kind=self._kind(),
            nulls=words_in(its.missing_values),
            past=own.past,
            zone=own.zone,
            zones=own.zones,
            unit=own.unit,
            local_of=own.local_of,
            normalise=own.normalise,
            stored_as=own.stored_as,
            bare_as=own.bare_as,
            style=self._style(),
            gathers=self._gathers(),
            sign=self._sign(),
            currency_in=map(_of_table, own.currency_in),
            needs=own.needs or self._needs(),
            description=its.description,
            examples=[*self._example(), *own.examples],
            trues=trues,
            falses=falses,
            **self._checks(),
        )

    def _gathers(self) -> Gathers | None:
        its, place = self.its.own.gathers, ("csv_pipeline", "gathers", "pattern")
        if its is None:
            return None
        try:
            groups = re.compile(its.pattern).groups
        except re.error as error:
            raise self.fault(place, "a regular expression", str(error)) from error
        if not groups:
            raise self.fault(place, "a group for each key", "none")
        return Gathers(its.pattern, its.scale, its.ge, its.currency)

    def _sign(self) -> Sign | None:
        its, place = self.its.own.sign, ("csv_pipeline", "sign")
        match its:
            case None:
                return None
            case SignOfField(column=str(column), plus=list(plus), minus=list(minus)):
                return SignFrom(column=_of_table(column), plus=tuple(plus), minus=tuple(minus))
            case SignOfField(column=None, plus=str(one), minus=str(other)):
                return TwoAmounts(plus=_of_table(one), minus=_of_table(other))
            case _:
                needed = "column with lists plus and minus, or the columns plus and minus,"
                raise self.fault(place, needed, "another combination")

    def _example(self) -> list[str]:
        """Return the example as the text of a cell."""
        its = self.its.example
        if its is None:
            return []
        is_text = isinstance(its, str | Decimal)
        return [str(its) if is_text else json.dumps(its, ensure_ascii=False, default=str)]

    def _words_of_truth(self) -> tuple[list[str], list[str]]:
        """Return the words of a boolean: the standard's for those that are not declared of two."""
        its = self.its
        declared = its.model_fields_set & {"true_values", "false_values"}
        return (its.true_values, its.false_values) if declared else ([], [])

    def _own_name(self) -> list[str]:
        """Return the field's name if headers have it and the column is called otherwise."""
        return [] if _SLUG.fullmatch(self.its.name) else [self.its.name]

    def _is_pattern(self) -> bool:
        return "%" in self.type.formats and "%" in self.its.format

    def _style(self) -> Style | None:
        """Return the decimal mark, or the order of day, month and year, that it is certain of."""
        its = self.its
        day, month = its.format.find("%d"), its.format.find("%m")
        if self._is_pattern() and 0 <= its.format.find("%y") < month < day:
            return DateOrder.YEAR_FIRST
        if self._is_pattern() and min(day, month) >= 0:
            return DateOrder.DAY_FIRST if day < month else DateOrder.MONTH_FIRST
        marks = {".": DecimalMark.POINT, ",": DecimalMark.COMMA}
        for word in ("decimal_char", "group_char"):
            given = getattr(its, word)
            if word == "decimal_char" and given and given not in marks:
                raise self.fault((to_camel(word),), "one of . and ,", repr(given))
        if its.group_char and its.group_char == (its.decimal_char or "."):
            raise self.fault(("groupChar",), "another mark than that of decimals", its.group_char)
        if its.decimal_char:
            return marks[its.decimal_char]
        return DecimalMark.POINT if its.group_char else None

    def _kind(self) -> Kind | None:
        kind = self.its.own.kind
        if kind is None:
            if self.its.format == "uuid":
                return Kind.UUID
            return self.type.kind if self.type.kind is Kind.JSON else None
        fitting = [str(one) for one, t in TYPES.items() if t.frame is self.type.frame]
        if kind not in fitting:
            raise self.fault(
                ("csv_pipeline", "kind"), f"one of {', '.join(fitting)}", repr(kind),
                nearest(kind, fitting),
            )  # fmt: skip
        return Kind(kind)

    def _choices(self) -> Mapping[str, str]:
        known = {word: word for word in words_in(self.its.categories)}
        for word, stored in self.its.own.values.items():
            if known and stored not in known:
                raise self.fault(
                    ("csv_pipeline", "values", word), f"one of {', '.join(known)}", repr(stored),
                    nearest(stored, known),
                )  # fmt: skip
        return known | self.its.own.values

    def _needs(self) -> str:
        if self.its.format == "email":
            return EMAIL_NEEDS
        asked = self.its.constraints
        if asked.pattern is not None or (asked.min_length is None and asked.max_length is None):
            return ""
        if asked.min_length == asked.max_length:
            return f"text of {asked.min_length} letters"
        least = f"at least {asked.min_length}" if asked.min_length is not None else ""
        most = f"at most {asked.max_length}" if asked.max_length is not None else ""
        return f"text of {' and '.join(filter(None, (least, most)))} letters"

    def _checks(self) -> dict[str, Any]:
        asked = self.its.constraints
        checks: dict[str, Any] = {
            check: self._value(given, ("constraints", to_camel(word)))
            for word, check in CHECKS.items()
            if (given := getattr(asked, word)) is not None
        }
        if asked.enum is not None:
            checks["isin"] = [
                self._value(one, ("constraints", "enum", at)) for at, one in enumerate(asked.enum)
            ]
        if asked.min_length is not None or asked.max_length is not None:
            checks["str_length"] = {"min_value": asked.min_length, "max_value": asked.max_length}
        pattern = asked.pattern
        if self.its.format == "email":
            if pattern is not None:
                raise self.fault(("constraints", "pattern"), "no pattern beside an email", pattern)
            pattern = EMAIL
        if pattern is not None:
            checks["str_matches"] = self._pattern(pattern)
        return checks

    def _pattern(self, given: str) -> str:
        """Return a pattern that explains the whole value, as the standard has it."""
        whole = f"^(?:{given})$" if "|" in given else f"^{given}$"
        if why := _no_pattern(whole):
            raise self.fault(("constraints", "pattern"), "a regular expression as Rust has it", why)
        return whole

    def _value(self, given: Any, place: Path) -> Any:
        value = self.type.value(given)
        if value is None:
            raise self.fault(place, self.type.needs, repr(given))
        return value

    def fault(self, place: Path, needed: str, found: str, near: str = "") -> SetupError:
        return fault(self.document, (*self.path, *place), needed, f"found {found}", near)
