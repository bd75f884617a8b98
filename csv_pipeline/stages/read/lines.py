"""Take a block in which every line is a record by itself, as most blocks of most files are.

Polars parses such a block at once, and the sizes of what it found prove that each line has as many
cells as it should: the bytes of the cells, the delimiters between them and the quotes around them
add up to the bytes of the line. So nothing is counted in a block without faults.
"""

from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import polars as pl
from polars.exceptions import PolarsError

from csv_pipeline.stages.read.blocks import Block
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.looks import Looks


@dataclass(frozen=True, slots=True)
class Lined:
    """Lines that stand for themselves, in the shape of `Cutter.cut`.

    The `cells` of each stand beside them, cut or padded where its `fields` are more or fewer than
    the columns. If the lines are `plain`, nothing needs to be known of them but their cells and
    places.
    """

    records: pl.DataFrame
    cells: pl.DataFrame
    plain: bool = False


def lined(
    block: Block, grammar: Grammar, width: int, looks: Callable[[], Looks] = Looks
) -> Lined | None:
    """Return the lines of a block, or None if a record may have several of them.

    In a text that quotes nothing a quote may be one end of a pair, unless by its `looks` it is a
    mark behind a number.
    """
    data = block.data
    if not grammar.is_native or not data or not is_parsed_as_it_is(data):
        return None
    lines = _lines(data)
    text = lines["text"]
    quotes = _quotes(text, grammar) if _has(data, grammar.quote) else None
    if quotes is not None and not quotes["sound"].all():
        return None
    if not grammar.quote and _has(data, grammar.mark):
        across = text.filter(text.str.contains(grammar.across))
        if not (across.is_empty() or looks().are_inches(across, grammar, width).all()):
            return None
    cells = _cells(data, grammar, width)
    if cells is None or cells.height != len(text):
        return None
    number = pl.int_range(0, len(text), eager=True)
    records = pl.DataFrame(
        {
            "text": text,
            "written": text,
            "fields": _fields(lines, cells, quotes, grammar),
            "stray": pl.Series([False]).new_from_index(0, len(text)),
            "cells": pl.Series([None], dtype=pl.List(pl.String)).new_from_index(0, len(text)),
            "length": lines["length"],
            "line": number,
            "offset": lines["before"] + number + block.offset,
        }
    )
    return Lined(records, cells)


def is_parsed_as_it_is(block: bytes) -> bool:
    """Return whether Polars takes nothing away: a CR that ends a cell only, a mark at the start."""
    returns = b"\r" in block and block.count(b"\r") > block.count(b"\r\n")
    return not returns and not block.startswith(BOM_UTF8)


def _has(block: bytes, quote: str) -> bool:
    return bool(quote) and quote.encode() in block


def _lines(block: bytes) -> pl.DataFrame:
    """Return the lines without LF, how long they are, and those before them together.

    The CR of CRLF stays, and is counted in `returns`.
    """
    text = pl.col("text")
    if b"\r" not in block:
        lines = pl.read_lines(BytesIO(block), name="text").lazy()
    else:
        whole = pl.LazyFrame({"text": [block.removesuffix(b"\n")]})
        lines = whole.select(text.cast(pl.String).str.split("\n").explode())
    size = text.str.len_bytes().cast(pl.Int64)
    returns = text.str.ends_with("\r").cast(pl.Int64)
    return lines.select(
        "text", length=size, returns=returns, before=size.cum_sum() - size
    ).collect()


def _quotes(text: pl.Series, grammar: Grammar) -> pl.DataFrame:
    """Return the lines that hold quotes, how many, and whether each is where it may be."""
    some = pl.col("text")
    return (
        text.to_frame()
        .lazy()
        .with_row_index("position")
        .filter(some.str.contains(grammar.quote, literal=True))
        .select(
            "position",
            quotes=some.str.count_matches(grammar.quote, literal=True).cast(pl.Int64),
            doubled=some.str.contains(2 * grammar.quote, literal=True),
            sound=some.str.contains(grammar.strict),
        )
        .collect()
    )


def _cells(block: bytes, grammar: Grammar, width: int) -> pl.DataFrame | None:
    """Return what Polars finds in the block, row by row; None if it takes it for no table.

    It refuses a first row of another width; then an empty one of the right width goes before it.
    """
    edge = grammar.delimiter.encode()
    above = int(block.count(edge, 0, block.find(b"\n")) != width - 1)
    first = edge * (width - 1) + b"\n"
    try:
        return parsed(first * above + block, grammar, width, cut=True).slice(above)
    except PolarsError:
        return None


def parsed(data: bytes, grammar: Grammar, width: int, *, cut: bool = False) -> pl.DataFrame:
    """Return records as text columns "0", "1", …; an absent cell is null, a quoted empty one "".

    Those that are too long are cut or else an error; those that are too short are padded.
    """
    return pl.read_csv(
        data,
        has_header=False,
        separator=grammar.delimiter,
        quote_char=grammar.quote or None,
        schema={str(position): pl.String for position in range(width)},
        infer_schema=False,
        truncate_ragged_lines=cut,
    )


def _fields(
    lines: pl.DataFrame, cells: pl.DataFrame, quotes: pl.DataFrame | None, grammar: Grammar
) -> pl.Series:
    """Return how many fields each line has, counted only where the sizes do not add up."""
    lengths = cells.select(pl.sum_horizontal(pl.all().str.len_bytes()).cast(pl.Int64)).to_series()
    found = lengths + (cells.width - 1) + lines["returns"]
    if quotes is not None:
        found = _added(found, quotes["position"], quotes["quotes"])
        doubled = quotes["position"].filter(quotes["doubled"])
        if not doubled.is_empty():
            inner = pl.all().gather(doubled).str.count_matches(grammar.quote, literal=True)
            left = cells.select(pl.sum_horizontal(inner).cast(pl.Int64)).to_series()
            found = _added(found, doubled, -left)
    fields = pl.Series("fields", [cells.width], dtype=pl.Int64).new_from_index(0, lines.height)
    if not (odd := found != lines["length"]).any():
        return fields
    return fields.scatter(odd.arg_true(), counted_fields(lines["text"].filter(odd), grammar))


def counted_fields(text: pl.Series, grammar: Grammar) -> pl.Series:
    """Return how many fields records have by their delimiters outside quotes."""
    quote = grammar.quote
    bare = pl.col(text.name)
    bare = bare.str.replace_all(f"{quote}[^{quote}]*{quote}", "") if quote else bare
    count = bare.str.count_matches(grammar.delimiter, literal=True).cast(pl.Int64) + 1
    return text.to_frame().select(count).to_series()


def _added(to: pl.Series, positions: pl.Series, more: pl.Series) -> pl.Series:
    return to.scatter(positions, to[positions] + more)
