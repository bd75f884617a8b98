"""Read files by the dialect that their feed declares, and hold the declaration to the bytes.

Such files have no header. A declaration that no record fits, or a line of names, disproves it.
"""

import re
from dataclasses import replace
from typing import NoReturn

from csv_pipeline.account import Setting, delimiter_name
from csv_pipeline.errors import ContradictionError
from csv_pipeline.model import Evidence
from csv_pipeline.rejects.rejects_file import is_rejects_file
from csv_pipeline.spec.dialect import TableDialect
from csv_pipeline.stages.read.delimiters import Lines, best_reading
from csv_pipeline.stages.read.dialect import (
    Dialect,
    ReadHints,
    Text,
    first_lines,
    refuse_without_text,
)
from csv_pipeline.stages.read.grammar import Grammar

_CELL_ENDS = re.compile(r'[,;\t|"\r\n]+')


def declared_dialect(text: Text, declared: TableDialect, hints: ReadHints) -> Dialect:
    """Return the dialect that a feed declares.

    Raises:
        EmptyFileError: The file has nothing but blank lines.
        ContradictionError: It holds rejected rows sent back, which have a header, or quoted cells.
    """
    lines = first_lines(text, hints)
    refuse_without_text(text, lines, "a record", hints.name)
    if is_rejects_file(_CELL_ENDS.split(lines.lines[0])):
        refuse_header(1, ["_row_number"], hints)
    setting: Setting = hints.account.setting("delimiter")
    if setting.value not in {None, declared.delimiter}:
        _hold_to_account(lines, declared, setting, hints)
    declared = replace(declared, delimiter=setting.value or declared.delimiter)
    if not declared.quote and all(_is_quoted(line, declared) for line in lines.lines):
        raise ContradictionError(
            hints.name,
            "cells without quotes were needed, as the feed declares",
            f'each line begins and ends with ", and so do its cells{hints.see_feed}',
        )
    quote = declared.quote or ""
    because = "the feed declares it"
    return Dialect(
        grammar=Grammar(declared.delimiter, quote, literal=not quote),
        header=hints.columns,
        header_texts=(),
        header_line=0,
        header_lines=0,
        is_sure=False,
        data_offset=text.start,
        data_line=1,
        preamble=(),
        blank_above=0,
        evidence=(
            Evidence(
                subject="delimiter",
                decision=delimiter_name(declared.delimiter),
                because=setting.evidence if setting.value else because,
            ),
            Evidence(subject="quote", decision=repr(quote) if quote else "none", because=because),
            Evidence(subject="header", decision="none", because=because),
        ),
        is_declared=True,
    )


def _hold_to_account(
    lines: Lines, declared: TableDialect, setting: Setting, hints: ReadHints
) -> None:
    """Refuse a file with more records by the feed's delimiter than by that of its account.

    Raises:
        ContradictionError: It is such a file.
    """
    width, mark = len(hints.columns), str(setting.value)

    def whole(delimiter: str) -> int:
        grammar = Grammar(delimiter, declared.quote or "", literal=not declared.quote)
        return sum(len(grammar.cells(line.rstrip("\r\n"))) == width for line in lines.lines)

    own = whole(declared.delimiter)
    if own > (others := whole(mark)):
        raise ContradictionError(
            hints.name,
            f"records by the delimiter {delimiter_name(mark)} were needed, as {setting.because}",
            f"{own:,} of the first {len(lines.lines):,} lines have {width} fields by the "
            f"{delimiter_name(declared.delimiter)}, as the feed declares, and {others:,} by the "
            f"other; to read it as the feed does: "
            f"{replace(setting, feed=hints.feed).declare(declared.delimiter)}",
        )


def _is_quoted(line: str, declared: TableDialect) -> bool:
    """Return whether quotes stand around the cells of a line, or it has none."""
    text = line.strip()
    between = f'"{declared.delimiter}"' in text
    return not text or (between and text[0] == '"' == text[-1])


def refuse_header(line: int, names: list[str], hints: ReadHints) -> NoReturn:
    """Refuse a file that has a header, whose line is neither a row nor to be dropped unseen.

    Raises:
        ContradictionError: Always.
    """
    shown = "" if hints.confidential else f": {', '.join(map(repr, names))}"
    raise ContradictionError(
        hints.name,
        "rows alone were needed, as the feed declares that its files have no header",
        f"line {line:,} holds names of columns{shown}{hints.see_feed}",
    )


def hold_to_records(text: Text, dialect: Dialect, hints: ReadHints, rows: int, read: int) -> None:
    """Refuse a file of which no record has the fields that its feed declares.

    Raises:
        ContradictionError: The message says how the file is written by its own evidence.
    """
    if rows or not read or not dialect.is_declared:
        return
    grammar, width = dialect.grammar, len(dialect.header)
    quoted = f"quoted by {grammar.quote}" if grammar.quote else "without quotes"
    own = best_reading(first_lines(text, hints))
    shown = f"{len(own.header.names)} by {delimiter_name(own.grammar.delimiter)}"
    setting: Setting = hints.account.setting("delimiter")
    told, forget = "the feed declares", hints.see_feed
    if setting.value is not None:
        told, forget = setting.because, f"; to read it as the feed declares: {setting.forget}"
    raise ContradictionError(
        hints.name,
        f"records of {width} fields were needed, parted by {delimiter_name(grammar.delimiter)} and "
        f"{quoted}, as {told}",
        f"none of its {read:,} has as many; by the file's own evidence they have {shown}{forget}",
    )
