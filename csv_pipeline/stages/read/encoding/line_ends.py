"""Which of CR and LF ends the lines of a text, and the text with LF for all of them."""

from collections.abc import Iterator
from pathlib import Path

from csv_pipeline.stages.read.encoding.chunks import pieces


def line_ends(path: Path) -> str:
    """Return what ends the lines of a text with CR in it: both, if LF stands inside quotes only."""
    outside = feeds = 0
    for text, quoted in _by_quotes(path, 0):
        feeds += text.count(b"\n")
        outside += 0 if quoted else text.count(b"\r")
        if not quoted and b"\n" in text:
            return "\n"
    if not feeds:
        return "\r"
    return "\r\n" if outside >= feeds else "\n"


def with_line_feeds(path: Path, target: Path, skip: int, *, alone: bool) -> Path:
    """Write the text with LF for every CR that ends a line; for all, where CR stands `alone`."""
    with target.open("wb") as out:
        for text, quoted in _by_quotes(path, skip):
            out.write(text if quoted and not alone else text.replace(b"\r", b"\n"))
    return target


def _by_quotes(path: Path, skip: int) -> Iterator[tuple[bytes, bool]]:
    """Give the text in pieces cut behind every quote, and whether a piece stands inside quotes."""
    quoted = False
    for chunk in pieces(path, skip):
        *others, last = chunk.split(b'"')
        for piece in others:
            yield piece + b'"', quoted
            quoted = not quoted
        yield last, quoted
