"""What the bytes of a whole file are, seen once and in bounded memory."""

import codecs
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from csv_pipeline.stages.read.encoding.chunks import lines, pieces

_APART = bytes(  # what is no part of a character in any encoding, as blanks
    0x20 if byte <= 0x2F or 0x3A <= byte <= 0x3F or byte == 0x7F else byte for byte in range(256)
)
_LONGEST = 4_000
_WORDS_KEPT = 20_000
_WEIGHED = 2_000


@dataclass(slots=True)
class Survey:
    """What is found of the bytes, beyond ASCII word by word if they are not all UTF-8.

    `words` counts the different words; of more than 20,000 it keeps a share that hangs on nothing
    but their bytes, and each that has a byte not seen before.
    """

    is_ascii: bool = True
    is_utf8: bool = True
    escapes: bool = False
    zero_bytes: bool = False
    first_misfit: str = ""
    bare_returns: bool = False
    line_end: bytes = b"\r"
    words: Counter[bytes] = field(default_factory=Counter)
    _one_in: int = 1
    _seen: set[int] = field(default_factory=set)

    def look(self, chunk: bytes) -> None:
        """Look for what may end lines: LF if there is any, and CR without one."""
        if b"\n" in chunk:
            self.line_end = b"\n"
        if not self.bare_returns and b"\r" in chunk:
            self.bare_returns = chunk.count(b"\r") > chunk.count(b"\r\n")
        self.escapes = self.escapes or b"\x1b" in chunk
        self.zero_bytes = self.zero_bytes or b"\0" in chunk

    def count(self, chunk: bytes) -> None:
        """Count the words with bytes beyond ASCII."""
        words = chunk.translate(_APART).split(b" ")
        found = Counter([word[:_LONGEST] for word in words if not word.isascii()])
        if self._one_in == 1:
            self.words.update(found)
        else:
            self._keep(found)
        while len(self.words) > _WORDS_KEPT * 2:
            self._thin()

    def _thin(self) -> None:
        self._one_in *= 2
        before, self.words, self._seen = self.words, Counter(), set()
        self._keep(before)

    def _keep(self, found: Counter[bytes]) -> None:
        for word, count in found.items():
            if crc32(word) % self._one_in == 0 or not self._seen.issuperset(word):
                self._seen.update(word)
                self.words[word] += count

    @property
    def weighed(self) -> list[bytes]:
        """Some of the words, in an order that hangs on their bytes, each byte among them."""
        shuffled = sorted(self.words, key=crc32)
        some = shuffled[:_WEIGHED]
        seen = {byte for word in some for byte in word}
        for word in shuffled[_WEIGHED:]:
            if not seen.issuperset(word):
                seen.update(word)
                some.append(word)
        return some

    @property
    def utf8_words(self) -> list[bytes]:
        """The words that are UTF-8."""
        return [word for word in self.words if is_utf8(word)]


def is_utf8(word: bytes) -> bool:
    """Return whether the bytes are UTF-8."""
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def survey(source: Path, skip: int) -> Survey:
    """Return what the bytes are; if all are UTF-8 there are no words to tell apart."""
    found = Survey()
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = offset = skip
    try:
        for chunk in pieces(source, skip):
            found.look(chunk)
            begun = len(decoder.getstate()[0])
            start, offset = offset - begun, offset + len(chunk)
            if begun or not chunk.isascii():
                found.is_ascii = False
                decoder.decode(chunk)
        start = offset - len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        found.is_utf8 = False
        found.first_misfit = f"byte {start + error.start:,}, 0x{error.object[error.start]:02x}"
        with_words(found, source, skip)
    return found


def with_words(found: Survey, source: Path, skip: int) -> None:
    """Count the words of the whole file."""
    for chunk, _ in lines(source, skip):
        found.look(chunk)
        if not chunk.isascii():
            found.count(chunk)
