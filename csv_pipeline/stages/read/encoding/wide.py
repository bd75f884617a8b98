"""Whether bytes without a byte order mark are characters of two or four bytes each."""

import re
import unicodedata

from csv_pipeline.stages.read.encoding.plausibility import is_common

_LINE_END = re.compile("[\r\n]")


def wide(head: bytes) -> str | None:
    """Return which of UTF-16 and UTF-32 a sample is; None if it is neither.

    Four bytes: each quadruple is a character. Two bytes: the zero bytes all stand at the same end
    of their pairs, and either they are many, as in Latin text, or the pairs are lines of signs in
    use, with at least as many ASCII signs as there are line feeds: a NUL in a text of single bytes
    does not stand beside each of its line feeds.
    """
    if b"\0" not in head:
        return None
    return _utf32(head) or _utf16(head)


def _utf32(head: bytes) -> str | None:
    head = head[: len(head) // 4 * 4]
    for encoding in ("utf-32-le", "utf-32-be"):
        try:
            text = head.decode(encoding)
        except UnicodeDecodeError:
            continue
        if text.strip("\0") and "\0" not in text.rstrip("\0") and _strange(text) * 50 <= len(text):
            return encoding
    return None


def _utf16(head: bytes) -> str | None:
    head = head[: len(head) // 2 * 2]
    text = head.rstrip(b"\0")
    text += b"\0" * (len(text) % 2)
    first, second = text[0::2].count(0), text[1::2].count(0)
    encoding, zeros = ("utf-16-le", second) if second > first else ("utf-16-be", first)
    if zeros < 4 * min(first, second):  # such as those of U+4E00
        return None
    if zeros * 4 > len(text) and not min(first, second):
        return encoding
    if zeros < max(text.count(b"\n"), text.count(b"\r"), 2):
        return None
    return encoding if _reads(text.decode(encoding, errors="replace")) else None


def _reads(text: str) -> bool:
    """Return whether a text has lines, hardly a strange sign, and mostly signs in use."""
    beyond = [sign for sign in text if not sign.isascii()]
    common = sum(map(is_common, beyond))
    return (
        _LINE_END.search(text) is not None
        and _strange(text) * 50 < len(text)
        and (common * 2 > len(beyond) or not beyond)
    )


def _strange(text: str) -> int:
    strange = sum(unicodedata.category(sign) in {"Cc", "Cn", "Co"} for sign in text)
    return strange - sum(map(text.count, "\n\r\t"))
