"""Bring a claimed file, whole and unchanged, to this machine."""

import hashlib
import stat
from pathlib import Path

from csv_pipeline.batches import created
from csv_pipeline.errors import LimitExceededError, SourceChangedError
from csv_pipeline.files import objects
from csv_pipeline.files.areas import is_unchanged, size_bytes
from csv_pipeline.location import ObjectLocation
from csv_pipeline.model import Claim, StoredText

_CHUNK = 4 * 1024**2


def fetch(claim: Claim, work: Path, max_bytes: int) -> StoredText:
    """Copy the claimed file to the work directory and return its SHA-256, taken on the way.

    A zip is not copied for each file in it: it is returned where it lies, without a SHA-256. From a
    bucket it is.

    Raises:
        SourceChangedError: The file is gone, or is not as it was when it arrived.
        LimitExceededError: It has more than `max_bytes`.
        StoreUnavailableError: The object store it is in does not answer.
    """
    source, target = claim.lies_at, work / "source"
    try:
        if isinstance(source, ObjectLocation):
            return _fetch_object(claim, source, target, max_bytes)
        size, digest = _regular(source).stat().st_size, hashlib.sha256()
        _refuse_larger(claim, size, max_bytes)
        if claim.member is not None:
            refuse_changed(claim)
            return StoredText(path=source, size_bytes=size, fingerprint="")
        with source.open("rb") as file, created(target) as copy:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
    except FileNotFoundError as error:
        raise _gone(claim) from error
    refuse_changed(claim)
    return StoredText(path=target, size_bytes=target.stat().st_size, fingerprint=digest.hexdigest())


def _fetch_object(claim: Claim, source: ObjectLocation, target: Path, max_bytes: int) -> StoredText:
    """Copy an object; it comes whole, and is the one that arrived, or nothing does."""
    wanted = objects.found(source)
    _refuse_larger(claim, wanted.size_bytes, max_bytes)
    refuse_changed(claim)
    try:
        fingerprint = objects.fetch(source, wanted, target)
    except FileNotFoundError:
        refuse_changed(claim)
        raise
    return StoredText(path=target, size_bytes=wanted.size_bytes, fingerprint=fingerprint)


def refuse_changed(claim: Claim) -> None:
    """Hold the claimed file, or the archive it is in, against what arrived.

    Raises:
        SourceChangedError: It is gone, or is not as it was.
    """
    # The size of an archive is not recorded with its members.
    wanted = None if claim.member is not None else claim.size_bytes
    if is_unchanged(
        claim.lies_at,
        wanted,
        claim.modified_at,
        claim.etag if claim.moved_to is None else claim.moved_etag,
        moved=claim.moved_to is not None,
    ):
        return
    try:
        size = size_bytes(claim.lies_at)
    except FileNotFoundError as error:
        raise _gone(claim) from error
    if claim.member is not None:
        raise SourceChangedError(
            claim.name,
            "the archive that arrived was needed",
            f"{claim.lies_at} was changed since; it counts as a new arrival",
        )
    raise SourceChangedError(
        claim.name,
        f"the {claim.size_bytes:,} bytes that arrived were needed",
        f"the file was changed since and has {size:,}; it counts as a new arrival",
    )


def _gone(claim: Claim) -> SourceChangedError:
    return SourceChangedError(
        claim.name, "the file that arrived was needed", f"{claim.lies_at} is gone"
    )


def _refuse_larger(claim: Claim, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        allowed = f"at most {max_bytes:,} bytes were allowed"
        raise LimitExceededError(claim.name, allowed, f"the file has {size:,}")


def _regular(path: Path) -> Path:
    """Return the path of a file; a link or a pipe in its place is none."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise FileNotFoundError(path)
    return path
