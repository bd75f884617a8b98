"""A text is read as it was written, or it is said that it is not proven; never in silence."""

import json
from pathlib import Path

import pytest

from csv_pipeline.batches import scan
from csv_pipeline.errors import ContradictionError, UnreadableFileError
from csv_pipeline.handover import TextFile
from csv_pipeline.model import Evidence, Outcome
from csv_pipeline.stages.read import ReadHints, as_utf8, read
from csv_pipeline_tests.conftest import Desk, declares
from csv_pipeline_tests.test_inspect import inspect
from csv_pipeline_tests.test_replay import sent_out

# Names and towns of many languages, with the encodings that such lists have come in; and scraps so
# short that another reading may be as likely as the right one.
_NAMES = json.loads((Path(__file__).parent / "corpus" / "names.json").read_text(encoding="utf-8"))
LISTS, SCRAPS = _NAMES["lists"], _NAMES["scraps"]


def decoded(content: bytes, folder: Path, **hints: object) -> tuple[str, Evidence]:
    source = folder / "list.csv"
    source.write_bytes(content)
    text, evidence = as_utf8(source, folder / "text", ReadHints(name="list.csv", **hints))  # type: ignore[arg-type]
    return text.path.read_bytes()[text.start :].decode(), evidence


def reading(content: bytes, folder: Path, **hints: object) -> TextFile:
    source = folder / "list.csv"
    source.write_bytes(content)
    return read(source, folder, ReadHints(name="list.csv", **hints))  # type: ignore[arg-type]


def cells(text: TextFile) -> list[tuple[str | None, ...]]:
    names = [str(position) for position in range(len(text.header))]
    return scan(text.rows).select(names).collect().rows()


def faults(text: TextFile) -> list[tuple[int, str]]:
    return scan(text.rejects).select("line_number", "rule").collect().rows()


@pytest.mark.parametrize(
    ("language", "encoding"),
    [(language, one) for language, told in LISTS.items() for one in told["encodings"]],
)
def test_a_short_list_is_read_as_it_was_written(
    language: str, encoding: str, tmp_path: Path
) -> None:
    text = "name,town\n" + LISTS[language]["rows"]
    assert decoded(text.encode(encoding), tmp_path)[0] == text


@pytest.mark.parametrize(
    ("rows", "encoding"), [(told["rows"], one) for told in SCRAPS for one in told["encodings"]]
)
def test_what_is_read_otherwise_than_it_was_written_is_not_proven(
    rows: str, encoding: str, tmp_path: Path
) -> None:
    try:
        text, evidence = decoded(f"a,b\n{rows}".encode(encoding), tmp_path)
    except UnreadableFileError:
        return
    assert text == f"a,b\n{rows}" or not evidence.proven


def test_a_longer_list_proves_its_encoding(tmp_path: Path) -> None:
    for language, encoding in [("german", "cp850"), ("russian", "cp866"), ("japanese", "euc-jp")]:
        _, evidence = decoded(LISTS[language]["rows"].encode(encoding), tmp_path)
        assert evidence.proven, (language, evidence)


def test_the_signs_that_latin_9_has_instead_are_told_apart(tmp_path: Path) -> None:
    text = "name,town\nCœur de Sœur,Œuvres\nŠárka Žák,Ÿ\nPrix,12 €\n"
    found, _ = decoded(text.encode("iso8859-15"), tmp_path)
    assert found == text


def test_fractions_and_marks_of_windows_are_not_letters_of_latin_9(tmp_path: Path) -> None:
    text = "name,town\nZucker,½ Pfund\nMehl,¼ Pfund\nMüller,Köln\n"
    found, _ = decoded(text.encode("cp1252"), tmp_path)
    assert found == text


def test_words_far_behind_the_beginning_decide_as_well(tmp_path: Path) -> None:
    early = "".join(f"{number},Weiß\n" for number in range(60_000))  # Weiá, as Windows has it
    text = f"id,name\n{early}7,Müller\n8,Köln\n9,Bärbel\n10,Jürgen\n"
    found, evidence = decoded(text.encode("cp850"), tmp_path)
    assert (found == text, evidence.proven) == (True, True)


def test_the_same_word_a_thousand_times_is_one_witness(tmp_path: Path) -> None:
    _, evidence = decoded(b"id,name\n" + "7,Café\n".encode("cp850") * 1_000, tmp_path)
    assert not evidence.proven


def test_noise_is_words_in_no_encoding(tmp_path: Path) -> None:
    noise = bytes(128 + (position * position * 89 + position // 7) % 128 for position in range(600))
    rows = b"\n".join(b"1," + noise[at : at + 12] for at in range(0, 600, 12))
    with pytest.raises(UnreadableFileError, match=r"not utf-8 .*, nor words in"):
        decoded(b"id,name\n" + rows, tmp_path)


def test_an_encoding_that_is_not_proven_is_said_so_on_the_import(desk: Desk) -> None:
    report = desk.bring("ID,Name\n1,Foà\n".encode("cp1252"))
    evidence = next(one for one in report.evidence if one.subject == "encoding")
    assert (evidence.proven, evidence.told.endswith("(not proven)")) == (False, True)


def test_inspect_says_that_an_encoding_is_not_proven(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes("id,name\n1,Foà\n".encode("cp1252"))
    assert "(not proven)" in inspect(tmp_path / "list.csv").out
    told = json.loads(inspect(tmp_path / "list.csv", "--json").out)["evidence"]
    assert [one["proven"] for one in told if one["subject"] == "encoding"] == [False]


UNICODE = "id,name\n1,Zoë Weiß\n2,Søren Kjær\n3,Łukasz\n"


@pytest.mark.parametrize(
    ("content", "proof"),
    [
        pytest.param(UNICODE.encode("utf-8-sig"), "UTF-8: .*byte order mark", id="utf-8-mark"),
        pytest.param(UNICODE.encode("utf-16"), "UTF-16-LE: .*byte order mark", id="utf-16-mark"),
        pytest.param(UNICODE.encode("utf-16-be"), "UTF-16-BE: its zero bytes", id="utf-16"),
        pytest.param(UNICODE.encode("utf-32-le"), "UTF-32-LE: its zero bytes", id="utf-32"),
        pytest.param(UNICODE.encode(), "UTF-8: 5 of 5 words .* read better by it", id="utf-8"),
        pytest.param("a,b\n1,山田\n".encode("iso2022-jp"), "escape sequences", id="iso-2022"),
    ],
)
@pytest.mark.parametrize("declared", ["cp1252", "iso-8859-1", "cp1251", "shift_jis"])
def test_bytes_that_contradict_the_declared_encoding_refuse_the_file(
    content: bytes, proof: str, declared: str, tmp_path: Path
) -> None:
    needed = (
        f"list.csv: text in the encoding {declared} was needed, as account 'ACCOUNT' declares it; "
    )
    with pytest.raises(ContradictionError, match=f"{needed}by its bytes it is .*{proof}"):
        decoded(content, tmp_path, account=declares(declared))


ROMANIAN = "Ștefan Țepeș Brașov Iași Ploiești Bistrița Năsăud Călărași Ionuț Rădulescu Șerban Niță"


@pytest.mark.parametrize("encoding", ["iso8859-16", "cp1250", "iso8859-2"])
@pytest.mark.parametrize("count", [4, 8, 12])
def test_romanian_is_not_proven_where_a_comma_is_all_that_tells_encodings_apart(
    encoding: str, count: int, tmp_path: Path
) -> None:
    names = ROMANIAN.split()[:count]
    rows = "".join(f"{n};{name}\n" for n, name in enumerate(names))
    if encoding != "iso8859-16":  # it has the letters with a cedilla
        rows = rows.translate(str.maketrans("ȘșȚț", "ŞşŢţ"))
    text, evidence = decoded(f"id;name\n{rows}".encode(encoding), tmp_path)
    assert not evidence.proven
    with_commas = text.translate(str.maketrans("ŞşŢţ", "ȘșȚț"))
    assert [line.split(";")[1] for line in with_commas.splitlines()[1:]] == names


def test_romanian_in_the_encoding_that_a_feed_expects_is_proven(tmp_path: Path) -> None:
    content = "id;name\n1;Ştefan\n2;Ţepeş\n3;Bistriţa\n4;Năsăud\n".encode("cp1250")
    assert decoded(content, tmp_path, encodings=("cp1250",))[1].proven


@pytest.mark.parametrize("name", ["ß€", "5ß€", "ß€;ß€", "ß€;Aß€;Bß€"])
def test_two_letters_that_are_utf_8_by_chance_contradict_no_declared_encoding(
    name: str, tmp_path: Path
) -> None:
    rows = "".join(f"{n};{one}\n" for n, one in enumerate(name.split(";")))
    content = f"id;name\n{rows}".encode("cp1252")
    text, evidence = decoded(content, tmp_path, account=declares("cp1252"))
    assert text == f"id;name\n{rows}"
    assert "UTF-8" not in evidence.because or not evidence.proven


@pytest.mark.parametrize("text", ["Արմեն", "ދިވެހި", "😀", "ܐܒܓ"])
def test_letters_of_no_known_language_contradict_a_declared_encoding_too(
    text: str, tmp_path: Path
) -> None:
    with pytest.raises(ContradictionError, match="by its bytes it is UTF-8"):
        decoded(f"id;name\n1;{text}\n".encode(), tmp_path, account=declares("cp437"))


@pytest.mark.parametrize("name", ["José", "Café", "Ö", "é", "Åsa", "Łukasz", "金", "12 €"])
def test_one_name_in_utf_8_contradicts_a_declared_encoding(name: str, tmp_path: Path) -> None:
    with pytest.raises(ContradictionError, match="by its bytes it is UTF-8"):
        decoded(f"id,name\n1,{name}\n".encode(), tmp_path, account=declares("cp1252"))


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "cp1252"])
def test_text_of_single_bytes_contradicts_wide_characters(encoding: str, tmp_path: Path) -> None:
    content = "id,name\n1,Zoë\n".encode(encoding, errors="replace")
    with pytest.raises(ContradictionError, match=r"utf-16 was needed.*has no zero bytes"):
        decoded(content, tmp_path, account=declares("utf-16"))


def test_a_nul_in_utf_8_makes_it_no_wide_characters(tmp_path: Path) -> None:
    content = "id,name\n1,Zoë\n2,Müller\n3,\0\n".encode()
    with pytest.raises(ContradictionError, match=r"utf-16 was needed.*by its bytes it is UTF-8"):
        decoded(content, tmp_path, account=declares("utf-16"))


@pytest.mark.parametrize(
    ("text", "declared", "written"),
    [
        ("id,name\n1,plain\n", "cp1252", "ascii"),
        ("id,name\n1,Zoë\n", "cp1252", "cp1252"),
        ("id,name\n1,Weiß\n", "cp850", "cp850"),
        ("id,name\n1,Жук\n", "koi8-r", "koi8-r"),
        ("id,name\n1,Zoë\n", "utf-8", "utf-8-sig"),
        ("id,name\n1,Zoë\n", "utf-8-sig", "utf-8"),
        ("id,name\n1,Zoë\n", "utf-16", "utf-16"),
        ("id,name\n1,Zoë\n", "utf-16-be", "utf-16-be"),
        ("id,name\n1,山田\n", "iso2022_jp", "iso2022_jp"),
        ("id,name\n1,Â°C Ã\n", "cp1252", "cp1252"),  # valid UTF-8 but for one byte
        ("id,name\n1,ДЈ\n", "cp1251", "cp1251"),  # two letters that are U+0123 in UTF-8 as well
    ],
)
def test_what_is_declared_settles_what_the_bytes_leave_open(
    text: str, declared: str, written: str, tmp_path: Path
) -> None:
    assert decoded(text.encode(written), tmp_path, account=declares(declared))[0] == text


def test_big_endian_text_with_a_mark_is_read_where_utf_16_is_declared(tmp_path: Path) -> None:
    content = b"\xfe\xff" + UNICODE.encode("utf-16-be")
    assert decoded(content, tmp_path, account=declares("utf-16"))[0] == UNICODE


def test_lines_that_do_not_decode_by_the_declared_encoding_are_rejects(tmp_path: Path) -> None:
    content = "id,name\n1,Zoë\n2,Jo\n3,Łukasz\n".encode() + b"4,Andr\xe9\n"
    text = reading(content, tmp_path, account=declares("utf-8"))
    assert faults(text) == [(5, "row.undecodable")]


def test_lines_of_utf_8_in_a_file_of_an_older_encoding_are_rejects(tmp_path: Path) -> None:
    rows = [f"{n},{name}\n".encode("cp1252") for n, name in enumerate(["Jürgen", "Köln", "Zoë"])]
    content = b"id,name\n" + b"".join(rows) + "7,Bärbel\n8,plain\n".encode()
    for declared in (None, "cp1252"):
        text = reading(content, tmp_path, account=declares(declared))
        assert faults(text) == [(5, "row.undecodable")]
        assert cells(text) == [("0", "Jürgen"), ("1", "Köln"), ("2", "Zoë"), ("8", "plain")]


def test_signs_of_two_bytes_that_happen_to_be_utf_8_cost_no_line(tmp_path: Path) -> None:
    names = ["联通", "王伟", "李娜", "张敏", "刘洋", "陈静"]
    text = "id,name\n" + "".join(f"{n},{name}\n" for n, name in enumerate(names))
    assert decoded(text.encode("gbk"), tmp_path)[0] == text


def test_korean_mail_text_is_read_to_its_end(tmp_path: Path) -> None:
    rows = "".join(f"{n},김철수\n" for n in range(300_000))  # some pieces, the header in the first
    text = f"id,이름\n{rows}"
    assert decoded(text.encode("iso2022-kr"), tmp_path)[0] == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text",
    [
        "id,name\n1,Zoë\n",
        "编号,姓名\n1,王一\n2,李上\n3,一二\n",
        "№,имя\n1,Жук\n2,Ян\n",
        "id,name\n1,\U0001f600\n2,b\n",
    ],
)
def test_wide_characters_need_no_byte_order_mark(encoding: str, text: str, tmp_path: Path) -> None:
    assert decoded(text.encode(encoding), tmp_path)[0] == text


def test_a_byte_too_many_costs_the_last_line_of_wide_text(tmp_path: Path) -> None:
    text = reading("id,name\n1,a\n2,b\n".encode("utf-16") + b"3", tmp_path)
    assert (cells(text), faults(text)) == ([("1", "a"), ("2", "b")], [(4, "row.undecodable")])


def test_a_row_of_nul_bytes_makes_no_small_file_wide(tmp_path: Path) -> None:
    for content in (b"a,b\n\0,\0\n", b"a,b,c\n1,\0,\0\n"):
        assert decoded(content, tmp_path)[0] == content.decode()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("record", ["7,\0,x", "7,a\0b,x", "\0,a,x", "7,a,\0"])
@pytest.mark.parametrize("before", [0, 1, 50])
def test_a_nul_costs_its_record_and_not_the_encoding(
    delimiter: str, record: str, before: int, tmp_path: Path
) -> None:
    sound = "".join(f"{n},Zoë,y\n" for n in range(before))
    content = f"id,name,note\n{sound}{record}\n8,b,z\n".replace(",", delimiter)
    text = reading(content.encode(), tmp_path)
    assert (text.encoding, faults(text)) == ("utf-8", [(before + 2, "row.nul_byte")])
    assert cells(text)[-1] == ("8", "b", "z")


@pytest.mark.parametrize("tail", ["", "9,torn,", "9,whole,x"])
def test_a_tail_of_nul_bytes_is_one_reject_that_says_so(tail: str, tmp_path: Path) -> None:
    content = f"id,name,note\n7,a,x\n8,b,y\n{tail}".encode() + b"\0" * 20_000
    text = reading(content, tmp_path)
    assert (faults(text), len(cells(text))) == ([(4, "row.nul_byte")], 2)
    assert text.lines.accounted == text.lines.total


def test_a_block_of_nul_bytes_in_the_middle_costs_its_line(tmp_path: Path) -> None:
    content = b"id,name\n1,a\n2,b" + b"\0" * 9_000 + b",c\n3,d\n"
    text = reading(content, tmp_path)
    assert (faults(text), cells(text)) == ([(3, "row.nul_byte")], [("1", "a"), ("3", "d")])


def test_more_nul_bytes_than_a_record_may_have_refuse_the_file_by_their_name(
    tmp_path: Path,
) -> None:
    content = b"id,name\n1,a\n2,b" + b"\0" * 3_000_000
    with pytest.raises(UnreadableFileError, match="it ends in 3,000,000 NUL bytes, as a disk"):
        reading(content, tmp_path, max_record_bytes=1024**2)


def test_a_rejects_file_that_a_spreadsheet_saved_is_read_whatever_is_declared(desk: Desk) -> None:
    desk.declare(encoding="cp1252")
    first = desk.bring("ID,Name,Amount\n2,Zoë,six\n".encode("cp1252"))
    corrected = sent_out(desk, first).replace("six", "6.00")
    assert corrected.startswith("\ufeff")
    for content in (corrected, corrected.encode("utf-16")):
        assert desk.bring(content).outcome is Outcome.IMPORTED
