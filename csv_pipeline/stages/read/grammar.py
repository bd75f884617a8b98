"""How a record is written: the patterns by which text is cut into cells, for any dialect.

The base is RFC 4180, section 2. Beyond it: any delimiter, also of several characters; another
quote, or none; a backslash as escape; and a quote inside an unquoted cell, which stays in it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Bare:
    """The quotes of a record that stand in unquoted cells.

    `cells` are the places of the cells that have any, `odd` of those that have an odd number.
    `beside` says that some cells begin with one, `inches` that each of the quotes is behind a
    number.
    """

    fields: int
    cells: tuple[int, ...]
    odd: tuple[int, ...]
    beside: bool
    inches: bool


@dataclass(frozen=True)
class Grammar:
    """The three things that say how cells are told apart.

    `quote` is "" if cells are never quoted; `escape` is "doubled" or "backslash". That no cell is
    quoted may be a mistake in a line, unless it is `literal`: then each quote is text.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = "doubled"
    literal: bool = False

    @property
    def is_native(self) -> bool:
        """Whether Polars parses it: one ASCII character, double quotes or none, doubled."""
        one = len(self.delimiter) == 1 and self.delimiter.isascii()
        return one and self.quote in {"", '"'} and self.escape == "doubled"

    @property
    def strict(self) -> str:
        """The pattern of a record that holds quotes only where RFC 4180 allows them."""
        delimiter, quote = re.escape(self.delimiter), re.escape(self.quote)
        quoted, bare = rf"{quote}(?:[^{quote}]|{quote}{quote})*{quote}", rf"[^{quote}{delimiter}]*"
        return rf"^(?:{quoted}|{bare})(?:{delimiter}(?:{quoted}|{bare}))*\r?$"

    @property
    def lenient(self) -> str:
        """The pattern of a record as `is_record` knows it, for a native grammar."""
        return rf"^{self._loose}(?:{re.escape(self.delimiter)}{self._loose})*\r?$"

    @property
    def closes(self) -> str:
        """The pattern of a line that begins within quotes and closes them."""
        quoted = rf"(?:[^{self.quote}]|{self.quote}{self.quote})*{self.quote}"
        return rf"^{quoted}(?:{re.escape(self.delimiter)}{self._loose})*\r?$"

    @property
    def opening(self) -> str:
        """The pattern of a quote that opens a cell."""
        return rf"(?:^|{re.escape(self.delimiter)}){self.quote}"

    @property
    def with_quotes(self) -> str:
        """The pattern of a cell that has a quote, not at its beginning."""
        quote, delimiter = self.quote, re.escape(self.delimiter)
        return rf"[^{quote}{delimiter}][^{quote}{delimiter}]*{quote}[^{delimiter}]*"

    def inches(self, columns: Collection[int], width: int) -> str:
        """Return the pattern of a record whose quotes all are marks behind numbers, as inches are.

        Their number is odd in these columns alone. It is for a delimiter of one character; a mark
        before another than an ASCII character does not match.
        """
        mark, edge = self.mark, re.escape(self.delimiter)
        cell = rf"[^{mark}{edge}]*"
        behind = rf"[\x00-/:-@\[-`{{-\x7f--{mark}{edge}]{cell}"
        two = rf"(?:{behind}\d{mark}){{2}}"
        odd = rf"{cell}\d{mark}(?:{two})*(?:{behind})?"
        even = rf"(?:{cell}\d{mark}{behind}\d{mark}(?:{two})*(?:{behind})?|{cell})"
        cells = (odd if column in columns else even for column in range(width))
        return f"^{edge.join(cells)}$"

    @property
    def _loose(self) -> str:
        """The pattern of one cell without looking ahead, for a native grammar."""
        quote, delimiter = self.quote, re.escape(self.delimiter)
        quoted = rf"{quote}(?:[^{quote}]|{quote}{quote})*{quote}"
        return rf"(?:{quoted}|[^{quote}{delimiter}][^{delimiter}]*|)"

    def is_record(self, text: str) -> bool:
        """Return whether all quotes of the text close where a cell ends."""
        return not self._may_quote(text) or self._record.fullmatch(text) is not None

    def cells(self, text: str) -> list[str | None]:
        """Return the cells of a record, an absent one as None.

        Of a text that is no record, what does not match is one cell.
        """
        text = text.removesuffix("\r")
        if not self._may_quote(text):
            return [cell or None for cell in text.split(self.delimiter)]
        if self.escape == "doubled" and text[0] == self.quote == text[-1]:
            inner = text[1:-1].split(f"{self.quote}{self.delimiter}{self.quote}")
            if text.count(self.quote) == 2 * len(inner):  # each is quoted, and has no quote inside
                return [*inner]
        written, rest = self._written(text)
        return [*map(self._value, written), *rest]

    def _may_quote(self, text: str) -> bool:
        """Return whether some cell may be quoted; where none is, any text is a record."""
        return bool(self.quote) and self.quote in text

    def is_sound(self, text: str) -> bool:
        """Return whether quotes stand only around cells, and line ends only within them."""
        return not self._may_quote(text) or self._sound.fullmatch(text) is not None

    def closing(self, text: str) -> int | None:
        """Return where the quotes close within which a text begins, behind the quote."""
        match = self._within.match(text)
        return match.end() if match else None

    def closes_in(self, text: str) -> bool:
        """Return whether a line that begins within quotes closes them and is sound from there."""
        end = self.closing(text)
        after = "" if end is None else text[end:]
        if end is None or after in {"", "\r"}:
            return end is not None
        return after.startswith(self.delimiter) and self.is_record(after[len(self.delimiter) :])

    def bare(self, text: str) -> Bare:
        """Return what is known of the quotes inside unquoted cells of a record of one line."""
        text = text.removesuffix("\r")
        cells = text.split(self.delimiter)
        beside = any(cell.startswith(self.mark) for cell in cells)
        quoted = beside and bool(self.quote)
        if quoted:
            cells, _ = self._written(text)
        counts = [0 if quoted and c.startswith(self.quote) else self._marks(c) for c in cells]
        odd = tuple(position for position, count in enumerate(counts) if count % 2)
        return Bare(
            fields=len(cells),
            cells=tuple(position for position, count in enumerate(counts) if count),
            odd=odd,
            beside=beside,
            inches=not any(self._marks(self._inch.sub("", cells[position])) for position in odd),
        )

    @property
    def mark(self) -> str:
        """The sign that quotes cells, or would if any were quoted; "" if none can be."""
        return self.quote or ("" if self.literal else '"')

    @property
    def across(self) -> str:
        """The pattern of a line of which a cell may have one end of a pair of quotes.

        It is for a grammar without quoting: there are an odd number, or a delimiter between two.
        """
        within, delimiter = rf"[^{self.mark}]*", re.escape(self.delimiter)
        pairs = rf"(?:{within}{self.mark}{within}{self.mark})*{within}"
        return rf"^{pairs}{self.mark}{within}(?:$|{delimiter})"

    def _marks(self, cell: str) -> int:
        return self.count_quotes(cell) if self.quote else cell.count(self.mark)

    def _written(self, text: str) -> tuple[list[str], list[str]]:
        """Return the cells of a record as they are written, quotes and all, and what is no cell."""
        cells: list[str] = self._cells.findall(text)
        whole = re.fullmatch(self._body, cells[-1], re.DOTALL)
        return (cells, []) if whole else (cells[:-1], cells[-1:])

    def count_quotes(self, text: str) -> int:
        """Return how many quotes may open or close a cell."""
        if self.escape == "backslash":
            text = re.sub(r"\\.", "", text)
        return text.count(self.quote) if self.quote else 0

    def written(self, cells: list[str | None]) -> str:
        """Return cells as a record that Polars reads back, everything there is in quotes."""
        return self.delimiter.join(
            "" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells
        )

    @cached_property
    def _body(self) -> str:
        """The pattern of one cell: quoted, or anything that does not begin with a quote."""
        delimiter = re.escape(self.delimiter)
        loose = rf"(?:(?!{delimiter}).)++" if len(self.delimiter) > 1 else rf"[^{delimiter}]++"
        if not self.quote:
            return rf"(?:{loose}|)"
        quote = re.escape(self.quote)
        return rf"(?:{quote}{self._quoted}{quote}|(?!{quote}){loose}|)"

    @cached_property
    def _quoted(self) -> str:
        """The pattern of what stands within quotes."""
        quote = re.escape(self.quote)
        if self.escape == "backslash":
            return rf"(?:[^{quote}\\]|\\.|{quote}{quote})*+"
        return rf"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+"

    @cached_property
    def _sound(self) -> re.Pattern[str]:
        delimiter, quote = re.escape(self.delimiter), re.escape(self.quote)
        bare = rf"(?:(?!{delimiter})[^{quote}\n])*+"
        cell = rf"(?:{quote}{self._quoted}{quote}|{bare})"
        return re.compile(rf"{cell}(?:{delimiter}{cell})*+\r?", re.DOTALL)

    @cached_property
    def _within(self) -> re.Pattern[str]:
        return re.compile(rf"{self._quoted}{re.escape(self.quote)}", re.DOTALL)

    @cached_property
    def _inch(self) -> re.Pattern[str]:
        return re.compile(rf"(?<=\d){re.escape(self.mark)}(?![^\W_])")

    @cached_property
    def _record(self) -> re.Pattern[str]:
        delimiter = re.escape(self.delimiter)
        return re.compile(rf"{self._body}(?:{delimiter}{self._body})*+\r?", re.DOTALL)

    @cached_property
    def _cells(self) -> re.Pattern[str]:
        """The pattern of each cell; from one on whose quotes do not close, of all that is left."""
        delimiter, quote = re.escape(self.delimiter), re.escape(self.quote)
        return re.compile(
            rf"(?:\A|{delimiter})({self._body}(?={delimiter}|\Z)|{quote}.*)", re.DOTALL
        )

    def _value(self, cell: str) -> str | None:
        if not self.quote or not cell.startswith(self.quote):
            return cell or None
        inner = cell[1:-1].replace(self.quote * 2, self.quote)
        if self.escape == "doubled":
            return inner
        return re.sub(rf"\\([\\{re.escape(self.quote)}])", r"\1", inner)
