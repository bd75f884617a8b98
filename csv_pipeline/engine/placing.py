"""Put an upload that is whole into the landing area, and enter it into the ledger.

Its bytes may go to an object store, for minutes. Meanwhile nothing is locked: the upload is being
placed, for a lease that is renewed, and nobody else places, checks or cancels it. Whoever is killed
in between leaves the bytes where they were or where they belong, and placing it again goes on.
"""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import sqlalchemy as sa

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.uploads import disk, hold_to_whole, path_of
from csv_pipeline.errors import DatabaseUnavailableError, SetupError
from csv_pipeline.files.landing import found_file
from csv_pipeline.files.stores import store_of, written_to
from csv_pipeline.location import Location
from csv_pipeline.storage import arrivals, uploads
from csv_pipeline.storage.uploads import Upload, UploadState, UploadStateError

_LEASE = timedelta(seconds=60)
_RENEWALS_PER_LEASE = 4


def place(pipeline: Pipeline, upload_id: int, *, feed: str | None = None) -> Upload:
    """Put an upload into the folder of its lane and return it; it has arrived then.

    Raises:
        UploadStateError: It is there already, is being put there, was canceled, or is not whole.
        SetupError: Its feed is not known.
        NoSpaceError: The disk is full.
    """
    with pipeline.database.begin() as connection:
        upload = uploads.find(connection, upload_id, lock=True)
        hold_to_whole(upload)
        name = feed or upload.feed
        if name is None:
            raise SetupError(f"upload {upload_id}: a feed was needed, of which the file is")
        lane = pipeline.settings.landing_area / upload.account / pipeline.feed(name).name
        uploads.change(connection, upload_id, placing_until=sa.func.now() + _LEASE)
    target = lane / f"upload-{upload_id}" / upload.name
    try:
        with _renewed(pipeline, upload_id):
            _put(pipeline, upload, target)
        with pipeline.database.begin() as connection:
            placed = _entered(connection, upload, target, name)
    except BaseException:
        with suppress(DatabaseUnavailableError), pipeline.database.begin() as connection:
            uploads.change(connection, upload_id, placing_until=None)
        raise
    shutil.rmtree(path_of(pipeline, upload).parent, ignore_errors=True)
    return placed


def _put(pipeline: Pipeline, upload: Upload, target: Location) -> None:
    source = path_of(pipeline, upload)
    if source.exists() or not store_of(target).exists(target):  # else it was put, and no more
        with disk(), written_to(target, pipeline.settings.work_area) as path:
            path.unlink(missing_ok=True)
            shutil.move(source, path)


def _entered(connection: sa.Connection, upload: Upload, target: Location, feed: str) -> Upload:
    """Return the upload as it is now; it stays canceled if it was, after its lease was over."""
    now = uploads.find(connection, upload.upload_id, lock=True)
    if now.state is UploadState.ARRIVED:
        return now
    if now.state is UploadState.CANCELED:
        store_of(target).remove(target)
        raise UploadStateError(now, "not canceled")
    arrival_id = arrivals.enter(connection, found_file(target, upload.account, feed), now=True)
    arrivals.note_request(connection, [arrival_id])  # by whoever places it
    return uploads.change(
        connection,
        upload.upload_id,
        feed=feed,
        state=UploadState.ARRIVED,
        arrival_id=arrival_id,
        placing_until=None,
        expires_at=None,
        run_id=None,
        problem=None,
        problem_code=None,
    )


@contextmanager
def _renewed(pipeline: Pipeline, upload_id: int) -> Iterator[None]:
    """Renew the lease of an upload in this block, by a thread."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(_LEASE.total_seconds() / _RENEWALS_PER_LEASE):
            with suppress(DatabaseUnavailableError), pipeline.database.begin() as connection:
                uploads.change(connection, upload_id, placing_until=sa.func.now() + _LEASE)

    thread = threading.Thread(target=renew, name=f"placing upload {upload_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
