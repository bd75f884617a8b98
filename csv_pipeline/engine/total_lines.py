"""Find the last row that is the sum or the last balance of those above it, which is no data."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from csv_pipeline.batches import scan
from csv_pipeline.engine.column_values import ColumnValues
from csv_pipeline.parts import Files
from csv_pipeline.spec.declared.emitting import yaml_of

_TOTAL = (
    r"(?:(?:grand|sub)[ -]?)?totale?s?|(?:gesamt)?summe|gesamt(?:betrag)?|sum|somme|suma|"
    r"totaux|insgesamt"
)
_BALANCE = r"(?:closing |end(?:ing)? ?|schluss|neuer )(?:balance|saldo)|(?:solde|saldo) final"
_CELL = r'(?:"[^"]*"|[^"DELIMITER]*)'


@dataclass(frozen=True, slots=True)
class TotalLine:
    """The last row of a file, if it names itself a total and has cells without a value."""

    pattern: str
    because: str
    proven: bool


def totals_in(files: Sequence[Files]) -> list[TotalLine]:
    """Return the lines of totals; one that is the sum of no column may be a row."""
    found = {one.pattern: one for file in files if (one := _total_of(file))}
    return list(found.values())


def _total_of(files: Files) -> TotalLine | None:
    text, last = files.texts[0], scan(files.rows).last().collect()
    cells = [] if last.is_empty() else [last[str(at)][0] for at in range(len(files.header))]
    filled = [(cell or "").strip() for cell in cells]
    words = [
        at
        for at, cell in enumerate(filled)
        if re.fullmatch(f"{_TOTAL}|{_BALANCE}", cell.rstrip(" :"), re.IGNORECASE)
    ]
    if len(words) != 1 or all(filled):
        return None
    label = filled[words[0]].rstrip(" :")
    pattern = _pattern(filled, words[0], text.delimiter)
    row = f"row {last['row_number'][0]:,} of {files.names[0]}"
    for at, cell in enumerate(filled):
        amounts = cell and at != words[0]
        sums = ColumnValues(files.header[at], ((files, at),), 1).amounts() if amounts else []
        if len(sums) > 2 and sum(sums[:-1]) == sums[-1]:
            proof = f"{row} is no data: {cell!r} is the sum of {files.header[at]!r} above it"
            return TotalLine(pattern, proof, proven=True)
        if len(sums) > 1 and sums[-2] == sums[-1] and re.fullmatch(_BALANCE, label, re.IGNORECASE):
            proof = f"{row} is no data: {cell!r} is the last of {files.header[at]!r} above it"
            return TotalLine(pattern, proof, proven=True)
    doubt = f"{row} may be a total, {filled[words[0]]!r}, but is the sum of no column"
    own = {"csv_pipeline": {"non_data": [{"name": "total", "pattern": pattern}]}}
    said = yaml_of(own).rstrip().replace("\n", "\n  ")
    return TotalLine(pattern, f"{doubt}; if it is no data, add\n  {said}", proven=False)


def _pattern(filled: Sequence[str], word: int, delimiter: str) -> str:
    """Return a pattern that takes lines with this word at its place, and these cells empty."""
    any_ = _CELL.replace("DELIMITER", re.escape(delimiter))
    its = rf'"?{re.escape(filled[word])}"?'
    cells = (its if at == word else any_ if cell else '(?:"")?' for at, cell in enumerate(filled))
    return re.escape(delimiter).join(cells)
