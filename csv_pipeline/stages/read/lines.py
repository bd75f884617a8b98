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
    text = _lines(data)
    quotes = _quotes(text, grammar) if _has(data, grammar.quote) else _no_quotes()
    if not quotes["sound"].all():
        return None
    if not grammar.quote and _has(data, grammar.mark):
        across = text.filter(text.str.contains(grammar.across))
        if not (across.is_empty() or looks().are_inches(across, grammar, width).all()):
            return None
    cells = _cells(data, grammar, width)
    if cells is None or cells.height != len(text):
        return None
    size = text.str.len_bytes().cast(pl.Int64)
    records = pl.DataFrame(
        {
            "text": text,
            "written": text,
            "fields": _fields(text, size, cells, quotes, grammar),
            "stray": pl.Series([False]).new_from_index(0, len(text)),
            "cells": pl.Series([None], dtype=pl.List(pl.String)).new_from_index(0, len(text)),
        }
    )
    return Lined(_placed(records, size, block.offset), cells)


def _placed(records: pl.DataFrame, size: pl.Series, offset: int) -> pl.DataFrame:
    """Return records with their places: their number in the block, and their bytes in the file."""
    number = pl.int_range(pl.len(), dtype=pl.Int64)
    before = size.cum_sum() - size
    return records.with_columns(length=size, line=number, offset=before + number + offset)


def is_parsed_as_it_is(block: bytes) -> bool:
    """Return whether Polars takes nothing away: a CR that ends a cell only, a mark at the start."""
    returns = b"\r" in block and block.count(b"\r") > block.count(b"\r\n")
    return not returns and not block.startswith(BOM_UTF8)


def _has(block: bytes, quote: str) -> bool:
    return bool(quote) and quote.encode() in block


def _lines(block: bytes) -> pl.Series:
    """Return the lines without LF; the CR of CRLF stays."""
    if b"\r" not in block:
        return pl.read_lines(BytesIO(block)).to_series().rename("text")
    text = pl.Series("text", [block.removesuffix(b"\n")], dtype=pl.Binary).cast(pl.String)
    return text.str.split("\n").explode()


def _no_quotes() -> pl.DataFrame:
    kinds = {"quotes": pl.Int64, "doubled": pl.Boolean, "sound": pl.Boolean}
    return pl.DataFrame(schema={"position": pl.UInt32, **kinds})


def _quotes(text: pl.Series, grammar: Grammar) -> pl.DataFrame:
    """Return the lines that hold quotes, how many, and whether each is where it may be."""
    positions = text.str.contains(grammar.quote, literal=True).arg_true()
    some = pl.col("text")
    return (
        text.gather(positions)
        .alias("text")
        .to_frame()
        .select(
            position=positions,
            quotes=some.str.count_matches(grammar.quote, literal=True).cast(pl.Int64),
            doubled=some.str.contains(2 * grammar.quote, literal=True),
            sound=some.str.contains(grammar.strict),
        )
    )


def _cells(block: bytes, grammar: Grammar, width: int) -> pl.DataFrame | None:
    """Return what Polars finds in the block, row by row; None if it takes it for no table."""
    try:
        return parsed(block, grammar, width, cut=True)
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
    text: pl.Series, size: pl.Series, cells: pl.DataFrame, quotes: pl.DataFrame, grammar: Grammar
) -> pl.Series:
    """Return how many fields each line has, counted only where the sizes do not add up."""
    lengths = cells.select(pl.sum_horizontal(pl.all().str.len_bytes()).cast(pl.Int64)).to_series()
    found = lengths + (cells.width - 1) + text.str.ends_with("\r").cast(pl.Int64)
    if not quotes.is_empty():
        position = quotes["position"]
        found = found.scatter(position, found.gather(position) + _taken_off(quotes, cells, grammar))
    odd = (found != size).arg_true()
    fields = pl.Series("fields", [cells.width], dtype=pl.Int64).new_from_index(0, len(text))
    return fields.scatter(odd, counted_fields(text.gather(odd), grammar)) if len(odd) else fields


def counted_fields(text: pl.Series, grammar: Grammar) -> pl.Series:
    """Return how many fields records have by their delimiters outside quotes."""
    quote = grammar.quote
    bare = text.str.replace_all(f"{quote}[^{quote}]*{quote}", "") if quote else text
    return bare.str.count_matches(grammar.delimiter, literal=True).cast(pl.Int64) + 1


def _taken_off(quotes: pl.DataFrame, cells: pl.DataFrame, grammar: Grammar) -> pl.Series:
    """Return how many quotes of each line are not in its cells."""
    doubled = quotes["doubled"].arg_true()
    if doubled.is_empty():
        return quotes["quotes"]
    count = pl.all().str.count_matches(grammar.quote, literal=True)
    left = cells.select(pl.all().gather(quotes["position"].gather(doubled)))
    kept = left.select(pl.sum_horizontal(count).cast(pl.Int64)).to_series()
    return quotes["quotes"].scatter(doubled, quotes["quotes"].gather(doubled) - kept)
