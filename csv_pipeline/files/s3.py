"""Amazon S3, and what speaks as it does, by boto3."""

# ruff: noqa: PLC0415  # the package is an extra, and takes half a second to import

from collections.abc import Iterator
from datetime import UTC
from http import HTTPStatus
from pathlib import Path
from typing import Any

from csv_pipeline.files.object_service import (
    CHUNK,
    Answer,
    Meaning,
    ObjectService,
    Patience,
    quoted,
    usual_meaning,
)
from csv_pipeline.files.store import FileStatus
from csv_pipeline.location import Location

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; some come with status 400.
_MEANINGS = {
    **dict.fromkeys(("AccessDenied", "Forbidden", "403"), Meaning.ONE_DENIED),
    **dict.fromkeys(
        (
            *("AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId"),
            *("InvalidToken", "NoSuchBucket", "SignatureDoesNotMatch", "TokenRefreshRequired"),
        ),
        Meaning.DENIED,
    ),
    **dict.fromkeys(
        ("RequestTimeout", "SlowDown", "Throttling", "RequestLimitExceeded"), Meaning.LATER
    ),
    "InvalidObjectState": Meaning.REFUSED,  # it has to be restored before it can be read
}
_WITHOUT_WORDS = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
}


class S3(ObjectService):
    """S3. An ETag is a sum of the bytes of what was put in one piece."""

    scheme = "s3"
    package = "boto3"
    extra = "objects"
    variables = (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_DEFAULT_REGION",
    )
    elsewhere = "a file of AWS's"

    def __init__(self, patience: Patience) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        config = Config(
            connect_timeout=patience.connect_seconds,
            read_timeout=patience.read_seconds,
            retries={"total_max_attempts": patience.attempts, "mode": "standard"},
        )
        try:
            self._client = boto3.Session().client("s3", config=config)
        except BotoCoreError as error:  # no such profile, no such region
            raise ValueError(str(error)) from error
        self.errors, self._client_error = (BotoCoreError, ClientError), ClientError
        self.address = self._client.meta.endpoint_url

    def objects(self, area: Location, after: str) -> Iterator[tuple[str, FileStatus]]:
        """Give the objects, a page of a thousand at a time."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=area.bucket, Prefix=area.prefix, StartAfter=after):
            for entry in page.get("Contents", ()):
                yield entry["Key"], _status(entry, entry["Size"])

    def status(self, location: Location) -> FileStatus:
        """Return what an object is; a refusal to say so has no words, so that more is asked."""
        try:
            answer = self._client.head_object(**_names(location))
        except self._client_error as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in _WITHOUT_WORDS:
                self._tell(location, error)
            raise
        return _status(answer, answer["ContentLength"])

    def _tell(self, location: Location, error: Any) -> None:
        """Give an error of a request for a head the words that another request is refused with."""
        try:
            self._client.get_object(**_names(location), Range="bytes=0-0")
        except self._client_error as told:
            error.response = told.response
        except self.errors:
            return

    def read(self, location: Location, etag: str) -> Iterator[bytes]:
        """Give the bytes of one answer."""
        answer = self._client.get_object(**_names(location), IfMatch=quoted(etag))
        yield from answer["Body"].iter_chunks(CHUNK)

    def put(self, source: Path, target: Location) -> None:
        """Put a file, a large one in parts."""
        with source.open("rb") as file:
            self._client.upload_fileobj(file, *_names(target).values())

    def create(self, target: Location) -> None:
        """Put an empty object on condition."""
        self._client.put_object(**_names(target), Body=b"", IfNoneMatch="*")

    def copy(self, source: Location, etag: str, target: Location) -> str:
        """Copy an object on condition."""
        answer = self._client.copy_object(
            **_names(target), CopySource=_names(source), CopySourceIfMatch=quoted(etag)
        )
        made: str = answer["CopyObjectResult"]["ETag"]
        return made.strip('"')

    def remove(self, location: Location, etag: str | None) -> None:
        """Remove an object, on condition if an ETag is given."""
        condition = {} if etag is None else {"IfMatch": quoted(etag)}
        self._client.delete_object(**_names(location), **condition)

    def answer(self, error: Any) -> Answer:
        """Return what an error says; without credentials no request is sent."""
        if not isinstance(error, self._client_error):
            from botocore.exceptions import (
                CredentialRetrievalError,
                NoCredentialsError,
                PartialCredentialsError,
            )

            denied = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)
            meaning = Meaning.DENIED if isinstance(error, denied) else Meaning.SILENT
            return Answer(meaning=meaning, asked="requests", said=str(error))
        code, asked = error.response["Error"]["Code"], error.operation_name
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        meaning = _MEANINGS.get(code) or usual_meaning(status)
        if meaning is Meaning.ONE_DENIED and asked == "ListObjectsV2":
            meaning = Meaning.DENIED
        said = f"{code}: {error.response['Error'].get('Message', '')}"
        return Answer(meaning=meaning, asked=asked, said=said)


def _names(location: Location) -> dict[str, str]:
    return {"Bucket": location.bucket, "Key": location.key}


def _status(answer: dict[str, Any], size_bytes: int) -> FileStatus:
    """Return a status to the second; a fraction comes in some answers only."""
    second = answer["LastModified"].astimezone(UTC).replace(microsecond=0)
    etag = answer["ETag"].strip('"')
    return FileStatus(size_bytes=size_bytes, modified_at=second, etag=etag, checksum=etag)
