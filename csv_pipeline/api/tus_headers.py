"""The headers of tus 1.0.0: what the sender says of an upload, and what it is told."""

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import Header, Request

from csv_pipeline.api.bodies import length_of
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.storage.uploads import Upload, UploadState

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,expiration,checksum"
ALGORITHMS = ("sha1", "sha256", "md5")
MEDIA_TYPE = "application/offset+octet-stream"
_LONGEST_METADATA = 4_000
_DIGITS = 18


def hold_to_version(
    tus_resumable: Annotated[
        str, Header(description=f"The version of tus, {VERSION}.", examples=[VERSION])
    ] = "",
) -> None:
    """Let only a sender go on that speaks this version of tus.

    Raises:
        ProblemError: It speaks another one.
    """
    if (found := tus_resumable) != VERSION:
        raise ProblemError(
            "unsupported_protocol",
            f"Tus-Resumable: {VERSION} was needed; found {found!r}",
            headers={"Tus-Version": VERSION},
        )


def number_in(request: Request, name: str) -> int:
    """Return a header that is a number of bytes.

    Raises:
        ProblemError: It is none.
    """
    found = request.headers.get(name, "")
    if not (found.isascii() and found.isdecimal() and len(found) <= _DIGITS):
        raise ProblemError("invalid_request", f"{name}: a number of bytes was needed: {found!r}")
    return int(found)


def metadata_of(request: Request) -> dict[str, str]:
    """Return what `Upload-Metadata` says, by its names.

    Raises:
        ProblemError: It cannot be read.
    """
    header = request.headers.get("upload-metadata", "")
    if len(header) > _LONGEST_METADATA:
        raise ProblemError(
            "invalid_request", f"Upload-Metadata: at most {_LONGEST_METADATA:,} bytes were needed"
        )
    found = {}
    for pair in filter(None, map(str.strip, header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError) as error:
            said = f"Upload-Metadata: {name[:100]!r} was needed as UTF-8 in Base64"
            raise ProblemError("invalid_request", said) from error
    return found


def headers_of(upload: Upload) -> dict[str, str]:
    """Return what the sender is told of an upload."""
    told = {"Tus-Resumable": VERSION, "Upload-Offset": str(upload.received_bytes)}
    if upload.state is UploadState.UPLOADING and upload.expires_at is not None:
        told["Upload-Expires"] = format_datetime(upload.expires_at.astimezone(UTC), usegmt=True)
    return told


def length_and_metadata_of(upload: Upload) -> dict[str, str]:
    """Return what the sender said of an upload when it began, which no cache is to keep."""
    said = {"filename": upload.name, "account": upload.account, "feed": upload.feed}
    if upload.check_first:
        said["check"] = "true"
    pairs = (f"{name} {b64encode(text.encode()).decode()}" for name, text in said.items() if text)
    return {
        "Upload-Length": str(upload.size_bytes),
        "Upload-Metadata": ",".join(pairs),
        "Cache-Control": "no-store",
    }


@dataclass(slots=True)
class Checksum:
    """What the bytes of one request must sum up to."""

    digest: bytes
    sum: Any

    @classmethod
    def of(cls, request: Request) -> "Checksum | None":
        """Return what a request says its bytes sum up to, if it does."""
        if (header := request.headers.get("upload-checksum")) is None:
            return None
        algorithm, _, digest = header.partition(" ")
        if algorithm not in ALGORITHMS:
            raise ProblemError(
                "invalid_request", f"Upload-Checksum: one of {', '.join(ALGORITHMS)} was needed"
            )
        try:
            told = b64decode(digest, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ProblemError("invalid_request", "Upload-Checksum: Base64 was needed") from error
        return cls(told, hashlib.new(algorithm, usedforsecurity=False))

    async def over(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Hand chunks on and sum them up.

        Raises:
            ProblemError: They sum up to something else.
        """
        async for chunk in chunks:
            self.sum.update(chunk)
            yield chunk
        if self.sum.digest() != self.digest:
            raise ProblemError("checksum_mismatch", "the bytes have another checksum than was sent")


def hold_to_media_type(request: Request) -> None:
    """Let bytes in only as tus sends them.

    Raises:
        ProblemError: They are sent as something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if kind != MEDIA_TYPE:
        raise ProblemError("wrong_media_type", f"{MEDIA_TYPE} was needed; found {kind[:100]!r}")


def hold_to_rest(request: Request, missing: int) -> None:
    """Let only so many bytes in as are missing.

    Raises:
        ProblemError: They are more.
    """
    if (length_of(request) or 0) > missing:
        raise ProblemError("file_too_large", f"at most {missing:,} bytes more were needed")
