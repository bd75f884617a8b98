"""Decide the encoding over all bytes and give the file as UTF-8 text."""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from csv_pipeline.errors import UnreadableFileError
from csv_pipeline.model import Evidence
from csv_pipeline.stages.read.dialect import ReadHints, Text

_CHUNK = 4 * 1024**2
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# C0 controls but tab, line ends, form feed and Ctrl-Z; DEL and C1: bytes of these in a text mean
# that it was not written in the encoding it was decoded by.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x19\x1b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class _Misfit:
    """Why a file is not text in an encoding."""

    offset: int
    found: str


def as_utf8(source: Path, target: Path, hints: ReadHints) -> tuple[Text, Evidence]:
    """Return the file as UTF-8 text, written to `target` unless it is that already.

    An encoding set for the account overrules everything; then a byte order mark decides, then
    validity as UTF-8, then the feed's encodings in their order. Each is verified by decoding the
    whole file.

    Raises:
        UnreadableFileError: None of these decodes the whole file.
    """
    with source.open("rb") as file:
        head = file.read(4)
    bom, marked = next(((b, name) for b, name in _BOMS if head.startswith(b)), (b"", None))
    candidates = _candidates(hints, marked)
    misfits = []
    for encoding, because in candidates:
        misfit = _misfit(source, encoding, len(bom))
        if misfit is None:
            path = _transcoded(source, target, encoding, len(bom))
            start = len(bom) if path == source else 0
            return Text(path=path, start=start), Evidence(
                subject="encoding", decision=encoding, because=because
            )
        misfits.append(f"{encoding} (byte {misfit.offset:,}: {misfit.found})")
    raise UnreadableFileError(
        hints.name,
        "text in a known encoding was needed",
        f"the bytes are not {', not '.join(misfits)}",
    )


def _candidates(hints: ReadHints, marked: str | None) -> list[tuple[str, str]]:
    if hints.encoding is not None:
        return [(hints.encoding, "the account declares it, and all bytes decode")]
    if marked is not None:
        return [(marked, "the file begins with its byte order mark, and all bytes decode")]
    legacy = [
        (
            name,
            "not UTF-8; all bytes decode by it without control characters, and the feed expects it",
        )
        for name in hints.encodings
    ]
    return [("utf-8", "all bytes are valid UTF-8"), *legacy]


def _misfit(source: Path, encoding: str, skip: int) -> _Misfit | None:
    """Return where and why the file is not text in `encoding`, or None if it is."""
    decoder = codecs.getincrementaldecoder(encoding)()
    unicode = encoding.startswith("utf")
    offset = skip
    with source.open("rb") as file:
        file.seek(skip)
        while True:
            chunk = file.read(_CHUNK)
            if chunk.isascii() and encoding == "utf-8" and not decoder.getstate()[0]:
                text = ""
            else:
                try:
                    text = decoder.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    pending = len(error.object) - len(chunk)
                    byte = error.object[error.start]
                    return _Misfit(offset + error.start - pending, f"0x{byte:02x} is no character")
            if not unicode and (control := _CONTROLS.search(text)):
                return _Misfit(offset, f"control character {control.group()!r} near it")
            if not chunk:
                return None
            offset += len(chunk)


def _transcoded(source: Path, target: Path, encoding: str, skip: int) -> Path:
    """Return a file of the same text in UTF-8 with LF where the source has CR alone."""
    bare_returns = _only_bare_returns(source, encoding)
    if encoding == "utf-8" and not bare_returns:
        return source
    decoder = codecs.getincrementaldecoder(encoding)()
    with source.open("rb") as file, target.open("wb") as out:
        file.seek(skip)
        while chunk := file.read(_CHUNK):
            text = decoder.decode(chunk)
            out.write((text.replace("\r", "\n") if bare_returns else text).encode())
    return target


def _only_bare_returns(source: Path, encoding: str) -> bool:
    """Return whether CR ends the lines: there is one, and no LF in the whole file."""
    returns = False
    with source.open("rb") as file:
        decoder = codecs.getincrementaldecoder(encoding)()
        single_byte = encoding == "utf-8" or not encoding.startswith("utf")
        while chunk := file.read(_CHUNK):
            text = chunk if single_byte else decoder.decode(chunk).encode()
            if b"\n" in text:
                return False
            returns = returns or b"\r" in text
    return returns
