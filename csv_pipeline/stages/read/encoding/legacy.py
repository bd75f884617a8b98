"""Which of the older encodings makes the likeliest words of the bytes beyond ASCII."""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from csv_pipeline.stages.read.encoding.plausibility import is_of_a_language, plausibility

MARGIN = 16.0
"""Bits by which a reading has to be likelier than any other to be proven: 65,536 to one."""

CONTRADICTS = 8.0
"""Bits by which UTF-8 has to be likelier than an encoding that would turn it into other letters.

Fewer than `MARGIN`, as bytes that are valid UTF-8 by chance are rare, and garbled letters worse
than a refusal.
"""

_SEVERAL, _THREE_BYTES = 3, "\u0800"  # bytes that are one character of three are so by no chance
_UNDECODABLE = 14.0  # a word, and each of its bytes beyond ASCII
_EXPECTED = 6.0
_ROUNDS = (16, 80, 2_000)
"""So many words are weighed by every encoding, by those still close, and by the closest."""

_WITHIN = 60.0

_WEST = ("de", "fr", "es", "pt", "it", "nl", "sv", "da", "no", "fi", "is", "en", "ga", "et")
_EAST = ("pl", "cs", "sk", "hu", "sl", "hr", "ro", "de")
_TURKISH = ("tr", "de", "fr")
_BALTIC = ("lt", "lv", "et", "fi", "de", "pl")
_CYRILLIC = ("ru", "uk", "be", "bg", "mk", "sr")
_ENCODINGS: tuple[tuple[tuple[str, ...], float, tuple[str, ...]], ...] = (
    (("cp1252",), 0, _WEST),
    (("iso8859-1", "iso8859-15"), 1, _WEST),
    (("cp850", "mac-roman"), 3, _WEST),
    (("cp858", "cp437"), 5, _WEST),
    (("cp865",), 5, ("da", "no", "sv", "de")),
    (("cp863",), 7, ("fr",)),
    (("cp860",), 6, ("pt",)),
    (("cp861", "mac-iceland"), 7, ("is", "da")),
    (("cp1250",), 0, _EAST),
    (("iso8859-2",), 1, _EAST),
    (("cp852",), 3, _EAST),
    (("mac-latin2",), 6, _EAST),
    (("iso8859-16",), 14, _EAST),  # rare; its ș and ț are the ş and ţ of others, so below MARGIN
    (("cp1254",), 1, _TURKISH),
    (("iso8859-9",), 2, _TURKISH),
    (("cp857", "mac-turkish"), 4, _TURKISH),
    (("cp1257",), 2, _BALTIC),
    (("iso8859-13", "cp775", "iso8859-4"), 5, _BALTIC),
    (("cp1251",), 0, _CYRILLIC),
    (("koi8-r", "koi8-u", "cp866"), 1, _CYRILLIC),
    (("iso8859-5", "mac-cyrillic", "cp1125", "cp855"), 3, _CYRILLIC),
    (("cp1253",), 0, ("el",)),
    (("iso8859-7",), 1, ("el",)),
    (("cp737", "cp869", "mac-greek"), 4, ("el",)),
    (("cp1255",), 0, ("he",)),
    (("iso8859-8", "cp862"), 2, ("he",)),
    (("cp1256",), 0, ("ar", "fa")),
    (("iso8859-6", "cp720"), 2, ("ar", "fa")),
    (("tis-620", "cp874"), 1, ("th",)),
    (("cp1258",), 1, ("vi",)),
    (("cp932", "shift_jis"), 1, ("ja",)),
    (("euc_jp",), 1, ("ja",)),
    (("gb18030",), 0, ("zh",)),
    (("big5", "big5hkscs"), 1, ("tw",)),
    (("euc_kr", "cp949"), 0, ("ko",)),
    (("johab",), 4, ("ko",)),
    (("euc_jis_2004",), 4, ("ja",)),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An encoding, the bits it costs by being rare, and languages that were written in it."""

    encoding: str
    prior: float
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What an encoding makes of some words, and what that costs.

    `odd` is the share of the words that no language has.
    """

    by: Candidate
    texts: tuple[str | None, ...]
    cost: float
    odd: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The likeliest encoding, and the likeliest of those that read the words otherwise."""

    encoding: str
    odd: float
    margin: float
    other: str | None

    @property
    def proven(self) -> bool:
        """Whether no other reading is nearly as likely."""
        return self.margin >= MARGIN


def likeliest(words: Sequence[bytes], expected: Sequence[str]) -> Choice | None:
    """Return by which encoding words read best; None if none decodes half of them."""
    names = [codecs.lookup(name).name for name in expected]
    close = _candidates(names)
    found: list[Reading] = []
    for count in _ROUNDS:
        found = sorted(_readings(words[:count], close), key=lambda one: one.cost)
        close = [one.by for one in found if one.cost <= found[0].cost + _WITHIN]
        if count >= len(words):
            break
    if not found:
        return None
    best = found[0]
    other = next((one for one in found if one.texts != best.texts), None)
    return Choice(
        encoding=best.by.encoding,
        odd=best.odd,
        margin=other.cost - best.cost if other else _WITHIN,
        other=other.by.encoding if other else None,
    )


def advantage(words: Sequence[bytes], encoding: str, than: str) -> float:
    """Return by how many bits words read better in an encoding than in another one.

    UTF-8 has the languages of all others.
    """
    first, second = (
        min((one.cost for one in _readings(words[: _ROUNDS[1]], _by(name))), default=float("inf"))
        for name in (encoding, than)
    )
    return second - first


def contradicts(words: Sequence[bytes], name: str) -> bool:
    """Return whether words that are UTF-8 disprove another encoding.

    One or two signs do not that no language has: `ß€` is UTF-8, too, by chance.
    """
    signs = [sign for word in words for sign in word.decode() if not sign.isascii()]
    real = len(signs) >= _SEVERAL or any(
        sign >= _THREE_BYTES or is_of_a_language(sign) for sign in signs
    )
    return real and advantage(words, "utf-8", name) >= CONTRADICTS


def _by(name: str) -> list[Candidate]:
    known = {one.encoding: one.languages for one in _candidates([name])}
    groups = set(known.values()) if name == "utf-8" else {known[name]}
    return [Candidate(name, 0, languages) for languages in sorted(groups)]


def _candidates(expected: Sequence[str]) -> list[Candidate]:
    known = {
        name: Candidate(name, prior, languages)
        for names, prior, languages in _ENCODINGS
        for name in map(_canonical, names)
    }
    for name in expected:
        one = known.get(name, Candidate(name, 0, _WEST))
        known[name] = replace(one, prior=one.prior - _EXPECTED)
    return list(known.values())


@cache
def _canonical(name: str) -> str:
    return codecs.lookup(name).name


def _readings(words: Sequence[bytes], candidates: Sequence[Candidate]) -> Iterator[Reading]:
    seen: dict[tuple[tuple[str | None, ...], tuple[str, ...]], tuple[float, float]] = {}
    for one in candidates:
        texts = _texts(words, one.encoding)
        if texts.count(None) * 2 > len(words):
            continue
        if (costs := seen.get((texts, one.languages))) is None:
            found = plausibility(filter(None, texts), one.languages)
            broken = sum(
                byte > 127
                for word, text in zip(words, texts, strict=True)
                if text is None
                for byte in word
            )
            failed = texts.count(None)
            odd = (found.odd + failed) / max(found.words + failed, 1)
            costs = found.bits + (failed + broken) * _UNDECODABLE, odd
            seen[texts, one.languages] = costs
        yield Reading(one, texts, costs[0] + one.prior, costs[1])


def _texts(words: Sequence[bytes], encoding: str) -> tuple[str | None, ...]:
    all_of_them = _decoded(b"\n".join(words), encoding)
    texts = () if all_of_them is None else tuple(all_of_them.split("\n"))
    if len(texts) != len(words):  # one fails, or the encoding has other line ends
        return tuple(_decoded(word, encoding) for word in words)
    return texts


def _decoded(word: bytes, encoding: str) -> str | None:
    try:
        return word.decode(encoding)
    except UnicodeDecodeError:
        return None
