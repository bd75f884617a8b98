"""Let a worker report what became of a piece of work, at once and safe from any kill.

A report is a file of one row in the landing area, which is imported as every other file is. It is
there when all of it is, so that a worker that is killed has reported or has not; and once
`report_progress` has returned, no kill of any process takes the report back. It needs no database,
waits for no import and no other worker, and two reports never meet: each has a name of its own.
Which report of a row counts is the feed's conflict policy to say.
"""

import csv
import io
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

from csv_pipeline.account import account_slug
from csv_pipeline.errors import SetupError
from csv_pipeline.files.local import flush
from csv_pipeline.files.stores import store_of, written_to
from csv_pipeline.location import Location
from csv_pipeline.settings import Settings
from csv_pipeline.spec.conflict import NewestWins
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.header import title

Value = str | int | datetime | None


def report_progress(
    settings: Settings, feed: Feed, account: str, row: Mapping[str, Value]
) -> Location:
    """Report the values of a row by the feed's columns, and return the file that says so.

    Columns that are not reported stay as they are. Where the newest row wins and the report does
    not say of when it is, it is of now; a time without a zone is read as in any file of the feed.
    A value that breaks a rule of the feed is a reject of the import, as it is of any file.

    Raises:
        InvalidAccountError: The account is not a slug.
        SetupError: The feed has no such column, or a column of the key is not reported; or a file
            of one row is no report of it, but a whole snapshot, or one that its name or its dialect
            would have to explain.
    """
    if feed.snapshot or feed.file_name or feed.dialect:
        raise SetupError(
            f"feed {feed.name!r}: a feed was needed whose files may hold one row, under any name; "
            "it declares a snapshot, a file_name or a dialect"
        )
    columns = {column.name: column for column in feed.columns if not column.derived}
    unknown, missing = (
        sorted(row.keys() - columns),
        sorted(set(feed.key) & columns.keys() - row.keys()),
    )
    if unknown or missing:
        found = (
            f"it has no {', '.join(unknown)}" if unknown else f"{', '.join(missing)} is not told"
        )
        raise SetupError(
            f"feed {feed.name!r}: values by its columns, those of the key among them, were needed; "
            f"{found}"
        )
    cells = _of_now(feed) | {name: _cell(value) for name, value in row.items()}
    name = f"progress-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid4().hex}.csv"
    target = settings.landing_area / account_slug(account) / feed.name / name
    with written_to(target, settings.work_area) as path, path.open("r+b") as file:
        file.write(_file([title(columns[name]) for name in cells], list(cells.values())))
        file.flush()
        os.fsync(file.fileno())
    _keep_name(target)
    return target


def _of_now(feed: Feed) -> dict[str, str]:
    version = feed.conflict.column if isinstance(feed.conflict, NewestWins) else None
    return {} if version is None else {version: _cell(datetime.now(UTC))}


def _cell(value: Value) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat(sep=" ", timespec="microseconds")
        case _:
            return str(value)


def _file(header: list[str], cells: list[str]) -> bytes:
    """Return a header and a row, every cell quoted, and a mark that they are UTF-8."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([header, cells])
    return out.getvalue().encode("utf-8-sig")


def _keep_name(target: Location) -> None:
    """Let the disk have the file's name, so that a loss of power leaves it, too."""
    path = store_of(target).on_disk(target)
    if path is not None:
        flush(path.parent)
