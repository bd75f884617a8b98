"""Azure Blob Storage, by Microsoft's own client. A container is what is a bucket elsewhere."""

# ruff: noqa: PLC0415  # the package is an extra, and takes a second to import

import errno
import os
import re
import time
from collections.abc import Iterator
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

# https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
_MEANINGS = {
    "BlobAlreadyExists": Meaning.GONE,
    **dict.fromkeys(
        (
            *("AccountIsDisabled", "AuthenticationFailed", "AuthorizationFailure"),
            *("ContainerDisabled", "ContainerNotFound", "InvalidAuthenticationInfo"),
        ),
        Meaning.DENIED,
    ),
    "AuthorizationPermissionMismatch": Meaning.ONE_DENIED,
    # A person has to end the lease, remove the snapshots, or bring the blob back.
    **dict.fromkeys(
        (
            *("BlobArchived", "BlobBeingRehydrated", "BlobImmutableDueToPolicy"),
            *("LeaseIdMissing", "SnapshotsPresent"),
        ),
        Meaning.REFUSED,
    ),
}
_SIGNATURE = re.compile(r"(?<=sig=)[^&\s'\"]+")
_PAGE = 5_000
_COPY_SECONDS = 0.2


class AzureBlobs(ObjectService):
    """Azure Blob Storage. An ETag changes with the metadata, too, and is no sum of the bytes."""

    scheme = "az"
    package = "azure-storage-blob"
    extra = "az"
    variables = (
        "AZURE_STORAGE_CONNECTION_STRING",
        "AZURE_STORAGE_ACCOUNT",
        "AZURE_STORAGE_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
    )
    elsewhere = "what azure-identity finds, such as AZURE_CLIENT_ID or a managed identity"

    def __init__(self, patience: Patience) -> None:
        from azure.core import MatchConditions
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
        from azure.storage.blob import ExponentialRetry

        retry = ExponentialRetry(
            initial_backoff=1,
            increment_base=2,
            random_jitter_range=1,
            retry_total=patience.attempts - 1,
        )
        waits = {
            "connection_timeout": patience.connect_seconds,
            "read_timeout": patience.read_seconds,
        }
        self._client = _opened(
            waits, retry_policy=retry, max_single_get_size=CHUNK, max_chunk_get_size=CHUNK
        )
        self._same, self._unknown = MatchConditions.IfNotModified, ClientAuthenticationError
        self._answered, self.errors = HttpResponseError, (AzureError,)
        self.address = f"{self._client.scheme}://{self._client.primary_hostname}"

    def objects(self, area: Location, after: str) -> Iterator[tuple[str, FileStatus]]:
        """Give the blobs, a page at a time, always from the first page on.

        A folder of a Data Lake is a blob of no bytes that says so.
        """
        container = self._client.get_container_client(area.bucket)
        found = container.list_blobs(
            name_starts_with=area.prefix, include=["metadata"], results_per_page=_PAGE
        )
        for blob in found:
            if blob.name > after and (blob.metadata or {}).get("hdi_isfolder") != "true":
                yield blob.name, _status(blob)

    def status(self, location: Location) -> FileStatus:
        """Return what a blob is."""
        return _status(self._blob(location).get_blob_properties())

    def read(self, location: Location, etag: str) -> Iterator[bytes]:
        """Give the bytes, each request for some of them on condition."""
        yield from self._blob(location).download_blob(**self._if(etag)).chunks()

    def put(self, source: Path, target: Location) -> None:
        """Put a file, a large one in parts."""
        with source.open("rb") as file:
            self._blob(target).upload_blob(file, overwrite=True)

    def create(self, target: Location) -> None:
        """Put an empty blob on condition."""
        self._blob(target).upload_blob(b"", overwrite=False)

    def copy(self, source: Location, etag: str, target: Location) -> str:
        """Copy a blob on condition, and wait until that is done.

        Raises:
            OSError: It ended without success.
        """
        copy = self._blob(target)
        done: Any = copy.start_copy_from_url(
            self._blob(source).url, source_etag=quoted(etag), source_match_condition=self._same
        )
        made, state = done["etag"], done["copy_status"]
        while state == "pending":
            time.sleep(_COPY_SECONDS)
            found = copy.get_blob_properties()
            made, state = found.etag, found.copy.status
        if state != "success":
            raise OSError(errno.EIO, f"the copy ended as {state!r}", str(target))
        return str(made).strip('"')

    def remove(self, location: Location, etag: str | None) -> None:
        """Remove a blob, on condition if an ETag is given."""
        self._blob(location).delete_blob(**({} if etag is None else self._if(etag)))

    def answer(self, error: Any) -> Answer:
        """Return what an error says, without the signature of the address."""
        said = _SIGNATURE.sub("…", error.message)
        if not isinstance(error, self._answered) or error.status_code is None:
            unknown = isinstance(error, self._unknown)
            meaning = Meaning.DENIED if unknown else Meaning.SILENT
            return Answer(meaning=meaning, asked="requests", said=" ".join(said.split())[:500])
        code = getattr(error, "error_code", None)
        code = str(getattr(code, "value", code) or error.status_code)
        request = getattr(error.response, "request", None)
        meaning = _MEANINGS.get(code) or usual_meaning(error.status_code)
        if meaning is Meaning.ONE_DENIED and request is not None and "comp=list" in request.url:
            meaning = Meaning.DENIED
        asked = "requests" if request is None else f"{request.method} requests"
        said, _, _ = said.partition("\n")
        return Answer(meaning=meaning, asked=asked, said=f"{code}: {said}")

    def _if(self, etag: str) -> dict[str, Any]:
        return {"etag": quoted(etag), "match_condition": self._same}

    def _blob(self, location: Location) -> Any:
        """Return a blob; the address of one with such names would be that of another.

        Raises:
            OSError: A name is `.` or `..`.
        """
        if {".", ".."} & set(location.key.split("/")):
            needed = "a blob without '.' or '..' between slashes was needed"
            raise OSError(errno.EINVAL, needed, str(location))
        return self._client.get_blob_client(location.bucket, location.key)


def _opened(waits: dict[str, Any], **options: Any) -> Any:
    """Return the account that the environment describes; what asks for tokens asks once a request.

    Raises:
        ValueError: It describes none.
    """
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import BlobServiceClient

    if connection := os.environ.get("AZURE_STORAGE_CONNECTION_STRING"):
        return BlobServiceClient.from_connection_string(connection, **waits, **options)
    account = os.environ.get("AZURE_STORAGE_ACCOUNT")
    if not account:
        raise ValueError("AZURE_STORAGE_ACCOUNT or AZURE_STORAGE_CONNECTION_STRING is not set")
    given = os.environ.get("AZURE_STORAGE_KEY") or os.environ.get("AZURE_STORAGE_SAS_TOKEN")
    credential = given or DefaultAzureCredential(retry_total=0, **waits)
    url = f"https://{account}.blob.core.windows.net"
    return BlobServiceClient(url, credential=credential, **waits, **options)


def _status(blob: Any) -> FileStatus:
    return FileStatus(
        size_bytes=blob.size, modified_at=blob.last_modified, etag=blob.etag.strip('"')
    )
