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
    number of the upload. It `is_being_placed` while somebody puts it into the landing area.
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
    is_being_placed: bool

    @property
    def whole(self) -> bool:
        """Whether every byte of it has come."""
        return self.received_bytes == self.size_bytes


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Who adds to an upload, for the time of a `lease` after each sign of life."""

    upload_id: int
    key: str
    lease: timedelta

    def take(self, connection: sa.Connection) -> Upload | None:
        """Take the upload and return it; None if another writer has it, or no byte is missing."""
        free = sa.or_(table.c.writer.is_(None), table.c.writer_until < sa.func.now())
        taken = (
            sa.update(table)
            .where(table.c.upload_id == self.upload_id, free, _is_uploading)
            .values(writer=self.key, writer_until=sa.func.now() + self.lease)
            .returning(*_COLUMNS)
        )
        found = connection.execute(taken).one_or_none()
        return None if found is None else _upload(found)

    def advance(self, connection: sa.Connection, received_bytes: int, kept: timedelta) -> bool:
        """Note how many bytes lie in the file; return whether this writer still has the upload."""
        noted = (
            sa.update(table)
            .where(table.c.upload_id == self.upload_id, self._is_mine, _is_uploading)
            .values(
                received_bytes=received_bytes,
                writer_until=sa.func.now() + self.lease,
                expires_at=sa.func.now() + kept,
            )
        )
        return connection.execute(noted).rowcount == 1

    def release(self, connection: sa.Connection) -> None:
        """Let others add to the upload."""
        released = sa.update(table).where(table.c.upload_id == self.upload_id, self._is_mine)
        connection.execute(released.values(writer=None, writer_until=None))

    @property
    def _is_mine(self) -> sa.ColumnElement[bool]:
        return table.c.writer == self.key


def cancel(connection: sa.Connection, upload_id: int) -> Upload:
    """Enter that an upload is canceled, and forget what a check told of it."""
    store_rejects(connection, upload_id, [])
    return change(connection, upload_id, state=UploadState.CANCELED, expires_at=None, report=None)


def next_expired(connection: sa.Connection) -> Upload | None:
    """Return an upload whose bytes are not to be kept any longer, locked; None if there is none."""
    query = (
        sa.select(*_COLUMNS)
        .where(table.c.expires_at < sa.func.now(), ~_is_being_placed)
        .order_by(table.c.expires_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(query).one_or_none()
    return None if found is None else _upload(found)


def checks(connection: sa.Connection) -> dict[str, int]:
    """Return the uploads that are being checked, by their runs."""
    query = sa.select(table.c.run_id, table.c.upload_id).where(
        table.c.state == UploadState.CHECKING,
        table.c.run_id.is_not(None),
        table.c.expires_at.is_not(None),  # as in the index
    )
    return {row.run_id: row.upload_id for row in connection.execute(query)}


def kept(connection: sa.Connection, upload_ids: Iterable[int]) -> set[int]:
    """Return which of these uploads have their bytes in the uploads area."""
    query = sa.select(table.c.upload_id).where(
        table.c.upload_id.in_(list(upload_ids)),
        table.c.state.not_in((UploadState.ARRIVED, UploadState.CANCELED)),
    )
    return set(connection.scalars(query))


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


_is_uploading = table.c.state == UploadState.UPLOADING
_is_being_placed = sa.func.coalesce(table.c.placing_until > sa.func.now(), sa.false())
_COLUMNS = (
    *(table.c[field.name] for field in fields(Upload) if field.name != "is_being_placed"),
    _is_being_placed.label("is_being_placed"),
)
