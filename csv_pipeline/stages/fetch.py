"""Bring a claimed file, whole and unchanged, to this machine."""

from pathlib import Path

from csv_pipeline.errors import LimitExceededError, SourceChangedError
from csv_pipeline.files import stores
from csv_pipeline.files.store import FileStatus
from csv_pipeline.files.stores import store_of, unchanged
from csv_pipeline.model import Claim, StoredText


def fetch(claim: Claim, work: Path, max_bytes: int) -> StoredText:
    """Copy the claimed file to the work directory and return its SHA-256, taken on the way.

    An archive on a disk of this machine is not copied for each file in it: it is returned where it
    lies, without a SHA-256.

    Raises:
        SourceChangedError: The file is gone, or is not as it was when it arrived.
        LimitExceededError: It has more than `max_bytes`.
        StoreUnavailableError: The store it is in does not answer.
        StoreDeniedError: It does not let us in.
    """
    source, target = claim.lies_at, work / "source"
    found = refuse_changed(claim)
    if found.size_bytes > max_bytes:
        allowed = f"at most {max_bytes:,} bytes were allowed"
        raise LimitExceededError(claim.name, allowed, f"the file has {found.size_bytes:,}")
    if claim.member is not None and (path := store_of(source).on_disk(source)) is not None:
        return StoredText(path=path, size_bytes=found.size_bytes, fingerprint="")
    try:
        fingerprint = stores.fetch(source, found, target)
    except FileNotFoundError:
        refuse_changed(claim)
        raise
    return StoredText(path=target, size_bytes=found.size_bytes, fingerprint=fingerprint)


def refuse_changed(claim: Claim) -> FileStatus:
    """Return what the claimed file is, or the archive it is in.

    Raises:
        SourceChangedError: It is gone, or is not as it was when it arrived.
    """
    lies_at, moved = claim.lies_at, claim.moved_to is not None
    # The size of an archive is not recorded with its members.
    size = None if claim.member is not None else claim.size_bytes
    etag = claim.moved_etag if moved else claim.etag
    if (found := unchanged(lies_at, size, claim.modified_at, etag, moved=moved)) is not None:
        return found
    try:
        now = store_of(lies_at).status(lies_at)
    except FileNotFoundError as error:
        needed, told = "the file that arrived was needed", f"{lies_at} is gone"
        raise SourceChangedError(claim.name, needed, told) from error
    needed = f"the {claim.size_bytes:,} bytes that arrived were needed"
    told = f"the file was changed since and has {now.size_bytes:,}"
    if claim.member is not None:
        needed, told = "the archive that arrived was needed", f"{lies_at} was changed since"
    raise SourceChangedError(claim.name, needed, f"{told}; it counts as a new arrival")
