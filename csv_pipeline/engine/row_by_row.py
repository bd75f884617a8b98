"""Find out whether a feed looks at one row at a time, as every feed must.

Transforms and rules see as many rows as a batch has, rows of several small files at once, and of
corrected rows only those that come back. Nothing in a declaration tells whether they look at other
rows; a sample of rows does.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from csv_pipeline.account import Account
from csv_pipeline.handover import REJECTS, TYPED_ORIGIN, BatchWriter, TextFile, TypedFile, scan
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.transform import transform
from csv_pipeline.stages.validate import validate

_NOBODY = Account(account="sample")
_IN_THE_TEXT = ("line_number", "offset", "length")
_NUMBER, *_WHERE = TYPED_ORIGIN


def rows_that_need_others(feed: Feed, sample: Path) -> list[int]:
    """Return the numbers of the rows of a file that come out otherwise without the others.

    Each row is typed and checked among the others and once more by itself, by the facts of the
    whole file; values and faults must be the same. Only what the sample has rows for is found. That
    keys repeat does not count.

    Raises:
        FileRefusedError: The sample is not a file of this feed.
    """
    with TemporaryDirectory() as folder:
        work = Path(folder)
        hints = ReadHints(
            name=sample.name,
            headings=feed.headings,
            meanings=feed.meanings,
            encodings=feed.encodings,
        )
        text = read(sample, work, hints)
        # What a file says of its rows as a whole is asked of none of them alone.
        feed = replace(feed, file_checks=())
        whole = transform(text, work, feed, _NOBODY, name=sample.name, settled={})
        among = _judged(text, work, feed, whole)
        rows = scan(text.rows).collect()
        one = BatchWriter(work / "one")
        alone: dict[int, Any] = {}
        for position in range(rows.height):
            one.write(rows[position : position + 1], 0)
            alone |= _judged(replace(text, rows=one.directory), work, feed, whole)
    numbers = sorted(among.keys() | alone.keys())
    return [number for number in numbers if among.get(number) != alone.get(number)]


def _judged(text: TextFile, work: Path, feed: Feed, whole: TypedFile) -> dict[int, tuple[Any, ...]]:
    """Return the values and the faults of each row."""
    styles, facts = whole.styles, whole.facts
    name = text.text.name
    typed = transform(text, work, feed, _NOBODY, name=name, settled=styles, facts=facts)
    faults = scan(validate(typed, text, work, feed).rejects, REJECTS).drop(_IN_THE_TEXT).collect()
    found = faults.filter(faults["rule"] != "key.duplicate").rows_by_key("row_number")
    values = scan(typed.rows).drop(_WHERE).collect().rows_by_key(_NUMBER, unique=True)
    return {number: (values[number], found.get(number)) for number in values}
