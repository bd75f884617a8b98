"""Which encoding a file is in: what its bytes prove, then what was declared, then what reads best.

A byte order mark proves, and so do the zero bytes of UTF-16 and UTF-32, the escape sequences of
ISO-2022, and words that are valid UTF-8 and read better by it. What the account or the feed
declares settles the rest; without it, words beyond ASCII are weighed by every older encoding (see
`legacy`).
"""

import codecs
import re
from dataclasses import replace
from pathlib import Path

from csv_pipeline.errors import ContradictionError, UnreadableFileError
from csv_pipeline.stages.read.dialect import Fact, ReadHints
from csv_pipeline.stages.read.encoding.legacy import (
    CONTRADICTS,
    MARGIN,
    Choice,
    advantage,
    contradicts,
    likeliest,
)
from csv_pipeline.stages.read.encoding.survey import Survey, with_words
from csv_pipeline.stages.read.encoding.transcode import Decision

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MANY_BYTES = {
    *("cp932", "shift_jis", "euc_jp", "euc_jis_2004"),
    *("gb18030", "gbk", "gb2312", "big5", "big5hkscs", "cp950"),
    *("euc_kr", "cp949", "johab"),
}
_ESCAPES = (  # ISO 2022 as RFC 1468, RFC 1554 and RFC 1557 have it
    ("iso2022_kr", re.compile(rb"\x1b\$\)C")),
    ("iso2022_jp_ext", re.compile(rb"\x1b\$[@B].*?\x1b(?:\(I|\$\(D)", re.DOTALL)),
    ("iso2022_jp", re.compile(rb"\x1b\$[@B]")),
)


def decided(
    source: Path, head: bytes, survey: Survey, proof: Decision | None, hints: ReadHints
) -> Decision:
    """Return by which encoding the file is to be read.

    Args:
        source: The file.
        head: Its first bytes.
        survey: What its bytes are.
        proof: What its first bytes prove.
        hints: What was declared and what is expected.

    Raises:
        ContradictionError: The bytes prove another encoding than is declared.
        UnreadableFileError: By no encoding are they words.
    """
    proof = proof or _by_escapes(head, survey)
    if (fact := hints.declared("encoding")) is not None:
        found = _declared(source, survey, proof, hints, fact)
    elif proof is not None:
        found = proof
    elif survey.is_utf8:
        found = Decision(name="utf-8", because="all bytes are valid UTF-8")
    else:
        found = _by_words(survey, hints)
    found = replace(found, line_end=survey.line_end)
    several = found.name in _MANY_BYTES or found.name.startswith(("utf", "iso2022"))
    return found if survey.is_utf8 or several else _mixed(found, survey)


def marked(head: bytes) -> Decision | None:
    """Return the encoding of the byte order mark that the file begins with."""
    because = "the file begins with its byte order mark"
    for mark, name in BOMS:
        if head.startswith(mark):
            return Decision(name=name, because=because, skip=len(mark))
    return None


def _by_escapes(head: bytes, survey: Survey) -> Decision | None:
    if not survey.escapes or not survey.is_ascii:
        return None
    because = "the file has its escape sequences, and no byte beyond ASCII"
    return next(
        (Decision(name=name, because=because) for name, mark in _ESCAPES if mark.search(head)), None
    )


def _declared(
    source: Path, survey: Survey, proof: Decision | None, hints: ReadHints, fact: Fact
) -> Decision:
    name, declared = codecs.lookup(fact.value).name, fact.evidence
    other = "utf-8" if survey.is_utf8 else hints.encodings[0]
    if proof is not None:
        if proof.name.startswith(name.removesuffix("-sig")):
            return proof
        found = f"by its bytes it is {proof.name.upper()}: {proof.because}"
        raise _contradiction(hints, fact, found, proof.name)
    if name.startswith(("utf-16", "utf-32")) and not survey.zero_bytes:
        found = "it has no zero bytes, which such text has in each line end"
        raise _contradiction(hints, fact, found, other)
    fitting, misfits = _valid_and_other(survey)
    if name.startswith("utf-8") and fitting <= misfits and not survey.is_utf8:
        found = f"{misfits:,} of {fitting + misfits:,} words beyond ASCII are not, from"
        raise _contradiction(hints, fact, f"{found} {survey.first_misfit} on", other)
    if name != "utf-8" and survey.is_utf8 and not survey.is_ascii:
        with_words(survey, source, 0)
    if name != "utf-8" and (words := survey.utf8_words):
        bits = advantage(words, "utf-8", name)
        valid = f"{len(words):,} of {len(survey.words):,} words beyond ASCII are valid UTF-8"
        better = f"read better by it, by {bits:,.0f} bits (proof from {CONTRADICTS:.0f} on)"
        if contradicts(words, name) and len(words) * 2 > len(survey.words):
            found = f"by its bytes it is UTF-8: {valid} and {better}"
            raise _contradiction(hints, fact, found, "utf-8")
        if bits > 0 and len(words) == len(survey.words):
            because = f"{declared}, although {valid} and {better}"
            return Decision(name=name, because=because, proven=False)
    return Decision(name=name, because=declared)


def _contradiction(hints: ReadHints, fact: Fact, found: str, other: str) -> ContradictionError:
    needed = f"text in the encoding {fact.value} was needed, as {fact.because}"
    return ContradictionError(hints.name, needed, f"{found}{fact.way_out(other)}")


def _valid_and_other(survey: Survey) -> tuple[int, int]:
    """Return how many words beyond ASCII are valid UTF-8, and how many are not."""
    valid = sum(survey.words[word] for word in survey.utf8_words)
    return valid, survey.words.total() - valid


def _by_words(survey: Survey, hints: ReadHints) -> Decision:
    """Return UTF-8 if most words beyond ASCII are that, else what makes the likeliest words.

    Raises:
        UnreadableFileError: Half of the words are none in any encoding.
    """
    valid, other = _valid_and_other(survey)
    if valid > other:
        because = f"{valid:,} words beyond ASCII are valid UTF-8, {other:,} are not"
        return Decision(name="utf-8", because=because)
    choice = likeliest(survey.weighed, hints.encodings)
    if choice is None or choice.odd >= 0.5:
        names = dict.fromkeys([choice.encoding] if choice else [])
        likely = ", ".join(names | dict.fromkeys(hints.encodings))
        raise UnreadableFileError(
            hints.name,
            "text in a known encoding was needed",
            f"the bytes are not utf-8 ({survey.first_misfit}), nor words in {likely}",
        )
    because = f"not UTF-8 ({survey.first_misfit}); {_reason(choice)}"
    return Decision(name=choice.encoding, because=because, proven=choice.proven)


def _reason(choice: Choice) -> str:
    why = "the words beyond ASCII read best by it"
    if choice.other is None:
        return f"{why}, and by no other"
    return f"{why}, {choice.margin:,.0f} bits before {choice.other} (proof from {MARGIN:.0f} on)"


def _mixed(found: Decision, survey: Survey) -> Decision:
    """Return the decision with what is to become of lines that are UTF-8 in a file that is not."""
    words = survey.utf8_words
    if not contradicts(words, found.name):
        return found
    because = f"{found.because}; {len(words):,} words are UTF-8, and no words by {found.name}"
    return replace(found, mixed=True, because=because)
