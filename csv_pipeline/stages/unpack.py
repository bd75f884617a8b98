"""Decompress gzip, zstd and zip, recognised by their first bytes, within limits.

A name in an archive is shown and compared, and nothing is ever written under it: what
comes out goes to one file in the work directory. An archive of several files gives their names;
each is then an arrival of its own, and is decompressed when it is imported.
"""

import errno
import gzip
import hashlib
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from csv_pipeline.batches import created
from csv_pipeline.errors import (
    EmptyFileError,
    LimitExceededError,
    SourceChangedError,
    UnreadableFileError,
)
from csv_pipeline.handover import Member, PlainFile
from csv_pipeline.model import Evidence, StoredText

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP, ZSTD, ZIP = "gzip", "zstd", "zip"
_CHUNK = 1024**2
_FREE_BYTES = 1024**2  # a small file may well be one line a thousand times over
_ENTRY_BYTES = 1_024  # of a zip archive's list: 46, and a name
_SHOWN = 5
_MAGIC = (
    (b"\x1f\x8b\x08", GZIP),
    (b"\x28\xb5\x2f\xfd", ZSTD),
    *((bytes([kind]) + b"\x2a\x4d\x18", ZSTD) for kind in range(0x50, 0x60)),  # skippable frames
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
)
_OTHERS = (
    (b"BZh91AY&SY", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"\x04\x22\x4d\x18", "LZ4"),
)
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # those that zipfile inflates bit by bit
_LITTER = {".ds_store", "thumbs.db", "desktop.ini"}
# Whatever zipfile says of bytes that are no archive; it foresees little of what can be wrong.
_DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError)
_ZIP_DAMAGE = (*_DAMAGE, NotImplementedError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackLimits:
    """How much may come out of an archive; `max_ratio` holds beyond the first MB."""

    max_compressed_bytes: int = 100 * 1024**2
    max_file_bytes: int = 2 * 1024**3
    max_ratio: int = 200
    max_members: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Budget:
    """How many bytes may come out of how many, and after how many enough are seen."""

    name: str
    stored_bytes: int
    limits: UnpackLimits
    enough: int | None

    def check(self, size: int) -> None:
        stored = f"its {self.stored_bytes:,} bytes"
        if size > self.limits.max_file_bytes:
            allowed = f"at most {self.limits.max_file_bytes:,} bytes were allowed once decompressed"
            raise LimitExceededError(self.name, allowed, f"{stored} become more")
        if size > max(_FREE_BYTES, self.limits.max_ratio * self.stored_bytes):
            raise LimitExceededError(
                self.name,
                f"at most {self.limits.max_ratio:,} times its size was allowed to come out of it",
                f"{stored} become more than {size:,}",
            )


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file by the `name` that messages call it, or one `member` of an archive of several.

    Whoever only samples it has `enough` with about so many bytes.
    """

    name: str
    member: str | None = None
    enough: int | None = None


def unpack(source: StoredText, work: Path, limits: UnpackLimits, wanted: Wanted) -> PlainFile:
    """Decompress a file into `work` and return it; one that is not compressed is returned as it is.

    Args:
        source: The bytes that arrived.
        work: The import's work directory.
        limits: How large the file may be, compressed and decompressed.
        wanted: What is taken of it.

    Raises:
        LimitExceededError: It is larger than allowed, or grows out of all proportion.
        UnreadableFileError: It is cut off or damaged, encrypted, or holds another archive.
        EmptyFileError: There is no file in the archive.
        SourceChangedError: The member is not in the archive.
    """
    name = wanted.name
    kind = _kind(source.path, name)
    if wanted.member is not None and kind != ZIP:
        raise SourceChangedError(name, "the zip archive it arrived in was needed", "it is another")
    if kind is None:
        return PlainFile(
            path=source.path, size_bytes=source.size_bytes, fingerprint=source.fingerprint
        )
    if source.size_bytes > limits.max_compressed_bytes:
        raise LimitExceededError(
            name,
            f"at most {limits.max_compressed_bytes:,} bytes were allowed of a compressed file",
            f"the {kind} file has {source.size_bytes:,}",
        )
    target = work / "unpacked"
    if kind == ZIP:
        return _unzip(source, target, limits, wanted)
    budget = _Budget(name=name, stored_bytes=source.size_bytes, limits=limits, enough=wanted.enough)
    with _damage_refused(name, kind, _DAMAGE):
        opened = gzip.GzipFile if kind == GZIP else zstd.ZstdFile
        with opened(source.path) as stream:
            size, fingerprint = _pour(stream, target, budget)
    _refuse_nested(target, name)
    return PlainFile(
        path=target,
        size_bytes=size,
        fingerprint=fingerprint,
        evidence=(_evidence(kind, source.size_bytes, size),),
    )


def _kind(path: Path, name: str) -> str | None:
    """Return how a file is compressed, by its first bytes; None if it is not.

    Raises:
        UnreadableFileError: It is, but in a way that is not taken.
    """
    with path.open("rb") as file:
        head = file.read(512)
    for magic, kind in _OTHERS:
        if head.startswith(magic):
            needed = "a text file, or one compressed by gzip, zip or zstd, was needed"
            raise UnreadableFileError(name, needed, f"it is compressed by {kind}")
    if head[257:262] == b"ustar":
        raise UnreadableFileError(name, "a CSV file was needed", "it is a tar archive")
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def _refuse_nested(path: Path, name: str) -> None:
    try:
        kind = _kind(path, name)
    except UnreadableFileError as error:
        kind = error.found.removeprefix("it is ")
    if kind is not None:
        needed = "a text file in the archive was needed"
        raise UnreadableFileError(name, needed, f"what is in it is an archive again ({kind})")


@contextmanager
def _damage_refused(name: str, kind: str, damage: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise UnreadableFileError(
            name, f"a whole {kind} file was needed", "it ends before its content does"
        ) from error
    except damage as error:
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            raise  # the disk, not the archive
        found = str(error).strip().rstrip(".") or type(error).__name__
        raise UnreadableFileError(
            name, f"a whole {kind} file was needed", f"it is damaged ({found})"
        ) from error


def _pour(stream: _Stream, target: Path, budget: _Budget) -> tuple[int, str]:
    """Write what comes out of a stream and return how much it was, and its SHA-256."""
    digest, size = hashlib.sha256(), 0
    with created(target) as out:
        while (chunk := stream.read(_CHUNK)) and (budget.enough is None or size < budget.enough):
            size += len(chunk)
            budget.check(size)
            digest.update(chunk)
            out.write(chunk)
    return size, digest.hexdigest()


def _unzip(source: StoredText, target: Path, limits: UnpackLimits, wanted: Wanted) -> PlainFile:
    name, member = wanted.name, wanted.member
    _refuse_long_directory(source.path, limits, name)
    with _damage_refused(name, ZIP, _ZIP_DAMAGE), zipfile.ZipFile(source.path) as archive:
        files, litter = _members(archive, limits, name)
        if member is None and len(files) > 1:
            members = tuple(Member(name=f.filename, size_bytes=f.file_size) for f in files)
            return PlainFile(
                path=source.path,
                size_bytes=source.size_bytes,
                fingerprint=source.fingerprint,
                members=members,
                evidence=(_members_evidence(files, litter),),
            )
        found = next((f for f in files if member in {None, f.filename}), None)
        if found is None:
            raise SourceChangedError(
                name, f"the member {member!r} was needed", f"the archive has {_listed(files)}"
            )
        _refuse_method(found, name)
        budget = _Budget(
            name=name, stored_bytes=found.compress_size, limits=limits, enough=wanted.enough
        )
        with archive.open(found) as stream:
            size, fingerprint = _pour(stream, target, budget)
    _refuse_nested(target, name)
    only = None if member is not None else litter
    return PlainFile(
        path=target,
        size_bytes=size,
        fingerprint=fingerprint,
        inner_name=found.filename,
        evidence=(_evidence(ZIP, found.compress_size, size, found.filename, only),),
    )


def _refuse_long_directory(path: Path, limits: UnpackLimits, name: str) -> None:
    """Refuse an archive whose list of entries alone would fill the memory.

    The end record is at most 65,557 bytes long and has the list's size at its byte 12:
    https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, section 4.3.16.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65_557))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if size > limits.max_members * _ENTRY_BYTES:
        needed = f"at most {limits.max_members:,} entries were allowed in an archive"
        raise LimitExceededError(name, needed, f"the list of them has {size:,} bytes")


def _members(
    archive: zipfile.ZipFile, limits: UnpackLimits, name: str
) -> tuple[list[zipfile.ZipInfo], list[zipfile.ZipInfo]]:
    """Return the files of an archive, and those that systems leave in it unasked.

    Raises:
        LimitExceededError: They are too many.
        UnreadableFileError: It is a document, or holds names that no archive of files has.
        EmptyFileError: There are none.
    """
    entries = archive.infolist()
    if len(entries) > limits.max_members:
        needed = f"at most {limits.max_members:,} entries were allowed in an archive"
        raise LimitExceededError(name, needed, f"it has {len(entries):,}")
    names = [entry.filename for entry in entries]
    if "[Content_Types].xml" in names or names[:1] == ["mimetype"]:
        is_excel = any(entry.startswith("xl/") for entry in names)
        kind = "an Excel workbook" if is_excel else "an office document"
        found = f"it is {kind}; its sheets can be saved as CSV"
        raise UnreadableFileError(name, "a CSV file was needed", found)
    for entry_name in names:
        if _leads_out(entry_name):
            needed = "names of files inside the archive were needed"
            raise UnreadableFileError(name, needed, f"found {entry_name!r}")
    files = [entry for entry in entries if not entry.is_dir() and not _is_litter(entry.filename)]
    litter = [entry for entry in entries if _is_litter(entry.filename) and not entry.is_dir()]
    if not files:
        raise EmptyFileError(name, "a file in the archive was needed", "there is none")
    kept = [file.filename for file in files]
    if twice := next((one for one in kept if kept.count(one) > 1), None):
        raise UnreadableFileError(
            name, "a name of its own for each file was needed", f"{twice!r} is there twice"
        )
    return files, litter


def _leads_out(name: str) -> bool:
    """Return whether a name names nothing, or something outside the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.parts or path.is_absolute() or ".." in path.parts or name[1:2] == ":"


def _is_litter(name: str) -> bool:
    path = PurePosixPath(name)
    is_system = path.name.casefold() in _LITTER or path.name.startswith("._")
    return is_system or "__MACOSX" in path.parts


def _refuse_method(member: zipfile.ZipInfo, name: str) -> None:
    if member.flag_bits & 0x1:
        needed = "an archive without a password was needed"
        raise UnreadableFileError(name, needed, f"{member.filename!r} is encrypted")
    if member.compress_type not in _METHODS:
        method = zipfile.compressor_names.get(member.compress_type, str(member.compress_type))  # type: ignore[attr-defined]
        needed = "a member stored or deflated was needed"
        raise UnreadableFileError(name, needed, f"{member.filename!r} is compressed by {method}")


def _evidence(
    kind: str,
    stored: int,
    size: int,
    member: str | None = None,
    litter: list[zipfile.ZipInfo] | None = None,
) -> Evidence:
    because = f"its first bytes say so; {stored:,} bytes became {size:,}"
    if litter is not None:
        because += "; it is the only file there"
        because += f" but {_listed(litter)}" if litter else ""
    decision = kind if member is None else f"{kind}, member {member!r}"
    return Evidence(subject="compression", decision=decision, because=because)


def _members_evidence(files: list[zipfile.ZipInfo], litter: list[zipfile.ZipInfo]) -> Evidence:
    because = f"it holds {_listed(files)}" + (f"; left out: {_listed(litter)}" if litter else "")
    return Evidence(subject="compression", decision=f"zip of {len(files):,} files", because=because)


def _listed(files: list[zipfile.ZipInfo]) -> str:
    shown = ", ".join(repr(file.filename) for file in files[:_SHOWN])
    return shown if len(files) <= _SHOWN else f"{shown} and {len(files) - _SHOWN:,} more"
