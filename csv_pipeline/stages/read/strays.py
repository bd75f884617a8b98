"""Tell records from lines with stray quotes, a whole block at once, where no record has two lines.

A cell can go on over lines only from a line that ends within quotes to one that begins within them
and closes them. Where no two lines of a block are such a pair, each line stands for itself.
"""

from dataclasses import dataclass

import polars as pl

from csv_pipeline.stages.read.grammar import Grammar


@dataclass(frozen=True, slots=True)
class Told:
    """Lines as records and strays: the columns of `Cutter.cut` that do not tell their places.

    The block's last record may go on in the next one: the lines from `open_from` on are not told.
    `closes` says whether the block may end a record that begins in the one before.
    """

    columns: pl.DataFrame
    closes: bool
    open_from: int


def told_apart(
    text: pl.Series, quotes: pl.DataFrame, grammar: Grammar, *, final: bool
) -> Told | None:
    """Return what each line is, or None if some record may have several."""
    line = pl.col("text")
    found = quotes.with_columns(text=text.gather(quotes["place"])).select(
        "place",
        "sound",
        odd=pl.col("quotes") % 2 == 1,
        record=line.str.contains(grammar.lenient),
        opens=line.str.contains(grammar.opens),
        closes=line.str.contains(grammar.closes),
    )
    odd = found.with_columns(closed=pl.col("closes").cum_sum()).filter("odd")
    begins = ~odd["record"] & odd["opens"]
    if (begins & (odd["closed"].shift(-1) > odd["closed"])).any():
        return None
    open_from = len(text)
    if len(odd) and begins[-1] and not final:
        if odd["closed"][-1] != found["closes"].sum():
            return None
        open_from = int(odd["place"][-1])
    closes = bool(odd["closed"][0]) if len(odd) else True
    return Told(_columns(text, found, grammar).head(open_from), closes, open_from)


def _columns(text: pl.Series, found: pl.DataFrame, grammar: Grammar) -> pl.DataFrame:
    """Return the columns of all lines, the cells where Polars would not tell them apart alike."""
    stray = found.filter(~pl.col("record"))["place"]
    bare = found.filter(pl.col("record") & ~pl.col("sound"))["place"]
    begins = text.gather(bare).str.contains(grammar.opening)
    fields = text.str.count_matches(grammar.delimiter, literal=True).cast(pl.Int64) + 1
    sound = found.filter("sound")["place"]
    fields = fields.scatter(sound, counted_fields(text.gather(sound), grammar))
    cells: list[list[str | None] | None] = [None] * len(text)
    mixed = bare.filter(begins)
    for place in mixed.to_list():
        cells[place] = grammar.cells(text[place])
    if len(mixed):
        widths = [len(cells[place] or ()) for place in mixed.to_list()]
        fields = fields.scatter(mixed, pl.Series(widths, dtype=pl.Int64))
    bare = bare.filter(~begins)
    everywhere = pl.Series([False]).new_from_index(0, len(text))
    return pl.DataFrame(
        {
            "text": text,
            "written": text.clone().scatter(bare, _wrapped(text.gather(bare), grammar)),
            "fields": fields.scatter(stray, 0),
            "stray": everywhere.scatter(stray, values=True),
            "cells": pl.Series(cells, dtype=pl.List(pl.String)),
        }
    )


def _wrapped(text: pl.Series, grammar: Grammar) -> pl.Series:
    """Write records with their cells that have a quote inside in quotes, as Polars needs it."""
    quote = grammar.quote
    doubled = text.str.strip_suffix("\r").str.replace_all(quote, 2 * quote, literal=True)
    return doubled.str.replace_all(grammar.with_quotes, f"{quote}$0{quote}")


def counted_fields(text: pl.Series, grammar: Grammar) -> pl.Series:
    """Return how many fields records have by their delimiters outside quotes."""
    quote = grammar.quote
    bare = text.str.replace_all(f"{quote}[^{quote}]*{quote}", "") if quote else text
    return bare.str.count_matches(grammar.delimiter, literal=True).cast(pl.Int64) + 1
