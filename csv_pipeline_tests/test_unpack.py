"""Archives give the file in them, whole and within limits, or a clear reason why not."""

import bz2
import gzip
import hashlib
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from csv_pipeline.errors import FileRefusedError, LimitExceededError
from csv_pipeline.handover import PlainFile
from csv_pipeline.model import ArrivalStatus, ImportReport, Outcome, StoredText
from csv_pipeline.stages.unpack import UnpackLimits, Wanted, unpack
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.conftest import Desk, ingest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PEOPLE = "ID,Name\n1,Ann\n2,Bob\n"
MORE = "ID,Name\n3,Cid\n"
MANY = "".join(f"{n},{hashlib.sha256(b'%d' % n).hexdigest()}\n" for n in range(30_000)).encode()


def zipped(files: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


MANY_GZIPPED, MANY_ZIPPED = gzip.compress(MANY), zipped({"a.csv": MANY})


def unpacked(content: bytes, folder: Path, **how: Any) -> PlainFile:
    path = folder / "source"
    path.write_bytes(content)
    stored = StoredText(path=path, size_bytes=len(content), fingerprint="of the archive")
    limits = how.pop("limits", UnpackLimits())
    return unpack(stored, folder, limits, Wanted(**{"name": "a.csv"} | how))


def refusal(content: bytes, folder: Path, **how: object) -> str:
    with pytest.raises(FileRefusedError) as refused:
        unpacked(content, folder, **how)
    return str(refused.value)


COMPRESSED = [
    pytest.param(gzip.compress(PEOPLE.encode()), id="gzip"),
    pytest.param(gzip.compress(b"ID,Name\n1,Ann\n") + gzip.compress(b"2,Bob\n"), id="gzip members"),
    pytest.param(zstd.compress(PEOPLE.encode()), id="zstd"),
    pytest.param(zstd.compress(b"ID,Name\n1,Ann\n") + zstd.compress(b"2,Bob\n"), id="zstd frames"),
    pytest.param(
        b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstd.compress(PEOPLE.encode()), id="zstd skippable frame"
    ),
    pytest.param(zipped({"people.csv": PEOPLE}), id="zip"),
    pytest.param(zipped({"people.csv": PEOPLE}, zipfile.ZIP_STORED), id="zip stored"),
]


@pytest.mark.parametrize("content", COMPRESSED)
def test_a_compressed_file_is_known_by_its_bytes_and_comes_out_whole(
    content: bytes, tmp_path: Path
) -> None:
    plain = unpacked(content, tmp_path)
    assert plain.path.read_text() == PEOPLE
    assert plain.fingerprint == hashlib.sha256(PEOPLE.encode()).hexdigest()


def test_a_file_that_is_not_compressed_is_left_where_it_is(tmp_path: Path) -> None:
    plain = unpacked(PEOPLE.encode(), tmp_path)
    assert (plain.path, plain.fingerprint) == (tmp_path / "source", "of the archive")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(MANY_GZIPPED, "gzip", id="gzip"),
        pytest.param(zstd.compress(MANY), "zstd", id="zstd"),
        pytest.param(MANY_ZIPPED, "zip", id="zip"),
    ],
)
@pytest.mark.parametrize("share", [0.2, 0.999])
def test_a_file_that_is_cut_off_is_refused(
    content: bytes, kind: str, share: float, tmp_path: Path
) -> None:
    cut = content[: int(len(content) * share)]
    assert f"a.csv: a whole {kind} file was needed; it" in refusal(cut, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(MANY_GZIPPED, id="gzip"),
        pytest.param(
            zstd.compress(MANY, options={zstd.CompressionParameter.checksum_flag: 1}), id="zstd"
        ),
        pytest.param(MANY_ZIPPED, id="zip"),
    ],
)
def test_a_file_with_a_flipped_bit_is_refused(content: bytes, tmp_path: Path) -> None:
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]
    assert "it is damaged" in refusal(flipped, tmp_path)


def test_text_after_a_gzip_file_is_not_dropped_in_silence(tmp_path: Path) -> None:
    content = gzip.compress(PEOPLE.encode()) + b"3,Cid\n"
    assert "it is damaged (Not a gzipped file (b'3,'))" in refusal(content, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(b"0" * 10_000_000), id="gzip"),
        pytest.param(zstd.compress(b"0" * 10_000_000), id="zstd"),
        pytest.param(zipped({"a.csv": b"0" * 10_000_000}), id="zip"),
    ],
)
def test_a_bomb_is_refused_before_it_fills_the_disk(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(LimitExceededError, match="200 times its size was allowed"):
        unpacked(content, tmp_path)
    assert (tmp_path / "unpacked").stat().st_size < 4_000_000


def test_a_megabyte_may_come_out_of_any_file(tmp_path: Path) -> None:
    assert unpacked(gzip.compress(b"0" * 1_000_000), tmp_path).size_bytes == 1_000_000


def test_what_grows_too_large_is_refused(tmp_path: Path) -> None:
    limits = UnpackLimits(max_file_bytes=1_000_000)
    assert "at most 1,000,000 bytes were allowed once decompressed" in refusal(
        MANY_GZIPPED, tmp_path, limits=limits
    )


def test_a_compressed_file_has_a_limit_of_its_own(tmp_path: Path) -> None:
    limits = UnpackLimits(max_compressed_bytes=1_000_000)
    found = refusal(MANY_GZIPPED, tmp_path, limits=limits)
    assert "at most 1,000,000 bytes were allowed of a compressed file; the gzip file has" in found
    assert unpacked(MANY, tmp_path, limits=limits).size_bytes == len(MANY)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(bz2.compress(PEOPLE.encode()), "it is compressed by bzip2", id="bzip2"),
        pytest.param(lzma.compress(PEOPLE.encode()), "it is compressed by xz", id="xz"),
        pytest.param(b"7z\xbc\xaf\x27\x1c" + MANY, "it is compressed by 7-Zip", id="7z"),
        pytest.param(
            gzip.compress(gzip.compress(PEOPLE.encode())), "an archive again (gzip)", id="twice"
        ),
        pytest.param(
            zipped({"a.csv.zst": zstd.compress(PEOPLE.encode())}),
            "an archive again (zstd)",
            id="zst in zip",
        ),
        pytest.param(
            gzip.compress(zipped({"a.csv": "x"})), "an archive again (zip)", id="zip in gzip"
        ),
        pytest.param(
            zipped({"[Content_Types].xml": "", "xl/a.xml": ""}), "Excel workbook", id="xlsx"
        ),
        pytest.param(
            zipped({"a.csv": PEOPLE}, zipfile.ZIP_BZIP2), "compressed by bzip2", id="method"
        ),
        pytest.param(zipped({}), "a file in the archive was needed; there is none", id="empty"),
        pytest.param(zipped({"a/": "", "b/": ""}), "there is none", id="folders only"),
    ],
)
def test_what_cannot_be_taken_is_named(content: bytes, found: str, tmp_path: Path) -> None:
    assert found in refusal(content, tmp_path)


def test_a_tar_archive_is_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.csv"))
    assert "an archive again (a tar archive)" in refusal(buffer.getvalue(), tmp_path)


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.csv": PEOPLE}))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1
    assert "'a.csv' is encrypted" in refusal(bytes(content), tmp_path)


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x", "/etc/passwd", "a/../../b.csv", "..\\x.csv", "C:\\x.csv"]
)
@pytest.mark.parametrize("others", [{}, {"good.csv": PEOPLE}], ids=["alone", "among others"])
def test_a_name_that_leads_out_of_the_archive_is_refused(
    name: str, others: dict[str, str], tmp_path: Path
) -> None:
    content = zipped({name: PEOPLE} | others)
    assert f"found {name!r}" in refusal(content, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path) -> None:
    content = zipped({f"{n}.csv": "" for n in range(4)})
    limits = UnpackLimits(max_members=3)
    assert "at most 3 entries were allowed in an archive; it has 4" in refusal(
        content, tmp_path, limits=limits
    )


def test_an_archive_of_far_too_many_files_is_refused_by_the_size_of_its_list(
    tmp_path: Path,
) -> None:
    content = zipped({str(n): "" for n in range(200)})
    limits = UnpackLimits(max_members=3)
    assert "at most 3 entries were allowed in an archive; the list of them has 9,690 bytes" in (
        refusal(content, tmp_path, limits=limits)
    )


def test_folders_and_what_systems_leave_behind_are_no_files(tmp_path: Path) -> None:
    litter = {"__MACOSX/._people.csv": "x", "2026/.DS_Store": "x", "2026/": ""}
    plain = unpacked(zipped(litter | {"2026/people.csv": PEOPLE}), tmp_path)
    assert plain.path.read_text() == PEOPLE
    assert plain.evidence[0].decision == "zip, member '2026/people.csv'"
    assert "the only file there but '__MACOSX/._people.csv'" in plain.evidence[0].because


def test_an_archive_of_several_files_gives_their_names(tmp_path: Path) -> None:
    plain = unpacked(zipped({"a.csv": PEOPLE, "b/c.csv": MORE}), tmp_path)
    assert [(m.name, m.size_bytes) for m in plain.members] == [("a.csv", 20), ("b/c.csv", 14)]


def test_one_of_several_files_comes_out_by_name(tmp_path: Path) -> None:
    content = zipped({"a.csv": PEOPLE, "b/c.csv": MORE})
    assert unpacked(content, tmp_path, member="b/c.csv").path.read_text() == MORE


_ARCHIVES = [zipped({"a.csv": PEOPLE}), zipped({"a.csv": PEOPLE, "b.csv": MORE}),
             gzip.compress(PEOPLE.encode()), zstd.compress(PEOPLE.encode())]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    archive=st.sampled_from(_ARCHIVES),
    damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 400),
)
@example(archive=_ARCHIVES[1], damage=[(205, 0)], cut=0)  # a name that begins with NUL
def test_a_damaged_archive_is_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory,
    archive: bytes,
    damage: list[tuple[int, int]],
    cut: int,
) -> None:
    content = bytearray(archive)
    for position, byte in damage:
        content[position % len(content)] = byte
    try:
        plain = unpacked(bytes(content[: len(content) - cut % 20]), tmp_path_factory.mktemp("z"))
    except FileRefusedError:
        return
    assert plain.path.exists()


def reports_of(desk: Desk, content: bytes, name: str) -> list[ImportReport]:
    """Import an archive and then whatever it held."""
    first = desk.bring(content, name=name)
    claims = desk.pipeline.claim(desk.account, "people")
    return [first, *(ingest(desk.pipeline, claim) for claim in claims)]


@pytest.mark.parametrize("content", COMPRESSED)
def test_a_compressed_file_is_imported_like_any_other(desk: Desk, content: bytes) -> None:
    report = desk.bring(content, name="people.csv")
    assert (report.outcome, report.counts.inserted) == (Outcome.IMPORTED, 2)
    assert report.evidence[0].subject == "compression"


def test_the_same_content_compressed_is_a_duplicate(desk: Desk) -> None:
    first = desk.bring(PEOPLE)
    again = desk.bring(gzip.compress(PEOPLE.encode()), name="people.csv.gz")
    assert (again.outcome, again.same_as) == (Outcome.DUPLICATE, first.import_id)


def test_each_file_of_an_archive_is_an_arrival_of_its_own(desk: Desk) -> None:
    content = zipped({"a.csv": PEOPLE, "2026/b.csv": MORE, "note.txt": "Dear all\n"})
    archive, *members = reports_of(desk, content, "all.zip")
    assert archive.outcome == Outcome.UNPACKED
    assert archive.problem == (
        "all.zip: each of its 3 files is an arrival of its own; 'a.csv', '2026/b.csv', 'note.txt'"
    )
    assert [(report.name, report.outcome, report.counts.inserted) for report in members] == [
        ("2026/b.csv", Outcome.IMPORTED, 1),
        ("a.csv", Outcome.IMPORTED, 2),
        ("note.txt", Outcome.REFUSED, 0),
    ]
    with desk.pipeline.database.begin() as connection:
        rows = arrivals.find(connection, account=desk.account)
    found = {(Path(row.location).name, row.status) for row in rows}
    assert ("all.zip", ArrivalStatus.UNPACKED) in found
    assert ("all.zip!a.csv", ArrivalStatus.IMPORTED) in found


def test_a_file_of_an_archive_is_known_by_its_content(desk: Desk) -> None:
    first = desk.bring(PEOPLE)
    _, one, _ = reports_of(desk, zipped({"a.csv": PEOPLE, "b.csv": MORE}), "all.zip")
    assert (one.outcome, one.same_as) == (Outcome.DUPLICATE, first.import_id)


def test_a_bad_file_of_an_archive_stops_no_other(desk: Desk) -> None:
    files: dict[str, str | bytes] = {"a.csv": gzip.compress(PEOPLE.encode()), "b.csv": MORE}
    _, one, other = reports_of(desk, zipped(files), "all.zip")
    assert (one.outcome, other.outcome) == (Outcome.REFUSED, Outcome.IMPORTED)


def test_a_file_of_an_archive_changed_since_is_refused(desk: Desk) -> None:
    desk.bring(zipped({"a.csv": PEOPLE, "b.csv": MORE}), name="all.zip")
    (desk.folder / "all.zip").write_bytes(zipped({"a.csv": MORE, "b.csv": PEOPLE}))
    claims = desk.pipeline.claim(desk.account, "people")
    reports = [ingest(desk.pipeline, claim) for claim in claims]
    assert {report.problem_code for report in reports} == {"source_changed"}


def test_an_archive_given_again_enters_nothing_twice(desk: Desk) -> None:
    content = zipped({"a.csv": PEOPLE, "b.csv": MORE})
    reports_of(desk, content, "all.zip")
    assert [r.outcome for r in reports_of(desk, content, "again.zip")] == [
        Outcome.UNPACKED, Outcome.DUPLICATE, Outcome.DUPLICATE,
    ]  # fmt: skip


def test_a_dry_run_of_an_archive_enters_none_of_its_files(desk: Desk) -> None:
    desk.bring(zipped({"a.csv": PEOPLE, "b.csv": MORE}), name="all.zip", dry_run=True)
    with desk.pipeline.database.begin() as connection:
        rows = arrivals.find(connection, account=desk.account)
    assert [(row.name, row.status) for row in rows] == [("all.zip", ArrivalStatus.WAITING)]


def test_what_an_account_declares_of_sizes_holds(desk: Desk) -> None:
    desk.declare(max_file_bytes=10)
    refused = desk.bring(PEOPLE)
    assert refused.problem_code == "limit"
    assert "at most 10 bytes were allowed; the file has 20" in (refused.problem or "")
    desk.declare(max_compressed_bytes=10)
    refused = desk.bring(gzip.compress(PEOPLE.encode()), name="people.csv.gz")
    assert "at most 10 bytes were allowed of a compressed file" in (refused.problem or "")
