"""Write the bytes of an upload to its file, by one writer at a time.

Who writes has a lease on the upload, so that no connection to the database is held while bytes
come. The offset in the database is moved on after the bytes are on the disk: it is never ahead of
them, and what lies behind it is cut off by the next writer.
"""

import os
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import islice
from typing import Self

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.uploads import (
    NoSpaceError,
    disk,
    hold_to_size,
    hold_to_state,
    kept,
    most_bytes,
    path_of,
)
from csv_pipeline.errors import SetupError
from csv_pipeline.storage import uploads
from csv_pipeline.storage.uploads import Upload, UploadState, UploadStateError, Writer

LEASE_SECONDS = 90.0
_KEPT_EVERY_SECONDS = 2.0
_PIECES_AT_ONCE = 1_000  # the system takes 1,024


class UploadLockedError(SetupError):
    """Another writer adds to the upload."""


class OffsetError(SetupError):
    """The upload goes on at another offset."""

    def __init__(self, upload_id: int, *, needed: int, found: int) -> None:
        self.needed = needed
        super().__init__(f"upload {upload_id}: offset {needed} was needed; found {found}")


class Receiver:
    """The file of an upload, open for one writer; use it as a context manager.

    Nothing is written once the lease may be another's.
    """

    def __init__(self, pipeline: Pipeline, upload: Upload, writer: Writer) -> None:
        self.upload, self.at = upload, upload.received_bytes
        self._pipeline, self._writer = pipeline, writer
        self._kept = upload.received_bytes
        self._most = (
            most_bytes(pipeline, upload.account, upload.feed)
            if upload.size_bytes is None
            else upload.size_bytes
        )
        self._since = time.monotonic()
        path = path_of(pipeline, upload)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with disk():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, flags, 0o600)
        self._fit()

    @classmethod
    def of(cls, pipeline: Pipeline, upload: Upload, offset: int = 0) -> Self:
        """Take an upload, to go on with it at an offset.

        Raises:
            UploadLockedError: Another writer has it.
            UploadStateError: It is canceled, or whole and goes on already.
            OffsetError: It goes on at another offset.
        """
        writer = Writer(upload_id=upload.upload_id, key=uuid.uuid4().hex, lease=_LEASE)
        with pipeline.database.begin() as connection:
            taken = writer.take(connection)
            found = taken or uploads.find(connection, upload.upload_id)
        if taken is None:
            hold_to_state(found, UploadState.UPLOADING)
            raise UploadLockedError(
                f"upload {upload.upload_id}: one that nobody writes to was needed"
            )
        try:
            receiver = cls(pipeline, taken, writer)
        except BaseException:
            _release(pipeline, writer)
            raise
        if receiver.at != offset:
            receiver.close()
            raise OffsetError(upload.upload_id, needed=receiver.at, found=offset)
        return receiver

    @property
    def whole(self) -> bool:
        """Whether every byte that was announced lies in the file."""
        return self.at == self.upload.size_bytes

    def write(self, pieces: Sequence[bytes], *, keep: bool = True) -> None:
        """Write the pieces that came; now and then it is kept for good, unless not to.

        Raises:
            TooLargeError: These are more bytes than are allowed, or were announced.
            NoSpaceError: The disk is full.
            UploadStateError: It is this writer's no more.
        """
        hold_to_size(self.at + sum(map(len, pieces)), self._most)
        if time.monotonic() - self._since > _KEPT_EVERY_SECONDS:
            self.keep() if keep else self._note(self._kept)
        try:
            with disk():
                self._write_all(pieces)
        except NoSpaceError:
            self.forget()
            raise

    def _write_all(self, pieces: Iterable[bytes]) -> None:
        start, left = self.at, deque(memoryview(piece) for piece in pieces if piece)
        while left:
            written = os.writev(self._file, list(islice(left, _PIECES_AT_ONCE)))
            self.at += written
            while left and written >= len(left[0]):
                written -= len(left.popleft())
            if written:
                left[0] = left[0][written:]
        if sys.platform == "linux":  # the disk begins to write now, so that `keep` waits for little
            os.posix_fadvise(self._file, start, self.at - start, os.POSIX_FADV_DONTNEED)

    def keep(self) -> None:
        """Have the bytes on the disk, and then move the offset on.

        Raises:
            UploadStateError: It is this writer's no more; what is written is cut off later.
        """
        with disk():
            os.fsync(self._file)
        self._note(self.at)

    def forget(self) -> None:
        """Cut off what is not kept yet."""
        self.at = self._kept
        self._fit()

    def finish(self) -> Upload:
        """Keep all bytes; those that came are all there are."""
        self.keep()
        with self._pipeline.database.begin() as connection:
            return uploads.change(connection, self.upload.upload_id, size_bytes=self.at)

    def close(self) -> None:
        """Let others write to it."""
        os.close(self._file)
        _release(self._pipeline, self._writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fit(self) -> None:
        """Cut off what lies behind the offset; bytes that the disk lost are needed again."""
        self.at = min(self.at, os.fstat(self._file).st_size)
        os.truncate(self._file, self.at)
        os.lseek(self._file, self.at, os.SEEK_SET)
        if self.at < self._kept:
            self._note(self.at)

    def _note(self, received_bytes: int) -> None:
        if time.monotonic() - self._since > LEASE_SECONDS:
            mine = False
        else:
            self._since = time.monotonic()
            with self._pipeline.database.begin() as connection:
                mine = self._writer.advance(connection, received_bytes, kept(self._pipeline))
            self._kept = received_bytes
        if not mine:
            with self._pipeline.database.begin() as connection:
                now = uploads.find(connection, self.upload.upload_id)
            raise UploadStateError(now, "still written to by this request")


def _release(pipeline: Pipeline, writer: Writer) -> None:
    with pipeline.database.begin() as connection:
        writer.release(connection)


_LEASE = timedelta(seconds=LEASE_SECONDS)
