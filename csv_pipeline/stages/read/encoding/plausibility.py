"""How likely a text is what somebody wrote in a language, in bits: the fewer the likelier.

Letters cost by how often they follow one another in a language, signs by where they stand. The
frequencies in `letters.json` were counted from the tables that chardet 7 (0BSD) was trained with,
which stand on web pages of CulturaX: per language the letters and the pairs of letters with one
beyond ASCII, both by their cost, `_` standing for whatever is no letter.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

_UNSEEN = 3  # bits that a pair costs more than its letter if the language's pages have it nowhere
_FOREIGN = 16
_ALONE = 8
_OTHER_LANGUAGE = 9
_WRONG_CASE = 6
_SCRIPTS_MIXED = 14
_SIGN = 5
_SIGN_MISPLACED = 15
_RARE_SIGN = 13
_CONTROL = 25
_OPENING = frozenset("«„“\u2018\u201a\u2039¿¡")
_CLOSING = frozenset("»”“\u2019\u2018\u203a…®™©°²³¹ºª€£¥·\xb4")
_STANDING = frozenset(
    "€£¥½¼¾±\xd7÷\u2013—•§°©®™·…№«»„“”\u2018\u2019µ\xa0\xad\u200b\u200e\u200f\ufeff"
)
_WORD = re.compile(r"[^\x00-\x40\x5b-\x60\x7b-\x7f]+")
_OF_NO_WORD = frozenset("ªºˆ")


class Language(dict[str, int]):
    """What a letter costs behind another one, `_` standing for any sign that is no letter."""

    def __init__(self, letters: dict[str, int], pairs: dict[str, int]) -> None:
        super().__init__(pairs)
        self.letters = letters

    def __missing__(self, pair: str) -> int:
        """Return the cost of a pair that the language's pages have nowhere, and keep it."""
        bits = self.letters.get(pair[1], _FOREIGN) + _UNSEEN
        self[pair] = _ALONE if pair[1] == "_" else min(bits, _FOREIGN)
        return self[pair]


@cache
def language(name: str) -> Language:
    """Return a language of `letters.json`."""
    told = _languages()[name]
    letters = {letter: int(bits) for bits, all_ in told["letters"].items() for letter in all_}
    pairs = {
        all_[position : position + 2]: int(bits)
        for bits, all_ in told.get("pairs", {}).items()
        for position in range(0, len(all_), 2)
    }
    return Language(letters, pairs)


@cache
def _languages() -> dict[str, dict[str, dict[str, str]]]:
    text = files("csv_pipeline.stages.read.encoding").joinpath("letters.json").read_text("utf-8")
    found: dict[str, dict[str, dict[str, str]]] = json.loads(text)
    return found


@dataclass(frozen=True, slots=True)
class Plausibility:
    """What some words cost in bits, how many they are, and how many of them no language has."""

    bits: float
    words: int
    odd: int


def plausibility(texts: Iterable[str], languages: Sequence[str]) -> Plausibility:
    """Return what the words of texts cost in the likeliest of the languages, each word once.

    A word of another of the languages costs a little more than one of the file's own.
    """
    words = [word for word in dict.fromkeys(_WORD.findall("\n".join(texts))) if not word.isascii()]
    if languages[0] in _IDEOGRAPHIC:
        found = [_ideographs(word, languages[0]) for word in words]
        cost, odd = (sum(some) for some in zip((0, False), *found, strict=True))
        return Plausibility(cost, len(words), odd)
    tables = [language(name).__getitem__ for name in languages]
    totals, signs, strange = [0] * len(tables), 0, 0
    for word in words:
        cost, odd, pairs = _taken_apart(word)
        costs = [sum(map(table, pairs)) for table in tables]
        most = min(costs) + _OTHER_LANGUAGE
        totals = [total + min(one, most) for total, one in zip(totals, costs, strict=True)]
        signs += cost
        strange += odd
    return Plausibility(signs + min(totals), len(words), strange)


@lru_cache(maxsize=100_000)
def _taken_apart(word: str) -> tuple[int, bool, tuple[str, ...]]:
    """Return what signs and case of a word cost, whether they are odd, and its pairs of letters.

    A pair counts once a word: a row of the same letter tells nothing.
    """
    cost, odd, pairs = 0, False, []
    before, kind_before = " ", "_"
    for here, after in zip(word, word[1:] + " ", strict=True):
        kind = _folded(here)
        if not (before.isascii() and here.isascii()):
            if kind != "_" or kind_before != "_":
                pairs.append(kind_before + kind)
            if kind != "_" and kind_before != "_" and (wrong := _joined(before, here)):
                cost, odd = cost + wrong, True
        if kind == "_" and not here.isascii():
            sign = _sign(before, here, after)
            cost, odd = cost + sign, odd or sign > _SIGN
        before, kind_before = here, kind
    if not before.isascii() and kind_before != "_":
        pairs.append(kind_before + "_")
    return cost, odd, tuple(dict.fromkeys(pairs))


@cache
def _folded(letter: str) -> str:
    """Return the small letter, or `_` for what is none."""
    if letter.isascii():
        return letter.lower() if letter.isalpha() else "_"
    if letter in _OF_NO_WORD or not (letter.isalpha() or unicodedata.category(letter)[0] == "M"):
        return "_"
    return letter.lower()[0]


@cache
def _joined(one: str, other: str) -> int:
    """Return what two letters in a row cost by their case and script."""
    mixed = {script(one), script(other)} - {""}
    return (_WRONG_CASE if one.islower() and other.isupper() else 0) + (
        _SCRIPTS_MIXED if len(mixed) > 1 else 0
    )


def _sign(before: str, sign: str, after: str) -> int:
    """Return what a sign beyond ASCII costs where it stands."""
    if unicodedata.category(sign) in {"Cc", "Cn", "Co"}:
        return _CONTROL
    behind, ahead = _folded(before) != "_", _folded(after) != "_"
    fits = (
        (sign in _OPENING and not behind)
        or (sign in _CLOSING and not ahead)
        or (sign in _STANDING and not (behind or ahead))
        or (sign == "’" and behind and ahead)
        or (sign in "\xb7\xad" and behind and ahead)
        or (sign == "°" and after in "CF")
    )
    if fits:
        return _SIGN
    return _SIGN_MISPLACED if behind or ahead else _RARE_SIGN


@cache
def script(letter: str) -> str:
    """Return the script of a letter, of those that no word mixes."""
    name = "LATIN" if letter.isascii() else unicodedata.name(letter, "").partition(" ")[0]
    return name if name in {"LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI"} else ""


_IDEOGRAPHIC = {"ja": "euc_jp", "ko": "euc_kr", "zh": "gb2312", "tw": "big5"}
_LEVEL_ONE = {"ja": (0xB0, 0xCF), "ko": (0xB0, 0xC8), "zh": (0xB0, 0xD7), "tw": (0xA4, 0xC6)}
_COMMON, _SECOND_LEVEL, _ELSEWHERE = 14, 18, 22
_MARK, _HALF_WIDTH, _BESIDE_LETTER = 9, 12, 5


def _ideographs(word: str, name: str) -> tuple[int, bool]:
    """Return what a word costs, and whether it is odd: rare signs, or some within Latin words."""
    cost, beyond, before, joined = 0, 0, " ", False
    for here in word:
        if not here.isascii():
            cost += ideograph_bits(here, name)
            beyond += 1
        if before.isascii() != here.isascii() and any(
            one.isascii() and one.isalpha() for one in (before, here)
        ):
            cost, joined = cost + _BESIDE_LETTER, True
        before = here
    return cost, joined or cost > _COMMON * beyond


@cache
def ideograph_bits(sign: str, name: str) -> int:
    """Return what a sign costs in Japanese, Korean or Chinese.

    What is beyond the table costs by its level in the national standard (JIS X 0208, KS X 1001,
    GB 2312, Big5), which parts the signs in use from those that are rare.
    """
    known = language(name).letters.get(sign)
    if known is not None:
        return known
    if unicodedata.category(sign) in {"Cc", "Cn", "Co"}:
        return _CONTROL
    if "\u3000" <= sign <= "\u303f" or "\uff01" <= sign <= "\uff5e":
        return _MARK
    if "\uff61" <= sign <= "\uff9f":
        return _HALF_WIDTH if name == "ja" else _ELSEWHERE
    return _bits_by_level(sign, name)


def _bits_by_level(sign: str, name: str) -> int:
    try:
        code = sign.encode(_IDEOGRAPHIC[name])
    except UnicodeEncodeError:
        return _ELSEWHERE
    low, high = _LEVEL_ONE[name]
    common = len(code) == 2 and sign.isalpha() and low <= code[0] <= high
    return _COMMON if common else _SECOND_LEVEL


@cache
def is_of_a_language(sign: str) -> bool:
    """Return whether any language has this letter, or texts have this sign."""
    if _folded(sign) == "_":
        return sign in _STANDING | _OPENING | _CLOSING
    return any(_folded(sign) in language(name).letters for name in _languages())


@cache
def is_common(sign: str) -> bool:
    """Return whether a sign beyond ASCII is one that texts are full of.

    Of ideographs these are the ones in the tables or on the first level of a standard.
    """
    name = unicodedata.name(sign, "")
    if name.startswith(("CJK UNIFIED", "CJK COMPAT", "HANGUL SYLL")):
        return any(ideograph_bits(sign, one) <= _COMMON for one in _IDEOGRAPHIC)
    return bool(name)
