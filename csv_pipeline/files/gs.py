"""Google Cloud Storage, by Google's own client."""

# ruff: noqa: PLC0415  # the package is an extra, and takes a second to import

import base64
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csv_pipeline.files.object_service import (
    CHUNK,
    Answer,
    Meaning,
    ObjectService,
    Patience,
    usual_meaning,
)
from csv_pipeline.files.store import FileStatus
from csv_pipeline.location import Location

_FIELDS = "items(name,size,generation,timeCreated,md5Hash),nextPageToken"
_PAGE = 1_000
_ADDRESS = re.compile(r"^[A-Z]+ https?://\S+: ")


class GoogleStorage(ObjectService):
    """Google Cloud Storage. What is an ETag elsewhere is the generation, one for each content.

    An object's own ETag and its time of update also change with its metadata.
    """

    scheme = "gs"
    package = "google-cloud-storage"
    extra = "gs"
    variables = ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST")
    elsewhere = "the login of gcloud, or the machine's service account"

    def __init__(self, patience: Patience) -> None:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
        from google.cloud.storage import Client
        from google.cloud.storage.exceptions import DataCorruption
        from google.cloud.storage.retry import DEFAULT_RETRY
        from requests import RequestException
        from urllib3.exceptions import HTTPError

        try:
            self._client: Any = Client(project=None)
        except DefaultCredentialsError as error:
            raise ValueError(str(error)) from error
        seconds = (patience.attempts - 1) * patience.connect_seconds
        self._how = {
            "timeout": (patience.connect_seconds, patience.read_seconds),
            "retry": DEFAULT_RETRY.with_timeout(seconds) if seconds else None,
        }
        self._answered, self._given_up, self._unsent = (
            GoogleAPICallError,
            RetryError,
            TransportError,
        )
        self._unknown, self._damaged = GoogleAuthError, DataCorruption
        self.errors = (
            *(GoogleAPICallError, RetryError, GoogleAuthError, DataCorruption),
            *(RequestException, HTTPError, ConnectionError),
        )
        self.address = self._client._connection.API_BASE_URL  # noqa: SLF001  # by no other name

    def objects(self, area: Location, after: str) -> Iterator[tuple[str, FileStatus]]:
        """Give the objects, a page at a time."""
        found = self._client.list_blobs(
            area.bucket,
            prefix=area.prefix,
            start_offset=after,
            fields=_FIELDS,
            page_size=_PAGE,
            **self._how,
        )
        for blob in found:
            if blob.name > after:
                yield blob.name, _status(blob)

    def status(self, location: Location) -> FileStatus:
        """Return what an object is."""
        blob = self._blob(location)
        blob.reload(**self._how)
        return _status(blob)

    def read(self, location: Location, etag: str) -> Iterator[bytes]:
        """Give the bytes as they are stored, each request for some of them on condition."""
        with self._blob(location).open(
            "rb", CHUNK, if_generation_match=int(etag), raw_download=True, **self._how
        ) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def put(self, source: Path, target: Location) -> None:
        """Put a file, a large one in parts."""
        self._blob(target).upload_from_filename(str(source), **self._how)

    def create(self, target: Location) -> None:
        """Put an empty object on condition."""
        self._blob(target).upload_from_string(b"", if_generation_match=0, **self._how)

    def copy(self, source: Location, etag: str, target: Location) -> str:
        """Copy an object on condition, a large one by several requests."""
        original, copy, token = self._blob(source), self._blob(target), None
        while True:
            token, *_ = copy.rewrite(
                original, token=token, if_source_generation_match=int(etag), **self._how
            )
            if token is None:
                return str(copy.generation)

    def remove(self, location: Location, etag: str | None) -> None:
        """Remove an object, on condition if an ETag is given."""
        wanted = None if etag is None else int(etag)
        self._blob(location).delete(if_generation_match=wanted, **self._how)

    def answer(self, error: Any) -> Answer:
        """Return what an error says; of a bucket that is missing only the words tell."""
        if isinstance(error, self._given_up) and error.cause is not None:
            error = error.cause
        if not isinstance(error, self._answered) or error.code is None:
            return Answer(meaning=self._without(error), asked="requests", said=str(error))
        request = getattr(error.response, "request", None)
        asked = "requests" if request is None else f"{request.method} requests"
        of_bucket = "bucket does not exist" in error.message or (
            request is not None and urlsplit(request.url).path.endswith("/o")
        )
        meaning, said = usual_meaning(error.code), _ADDRESS.sub("", error.message)
        if error.code == HTTPStatus.NOT_FOUND and of_bucket:
            meaning = Meaning.DENIED
        elif error.code == HTTPStatus.FORBIDDEN and not of_bucket:
            meaning = Meaning.ONE_DENIED
        return Answer(meaning=meaning, asked=asked, said=f"{error.code}: {said}")

    def _without(self, error: Any) -> Meaning:
        """Return what an error means that is no answer of the service."""
        if isinstance(error, self._damaged):
            return Meaning.LATER
        unknown = isinstance(error, self._unknown) and not isinstance(error, self._unsent)
        return Meaning.DENIED if unknown and not error.retryable else Meaning.SILENT

    def _blob(self, location: Location) -> Any:
        return self._client.bucket(location.bucket).blob(location.key)


def _status(blob: Any) -> FileStatus:
    """Return a status; what was composed of others has no checksum."""
    return FileStatus(
        size_bytes=blob.size,
        modified_at=blob.time_created,
        etag=str(blob.generation),
        checksum=base64.b64decode(blob.md5_hash or "").hex(),
    )
