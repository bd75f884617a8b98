"""Cut a block of whole lines into records.

Counting quotes per line tells, vectorised, where records begin: a line begins one if the quotes
before it are even in number. Records with quotes are then held against the strict pattern of the
grammar. A block that does not pass is looked at line by line, so that a stray quote costs the line
it stands in and no other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.lines import counted_fields, is_parsed_as_it_is
from csv_pipeline.stages.read.looks import Looks
from csv_pipeline.stages.read.marks import Before, Marked, Told
from csv_pipeline.stages.read.strays import MOST_ROWS, Teller

_COLUMNS = ("text", "line", "offset", "length", "fields", "stray", "written", "cells")


@dataclass(slots=True)
class Cutter:
    """Cut the blocks of one text in their order; `width` is the header's number of fields."""

    grammar: Grammar
    width: int
    max_record_bytes: int
    looks: Callable[[], Looks]
    _teller: Teller = field(init=False)
    _before: Before = field(default_factory=Before)

    def __post_init__(self) -> None:
        self._teller = Teller(self.grammar, self.width, self.max_record_bytes, self.looks)

    @property
    def is_torn(self) -> bool:
        """Whether the quotes of the next line may go on with what the last one left open."""
        return self._before.may_open or self._before.stray

    def passed_by(self, records: pl.DataFrame | None = None) -> None:
        """Note that sound records stand before what is to be cut next; rows if none are given."""
        if records is None:
            self._before = Before()
            return
        fields, text = records["fields"], records["text"]
        for at in reversed(range(records.height)):
            if fields[at] == self.width or self.grammar.mark in text[at]:
                self._before = Before(broken=fields[at] != self.width)
                return

    def cut(self, block: bytes, offset: int, *, final: bool) -> tuple[pl.DataFrame, int, int]:
        """Return the records of a block and how many of its lines and bytes they take up.

        Shape: a record's `text`, its first `line` in the block, its `offset` and `length` in bytes,
        its number of `fields`, whether its quotes are `stray`, how it is `written` for Polars, and
        its `cells` where these had to be told apart one by one. Records whose quotes what follows
        may concern are left for the next block, unless this is the `final` one.
        """
        lines = block.decode().split("\n")
        if not lines[-1]:
            lines.pop()  # the block ends with a line end
        lined = self._lined(lines, offset)
        at_once = self.grammar.literal or is_parsed_as_it_is(block)
        found = self._at_once(lined, lines, final=final) if at_once else None
        frame, used = found if found is not None else self._told(lined, lines, final=final)
        whole = used == len(lines)
        return frame.select(_COLUMNS), used, len(block) if whole else lined["offset"][used] - offset

    def _lined(self, lines: list[str], offset: int) -> pl.DataFrame:
        """Return the lines of a block with their places and what counting tells of them."""
        text = pl.Series("text", lines, pl.String)
        sizes = text.str.len_bytes().cast(pl.Int64)
        fields = text.str.count_matches(self.grammar.delimiter, literal=True) + 1
        escaped = self.grammar.escape == "backslash"
        bare = text.str.replace_all(r"\\.", "") if escaped else text
        mark = self.grammar.mark
        quotes = bare.str.count_matches(mark, literal=True) if mark else pl.lit(0)
        return pl.DataFrame(
            {"text": text, "length": sizes, "offset": (sizes + 1).cum_sum() - sizes - 1 + offset}
        ).with_columns(
            fields=fields.cast(pl.Int64),
            quotes=quotes.cast(pl.Int64),
            line=pl.int_range(pl.len(), dtype=pl.Int64),
            stray=pl.lit(value=False),
            cells=pl.lit(None, pl.List(pl.String)),
            written=text,
        )

    def _at_once(
        self, lined: pl.DataFrame, lines: list[str], *, final: bool
    ) -> tuple[pl.DataFrame, int] | None:
        """Return the records if every quote of the block is where it may be, else None."""
        total = lined["quotes"].sum()
        if not total:
            self.passed_by(lined)
            return lined, lined.height
        if self.is_torn or not self.grammar.is_native or not self.grammar.quote:
            return None
        begins = (lined["quotes"].cum_sum() - lined["quotes"]) % 2 == 0
        whole = lined.height
        if total % 2:  # the last record goes on in the next block, or a quote is stray
            whole = 0 if final else int(begins.arg_true()[-1])
        if not whole:
            return None
        frame = lined.with_columns(record=begins.cum_sum()).head(whole)
        begins = begins.head(whole)
        several = not begins.all()
        if several and self._may_open(lined, begins):
            return None
        records = self._with_quotes(_joined(frame) if several else frame)
        if records is None or (several and not self._are_cells(frame, begins, lines, records)):
            return None
        if not final:  # only now: a stray quote in what is left may concern the record before it
            whole = self._decided(frame, begins, whole)
            records = records.head(int(records["line"].search_sorted(whole)))
        self.passed_by(records)
        return (records, whole) if whole else None

    def _decided(self, lined: pl.DataFrame, begins: pl.Series, whole: int) -> int:
        """Leave the last record if it has several lines: what follows may concern it."""
        ends = (~begins.head(whole)).arg_true()
        if ends.is_empty():
            return whole
        anchors = (lined["quotes"] > 0) | (lined["fields"] == self.width)
        if anchors.head(whole).slice(ends[-1] + 1).any():
            return whole
        return int(begins.head(ends[-1]).arg_true()[-1])

    def _with_quotes(self, records: pl.DataFrame) -> pl.DataFrame | None:
        """Return the records with their fields counted outside quotes; None if a quote is stray."""
        positions = (records["quotes"] > 0).arg_true()
        text = records["text"].gather(positions)
        if not text.str.contains(self.grammar.strict).all():
            return None
        fields = records["fields"].scatter(positions, counted_fields(text, self.grammar))
        return records.with_columns(fields=fields)

    def _may_open(self, lined: pl.DataFrame, begins: pl.Series) -> bool:
        """Return whether any line that closes a cell may open one, too."""
        last = (~begins & begins.shift(-1, fill_value=True)).arg_true()
        return not lined["text"].gather(last).str.contains(self.grammar.lenient).all()

    def _are_cells(
        self, lined: pl.DataFrame, begins: pl.Series, lines: list[str], records: pl.DataFrame
    ) -> bool:
        """Return whether no record of several lines holds what may be rows; all are sound."""
        goes_on = ~begins.shift(-1, fill_value=True)
        first, last = (begins & goes_on).arg_true(), (~begins & ~goes_on).arg_true()
        wide, full = lined["fields"] >= self.width, lined["fields"] == self.width
        doubtful = wide.gather(first) & wide.gather(last)
        perhaps = full | (wide & (lined["quotes"] > 0))  # these may have delimiters in quotes
        if (within := (~begins & goes_on & perhaps).arg_true()).len():
            held = first.search_sorted(within, side="right") - 1
            doubtful = doubtful.scatter(held.unique(), values=True)
        if doubtful.any() and self._teller.are_usual:
            its = records.select("fields", "length")[lined["record"].gather(first) - 1]
            rows = ((lined["quotes"] > 0) | full).cum_sum()
            few = rows.gather(last - 1) - rows.gather(first) < MOST_ROWS
            short = its["length"] <= self.max_record_bytes
            doubtful &= ~((its["fields"] == self.width) & few & short)
        return all(
            self._teller.is_cell(lines[begin : end + 1])
            for begin, end in zip(first.filter(doubtful), last.filter(doubtful), strict=True)
        )

    def _told(
        self, lined: pl.DataFrame, lines: list[str], *, final: bool
    ) -> tuple[pl.DataFrame, int]:
        """Return the records of lines among which some quotes may be stray."""
        positions, record = self._unsound(lined)
        fitted = self._with_cells(lined, positions, positions.filter(record))
        marked = self._marked(fitted, lined["fields"], positions, record)
        told = self._teller.told(marked, self._before, final=final)
        self._before = told.before
        strays = pl.Series(sorted(told.strays), dtype=pl.UInt32)
        stray = fitted["stray"].scatter(strays, values=True)
        fitted = fitted.with_columns(stray=stray, fields=fitted["fields"].scatter(strays, 0))
        return self._grouped(fitted, lines, told), told.used

    def _unsound(self, lined: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        """Return which lines have quotes that do not stand around cells, and which are records."""
        grammar, positions = self.grammar, (lined["quotes"] > 0).arg_true()
        text = lined["text"].gather(positions)
        if not grammar.quote:
            sound = ~text.str.contains(grammar.across)
            return positions.filter(~sound), pl.Series([True]).new_from_index(
                0, int((~sound).sum())
            )
        if grammar.is_native:
            sound = text.str.contains(grammar.strict)
            return positions.filter(~sound), text.filter(~sound).str.contains(grammar.lenient)
        sound = pl.Series(map(grammar.is_sound, text), dtype=pl.Boolean)
        record = pl.Series(map(grammar.is_record, text.filter(~sound)), dtype=pl.Boolean)
        return positions.filter(~sound), record

    def _marked(
        self, fitted: pl.DataFrame, by_delimiter: pl.Series, positions: pl.Series, record: pl.Series
    ) -> Marked:
        """Return what is known of the lines, without those whose quotes are inches for sure."""
        if not positions.is_empty():
            text = fitted["text"].gather(positions)
            usual = self.looks().are_inches(text, self.grammar, self.width) & record
            positions, record = positions.filter(~usual), record.filter(~usual)
        text, grammar = fitted["text"].gather(positions), self.grammar
        if grammar.is_native and grammar.quote:
            closes = text.str.contains(grammar.closes).to_list()
        else:
            quoting = grammar if grammar.quote else Grammar(grammar.delimiter)
            closes = [quoting.closes_in(line) for line in text]
        quoted, sound = fitted["quotes"] > 0, fitted["fields"] == self.width
        return Marked(
            lines=fitted["text"].to_list(),
            fields=by_delimiter.to_list(),
            widths=fitted["fields"].to_list(),
            quotes=quoted.to_list(),
            positions=positions.to_list(),
            record=record.to_list(),
            odd=(fitted["quotes"].gather(positions) % 2 == 1).to_list(),
            closes=closes,
            stops=_stops((quoted & ~sound).scatter(positions, values=True), sound),
            width=self.width,
        )

    def _with_cells(self, lined: pl.DataFrame, unsound: pl.Series, bare: pl.Series) -> pl.DataFrame:
        """Count the fields of records of one line, with their cells if Polars would err in them.

        The quotes of the `unsound` ones do not stand around cells; `bare` are the records of these.
        """
        grammar, text, fields = self.grammar, lined["text"], lined["fields"]
        if not grammar.is_native:
            cells = [grammar.cells(line) for line in text]
            return lined.with_columns(
                cells=pl.Series(cells, dtype=pl.List(pl.String)),
                fields=pl.Series([len(its) for its in cells], dtype=pl.Int64),
            )
        if not grammar.quote:
            return lined
        sound = (lined["quotes"] > 0).scatter(unsound, values=False).arg_true()
        fields = fields.scatter(sound, counted_fields(text.gather(sound), grammar))
        beside = text.gather(bare).str.contains(grammar.opening)
        mixed = bare.filter(beside)
        of_mixed = [grammar.cells(line) for line in text.gather(mixed)]
        fields = fields.scatter(mixed, pl.Series([len(c) for c in of_mixed], dtype=pl.Int64))
        all_cells: list[list[str | None] | None] = [None] * lined.height
        for position, its in zip(mixed, of_mixed, strict=True):
            all_cells[position] = its
        bare = bare.filter(~beside)
        return lined.with_columns(
            written=text.clone().scatter(bare, _wrapped(text.gather(bare), grammar)),
            fields=fields,
            cells=pl.Series(all_cells, dtype=pl.List(pl.String)),
        )

    def _grouped(self, lined: pl.DataFrame, lines: list[str], told: Told) -> pl.DataFrame:
        """Join the lines that make up a record."""
        lined = lined.head(told.used)
        if not told.groups:
            return lined
        inside = [position for first, last in told.groups for position in range(first, last + 1)]
        texts = ["\n".join(lines[first : last + 1]) for first, last in told.groups]
        firsts = [first for first, _ in told.groups]
        cells = [self.grammar.cells(text) for text in texts]
        native = self.grammar.is_native
        joined = lined.select("offset", "line")[firsts].with_columns(
            text=pl.Series(texts, dtype=pl.String),
            written=pl.Series(texts, dtype=pl.String),
            length=pl.Series([len(text.encode()) for text in texts], dtype=pl.Int64),
            fields=pl.Series([len(its) for its in cells], dtype=pl.Int64),
            stray=pl.Series([first in told.unsure for first in firsts], dtype=pl.Boolean),
            cells=pl.Series([None if native else its for its in cells], dtype=pl.List(pl.String)),
        )
        alone = lined.filter(~pl.col("line").is_in(inside))
        both = (alone.select(_COLUMNS), joined.select(_COLUMNS))
        return pl.concat(both).sort("line")


def _stops(odd: pl.Series, sound: pl.Series) -> list[int]:
    """Return the places of odd lines, of the first sound one, and of the first behind each."""
    positions, rows = odd.arg_true(), (sound & ~odd).arg_true()
    behind = pl.concat(
        [pl.Series([0], dtype=pl.UInt32), rows.search_sorted(positions, side="right")]
    )
    behind = behind.filter(behind < len(rows)).unique()
    return pl.concat([positions, rows.gather(behind)]).sort().to_list()


def _wrapped(text: pl.Series, grammar: Grammar) -> pl.Series:
    """Write records with their cells that have a quote inside in quotes, as Polars needs it."""
    quote = grammar.quote
    doubled = text.str.strip_suffix("\r").str.replace_all(quote, 2 * quote, literal=True)
    return doubled.str.replace_all(grammar.with_quotes, f"{quote}$0{quote}")


def _joined(frame: pl.DataFrame) -> pl.DataFrame:
    """Join the lines of each record."""
    text = pl.col("text").str.join("\n")
    return frame.group_by("record", maintain_order=True).agg(
        text,
        text.alias("written"),
        pl.col("offset").first(),
        pl.col("line").first(),
        pl.col("quotes").sum(),
        pl.col("length").sum() + pl.len().cast(pl.Int64) - 1,
        pl.col("fields").sum() - pl.len().cast(pl.Int64) + 1,
        pl.col("stray", "cells").first(),
    )
