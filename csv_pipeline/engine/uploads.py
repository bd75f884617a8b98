"""Bring a file that somebody sends into the landing area, after a check if they want one.

An upload is written to the uploads area of this machine and goes into the landing area at once and
whole; from there on it is a file like any other. A check is a dry run of it before that.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from csv_pipeline.account import account_slug
from csv_pipeline.engine.expired_uploads import remove_bytes
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import PipelineError, SetupError
from csv_pipeline.files.landing import is_ignored
from csv_pipeline.location import storable
from csv_pipeline.storage import accounts, uploads
from csv_pipeline.storage.uploads import Upload, UploadState, UploadStateError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LONGEST_NAME = 200  # bytes; a file system takes 255, and names of results get longer


class InvalidNameError(SetupError):
    """No file can have this name."""


class TooLargeError(SetupError):
    """The upload has more bytes than the account or the settings allow."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"at most {most:,} bytes were needed")


class NoSpaceError(PipelineError):
    """The disk that uploads are written to is full."""

    def __init__(self, needed: int | None = None) -> None:
        some = "space for more" if needed is None else f"space for {needed:,} bytes"
        super().__init__(f"uploads: {some} was needed; the disk is full")


@contextmanager
def disk() -> Iterator[None]:
    """Write to the disk in this block.

    Raises:
        NoSpaceError: It is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpaceError from error
        raise


def begin(  # noqa: PLR0913  # all that is known of a file before its first byte
    pipeline: Pipeline,
    account: str,
    name: str,
    *,
    by: str,
    feed: str | None = None,
    size_bytes: int | None = None,
    check_first: bool = False,
) -> Upload:
    """Enter an upload; its bytes go to `path_of` it.

    Raises:
        InvalidAccountError: The account is not a slug.
        UnknownFeedError: There is no such feed.
        InvalidNameError: No file can have this name.
        TooLargeError: It is larger than is allowed.
        NoSpaceError: The disk is too full for it.
    """
    account_slug(account)
    if feed is not None:
        pipeline.feed(feed)
    plain = file_name(name)
    if size_bytes is not None:
        hold_to_size(size_bytes, most_bytes(pipeline, account, feed))
        hold_to_space(pipeline, size_bytes)
    with pipeline.database.begin() as connection:
        accounts.add(connection, account)
        return uploads.begin(
            connection,
            account=account,
            feed=feed,
            name=plain,
            size_bytes=size_bytes,
            check_first=check_first or feed is None,
            created_by=by,
            kept=kept(pipeline),
        )


def kept(pipeline: Pipeline) -> timedelta:
    """Return how long an upload waits for its next byte, or for a person."""
    return timedelta(hours=pipeline.settings.upload_hours)


def most_bytes(pipeline: Pipeline, account: str, feed: str | None) -> int:
    """Return how many bytes a file of an account may have."""
    with pipeline.database.begin() as connection:
        declared = accounts.declared(connection, account, feed or "").of()
    return declared.max_file_bytes or pipeline.settings.max_file_bytes


def hold_to_size(size_bytes: int, most: int) -> None:
    """Let only so many bytes in.

    Raises:
        TooLargeError: They are more.
    """
    if size_bytes > most:
        raise TooLargeError(most)


def hold_to_space(pipeline: Pipeline, size_bytes: int) -> None:
    """Let only a file in that the disk has space for.

    Raises:
        NoSpaceError: It has not.
    """
    pipeline.settings.uploads_area.mkdir(parents=True, exist_ok=True)
    if size_bytes > shutil.disk_usage(pipeline.settings.uploads_area).free:
        raise NoSpaceError(size_bytes)


def file_name(name: str) -> str:
    """Return a name that a file may have.

    Raises:
        InvalidNameError: It leads elsewhere, would be ignored where files land, or cannot be
            written.
    """
    plain = name.strip()
    faults = {
        "one that is no path": not plain or "/" in plain or "\\" in plain or plain in {".", ".."},
        "one of printable signs": not plain.isprintable() or storable(plain) != plain,
        f"one of {_LONGEST_NAME} bytes": len(plain.encode(errors="replace")) > _LONGEST_NAME,
        "one that is not hidden or unfinished": is_ignored(plain),
    }
    for needed, is_so in faults.items():
        if is_so:
            raise InvalidNameError(f"name {plain[:_LONGEST_NAME]!r}: {needed} was needed")
    return plain


def path_of(pipeline: Pipeline, upload: Upload) -> Path:
    """Return where the bytes of an upload are until it lies in the landing area."""
    return pipeline.settings.uploads_area / str(upload.upload_id) / upload.name


def to_be_checked(pipeline: Pipeline, upload_id: int, feed: str | None = None) -> Upload:
    """Enter that an upload is to be checked, perhaps for another feed; nothing else begins to.

    Raises:
        UploadStateError: It is not whole, is being checked, or went on already.
        UnknownFeedError: There is no such feed.
    """
    if feed is not None:
        pipeline.feed(feed)
    with pipeline.database.begin() as connection:
        upload = uploads.find(connection, upload_id, lock=True)
        hold_to_whole(upload)
        return uploads.change(
            connection,
            upload_id,
            state=UploadState.CHECKING,
            feed=feed or upload.feed,
            expires_at=sa.func.now() + kept(pipeline),
            report=None,
            problem=None,
            problem_code=None,
            run_id=None,
        )


def cancel(pipeline: Pipeline, upload_id: int) -> Upload:
    """Forget the bytes of an upload that does not lie in the landing area yet.

    Raises:
        UploadStateError: It lies there, or is being put there.
    """
    with pipeline.database.begin() as connection:
        upload = uploads.find(connection, upload_id, lock=True)
        _hold_to_unplaced(upload)
        canceled = uploads.cancel(connection, upload_id)
    remove_bytes(pipeline.settings, upload_id)
    return canceled


def hold_to_whole(upload: Upload) -> None:
    """Let only an upload go on that has all bytes and does not go on already.

    Raises:
        UploadStateError: It is in another state, or being placed.
    """
    _hold_to_unplaced(upload)
    hold_to_state(upload, UploadState.UPLOADING, UploadState.CHECKED, UploadState.FAILED)
    if not upload.whole:
        raise UploadStateError(upload, "whole")


def _hold_to_unplaced(upload: Upload) -> None:
    if upload.is_being_placed or upload.state is UploadState.ARRIVED:
        raise UploadStateError(upload, "not in the landing area yet, and not on its way there")


def hold_to_state(upload: Upload, *states: UploadState) -> None:
    """Let only an upload go on that is in one of these states.

    Raises:
        UploadStateError: It is in another one.
    """
    if upload.state not in states:
        raise UploadStateError(upload, " or ".join(states))
