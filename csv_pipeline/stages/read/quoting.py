"""Which quotes open and close the cells of a text, if any do."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import mode

from csv_pipeline.stages.read.grammar import Grammar

_BLOCK_BYTES = 4 * 1024**2
_DOUBLED = r"(?:[^']|'')*"  # what stands between apostrophes, where they are doubled in a cell
_ESCAPED = r"(?:[^'\\]|\\.|'')*"  # and where a backslash may stand before them


def by_quote(lines: list[str], delimiter: str, *, quoted: bool) -> Iterator[Grammar]:
    """Give the grammars by this delimiter with the quotes that open and close cells.

    Where `quoted`, double quotes are no mere characters, whatever these lines look like.
    """
    if not quoted and _are_text(lines, delimiter):
        yield Grammar(delimiter, "")
    else:
        yield from by_this_quote(lines, delimiter, '"')
    if any(_wraps(lines, delimiter, inner) for inner in (_DOUBLED, _ESCAPED)):
        yield from by_this_quote(lines, delimiter, "'")


def by_this_quote(lines: list[str], delimiter: str, quote: str) -> Iterator[Grammar]:
    """Give the grammars by a delimiter and a quote; by none every quote is text."""
    yield Grammar(delimiter, quote, literal=not quote)
    if quote and any(f"\\{quote}" in line for line in lines):
        yield Grammar(delimiter, quote, "backslash")


def quotes_cells(lines: list[str], delimiter: str, quote: str) -> bool:
    """Return whether the quote opens cells, and closes some."""
    edge, some = re.escape(delimiter), [line for line in lines if quote in line]
    opens = re.compile(rf"(?:^|{edge}){quote}")
    closes = re.compile(rf"{quote}(?:{edge}|$)")
    return any(map(opens.search, some)) and any(map(closes.search, some))


def quotes_anywhere(path: Path, start: int, delimiter: str) -> bool:
    """Return whether any cell of the whole text is in double quotes, or begins with a lone one."""
    some = re.compile(_some_quoted(delimiter).pattern.encode(), re.MULTILINE)
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(_BLOCK_BYTES):
            block = b"\n" + block + file.readline()
            for edge in (b"\n", delimiter.encode()):
                at = block.find(edge + b'"')
                while at >= 0:  # finding two bytes is far quicker than a search for the pattern
                    if some.match(block, at + len(edge)):
                        return True
                    at = block.find(edge + b'"', at + 1)
    return False


def _are_text(lines: list[str], delimiter: str) -> bool:
    """Return whether double quotes are but characters: no cell is quoted, or hardly any could be.

    A quoted word at the beginning of a cell closes within it and text follows. A quote that opens
    a cell and does not close in it may hide a delimiter or a line end, and so is none of these.
    """
    edge = re.escape(delimiter)
    quoted = [line for line in lines if '"' in line]
    if not any(re.search(rf'(?:^|{edge})"', line) for line in quoted):
        return bool(quoted)
    if any('\\"' in line for line in quoted):
        return False
    some = re.compile(rf"(?:^|{edge}){_some_quoted(delimiter).pattern}")
    if not any(map(some.search, quoted)):
        return True
    return begin_with_words(lines, delimiter)


def begin_with_words(lines: list[str], delimiter: str) -> bool:
    """Return whether most lines have a cell as `"Best" lamp`, more than have one as `"lamp"`.

    Who quotes cells writes neither; within a quoted cell such a word has doubled quotes.
    """
    grammar, edge = Grammar(delimiter), re.escape(delimiter)
    quoted = [line.rstrip("\r\n") for line in lines if '"' in line]
    broken = [line for line in quoted if line.count('"') % 2 == 0 and not grammar.is_record(line)]
    if 2 * len(broken) <= sum(1 for line in lines if line.strip()):
        return False
    wrapped = [line for line in quoted if re.search(rf'(?:^|{edge})"[^"]*"(?:{edge}|$)', line)]
    return len(broken) > len(wrapped) and not any('""' in line for line in broken)


@cache
def _some_quoted(delimiter: str) -> re.Pattern[str]:
    """Return the pattern of a cell, from its quote, that is quoted whole or goes on after it."""
    edge = re.escape(delimiter)
    whole = r'"(?:[^"\n]|"")*"'
    lone = rf'"(?:(?!{edge})[^"\n]|"")*'
    return re.compile(rf"(?:{whole}|{lone})(?:{edge}|\r?$)", re.MULTILINE)


def _wraps(lines: list[str], delimiter: str, inner: str) -> bool:
    r"""Return whether at least half of the apostrophes stand around cells, and not by chance.

    `inner` is the pattern of what stands within them: whether `\'` ends a cell is not known yet.
    In a file that quotes none, the words of a cell may be a quotation, such as `'new'`. By chance
    few lines have one, none has nothing else, and none holds what must be quoted. A delimiter need
    not be if its line has no more of them than most: two cells may have one apostrophe each.
    """
    quote, edge, sample = "'", re.escape(delimiter), "\n".join(lines)
    if quote not in sample:
        return False
    around = re.compile(rf"(?:^|{edge}){quote}({inner}){quote}(?={edge}|$)", re.MULTILINE)
    wrapped = around.findall(sample)
    if sample.count(quote) > 2 * sum(2 + cell.count(quote) for cell in wrapped):
        return False
    # With both, the cell may as well begin in one row and end in another.
    if any(quote in cell or ("\n" in cell and delimiter not in cell) for cell in wrapped):
        return True
    counts = [(line.count(delimiter) + 1, around.findall(line)) for line in lines if line]
    most = mode(cells for cells, _ in counts)
    needed = any(cells > most and delimiter in "".join(quoted) for cells, quoted in counts)
    usual = 2 * sum(1 for _, quoted in counts if quoted) > len(counts)
    return needed or usual or any(cells == len(quoted) > 1 for cells, quoted in counts)
