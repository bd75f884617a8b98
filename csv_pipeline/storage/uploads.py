"""Uploads: files on their way into the landing area, and what a check of them told.

The number of an upload is taken from the numbers of imports, so that one address serves a file from
its first byte on: see `csv_pipeline.storage.browse`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from csv_pipeline.errors import SetupError
from csv_pipeline.model import Reject
from csv_pipeline.storage import tables
from csv_pipeline.storage.api_tables import upload as table
from csv_pipeline.storage.imports import next_import_id


class UploadState(StrEnum):
    """Where an upload is."""

    UPLOADING = "uploading"
    CHECKING = "checking"
    CHECKED = "checked"
    ARRIVED = "arrived"
    CANCELED = "canceled"
    FAILED = "failed"


class UnknownUploadError(SetupError):
    """No upload has this number."""

    def __init__(self, upload_id: int) -> None:
        self.upload_id = upload_id
        super().__init__(f"upload {upload_id}: there is no upload of this number")


class UploadStateError(SetupError):
    """The upload is not in a state for this."""

    def __init__(self, upload: "Upload", needed: str) -> None:
        self.upload_id, self.state, self.needed = upload.upload_id, upload.state, needed
        super().__init__(
            f"upload {upload.upload_id}: one that is {needed} was needed; it is {upload.state}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that somebody sends.

    `size_bytes` is what it will have, if that was said. `check_first`: it waits, after its check,
    for somebody to have it imported. `report` is what the check told; its rejects are stored by the
    number of the upload.
    """

    upload_id: int
    account: str
    feed: str | None
    name: str
    state: UploadState
    size_bytes: int | None
    received_bytes: int
    check_first: bool
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    run_id: str | None
    arrival_id: int | None
    report: dict[str, Any] | None
    problem: str | None
    problem_code: str | None


def begin(  # noqa: PLR0913  # all that is known of a file before its first byte
    connection: sa.Connection,
    *,
    account: str,
    feed: str | None,
    name: str,
    size_bytes: int | None,
    check_first: bool,
    created_by: str,
    kept: timedelta,
) -> Upload:
    """Enter an upload of which nothing has come yet; it is `kept` so long after its last byte."""
    made = connection.execute(
        sa.insert(table)
        .values(
            upload_id=next_import_id(connection),
            account=account,
            feed=feed,
            name=name,
            state=UploadState.UPLOADING,
            size_bytes=size_bytes,
            check_first=check_first,
            created_by=created_by,
            expires_at=sa.func.now() + kept,
        )
        .returning(*_COLUMNS)
    ).one()
    return _upload(made)


def find(connection: sa.Connection, upload_id: int, *, lock: bool = False) -> Upload:
    """Return an upload, perhaps locked until the transaction ends.

    Raises:
        UnknownUploadError: There is none of this number.
    """
    query = sa.select(*_COLUMNS).where(table.c.upload_id == upload_id)
    found = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise UnknownUploadError(upload_id)
    return _upload(found)


def change(connection: sa.Connection, upload_id: int, **facts: Any) -> Upload:
    """Store facts of an upload and return it."""
    changed = (
        sa.update(table).where(table.c.upload_id == upload_id).values(facts).returning(*_COLUMNS)
    )
    return _upload(connection.execute(changed).one())


def expired(connection: sa.Connection, limit: int) -> list[Upload]:
    """Return uploads whose bytes are not to be kept any longer."""
    query = (
        sa.select(*_COLUMNS)
        .where(table.c.expires_at < sa.func.now())
        .order_by(table.c.expires_at)
        .limit(limit)
    )
    return [_upload(row) for row in connection.execute(query)]


def store_rejects(connection: sa.Connection, upload_id: int, rejects: Iterable[Reject]) -> None:
    """Store the first faults that a check found, instead of those of an earlier check."""
    reject = tables.reject
    connection.execute(sa.delete(reject).where(reject.c.import_id == upload_id))
    rows = [
        {
            "import_id": upload_id,
            "row_number": one.row_number,
            "line_number": one.line_number,
            "column": one.column,
            "rule": one.rule,
            "value": one.value,
            "message": one.message,
            "raw": one.raw,
        }
        for one in rejects
    ]
    if rows:
        connection.execute(sa.insert(reject), rows)


def _upload(row: sa.Row[Any]) -> Upload:
    facts = row._asdict()
    return Upload(**facts | {"state": UploadState(facts["state"])})


_COLUMNS = tuple(table.c[field.name] for field in fields(Upload))
