"""Find out whether a feed looks at one row at a time, as it says by `row_by_row=True`.

Then its small files go together, so that transforms and rules meet rows of several files at once.
Nothing in a declaration tells whether they look at other rows; a sample of rows does.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from csv_pipeline.model import Account, Feed
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.transform import transform
from csv_pipeline.stages.validate import validate
from csv_pipeline.storage.work import REJECTS, BatchWriter, TextFile, scan

_NOBODY = Account(account="sample")
_IN_THE_TEXT = ("line_number", "offset", "length")


def rows_that_need_others(feed: Feed, sample: Path) -> list[int]:
    """Return the numbers of the rows of a file that come out otherwise without the others.

    Each row is typed and checked among the others and once more by itself; values and faults must
    be the same. Only what the sample has rows for is found. That keys repeat does not count.

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
        ways = transform(text, work, feed, _NOBODY, name=sample.name, settled={}).ways
        among = _judged(text, work, feed, ways)
        rows = scan(text.rows).collect()
        one = BatchWriter(work / "one")
        alone: dict[int, Any] = {}
        for place in range(rows.height):
            one.write(rows[place : place + 1], 0)
            alone |= _judged(replace(text, rows=one.directory), work, feed, ways)
    numbers = sorted(among.keys() | alone.keys())
    return [number for number in numbers if among.get(number) != alone.get(number)]


def _judged(
    text: TextFile, work: Path, feed: Feed, ways: Mapping[str, str | None]
) -> dict[int, tuple[Any, ...]]:
    """Return the values and the faults of each row."""
    typed = transform(text, work, feed, _NOBODY, name=text.text.name, settled=ways)
    faults = scan(validate(typed, text, work, feed).rejects, REJECTS).drop(_IN_THE_TEXT).collect()
    found = faults.filter(faults["rule"] != "key.duplicate").rows_by_key("row_number")
    values = scan(typed.rows).drop(_IN_THE_TEXT).collect().rows_by_key("row_number", unique=True)
    return {number: (values[number], found.get(number)) for number in values}
