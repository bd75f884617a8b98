"""What is no CSV is refused by its name; a CSV that looks a little like it is read."""

import json
from pathlib import Path

import pytest

from csv_pipeline.errors import UnreadableFileError
from csv_pipeline.stages.read import ReadHints, as_utf8

PAGE = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body>Go, away</body></html>\n"
ROWS = [{"id": number, "name": "x" * 50} for number in range(5_000)]
ZIP = b"PK\x03\x04" + b"\0" * 26

DOCUMENTS = [
    pytest.param(PAGE, "an HTML page", id="html"),
    pytest.param("<html><body>Hi, there</body></html>", "an HTML page", id="html-no-doctype"),
    pytest.param("\n\n   " + PAGE, "an HTML page", id="html-after-blank-lines"),
    pytest.param("\ufeff" + PAGE, "an HTML page", id="html-mark"),
    pytest.param("<!-- saved, from -->\n" + PAGE, "an HTML page", id="html-comment"),
    pytest.param(PAGE.upper(), "an HTML page", id="html-upper-case"),
    pytest.param(PAGE.encode("utf-16"), "an HTML page", id="html-utf-16"),
    pytest.param(PAGE.encode("utf-16-be"), "an HTML page", id="html-utf-16-no-mark"),
    pytest.param("<body>Größe</body>".encode("cp1252"), "an HTML page", id="html-cp1252"),
    pytest.param('<?xml version="1.0"?>\n' + PAGE, "an HTML page", id="xhtml"),
    pytest.param("<h1>Not Found</h1>\n", "an HTML page", id="html-one-tag"),
    pytest.param("<table>\n<tr><td>1</td></tr>\n</table>", "an HTML page", id="html-table"),
    pytest.param('<?xml version="1.0"?>\n<orders><o n="1"/></orders>', "an XML doc", id="xml"),
    pytest.param('<orders at="1">\n<o n="1"/>\n</orders>\n', "an XML doc", id="xml-no-prolog"),
    pytest.param(
        '<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook/>',
        "an Excel workbook saved as XML",
        id="excel-xml",
    ),
    pytest.param(
        '<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code><Key>a,b</Key></Error>',
        r"an object store's error document \(XML, NoSuchKey\)",
        id="s3-error",
    ),
    pytest.param(
        "\ufeff<Error><Code>BlobNotFound</Code></Error>", "error document", id="azure-error"
    ),
    pytest.param(
        '{"error": {"code": 404, "message": "No such object"}}',
        "a JSON document with an error message",
        id="json-error",
    ),
    pytest.param('[{"id":1,"name":"a"},{"id":2,"name":"b"}]', "it is JSON$", id="json-array"),
    pytest.param('\n{\n  "id": 1,\n  "names": ["a",\n  "b"]\n}\n', "it is JSON$", id="json-object"),
    pytest.param('{"id":1}\n{"id":2}\n', "JSON lines", id="json-lines"),
    pytest.param('{"id":1}\r\n\r\n{"id":2}\r\n', "JSON lines", id="json-lines-crlf"),
    pytest.param('[1,"a"]\n[2,"b"]\n', "JSON lines", id="json-lines-of-arrays"),
    pytest.param('{"id":1}'.encode("utf-16-le"), "it is JSON$", id="json-utf-16-no-mark"),
    pytest.param('[{"id":1},{"id', "it is JSON$", id="json-cut-off"),
    pytest.param(json.dumps(ROWS), "it is JSON$", id="json-large"),
    pytest.param(json.dumps([[1, 2.5]] * 20_000), "it is JSON$", id="json-large-numbers"),
    pytest.param(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a git-lfs pointer",
        id="git-lfs",
    ),
    pytest.param(
        "Received: from a.example\n\tby b.example\nFrom: A <a@a.example>\nSubject: Report, May\n"
        "MIME-Version: 1.0\n\nid,name\n1,a\n",
        "an e-mail",
        id="e-mail",
    ),
    pytest.param(
        "From: a@a.example\nTo: b@b.example\nSubject: x\n\nid,name\n", "an e-mail", id="e-mail-bare"
    ),
    pytest.param("{\\rtf1\\ansi id,name}", "an RTF document", id="rtf"),
    pytest.param(b"%PDF-1.7\n%\xe2\xe3", "a PDF document", id="pdf"),
    pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "an old Excel", id="xls"),
    pytest.param(ZIP + b"[Content_Types].xml..xl/workbook.xml", "an Excel workbook", id="xlsx"),
    pytest.param(
        ZIP + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheetPK",
        "an OpenDocument spreadsheet",
        id="ods",
    ),
    pytest.param(ZIP + b"orders.csv", "a zip archive", id="zip"),
    pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"a picture \(PNG\)", id="png"),
    pytest.param(b"\xff\xd8\xff\xe0\0\x10JFIF", r"a picture \(JPEG\)", id="jpeg"),
    pytest.param(b"PAR1\x15\x04\x15\0\0\0", "a Parquet file", id="parquet"),
    pytest.param(b"SQLite format 3\0\x10\0", "an SQLite database", id="sqlite"),
    pytest.param(b"\x1f\x8b\x08\0\0\0\0\0", "compressed by gzip", id="gzip"),
    pytest.param(b"\x7fELF\x02\x01\x01\0", "a program", id="program"),
    pytest.param(bytes(range(1, 32)) * 40, "are control characters", id="controls"),
    pytest.param(b"\0" * 3_000, "3,000 NUL bytes", id="nul-bytes-only"),
]

TABLES = [
    pytest.param('"{",b\n1,2\n', id="a-brace-as-name"),
    pytest.param("{,}\n1,2\n", id="braces-as-names"),
    pytest.param("<id>,<name>\n1,2\n", id="names-in-angles"),
    pytest.param("<title>;<body>\n1;2\n", id="tags-as-names"),
    pytest.param("<!-- x -->,b\n1,2\n", id="a-comment-as-name"),
    pytest.param('"<html>",b\n1,2\n', id="a-page-in-a-cell"),
    pytest.param('id,reply\n1,"{""a"":1}"\n', id="json-cells"),
    pytest.param('"{""a"":1}",2\n"{""a"":2}",3\n', id="json-cells-first"),
    pytest.param('{"a":1}\t5\n{"a":2}\t6\n', id="json-cells-bare"),
    pytest.param('{"a":1};5\n{"a":2};6\n', id="json-cells-bare-semicolon"),
    pytest.param("[id],[name]\n1,2\n", id="names-in-brackets"),
    pytest.param("[2024],[2025]\n1,2\n", id="years-in-brackets"),
    pytest.param("id,body\n1,<a>b</a>\n", id="xml-cells"),
    pytest.param("<a>1</a>\n<a>2</a>\n", id="xml-cells-alone"),
    pytest.param("From,To,Subject\na@a.example,b,c\n", id="mail-columns"),
    pytest.param("Subject,Date\nx,y\n", id="subject"),
    pytest.param("From: 2026-01-01\nTo: 2026-01-31\n\nid,name\n1,2\n", id="a-banner-of-dates"),
    pytest.param("Date: today\nSubject: Sales\nFrom: shop\nid,name\n1,2\n", id="a-banner"),
    pytest.param("version,https\n1,2\n", id="version"),
    pytest.param("PAR1,PAR2\n3,4\n", id="golf-holes"),
    pytest.param("PK,Name\n1,2\n", id="primary-key"),
    pytest.param("BMI,kg\n21,70\n", id="bmi"),
    pytest.param("%PDF,n\n1,2\n", id="share-of-pdf"),
]


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(("content", "named"), DOCUMENTS)
def test_what_is_no_csv_is_refused_by_its_name(
    content: str | bytes, named: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableFileError, match=f"list.csv: a CSV file was needed; .*{named}"):
        as_utf8(written(tmp_path, content), tmp_path / "text", ReadHints(name="list.csv"))


@pytest.mark.parametrize("content", TABLES)
def test_a_csv_that_begins_like_another_document_is_read(content: str, tmp_path: Path) -> None:
    source = written(tmp_path, content)
    text, _ = as_utf8(source, tmp_path / "text", ReadHints(name="list.csv"))
    assert text.path == source
