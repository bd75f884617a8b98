"""Take a block in which every line is a record by itself, as most blocks of most files are.

Polars parses such a block at once, and the sizes of what it found prove that each line has as many
cells as it should: the bytes of the cells, the delimiters between them and the quotes around them
add up to the bytes of the line. So where all is well nothing is counted.
"""

from codecs import BOM_UTF8
from dataclasses import dataclass
from io import BytesIO

import polars as pl
from polars.exceptions import PolarsError

from csv_pipeline.stages.read.grammar import Grammar


@dataclass(frozen=True, slots=True)
class Lined:
    """Lines that are records, in the shape of `Cutter.cut`, and beside them the cells of each.

    A record whose `fields` are more or fewer than the columns has its cells cut or padded. If the
    lines are `plain`, nothing needs to be known of them but their cells and places.
    """

    records: pl.DataFrame
    cells: pl.DataFrame
    plain: bool = False


def lined(block: bytes, offset: int, grammar: Grammar, width: int) -> Lined | None:
    """Return the lines of a block as records, or None if some line may be none by itself."""
    if not grammar.is_native or not block or not is_parsed_as_it_is(block):
        return None
    text = _lines(block)
    quotes = _quotes(text, grammar) if _has(block, grammar.quote) else _no_quotes()
    if quotes is None:
        return None
    cells = _cells(block, grammar, width)
    if cells is None or cells.height != len(text):
        return None
    size = text.str.len_bytes().cast(pl.Int64)
    fields = _fields(text, size, cells, quotes, grammar)
    records = pl.DataFrame({"text": text, "length": size, "fields": fields}).with_columns(
        line=pl.int_range(pl.len(), dtype=pl.Int64),
        offset=pl.col("length").cum_sum() - pl.col("length") + pl.int_range(pl.len()) + offset,
        stray=pl.lit(value=False),
        cells=pl.lit(None, pl.List(pl.String)),
    )
    return Lined(records, cells)


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
    return pl.DataFrame(schema={"place": pl.UInt32, "quotes": pl.Int64, "doubled": pl.Boolean})


def _quotes(text: pl.Series, grammar: Grammar) -> pl.DataFrame | None:
    """Return the lines that hold quotes, and how many; None if one holds a quote out of place."""
    places = text.str.contains(grammar.quote, literal=True).arg_true()
    some = pl.col("text")
    found = (
        text.gather(places)
        .to_frame()
        .select(
            place=places,
            quotes=some.str.count_matches(grammar.quote, literal=True).cast(pl.Int64),
            doubled=some.str.contains(2 * grammar.quote, literal=True),
            sound=some.str.contains(grammar.strict),
        )
    )
    return found.drop("sound") if found["sound"].all() else None


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
        schema={str(place): pl.String for place in range(width)},
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
        place = quotes["place"]
        found = found.scatter(place, found.gather(place) + _taken_off(quotes, cells, grammar))
    odd = (found != size).arg_true()
    fields = pl.Series("fields", [cells.width], dtype=pl.Int64).new_from_index(0, len(text))
    return fields.scatter(odd, counted_fields(text.gather(odd), grammar)) if len(odd) else fields


def _taken_off(quotes: pl.DataFrame, cells: pl.DataFrame, grammar: Grammar) -> pl.Series:
    """Return how many quotes of each line are not in its cells."""
    doubled = quotes["doubled"].arg_true()
    if doubled.is_empty():
        return quotes["quotes"]
    count = pl.all().str.count_matches(grammar.quote, literal=True)
    left = cells.select(pl.all().gather(quotes["place"].gather(doubled)))
    kept = left.select(pl.sum_horizontal(count).cast(pl.Int64)).to_series()
    return quotes["quotes"].scatter(doubled, quotes["quotes"].gather(doubled) - kept)


def counted_fields(text: pl.Series, grammar: Grammar) -> pl.Series:
    """Return how many fields records have by their delimiters outside quotes."""
    quote = grammar.quote
    bare = text.str.replace_all(f"{quote}[^{quote}]*{quote}", "") if quote else text
    return bare.str.count_matches(grammar.delimiter, literal=True).cast(pl.Int64) + 1
