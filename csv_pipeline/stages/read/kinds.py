"""Say of a record below the header what it is: a row, unless it is proven to be none.

Blank and padding lines hold nothing; a comment and a footer are narrower than the header; and a
feed may declare lines of its report, in which case its pattern has to explain the whole record.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import polars as pl

from csv_pipeline.model import NonDataLine
from csv_pipeline.spec.feed import NonDataPattern
from csv_pipeline.stages.read.grammar import Grammar

DATA, BLANK, PADDING = "data", "blank", "padding"
COMMENT, HEADER, FOOTER = "comment", "header", "footer"
_DECLARED = "declared "


def kinds_of(
    frame: pl.DataFrame, grammar: Grammar, width: int, patterns: Sequence[NonDataPattern]
) -> pl.Series:
    """Return the `kind` of records; a comment may yet be a row that is malformed."""
    text = pl.col("text")
    kind = (
        pl.when(~text.str.contains(r"\S"))
        .then(pl.lit(BLANK))
        .when(text.str.contains(_padding(grammar)))
        .then(pl.lit(PADDING))
        .when(text.str.starts_with("#") & (pl.col("fields") != width))
        .then(pl.lit(COMMENT))
    )
    for index, pattern in enumerate(patterns):
        kind = kind.when(text.str.contains(_explaining(pattern, grammar))).then(
            pl.lit(f"{_DECLARED}{index}")
        )
    return frame.select(kind=kind.otherwise(pl.lit(DATA))).to_series()


def none_patterns(grammar: Grammar) -> list[str]:
    """Return patterns of which a record has one if it is a comment, or has nothing in its cells."""
    return ["^#", r"^\s*$", _padding(grammar)]


def odd_patterns(grammar: Grammar, patterns: Sequence[NonDataPattern]) -> list[str]:
    """Return patterns of which a record of the header's width has none if it surely is a row."""
    empty = rf"^[\s\"]*(?:{re.escape(grammar.delimiter)}|$)"
    return [empty, *(_explaining(pattern, grammar) for pattern in patterns)]


def is_comment(text: str, grammar: Grammar) -> bool:
    """Return whether a line that begins with # is a comment, not the beginning of a row."""
    return text[1:2] in {"", " ", "\t", "#", "!", "\r"} or filled(text, grammar) <= 1


def filled(text: str, grammar: Grammar) -> int:
    """Return how many cells of a record have text."""
    return sum(1 for cell in grammar.cells(text) if cell and cell.strip())


def non_data_line(
    record: dict[str, object], patterns: Sequence[NonDataPattern], grammar: Grammar
) -> NonDataLine:
    """Return a record that is no row as what it is, with what its pattern caught."""
    text, kind = str(record["text"]).removesuffix("\r"), str(record["kind"])
    line = NonDataLine(
        line_number=int(str(record["line_number"])),
        text=text,
        reason=kind,
        cells=filled(text, grammar),
        lines=text.count("\n") + 1,
    )
    if not kind.startswith(_DECLARED):
        return line
    return _declared(line, patterns[int(kind.removeprefix(_DECLARED))], grammar)


def line_above(
    line: NonDataLine, patterns: Sequence[NonDataPattern], grammar: Grammar
) -> NonDataLine:
    """Return a line above the header as what a pattern of the preamble declares, if one does."""
    text = line.text.removesuffix("\r")
    for pattern in patterns:
        if pattern.above and re.search(_explaining(pattern, grammar), text):
            return _declared(line, pattern, grammar)
    return line


def _declared(line: NonDataLine, pattern: NonDataPattern, grammar: Grammar) -> NonDataLine:
    bare = re.sub(_trailing(grammar) + r"\Z", "", line.text)
    match = re.search(pattern.pattern, bare) or re.search(pattern.pattern, line.text)
    facts = tuple(group or "" for group in match.groups()) if match else ()
    return replace(line, reason=pattern.name, declared=True, facts=facts)


@cache
def _explaining(pattern: NonDataPattern, grammar: Grammar) -> str:
    """Return the pattern of a record that is all that one declares, but for empty cells behind."""
    behind = _trailing(grammar)
    whole = "".join(
        f"(?:{behind})$" if part in {"$", r"\z", r"\Z"} else part
        for part in re.findall(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", pattern.pattern, re.DOTALL)
    )
    return rf"^(?:{whole}){behind}$"


def _trailing(grammar: Grammar) -> str:
    """Return the pattern of empty cells at the end of a record."""
    delimiter, quote = re.escape(grammar.delimiter), re.escape(grammar.quote)
    empty = rf"\s*(?:{quote}{quote})?" if quote and delimiter.strip() else ""
    return rf"(?:{delimiter}{empty})*\s*"


def _padding(grammar: Grammar) -> str:
    """Return the pattern of a record whose cells are all empty, quoted or not."""
    delimiter, quote = re.escape(grammar.delimiter), re.escape(grammar.quote)
    cell = rf"(?:{quote}{quote}| *)" if quote and delimiter.strip() else " *"
    return rf"^{cell}(?:{delimiter}{cell})*\r?$"
