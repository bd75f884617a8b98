"""Find the header again below the header, and say what the rows under it mean.

Exports that were put one behind the other bring a header each. Its names may be spelled otherwise,
stand in another order, be fewer or more: the rows below are then laid out by name under the first
header. Where that is not certain the file is refused: no cell is ever read under the wrong name.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import polars as pl

from csv_pipeline.errors import UndecidableError
from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read.dialect import Dialect, ReadHints

_NAME = re.compile(r"[^\W\d_]+(?:[\s_./()&:'’-]+[^\W\d_]+)*(?:[\s_]+\d+)?\W*")
_ASCII_WORDS = r"[\x00-/:-\x7f]*"  # ASCII without digits
_ASCII_FILLER = r"[\x00-+\--/:<-@\[-`{}-\x7f]"  # what is no letter, digit or separator
_KEPT = 256  # patterns
_SHORT = 8  # letters of all names together, below which a text may be made of them by chance


class NewColumnsError(Exception):
    """A later header has names that no earlier one has; the file is read once more with these."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        super().__init__(names)


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under one header: how many cells they have, and which of these each column is.

    Where the feed declares that there is no header, it is not `is_named`.
    """

    width: int
    positions: tuple[int | None, ...]
    first: bool = True
    is_named: bool = True

    def laid_out(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Return the cells of its rows by the columns of the table."""
        if self.positions == tuple(range(self.width)):
            return cells
        return cells.select(
            (pl.lit(None, pl.String) if at is None else pl.col(str(at))).alias(str(column))
            for column, at in enumerate(self.positions)
        )


@dataclass(frozen=True)
class Headers:
    """What a header of this text may be like; `columns` are all names of the table."""

    dialect: Dialect
    hints: ReadHints
    columns: tuple[str, ...] = field(default=())

    @cached_property
    def first(self) -> Section:
        """The rows under the first header."""
        width = len(self.dialect.header)
        more = len(self.columns) - width
        positions = (*range(width), *[None] * more)
        return Section(width, positions, is_named=not self.dialect.is_declared)

    def again(self, text: pl.Series) -> Iterator[tuple[int, list[str]]]:
        """Give the place and the names of each record that is a header once more."""
        for position in self.perhaps(text).to_list():
            names = [_bare(cell) for cell in self.dialect.grammar.cells(text[position])]
            if self._is_header(names):
                yield position, names

    def perhaps(self, text: pl.Series) -> pl.Series:
        """Return the places of the few records that need a look."""
        if not self._known:
            return pl.Series(dtype=pl.UInt32)
        positions = text.str.contains(self.beginning).arg_true()
        if positions.is_empty():
            return positions
        plain = text[positions]
        if not all(map(str.isascii, plain)):
            plain = plain.str.normalize("NFKD").str.replace_all(r"\p{M}", "")
        return positions.filter(plain.str.count_matches(self._names) >= self._enough)

    def section(self, names: Sequence[str], line: int) -> Section:
        """Return how the rows under a header are laid out.

        Raises:
            UndecidableError: Its names do not say so for certain.
            NewColumnsError: It has names for which the table has no column yet.
        """
        reduced = [*map(_reduced, names)]
        if self._is_first(reduced):
            return self.first
        if not self.hints.headings or not all(name in self._known for name in reduced):
            raise self._undecidable(names, line)
        positions: list[int | None] = [None] * len(self.columns)
        rest = dict(enumerate(names))
        for alike in (_reduced, self._meaning):
            for column, name in enumerate(self.columns):
                found = next((at for at, its in rest.items() if alike(its) == alike(name)), None)
                if positions[column] is None and found is not None:
                    positions[column] = found
                    del rest[found]
        if rest:
            raise NewColumnsError(tuple(rest.values()))
        return Section(len(names), tuple(positions), first=False)

    @cached_property
    def _own(self) -> list[str]:
        return [_reduced(name) for name in self.dialect.header]

    @cached_property
    def _parts(self) -> list[list[str]]:
        """The names on each line of a header of several."""
        lines = map(self.dialect.grammar.cells, self.dialect.header_texts)
        return [self._own, *([_reduced(_bare(cell)) for cell in cells] for cells in lines)]

    @cached_property
    def _known(self) -> frozenset[str]:
        """Every name that a header may have; none if the first may be a row itself."""
        if not (self.dialect.is_sure and self.dialect.header_texts):
            return self.hints.headings if self.hints.headings & set(self._own) else frozenset()
        return (self.hints.headings | set(self._own)) - {""}

    @cached_property
    def beginning(self) -> str:
        """The pattern of what may be a header: it begins as a name does, or has no digit at all.

        Of ASCII without a digit there are names, too, which is told on the way: whole files are so.
        """
        return _beginning(self._known, self.dialect.grammar.delimiter, self._enough)

    @property
    def _names(self) -> str:
        """The pattern of how a cell begins that may be a name."""
        return _name("[^0-9a-z,;|]", _begin(self._known), self.dialect.grammar.delimiter)

    @property
    def _enough(self) -> int:
        """How many cells of a header begin as names do."""
        return min(2, len(self.dialect.header))

    def _meaning(self, name: str) -> str:
        reduced = heading(name)
        return self.hints.meanings.get(reduced, reduced)

    def _is_first(self, names: Sequence[str]) -> bool:
        whole = "".join(names)
        return any(_cut(names) == _cut(part) for part in self._parts) or (
            len(whole) >= _SHORT and whole == "".join(self._own)
        )

    def _is_header(self, cells: list[str]) -> bool:
        """Return whether these are names and not the cells of a row."""
        names = [*map(_reduced, cells)]
        if any(_cut(names) == _cut(part) for part in self._parts):
            return self.dialect.is_sure or len(_cut(names)) > 1
        filled = [name for name in names if name]
        known = [name for name in filled if name in self._known]
        if len(set(known)) > 1 and len(known) == len(filled):
            return True
        if len("".join(filled)) >= _SHORT and self._is_made_of_names("".join(filled)):
            return True
        others = (c for c, name in zip(cells, names, strict=True) if name not in {"", *known})
        some = len(set(known)) > 1 and 2 * len(known) >= len(filled)
        return some and all(_NAME.fullmatch(cell) for cell in others)

    def _is_made_of_names(self, text: str) -> bool:
        """Return whether a text is nearly all names of a header, with or without separators."""
        most, furthest = max(map(len, self._known)), 0
        found: dict[int, frozenset[str]] = {0: frozenset()}
        for begin in range(len(text)):
            if begin > furthest:  # no name goes on
                return False
            for end in range(begin + 1, min(begin + most, len(text)) + 1) if begin in found else ():
                name = text[begin:end]
                if name in self._known and name not in found[begin]:
                    both = found[begin] | {name}
                    found[end] = max(found.get(end, frozenset()), both, key=len)
                    furthest = max(furthest, end)
        return len(found.get(len(text), ())) >= max(2, len(self._own) - 1)

    def _undecidable(self, names: Sequence[str], line: int) -> UndecidableError:
        shown = ", ".join(repr(name) for name in names if _reduced(name) in self._known)
        return UndecidableError(
            self.hints.name,
            f"rows under the header on line {self.dialect.header_line} alone were needed",
            f"line {line} looks like another header, with {shown}, and what is below it cannot "
            "be told for certain",
        )


# Files of one feed have the same names: what is made of these is kept.


@lru_cache(_KEPT)
def _beginning(known: frozenset[str], delimiter: str, enough: int) -> str:
    if not known:
        return ""
    begin = {name[:2] for name in known if name.isascii()}
    any_two = "|".join(r"[^0-9A-Za-z]*".join(map(re.escape, two)) for two in sorted(begin))
    own = f"(?i:{any_two})|" if any_two else ""
    ascii_only = tuple(its for its in _begin(known) if its.isascii())
    name = _name(_ASCII_FILLER, ascii_only, delimiter)
    words = f"{_ASCII_WORDS}(?:{name}{_ASCII_WORDS}){{{enough}}}"
    return rf"^(?:[^0-9A-Za-z]*(?:{own}[^\x00-\x7f])|{words}$|{_ASCII_WORDS}[^\x00-\x7f][^0-9]*$)"


@lru_cache(_KEPT)
def _begin(known: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted({name[:4] for name in known}))


@lru_cache(_KEPT)
def _name(filler: str, begin: tuple[str, ...], delimiter: str) -> str:
    """Return the pattern of a cell that begins as one of these names does."""
    edge = f"(?:^|{re.escape(delimiter)}|[,;\\t|])"
    names = "|".join(f"{filler}?".join(map(re.escape, name)) for name in begin)
    return rf"(?i:{edge}{filler}*(?:{names}))"


def _bare(cell: str | None) -> str:
    return (cell or "").strip().strip("\ufeff").strip()


def _reduced(name: str) -> str:
    return heading(name) or name.strip("\"'")


def _cut(names: Sequence[str]) -> list[str]:
    """Return names without the blank ones at the end."""
    names = list(names)
    while names and not names[-1]:
        names.pop()
    return names
