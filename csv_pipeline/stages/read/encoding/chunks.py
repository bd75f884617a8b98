"""A file's bytes in pieces that fit in memory."""

from collections.abc import Iterator
from pathlib import Path

ENDLESS = 64 * 1024**2
"""So many bytes without a line end are cut: no record may be as long."""

_CHUNK = 4 * 1024**2


def pieces(source: Path, skip: int) -> Iterator[bytes]:
    """Give the file in pieces that do not end within CR LF or CR CR LF."""
    with source.open("rb") as file:
        file.seek(skip)
        while chunk := file.read(_CHUNK):
            for _ in range(2):
                chunk += file.read(1) if chunk.endswith(b"\r") else b""
            yield chunk


def lines(source: Path, skip: int, line_end: bytes = b"") -> Iterator[tuple[bytes, int]]:
    """Give the file in pieces that end where a line ends, each with its offset.

    Unless told what ends a line, this is LF or, where none is to be seen, CR. What goes on for
    longer than any record may is cut.
    """
    rest, offset = b"", skip
    for chunk in pieces(source, skip):
        data = rest + chunk
        end = data.rfind(line_end or b"\n") + 1
        if not end and not line_end:
            end = data.rfind(b"\r") + 1
        if not end and len(data) > ENDLESS:
            end = len(data)
        if end:
            yield data[:end], offset
        rest, offset = data[end:], offset + end
    if rest:
        yield rest, offset
