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
from csv_pipeline.batches import BatchWriter, scan
from csv_pipeline.handover import REJECTS, TYPED_ORIGIN, TypedFile
from csv_pipeline.parts import Files, together
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.file_name import NamedFile
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
        hints = ReadHints(name=sample.name).of_feed(feed)
        names = [NamedFile.of(sample.name)]
        told = feed.file_name.read(feed.name, names) if feed.file_name else None
        files = together([read(sample, work, hints)], [sample.name], work, [told])
        # What a file says of its rows as a whole is asked of none of them alone.
        feed = replace(feed, file_checks=())
        whole = _typed(files, feed)
        files = replace(files, styles=whole.styles, facts=whole.facts)
        among = _judged(files, feed)
        rows = scan(files.rows).collect()
        one = BatchWriter(work / "one")
        alone: dict[int, Any] = {}
        for position in range(rows.height):
            one.write(rows[position : position + 1], 0)
            alone |= _judged(replace(files, rows=one.batches), feed)
    numbers = sorted(among.keys() | alone.keys())
    return [number for number in numbers if among.get(number) != alone.get(number)]


def _typed(files: Files, feed: Feed) -> TypedFile:
    (typed,) = transform(files, feed, _NOBODY)
    if isinstance(typed, Exception):
        raise typed
    return typed


def _judged(files: Files, feed: Feed) -> dict[int, tuple[Any, ...]]:
    """Return the values and the faults of each row."""
    typed = _typed(files, feed)
    (valid,) = validate(files, [typed], feed)
    faults = scan(valid.rejects, REJECTS).drop(_IN_THE_TEXT).collect()
    found = faults.filter(faults["rule"] != "key.duplicate").rows_by_key("row_number")
    values = scan(typed.rows).drop(_WHERE).collect().rows_by_key(_NUMBER, unique=True)
    return {number: (values[number], found.get(number)) for number in values}
