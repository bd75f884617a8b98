"""The bytes of a file as UTF-8 text; lines that are no text in its encoding are marked."""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from csv_pipeline.errors import UnreadableFileError
from csv_pipeline.stages.read.encoding.chunks import ENDLESS, lines, pieces
from csv_pipeline.stages.read.encoding.survey import is_utf8

UNDECODABLE = "\0bytes: "
"""What a line that does not decode is replaced by, its bytes in hex behind it."""

_KOREAN = b"\x1b$)C"  # ISO-2022-KR says once in a file what its signs are (RFC 1557)
_C1 = re.compile("[\x80-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """By which encoding a file is read, and what that is based on.

    `skip` is the length of the byte order mark. In a `mixed` file some lines are UTF-8 that would
    read as letters too, but wrong ones; these do not count as decodable.
    """

    name: str
    because: str
    proven: bool = True
    skip: int = 0
    line_end: bytes = b"\n"
    mixed: bool = False


def transcode(source: Path, target: Path, encoding: Decision, name: str) -> int:
    """Write the text in UTF-8 and return how many lines did not decode.

    Raises:
        UnreadableFileError: The bytes of UTF-16 or UTF-32 are no characters.
    """
    if encoding.name.startswith(("utf-16", "utf-32")):
        try:
            return _transcode_wide(source, target, encoding.name, encoding.skip)
        except UnicodeError as error:
            raise UnreadableFileError(name, f"{encoding.name} was needed", str(error)) from error
    undecodable, line_end = 0, encoding.line_end
    with target.open("wb") as out:
        for chunk, _ in lines(source, encoding.skip, line_end):
            text = None if encoding.mixed else _decoded(chunk, encoding.name)
            if text is not None:
                out.write(text.encode())
            else:
                texts = [_line(line, encoding) for line in chunk.split(line_end)]
                undecodable += sum(text.startswith(UNDECODABLE) for text in texts)
                out.write(line_end.decode().join(texts).encode())
    return undecodable


def _decoded(chunk: bytes, encoding: str) -> str | None:
    designated = encoding != "iso2022_kr" or _KOREAN in chunk
    try:
        text = (chunk if designated else _KOREAN + chunk).decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if encoding != "utf-8" and _C1.search(text) else text


def _line(line: bytes, encoding: Decision) -> str:
    wrong = encoding.mixed and not line.isascii() and is_utf8(line)
    text = None if wrong else _decoded(line, encoding.name)
    return UNDECODABLE + line.hex(" ") if text is None else text


def _transcode_wide(source: Path, target: Path, encoding: str, skip: int) -> int:
    """Write text of two or four bytes a character; a lone surrogate costs its line."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    undecodable, rest = 0, ""
    with target.open("wb") as out:
        for chunk in pieces(source, skip):
            text = rest + decoder.decode(chunk)
            end = (text.rfind("\n") + 1) or (text.rfind("\r") + 1)
            if not end and len(text) > ENDLESS:
                end = len(text)
            undecodable += _write_wide(out, text[:end], encoding)
            rest = text[end:]
        cut_off = bool(decoder.getstate()[0])
        last = UNDECODABLE + rest.encode(encoding, "surrogatepass").hex(" ") if cut_off else rest
        return undecodable + cut_off + _write_wide(out, last, encoding)


def _write_wide(out: BinaryIO, text: str, encoding: str) -> int:
    """Write whole lines and return how many of them are no text."""
    try:
        out.write(text.encode())
    except UnicodeEncodeError:
        line_end = "\n" if "\n" in text else "\r"
        before = text.split(line_end)
        texts = [_wide_line(line, encoding) for line in before]
        out.write(line_end.join(texts).encode())
        return sum(one is not other for one, other in zip(texts, before, strict=True))
    return 0


def _wide_line(line: str, encoding: str) -> str:
    try:
        line.encode()
    except UnicodeEncodeError:
        return UNDECODABLE + line.encode(encoding, "surrogatepass").hex(" ")
    return line
