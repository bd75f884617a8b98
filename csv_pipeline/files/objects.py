"""Objects of a store that speaks S3: list them, fetch one, move one so that none is lost.

An object appears whole or not at all, so none is ever half written. It is replaced as a whole, too,
which its ETag shows. A store does not move: a name is taken by an empty object that is put only if
nothing is there, the object is copied over it inside the store, the copy is held against the
original, and only then does the original go, if it is still the one that was copied.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from csv_pipeline.errors import PipelineError, SetupError, StoreUnavailableError
from csv_pipeline.location import ObjectLocation

_CHUNK = 4 * 1024**2
_CONNECT_SECONDS, _READ_SECONDS = 5, 60
_ATTEMPTS = 3
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED}
_DENIED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_LATER = {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStatus:
    """What tells an object from another under the same key.

    Stores give its time to the second, and a fraction in some answers only, which is left out. The
    ETag tells an object from one that replaced it within the second.
    """

    size_bytes: int
    modified_at: datetime
    etag: str


def found(location: ObjectLocation) -> ObjectStatus:
    """Return what an object is.

    Raises:
        FileNotFoundError: There is none.
    """
    with _store(location) as store:
        answer = store.head_object(Bucket=location.bucket, Key=location.key)
    return _status(answer, answer["ContentLength"])


def status(location: ObjectLocation) -> ObjectStatus | None:
    """Return what an object is, or None if there is none."""
    try:
        return found(location)
    except FileNotFoundError:
        return None


def listing(
    area: ObjectLocation, after: str = "", until: str | None = None
) -> Iterator[tuple[ObjectLocation, ObjectStatus]]:
    """Give the objects below an area in the order of their keys, from `after` on up to `until`."""
    with _store(area) as store:
        for page in store.get_paginator("list_objects_v2").paginate(
            Bucket=area.bucket, Prefix=area.prefix, StartAfter=f"{area.prefix}{after}"
        ):
            for entry in page.get("Contents", ()):
                location = ObjectLocation(area.bucket, entry["Key"])
                if until is not None and location.key > f"{area.prefix}{until}":
                    return
                yield location, _status(entry, entry["Size"])


def fetch(location: ObjectLocation, wanted: ObjectStatus, target: Path) -> str:
    """Copy an object to a file and return its SHA-256.

    Raises:
        FileNotFoundError: It is gone, or is not the one `wanted`.
    """
    digest = hashlib.sha256()
    with target.open("wb") as copy:
        for chunk in _chunks(location, wanted):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


def move(source: ObjectLocation, target: ObjectLocation) -> None:
    """Move an object to a key that is free, or that a move of the same object took before.

    An object that replaces the source meanwhile stays.

    Raises:
        FileExistsError: Another object has the key.
        FileNotFoundError: The source is gone, or was replaced in this moment.
        OSError: The store does not let it go, or take it; then it is where it was.
    """
    original = found(source)
    if _take(target):
        try:
            _copy(source, original, target)
        except BaseException:
            with suppress(OSError, PipelineError):
                _give_back(target)
            raise
    elif not _is_same(source, original, target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    _remove(source, IfMatch=f'"{original.etag}"')


def remove(location: ObjectLocation) -> None:
    """Remove an object; nothing happens if there is none."""
    _remove(location)


def _take(target: ObjectLocation) -> bool:
    """Take a key; return whether nothing is under it but, perhaps, the mark of having taken it."""
    try:
        with _store(target) as store:
            store.put_object(Bucket=target.bucket, Key=target.key, Body=b"", IfNoneMatch="*")
    except FileNotFoundError:  # the condition did not hold
        there = status(target)
        return there is not None and there.size_bytes == 0
    return True


def _give_back(target: ObjectLocation) -> None:
    """Remove the mark; never a copy: another worker may have ended the move in the meantime."""
    there = status(target)
    if there is not None and there.size_bytes == 0:
        _remove(target, IfMatch=f'"{there.etag}"')


def _copy(source: ObjectLocation, original: ObjectStatus, target: ObjectLocation) -> None:
    with _store(source) as store:
        answer = store.copy_object(
            Bucket=target.bucket,
            Key=target.key,
            CopySource={"Bucket": source.bucket, "Key": source.key},
            CopySourceIfMatch=original.etag,
        )
    if not _is_same(source, original, target):
        _remove(target, IfMatch=answer["CopyObjectResult"]["ETag"])
        raise OSError(errno.EIO, "the copy is not what was to be copied", str(target))


def _is_same(source: ObjectLocation, original: ObjectStatus, target: ObjectLocation) -> bool:
    """Return whether two objects hold the same bytes.

    An ETag says so only where it is a sum of the bytes and both were put in one piece; where they
    differ the bytes decide.
    """
    copy = status(target)
    if copy is None or copy.size_bytes != original.size_bytes:
        return False
    return copy.etag == original.etag or _digest(source, original) == _digest(target, copy)


def _digest(location: ObjectLocation, wanted: ObjectStatus) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(location, wanted):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(location: ObjectLocation, wanted: ObjectStatus) -> Iterator[bytes]:
    with _store(location) as store:
        answer = store.get_object(
            Bucket=location.bucket, Key=location.key, IfMatch=f'"{wanted.etag}"'
        )
        yield from answer["Body"].iter_chunks(_CHUNK)


def _remove(location: ObjectLocation, **condition: str) -> None:
    with suppress(FileNotFoundError), _store(location) as store:
        store.delete_object(Bucket=location.bucket, Key=location.key, **condition)


def _status(answer: dict[str, Any], size_bytes: int) -> ObjectStatus:
    second = answer["LastModified"].astimezone(UTC).replace(microsecond=0)
    return ObjectStatus(size_bytes=size_bytes, modified_at=second, etag=answer["ETag"].strip('"'))


@cache
def _client() -> Any:
    """Return the store that the environment describes.

    Raises:
        SetupError: boto3 is not installed.
    """
    try:
        import boto3  # noqa: PLC0415  # an extra, and half a second
        from botocore.config import Config  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SetupError(
            "s3://…: boto3 was needed for object stores; it is not installed "
            "(pip install 'csv-pipeline[objects]')"
        ) from error
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
    )
    return boto3.client("s3", config=config)


@contextmanager
def _store(location: ObjectLocation) -> Iterator[Any]:
    """Give the store, and say what its answers, or none, mean to whoever asks.

    Raises:
        FileNotFoundError: There is no such object, or not the one asked for.
        SetupError: The bucket is not there, or not for us.
        StoreUnavailableError: The store does not answer, or cannot now.
        OSError: It refuses for another reason.
    """
    store = _client()
    from botocore.exceptions import (  # noqa: PLC0415  # as above
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    try:
        yield store
    except ClientError as error:
        raise _meaning(location, error.response) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise SetupError(
            f"{location}: credentials of the object store were needed; {error}"
        ) from error
    except BotoCoreError as error:
        raise StoreUnavailableError(
            f"{location}: the object store does not answer; {error}"
        ) from error


def _meaning(location: ObjectLocation, response: dict[str, Any]) -> Exception:
    code = response["ResponseMetadata"]["HTTPStatusCode"]
    said = f"{response['Error']['Code']}: {response['Error'].get('Message', '')}"
    if response["Error"]["Code"] == "NoSuchBucket" or code in _DENIED:
        return SetupError(f"{location}: a bucket that we may use was needed; the store says {said}")
    if code in _GONE:
        return FileNotFoundError(errno.ENOENT, said, str(location))
    if code in _LATER or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StoreUnavailableError(
            f"{location}: the object store cannot do it now; it says {said}"
        )
    return OSError(errno.EIO, said, str(location))
