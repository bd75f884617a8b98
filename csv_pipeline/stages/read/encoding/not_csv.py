"""What a file is that is no CSV, by its first bytes and words."""

import json
import re
from pathlib import Path

from csv_pipeline.errors import UnreadableFileError

_NEEDED = "a CSV file was needed"
_MISTAKEN_BOM = "\ufeff".encode().decode("cp1252").encode()
_CONTROLS = bytes([*range(0x01, 0x09), *range(0x10, 0x1A), *range(0x1C, 0x20)])
_KINDS = (
    (b"%PDF-", "a PDF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook or another old Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x89PNG\r\n", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF87a", "a picture (GIF)"),
    (b"GIF89a", "a picture (GIF)"),
    (b"II*\0", "a picture (TIFF)"),
    (b"MM\0*", "a picture (TIFF)"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"BZh91AY&SY", "compressed by bzip2"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"ARROW1\0\0", "an Arrow file"),
    (b"Obj\x01", "an Avro file"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x7fELF", "a program"),
)
_IN_ZIP = (
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet"),
    (b"opendocument", "an OpenDocument file"),
    (b"xl/", "an Excel workbook"),
    (b"word/", "a Word document"),
    (b"[Content_Types].xml", "an Excel workbook or another Office document"),
)
_ABOVE = re.compile(r"(?:[\s\ufeff\0]|<!--.*?-->|<\?xml.*?\?>)+", re.DOTALL)
_HTML = re.compile(
    r"<!doctype\s+html\b|<(?:html|head|body|title|meta|script|style|table|frameset|center)[\s>/]",
    re.IGNORECASE,
)
_ROOT = re.compile(r"<([A-Za-z_][\w.:-]*)(?:\s[^<>]*)?>", re.DOTALL)
_OF_HTML = frozenset(
    ["a", "b", "br", "div", "form", "h1", "h2", "h3", "h4", "p", "pre", "section", "span", "ul"]
)
_CELLS_OF_TAGS = re.compile(r"<[^<>]*>[\"']?[ ]?[,;\t|]")
_STORE_ERROR = re.compile(r"<Error>.{0,400}?<Code>(\w+)</Code>", re.DOTALL)
_JSON_BEGINS = re.compile(r"\{\s*\"(?:[^\"\\]|\\.)*\"\s*:|\[\s*\{\s*\"")
_JSON_GOES_ON = re.compile(r"\s*(?:$|,?\s*[\r\n]\s*[{\[]|[{\[])")
_POINTER = re.compile(r"version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/")
_MAIL_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,40}):[ \t]+(\S.*)|[ \t]+\S.*")
_MAIL_ONLY = {
    *("received", "return-path", "mime-version", "message-id", "delivered-to", "x-original-to"),
    *("dkim-signature", "content-transfer-encoding", "authentication-results"),
}
_MAIL = frozenset(["from", "to", "cc", "subject", "date", "reply-to", "sender"])


def refuse_binary(head: bytes, name: str, *, is_wide: bool) -> None:
    """Refuse what its first bytes prove to be no text.

    Raises:
        UnreadableFileError: The message names what it is.
    """
    if found := _binary(head):
        raise UnreadableFileError(name, _NEEDED, f"it is {found}")
    text = head.replace(b"\0", b"") if b"\0" in head else head
    if head and not text:
        found = f"it begins with {len(head):,} NUL bytes, as a disk leaves them after a crash"
        raise UnreadableFileError(name, _NEEDED, found)
    controls = 0 if is_wide else len(text) - len(text.translate(None, _CONTROLS))
    if controls > max(4, len(text) // 10):
        found = f"{controls:,} of its first {len(head):,} bytes are control characters"
        raise UnreadableFileError(name, _NEEDED, found)


def _binary(head: bytes) -> str | None:
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return next((kind for mark, kind in _IN_ZIP if mark in head), "a zip archive")
    if head.startswith(b"PAR1") and b"\0" in head[:64]:
        return "a Parquet file"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "a picture (WebP)"
    if head[257:262] == b"ustar" and b"\0" in head[:257]:
        return "a tar archive"
    return next((kind for magic, kind in _KINDS if head.startswith(magic)), None)


def refuse_document(head: str, name: str) -> None:
    """Refuse a text whose beginning is that of a document of another kind.

    Raises:
        UnreadableFileError: The message names what it is.
    """
    begins = head[:2048].lstrip("\ufeff \t\r\n\0")[:1]
    if begins in {"<", "{", "["}:
        found = _markup(head) if begins == "<" else _json(head)
    else:
        found = _plain(head)
    if found:
        raise UnreadableFileError(name, _NEEDED, f"it is {found}")


def _markup(head: str) -> str | None:
    start = _ABOVE.match(head)
    prolog = start[0] if start else ""
    text = head[len(prolog) :]
    if _CELLS_OF_TAGS.match(text):
        return None
    if error := _STORE_ERROR.match(text):
        return f"an object store's error document (XML, {error[1]})"
    if _HTML.match(text):
        return "an HTML page"
    if "<?xml" in prolog or text.startswith("<!DOCTYPE"):
        return "an Excel workbook saved as XML" if "Excel.Sheet" in head else "an XML document"
    return _one_element(text)


def _one_element(text: str) -> str | None:
    """Return what a text is that begins with a tag and ends where this is closed."""
    root = _ROOT.match(text)
    close = text.find(f"</{root[1]}", root.end()) if root else -1
    if root is None or close < 0 or text[close:].partition(">")[2].strip("\0\r\n\t "):
        return None
    return "an HTML page" if root[1].lower() in _OF_HTML else "an XML document"


def _json(head: str) -> str | None:
    text = head.lstrip("\ufeff \t\r\n\0")
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:  # it may be cut off, here or before it arrived
        cut_off = error.pos * 2 > len(text) > 1_000
        return "JSON" if cut_off or _JSON_BEGINS.match(text) else None
    except RecursionError:
        return "JSON"
    rest = text[end:].rstrip("\0")
    if not _JSON_GOES_ON.match(rest):
        return None
    if rest.strip():
        return "JSON lines"
    told = isinstance(value, dict) and value.keys() & {"error", "errors"}
    return "a JSON document with an error message" if told else "JSON"


def _plain(head: str) -> str | None:
    text = head.lstrip("\ufeff \t\r\n\0")
    if _POINTER.match(text):
        return "a git-lfs pointer, not the file it points to"
    return "an e-mail" if _is_mail(text[:8_192]) else None


def _is_mail(text: str) -> bool:
    """Return whether a text begins with the header of a message (RFC 5322)."""
    fields: dict[str, str] = {}
    mailbox = text.startswith("From ")
    if not (mailbox or _MAIL_FIELD.match(text)):
        return False
    for line in text.splitlines()[mailbox:60]:
        field = _MAIL_FIELD.fullmatch(line)
        if field is None:
            break
        if field[1]:
            fields[field[1].lower()] = field[2]
    if len(fields) < 2:
        return False
    letter = "@" in fields.get("from", "") and len(_MAIL & fields.keys()) >= 3
    return letter or (len(_MAIL_ONLY & fields.keys()) >= 1 and len(fields) >= 3)


def refuse_torn(source: Path, name: str, allowed_bytes: int) -> None:
    """Refuse a file that ends in more NUL bytes than a record may have.

    Raises:
        UnreadableFileError: The message says how many these are.
    """
    with source.open("rb") as file:
        size = end = file.seek(0, 2)
        while end:
            begin = max(end - 1024**2, 0)
            file.seek(begin)
            text = file.read(end - begin).rstrip(b"\0")
            end = begin + len(text)
            if text:
                break
    if size - end > allowed_bytes:
        found = f"it ends in {size - end:,} NUL bytes, as a disk leaves them after a crash"
        raise UnreadableFileError(name, "a file that was written to its end was needed", found)


def refuse_mistaken(path: Path, start: int, name: str) -> None:
    """Refuse text whose byte order mark a program took for letters, as spreadsheets may.

    Raises:
        UnreadableFileError: The text begins with such letters.
    """
    with path.open("rb") as file:
        file.seek(start)
        begins = file.read(8).lstrip(b"\"'")
    if begins.startswith(_MISTAKEN_BOM):
        raise UnreadableFileError(
            name,
            "text as it was written was needed",
            "it is UTF-8 that was opened as Windows-1252 and saved again; open it as UTF-8",
        )
