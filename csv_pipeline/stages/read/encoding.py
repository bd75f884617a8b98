"""Decide the encoding over all bytes and give the file as UTF-8 text.

What the account declares overrules everything; then a byte order mark decides, then the zero bytes
of UTF-16, then validity as UTF-8. Of older encodings that is taken by which most lines read like
words. Lines that do not decode by the encoding of the file become rejects.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import chardet

from csv_pipeline.errors import UnreadableFileError
from csv_pipeline.model import Evidence
from csv_pipeline.stages.read.dialect import ReadHints, Text

UNDECODABLE = "\0bytes: "
"""What a line that does not decode is replaced by, its bytes in hex behind it."""

_CHUNK = 4 * 1024**2
_ENDLESS = 64 * 1024**2
_SAMPLE_BYTES = 200_000
_LINES_WEIGHED = 400
_LONG_LINE = 4_000
_CANDIDATES = 8
_SIGNS = {"Sk", "Sm", "Sc", "No"}  # no word begins or ends with one; So has the degree sign
_UNTOLD = 0.01  # a confidence below which the detector has seen next to nothing
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LEGACY = (
    *(f"cp125{n}" for n in range(9)),
    *(f"iso8859-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)),
    *("koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "cp932", "shift_jis", "euc-jp"),
    *("gb18030", "big5", "cp949", "euc-kr", "tis-620"),
)
_C1 = re.compile("[\x80-\x9f]")
_BARE_RETURN = re.compile(rb"\r(?!\n)")
_LINE = re.compile(rb"[^\r\n]+")
_WORD = re.compile(rb"[^\t ,;]{1,4000}")  # none of these is part of a character of several bytes
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")
_KINDS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
)


@dataclass(slots=True)
class _Survey:
    """What is found of the bytes, line by line where they are not ASCII and not all UTF-8."""

    unicode_lines: int = 0
    other_lines: int = 0
    first_misfit: str = ""
    bare_returns: bool = False
    line_end: bytes = b"\r"
    sample: list[bytes] = field(default_factory=list)
    _sampled: int = 0

    def look(self, chunk: bytes) -> None:
        """Look for what may end lines: LF if there is any, and CR without one."""
        if b"\n" in chunk:
            self.line_end = b"\n"
        if not self.bare_returns:
            self.bare_returns = _BARE_RETURN.search(chunk) is not None

    def add(self, line: bytes, offset: int) -> None:
        try:
            line.decode()
            self.unicode_lines += 1
        except UnicodeDecodeError as error:
            self.other_lines += 1
            if not self.first_misfit:
                byte = line[error.start]
                self.first_misfit = f"byte {offset + error.start:,}, 0x{byte:02x}"
        if self._sampled < _SAMPLE_BYTES:
            self.sample.append(line)
            self._sampled += len(line)


def as_utf8(source: Path, target: Path, hints: ReadHints) -> tuple[Text, Evidence]:
    """Return the file as UTF-8 text with LF, written to `target` unless it is that already.

    Raises:
        UnreadableFileError: It is no text, or none of the likely encodings decodes it.
    """
    with source.open("rb") as file:
        head = file.read(64 * 1024)
    _refuse_binary(head, hints.name)
    bom, marked = next(((b, name) for b, name in _BOMS if head.startswith(b)), (b"", None))
    survey = _surveyed(source, len(bom))
    encoding, because = _decided(source, head, marked, survey, hints)
    path, start = source, len(bom)
    if encoding != "utf-8" or survey.other_lines:
        path, start = target, 0
        undecodable = _transcode(
            source, target, encoding, len(bom), line_end=survey.line_end, name=hints.name
        )
        if undecodable:
            because += f"; {undecodable:,} lines do not decode by it and are rejects"
    ends = _line_ends(path) if survey.bare_returns else "\n"
    if ends != "\n":
        alone = ends == "\r"
        path, start = _with_line_feeds(path, target.with_suffix(".lf"), start, alone=alone), 0
    text = Text(path=path, start=start, encoding=encoding, returns_only=ends == "\r")
    return text, Evidence(subject="encoding", decision=encoding, because=because)


def _refuse_binary(head: bytes, name: str) -> None:
    kind = next((kind for magic, kind in _KINDS if head.startswith(magic)), None)
    if kind is not None:
        raise UnreadableFileError(name, "a text file was needed", f"it is {kind}")
    if not head.startswith(tuple(mark for mark, _ in _BOMS)) and _utf16(head) is None:
        text = head.rstrip(b"\0")  # what was allocated for an upload and never written
        controls = len(_BINARY.findall(text)) if text else len(head)
        if controls > max(4, len(head) // 10):
            found = f"{controls:,} of the first {len(head):,} bytes are control characters"
            raise UnreadableFileError(name, "a text file was needed", found)


def _decided(
    source: Path, head: bytes, marked: str | None, survey: _Survey, hints: ReadHints
) -> tuple[str, str]:
    """Return the encoding and what it was decided by."""
    if hints.encoding is not None:
        return codecs.lookup(hints.encoding).name, "the account declares it"
    if marked is not None:
        return marked, "the file begins with its byte order mark"
    if (wide := _utf16(head)) is not None:
        return wide, "in pairs, and in no other way, the bytes of the sample are text"
    if not survey.other_lines:
        return "utf-8", "all bytes are valid UTF-8"
    if survey.unicode_lines > survey.other_lines:
        valid, other = survey.unicode_lines, survey.other_lines
        return "utf-8", f"{valid:,} lines beyond ASCII are valid UTF-8, {other:,} are not"
    return _legacy(survey, hints)


def _utf16(head: bytes) -> str | None:
    """Return which UTF-16 a sample with zero bytes is; None if it is neither.

    Either the zero bytes all stand at the same end of their pairs and are many, as in Latin text,
    or the pairs make lines of assigned characters without controls.
    """
    if b"\0" not in head:
        return None
    head = head[: len(head) // 2 * 2]
    low, high = head[0::2].count(0), head[1::2].count(0)
    if min(low, high) == 0 and max(low, high) * 3 > len(head) // 2:
        return "utf-16-le" if high else "utf-16-be"
    for encoding in ("utf-16-le", "utf-16-be"):
        text = head.decode(encoding, errors="replace")
        strange = sum(unicodedata.category(c) in {"Cc", "Cn", "Co"} for c in text)
        strange -= sum(map(text.count, "\n\r\t"))
        if re.search(r"[\r\n]", text) and strange * 50 < len(text):
            return encoding
    return None


def _surveyed(source: Path, skip: int) -> _Survey:
    """Return what the bytes are; if all are UTF-8 there are no lines to tell apart."""
    survey = _Survey()
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in _read(source, skip):
            survey.look(chunk)
            if not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _surveyed_by_line(source, skip)
    return survey


def _surveyed_by_line(source: Path, skip: int) -> _Survey:
    survey = _Survey()
    for chunk, offset in _chunks(source, skip):
        survey.look(chunk)
        if not chunk.isascii():
            for line, at in _lines(chunk):
                if not line.isascii():
                    survey.add(line, offset + at)
    return survey


def _lines(chunk: bytes) -> Iterator[tuple[bytes, int]]:
    """Give the lines of a chunk, whatever ends them, and the words of lines that hardly end."""
    for line in _LINE.finditer(chunk):
        if line.end() - line.start() <= _LONG_LINE:
            yield line[0], line.start()
        else:
            yield from ((word[0], line.start() + word.start()) for word in _WORD.finditer(line[0]))


def _read(source: Path, skip: int) -> Iterator[bytes]:
    """Give the file in pieces that do not end within CRLF."""
    with source.open("rb") as file:
        file.seek(skip)
        while chunk := file.read(_CHUNK):
            yield chunk + file.read(1) if chunk.endswith(b"\r") else chunk


def _chunks(source: Path, skip: int, line_end: bytes = b"") -> Iterator[tuple[bytes, int]]:
    """Give the file in pieces that end where a line ends, each with its offset.

    Unless told what ends a line, this is LF or, where none is to be seen, CR. What goes on for
    longer than any record may is cut.
    """
    rest, offset = b"", skip
    for chunk in _read(source, skip):
        data = rest + chunk
        end = data.rfind(line_end or b"\n") + 1
        if not end and not line_end:
            end = data.rfind(b"\r") + 1
        if not end and len(data) > _ENDLESS:
            end = len(data)
        if end:
            yield data[:end], offset
        rest, offset = data[end:], offset + end
    if rest:
        yield rest, offset


def _legacy(survey: _Survey, hints: ReadHints) -> tuple[str, str]:
    """Return the older encoding by which most lines beyond ASCII read like words.

    Raises:
        UnreadableFileError: By none of them do half of the lines.
    """
    likely = _likely(survey.sample)
    best = max(likely.values(), default=0.0)
    expected = [codecs.lookup(name).name for name in hints.encodings]
    # Where letters are too few or too alike to tell, what the feed expects does.
    first = [name for name in expected if likely.get(name, 0.0) >= best * 0.8 or best < _UNTOLD]
    names = list(dict.fromkeys((*first, *list(likely)[:_CANDIDATES], *expected)))
    some = survey.sample[:_LINES_WEIGHED]
    oddities = {name: sum(_is_odd(line, name) for line in some) for name in names}
    name = min(names, key=lambda name: oddities[name])
    if oddities[name] * 2 > len(some):
        raise UnreadableFileError(
            hints.name,
            "text in a known encoding was needed",
            f"the bytes are not utf-8 ({survey.first_misfit}), nor words in {', '.join(names[:4])}",
        )
    why = "the feed expects it" if name in first else "it is the likeliest by its letters"
    return name, f"not UTF-8 ({survey.first_misfit}); {why}"


def _likely(sample: list[bytes]) -> dict[str, float]:
    """Return encodings with the detector's confidence in them, the likeliest first.

    It is asked about each half as well, because it passes over what one broken line rules out.
    """
    half = len(sample) // 2
    likely: dict[str, float] = {}
    for some in filter(None, (sample, sample[:half], sample[half:])):
        text = b"\n".join(some)
        found = chardet.detect_all(text, ignore_threshold=True, include_encodings=_LEGACY)
        for guess in found:
            name = codecs.lookup(guess["encoding"] or "ascii").name
            likely[name] = max(likely.get(name, 0.0), guess["confidence"])
    return dict(sorted(likely.items(), key=lambda item: -item[1]))


def _is_odd(line: bytes, encoding: str) -> bool:
    """Return whether a line does not decode, or to what no word looks like.

    Such as a capital after a small letter, a sign between letters, or letters of two scripts in one
    word.
    """
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError:
        return True
    return _C1.search(text) is not None or any(
        _odd_pair(one, other) for one, other in pairwise(text) if not (one + other).isascii()
    )


def _odd_pair(one: str, other: str) -> bool:
    if one.isalpha() and other.isalpha():
        mixed = {_script(one), _script(other)} - {""}
        return (one.islower() and other.isupper()) or len(mixed) > 1
    letter, sign = (one, other) if one.isalpha() else (other, one)
    return letter.isalpha() and not sign.isascii() and unicodedata.category(sign) in _SIGNS


def _script(letter: str) -> str:
    """Return the script of a letter, of those that no word mixes."""
    name = "LATIN" if letter.isascii() else unicodedata.name(letter, "").partition(" ")[0]
    return name if name in {"LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI"} else ""


def _transcode(  # noqa: PLR0913  # what, where to, by what, and two ways to say it
    source: Path, target: Path, encoding: str, skip: int, *, line_end: bytes, name: str
) -> int:
    """Write the text in UTF-8 and return how many lines did not decode.

    Raises:
        UnreadableFileError: The bytes of UTF-16 or UTF-32 are no characters.
    """
    if encoding.startswith(("utf-16", "utf-32")):
        try:
            return _transcode_wide(source, target, encoding, skip)
        except UnicodeError as error:
            raise UnreadableFileError(name, f"{encoding} was needed", str(error)) from error
    undecodable = 0
    with target.open("wb") as out:
        for chunk, _ in _chunks(source, skip, line_end):
            text = _decoded(chunk, encoding)
            if text is not None:
                out.write(text.encode())
            else:
                lines = [_line(line, encoding) for line in chunk.split(line_end)]
                undecodable += sum(line.startswith(UNDECODABLE) for line in lines)
                out.write(line_end.decode().join(lines).encode())
    return undecodable


def _decoded(chunk: bytes, encoding: str) -> str | None:
    try:
        text = chunk.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if encoding != "utf-8" and _C1.search(text) else text


def _line(line: bytes, encoding: str) -> str:
    text = _decoded(line, encoding)
    return UNDECODABLE + line.hex(" ") if text is None else text


def _transcode_wide(source: Path, target: Path, encoding: str, skip: int) -> int:
    """Write text of two or four bytes a character; a lone surrogate costs its line."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    undecodable, rest = 0, ""
    with target.open("wb") as out:
        for chunk in _read(source, skip):
            text = rest + decoder.decode(chunk)
            end = (text.rfind("\n") + 1) or (text.rfind("\r") + 1)
            if not end and len(text) > _ENDLESS:
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
        lines = text.split(line_end)
        texts = [_wide_line(line, encoding) for line in lines]
        out.write(line_end.join(texts).encode())
        return sum(one is not other for one, other in zip(texts, lines, strict=True))
    return 0


def _wide_line(line: str, encoding: str) -> str:
    try:
        line.encode()
    except UnicodeEncodeError:
        return UNDECODABLE + line.encode(encoding, "surrogatepass").hex(" ")
    return line


def _line_ends(path: Path) -> str:
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


def _with_line_feeds(path: Path, target: Path, skip: int, *, alone: bool) -> Path:
    """Write the text with LF for every CR that ends a line; for all, where CR stands `alone`."""
    with target.open("wb") as out:
        for text, quoted in _by_quotes(path, skip):
            out.write(text if quoted and not alone else text.replace(b"\r", b"\n"))
    return target


def _by_quotes(path: Path, skip: int) -> Iterator[tuple[bytes, bool]]:
    """Give the text in pieces cut behind every quote, and whether a piece stands inside quotes."""
    quoted = False
    for chunk in _read(path, skip):
        *others, last = chunk.split(b'"')
        for piece in others:
            yield piece + b'"', quoted
            quoted = not quoted
        yield last, quoted
