"""Values that the name of a file tells of all its rows."""

from collections.abc import Iterator, Mapping

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.casts import cells
from csv_pipeline.casts.by_kind import CASTS
from csv_pipeline.casts.reading import Reading
from csv_pipeline.errors import FileNameError
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.stages.transform.plan import is_id


def told_by_name(
    texts: Mapping[str, str], feed: Feed, account: Account, name: str
) -> dict[str, object]:
    """Return the values of the columns that a file's name tells, cast as cells are.

    Raises:
        FileNameError: A text is no value of its column, or may be several.
    """
    columns = (column for column in feed.columns if column.name in texts)
    return {c.name: _value(texts[c.name], c, feed, account, name) for c in columns}


def _value(text: str, column: Column, feed: Feed, account: Account, name: str) -> object:
    cast, words = CASTS[column.kind], cells.null_words(feed.nulls | column.nulls)
    values = pl.Series(column.name, [text.strip()], dtype=pl.String)
    values = cells.cleaned(values, column, words, is_id=is_id(column, feed))
    zone = (column.zone or feed.time_zone) if column.kind is Kind.TIMESTAMP else None
    readings = (Reading(style, zone) for style in _styles(column, account))
    found = {cast.values(values, column, reading).item() for reading in readings} - {None}
    if len(found) == 1 or values.item() is None:
        return found.pop() if found else None
    what = "may be several values" if found else "is none"
    raise FileNameError(
        name,
        f"a name was needed that tells column {column.name!r}: {cast.needed(column)}",
        f"{text!r} {what}",
    )


def _styles(column: Column, account: Account) -> Iterator[str | None]:
    """Give the ways in which a value may be written, but for those that the account rules out."""
    declared = CASTS[column.kind].declared
    if declared is None:
        yield None
        return
    name, styles = declared
    setting = account.setting(name).value
    yield from styles if setting is None else (setting,)
