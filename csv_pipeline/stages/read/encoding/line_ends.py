"""Which of CR and LF ends the lines of a text, and the text with LF for all of them."""

import re
from collections.abc import Iterator
from pathlib import Path

from csv_pipeline.batches import created
from csv_pipeline.stages.read.encoding.chunks import pieces

_ALONE = re.compile(rb"\r(?!\r?\n)")
_BEGINS = re.compile(rb"(?:[\r\n,;|:~^\t\x1f\xa6\"]|[,;|\t] )\Z")
_END = re.compile(rb"\r{0,2}\n|\r")


def line_ends(path: Path) -> str:
    """Return what ends the lines of a text with CR in it: LF, CR, or both.

    It is both where LF stands inside quotes only, and none before the first CR outside or no more
    than these; where a CR ends the first line and most others outside quotes; and where CR CR LF
    ends most: a program has written CR LF for the LF of CR LF.
    """
    outside = inside = returns = doubled = before = 0
    begin: bytes | None = b""  # up to the end of the first line that is not blank
    for text, quoted in _by_quotes(path, 0):
        if quoted:
            inside += text.count(b"\n")
            continue
        if begin is not None:
            begin = (begin + text).lstrip(b"\r\n")
            if (end := _END.search(begin)) is not None:
                if end[0] in {b"\n", b"\r\n"}:
                    return "\n"
                begin = None
        outside += text.count(b"\n")
        doubled += text.count(b"\r\r\n")
        alone = len(_ALONE.findall(text))
        before = before if returns or not alone else inside
        returns += alone
    if not inside + outside:
        return "\r"
    if 2 * doubled > outside:
        return "\r\n"
    return "\r\n" if returns > outside and (outside or not before or returns >= inside) else "\n"


def with_line_feeds(path: Path, target: Path, skip: int, *, alone: bool) -> Path:
    """Write the text with LF for every CR that ends a line; for all, where CR stands `alone`."""
    with created(target) as out:
        for text, quoted in _by_quotes(path, skip):
            if alone:
                out.write(text.replace(b"\r", b"\n"))
            else:
                out.write(text if quoted else _END.sub(b"\n", text))
    return target


def _by_quotes(path: Path, skip: int) -> Iterator[tuple[bytes, bool]]:
    """Give the text in pieces cut behind every quote, and whether a piece stands inside quotes.

    A quote opens a cell where one begins; any other, such as that of `5" pipes`, is text.
    """
    quoted, before = False, b"\n"
    for chunk in pieces(path, skip):
        *others, last = chunk.split(b'"')
        for piece in others:
            yield piece + b'"', quoted
            quoted = not quoted and _BEGINS.search(before + piece[-2:]) is not None
            before = b'"'
        yield last, quoted
        before = (before + last)[-2:]
