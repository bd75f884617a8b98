"""Objects in the buckets of a store that speaks S3.

An object appears whole or not at all, so none is ever half written. It is replaced as a whole, too,
which its ETag shows. A store does not move: the object is copied inside the store, the copy is held
against the original, and only then does the original go, if it is still the one that was copied.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC
from functools import cache
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any

from csv_pipeline.errors import SetupError, StoreDeniedError, StoreUnavailableError
from csv_pipeline.files.store import FileStatus, FileStore, Listed
from csv_pipeline.location import Location, parts_below, storable

_CHUNK = 4 * 1024**2
_CONNECT_SECONDS = 5
_READ_SECONDS, _LOOK_SECONDS = 60, 15  # a copy may take long, and a tick of the sensor may not
_ATTEMPTS = 3
"""How often a request is sent before the store counts as silent, each time after a longer wait."""
_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
)
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED}
_LATER = {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
_DENIED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; some come with status 400.
_DENIED_AS = {
    *("AccessDenied", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId"),
    *("InvalidToken", "NoSuchBucket", "SignatureDoesNotMatch", "TokenRefreshRequired"),
}
_OF_ONE = {"AccessDenied", "Forbidden", "403"}
_LATER_AS = {"RequestTimeout", "SlowDown", "Throttling", "RequestLimitExceeded"}
_WITHOUT_WORDS = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, *_DENIED}
_ARCHIVED = "InvalidObjectState"  # an object that has to be restored before it can be read


class ObjectStore(FileStore):
    """Buckets; an object is moved by a copy, which has a time of its own."""

    def listing(
        self,
        area: Location,
        start_at: str = "",
        ignored: Callable[[str], bool] = lambda _: False,
        only: str = "",
    ) -> Iterator[Listed]:
        """Give the objects in order of their keys, those after the key `start_at` first.

        A key that ends in a slash is a folder that some programs show, and no file.
        """
        folder = area / only if only else area
        before = _objects(folder, until=start_at) if start_at else ()
        at = start_at
        for location, status in chain(_objects(folder, after=start_at), before):
            if location.name and not any(map(ignored, parts_below(location, area) or ())):
                yield Listed(location=location, status=status, at=at)
            at = storable(location.key.removeprefix(area.prefix))

    def status(self, location: Location) -> FileStatus:
        """Return what an object is."""
        with _requests(location, _LOOK_SECONDS) as send:
            answer = send.head_object(**_names(location))
        return _status(answer, answer["ContentLength"])

    def read(self, location: Location, wanted: FileStatus) -> Iterator[bytes]:
        """Give the bytes of an object; they are those of the one `wanted`, or none come."""
        with _requests(location) as send:
            answer = send.get_object(**_names(location), IfMatch=_quoted(wanted.etag))
            yield from answer["Body"].iter_chunks(_CHUNK)

    def put(self, source: Path, target: Location) -> None:
        """Put an object, a large one in parts."""
        with _requests(target) as send, source.open("rb") as file:
            send.upload_fileobj(file, *_names(target).values())

    def create(self, target: Location) -> None:
        """Put an empty object if there is none."""
        try:
            with _requests(target) as send:
                send.put_object(**_names(target), Body=b"", IfNoneMatch="*")
        except FileNotFoundError as error:  # the condition did not hold
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error

    def transfer(self, source: Location, original: FileStatus, target: Location) -> None:
        """Copy an object, and remove the original if it is still the one that was copied."""
        with _requests(source) as send:
            answer = send.copy_object(
                **_names(target),
                CopySource=_names(source),
                CopySourceIfMatch=_quoted(original.etag),
            )
        copy = self.status(target)
        if copy.etag != original.etag and (
            self.digest(target, copy) != self.digest(source, original)
        ):
            made = answer["CopyObjectResult"]["ETag"].strip('"')
            self.remove(target, replace(copy, etag=made))
            raise OSError(errno.EIO, "the copy is not what was to be copied", str(target))
        self.remove(source, original)

    def remove(
        self,
        location: Location,
        wanted: FileStatus | None = None,
        *,
        folder: bool = False,  # there are none
    ) -> None:
        """Remove an object if it is the one `wanted`."""
        condition = {} if wanted is None else {"IfMatch": _quoted(wanted.etag)}
        with suppress(FileNotFoundError), _requests(location) as send:
            send.delete_object(**_names(location), **condition)


def _objects(
    area: Location, after: str = "", until: str | None = None
) -> Iterator[tuple[Location, FileStatus]]:
    """Give the objects below an area in the order of their keys, from `after` on up to `until`."""
    bucket = _names(area)["Bucket"]
    with _requests(area, _LOOK_SECONDS) as send:
        for page in send.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=area.prefix, StartAfter=f"{area.prefix}{after}"
        ):
            for entry in page.get("Contents", ()):
                location = Location(area.root, entry["Key"])
                if until is not None and location.key > f"{area.prefix}{until}":
                    return
                yield location, _status(entry, entry["Size"])


def _names(location: Location) -> dict[str, str]:
    return {"Bucket": location.root.partition("://")[2], "Key": location.key}


def _quoted(etag: str) -> str:
    return f'"{etag}"'


def _status(answer: dict[str, Any], size_bytes: int) -> FileStatus:
    """Return a status to the second; a fraction comes in some answers only."""
    second = answer["LastModified"].astimezone(UTC).replace(microsecond=0)
    return FileStatus(size_bytes=size_bytes, modified_at=second, etag=answer["ETag"].strip('"'))


@cache
def _client(read_seconds: int = _READ_SECONDS) -> Any:
    """Return the store that the environment describes.

    Raises:
        SetupError: boto3 is not installed.
    """
    try:
        import boto3  # noqa: PLC0415  # an extra, and half a second
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SetupError(
            "s3://…: boto3 was needed for object stores; it is not installed "
            "(pip install 'csv-pipeline[objects]')"
        ) from error
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
    )
    try:
        return boto3.Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as error:  # no such profile, no such address
        raise SetupError(f"s3://…: {_environment()} were needed; {error}") from error


@contextmanager
def _requests(location: Location, read_seconds: int = _READ_SECONDS) -> Iterator[Any]:
    """Give what sends requests, and say what its answers, or none, mean to whoever asks.

    Raises:
        FileNotFoundError: There is no such object, or not the one asked for.
        StoreDeniedError: The bucket is not there, or not for us.
        StoreUnavailableError: The store does not answer, or cannot now.
        OSError: It refuses for another reason.
    """
    sender = _client(read_seconds)
    from botocore.exceptions import (  # noqa: PLC0415  # as above
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    try:
        yield sender
    except ClientError as error:
        raise _meaning(location, sender, error.operation_name, _told(location, error)) from error
    except (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError) as error:
        raise _denied(location, sender, "requests", str(error)) from error
    except BotoCoreError as error:
        raise StoreUnavailableError(
            str(location), location.root, f"the object store does not answer; {error}"
        ) from error


def _told(location: Location, error: Any) -> dict[str, Any]:
    """Return what a store answered; to a request for a head, which has no words, it says none."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # as above

    response: dict[str, Any] = error.response
    code = response["ResponseMetadata"]["HTTPStatusCode"]
    if error.operation_name == "HeadObject" and code in _WITHOUT_WORDS:
        try:
            _client(_LOOK_SECONDS).get_object(**_names(location), Range="bytes=0-0")
        except ClientError as told:
            return dict(told.response)
        except BotoCoreError:
            return response
    return response


def _meaning(
    location: Location, sender: Any, operation: str, response: dict[str, Any]
) -> Exception:
    status, code = response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]
    said = f"{code}: {response['Error'].get('Message', '')}"
    if code in _DENIED_AS or (status in _DENIED and code != _ARCHIVED):
        one_only = code in _OF_ONE and operation != "ListObjectsV2"
        return _denied(location, sender, operation, f"the store says {said}", of_all=not one_only)
    if status in _GONE:
        return FileNotFoundError(errno.ENOENT, said, str(location))
    if code in _LATER_AS or status in _LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        found = f"the object store cannot do it now; it says {said}"
        return StoreUnavailableError(str(location), location.root, found)
    return OSError(errno.EIO, said, str(location))


def _denied(
    location: Location, sender: Any, operation: str, found: str, *, of_all: bool = True
) -> StoreDeniedError:
    """Return what says that we are not let in.

    Where that is so of all files, the next request reads the credentials anew.
    """
    if of_all:
        _client.cache_clear()
    asked = f"{operation} in {location.root} at {sender.meta.endpoint_url}"
    found = f"{found}; {_environment()}"
    return StoreDeniedError(str(location), location.root, asked, found, of_all=of_all)


def _environment() -> str:
    there = [name for name in _VARIABLES if name in os.environ]
    return (
        f"they are read from {', '.join(_VARIABLES)} or a file of AWS's; of these variables are "
        f"set: {', '.join(there) or 'none'}"
    )
