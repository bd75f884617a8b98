"""Remove uploads that nobody went on with, and bytes that belong to none."""

import shutil
import time
from pathlib import Path

from csv_pipeline.settings import Settings
from csv_pipeline.storage import uploads
from csv_pipeline.storage.database import Database

_LEFT_SECONDS = 3_600.0
_MOST_AT_ONCE = 1_000


def remove_expired(settings: Settings, database: Database) -> int:
    """Cancel uploads that are kept no longer, and return how many those were.

    Bytes that belong to no upload any more go, too: of a process that was killed in between.
    """
    removed = 0
    while removed < _MOST_AT_ONCE:
        with database.begin() as connection:
            upload = uploads.next_expired(connection)
            if upload is None:
                break
            uploads.cancel(connection, upload.upload_id)
        remove_bytes(settings, upload.upload_id)
        removed += 1
    lying = {int(one.name) for one in settings.uploads_area.glob("[0-9]*") if _is_left(one)}
    with database.begin() as connection:
        left = lying - uploads.kept(connection, lying)
    for upload_id in left:
        remove_bytes(settings, upload_id)
    return removed


def _is_left(folder: Path) -> bool:
    try:
        idle_seconds = time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return False
    return folder.name.isdecimal() and idle_seconds > _LEFT_SECONDS


def remove_bytes(settings: Settings, upload_id: int) -> None:
    """Remove what lies in the uploads area of an upload."""
    shutil.rmtree(settings.uploads_area / str(upload_id), ignore_errors=True)
