"""Write `csv_pipeline/stages/read/encoding/letters.json` from the tables of chardet 7.

chardet (0BSD) counted pairs of bytes in web pages of CulturaX, by language and encoding. Here they
become pairs of small letters by what the second costs in bits behind the first, and for ideographs
and syllables single signs. `_` stands for whatever is no letter. Run it with:
`python -m tools.letters`.
"""

import json
import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from chardet.models import load_models

TARGET = Path("csv_pipeline/stages/read/encoding/letters.json")
ALPHABETS = {
    **dict.fromkeys(("de", "fr", "es", "pt", "it", "nl", "sv"), "cp1252"),
    **dict.fromkeys(("da", "no", "fi", "is", "en", "ga"), "cp1252"),
    **dict.fromkeys(("pl", "cs", "sk", "hu", "sl", "hr"), "cp1250"),
    "ro": "iso8859-16",
    "tr": "cp1254",
    "lt": "cp1257",
    "lv": "cp1257",
    "et": "cp1257",
    **dict.fromkeys(("ru", "uk", "be", "bg", "mk", "sr"), "cp1251"),
    "el": "cp1253",
    "he": "cp1255",
    "ar": "cp1256",
    "fa": "cp1256",
    "th": "cp874",
    "vi": "cp1258",
}
# A pair of bytes may be the end of one sign and the beginning of the next. Where two encodings of
# a language were counted, only what both have is taken; else what the first level of a standard
# has. That is the encoding it is looked up in, and the rows of its first level.
IDEOGRAPHS = {
    "ja": (("cp932", "euc_jis_2004"), "euc_jp", (0xB0, 0xCF)),
    "ko": (("johab", "euc_kr"), "euc_kr", (0xB0, 0xC8)),
    "zh": (("gb18030",), "gb2312", (0xB0, 0xD7)),
    "tw": (("big5hkscs",), "big5", (0xA4, 0xC6)),  # Chinese in traditional signs
}
UNSEEN = 3.0  # what all pairs together weigh, behind a letter, that the pages do not have
MOST_BITS = 15

Grouped = dict[str, dict[int, str]]


def main() -> None:
    """Write the file, a language a line."""
    models = load_models()
    found = {
        language: alphabet(language, models[f"{language}/{encoding}"], encoding)
        for language, encoding in ALPHABETS.items()
    }
    found |= {language: ideographs(language, models) for language in IDEOGRAPHS}
    lines = (
        f"{json.dumps(name)}:{json.dumps(told, ensure_ascii=False, separators=(',', ':'))}"
        for name, told in found.items()
    )
    TARGET.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def alphabet(language: str, table: bytes, encoding: str) -> Grouped:
    """Return what letters cost on their own and in pairs."""
    pairs: dict[tuple[str, str], float] = defaultdict(float)
    for text, weight in _signs(table, encoding, 2):
        one, other = map(_small, text)
        pairs[one, other] += weight
        if language == "ro":  # the letters with a cedilla, which older encodings have instead
            cedilla = tuple(letter.translate({0x219: "ş", 0x21B: "ţ"}) for letter in (one, other))
            if cedilla != (one, other):
                pairs[cedilla[0], cedilla[1]] += weight
    del pairs["_", "_"]
    behind: dict[str, float] = defaultdict(float)
    alone: dict[str, float] = defaultdict(float)
    for (one, other), weight in pairs.items():
        behind[one] += weight
        alone[other] += weight
    total = sum(alone.values())
    shares = {letter: weight / total for letter, weight in alone.items()}
    costs = {
        one + other: (weight + UNSEEN * shares[other]) / (behind[one] + UNSEEN)
        for (one, other), weight in pairs.items()
        if not (one + other).isascii()
    }
    return {"letters": _by_bits(shares), "pairs": _by_bits(costs)}


def ideographs(language: str, models: Mapping[str, bytes]) -> Grouped:
    """Return what the signs of a language without an alphabet cost."""
    encodings, standard, rows = IDEOGRAPHS[language]
    counted_as = "zh" if language == "tw" else language
    counted = [dict(_signs(models[f"{counted_as}/{name}"], name, 1)) for name in encodings]
    weights = {
        sign: min(one[sign] for one in counted)
        for sign in set.intersection(*map(set, counted))
        if _is_first_level(sign, standard, rows) or "\u3041" <= sign <= "\u30fe"
    }
    total = sum(weights.values())
    return {"letters": _by_bits({sign: weight / total for sign, weight in weights.items()}, 99)}


def _signs(table: bytes, encoding: str, length: int) -> Iterator[tuple[str, float]]:
    """Give pairs of bytes that are so many signs, with their weight."""
    for place, weight in enumerate(table):
        text = place.to_bytes(2, "big").decode(encoding, errors="replace")
        if weight and len(text) == length and "\ufffd" not in text:
            yield text, weight


def _is_first_level(sign: str, standard: str, rows: tuple[int, int]) -> bool:
    code = sign.encode(standard, errors="ignore")
    return len(code) == 2 and rows[0] <= code[0] <= rows[1] and unicodedata.category(sign) == "Lo"


def _small(letter: str) -> str:
    is_letter = letter.isalpha() or unicodedata.category(letter)[0] == "M"
    return letter.lower()[0] if is_letter and letter not in "ªºˆ" else "_"


def _by_bits(shares: Mapping[str, float], most: int = MOST_BITS) -> dict[int, str]:
    grouped: dict[int, str] = defaultdict(str)
    for text, share in sorted(shares.items()):
        grouped[min(round(-math.log2(share)), most)] += text
    return dict(sorted(grouped.items()))


if __name__ == "__main__":
    main()
