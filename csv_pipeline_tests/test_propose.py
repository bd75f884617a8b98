"""A feed that is proposed for files loads, and imports these files without a reject."""

import gzip
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from csv_pipeline.cli import commands
from csv_pipeline.cli.commands import app
from csv_pipeline.engine.new_project import new_project
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.engine.proposing import propose, rejects_of
from csv_pipeline.errors import EmptyFileError, SetupError, UndecidableError
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.settings import Settings
from csv_pipeline.spec.declared import feed_in, read_feed
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.conftest import SAMPLES, ingest, own_settings

STOCK = """\
Art.-Nr.;Bezeichnung;Preis;Bestand;Aktiv;Geändert am;Warengruppe
00123;Schraube M4;1.234,50 €;12;ja;03.04.2026;Eisen
00124;Mutter M4;0,05 €;1.200;nein;25.12.2025;Eisen
00125;Dübel;2,00 €;;ja;;Kunststoff
"""
READINGS = "at,device,reading,state,more\n" + "".join(
    f"2026-01-{n % 28 + 1:02d}T10:{n // 28:02d}:00Z,dev-{n % 3},{n}.1234,"
    f'{("OK", "WARN")[n % 2]},"{{""n"": {n}}}"\n'
    for n in range(60)
)
VISITS = "Member No\tE-Mail\tLast Visit\tPhone\tSteps\n" + "".join(
    f"{1000 + n}\tm{n}@example.org\t2025-06-{n + 1:02d} 14:{n:02d}\t+49 30 {n}\t{n * 1000}\n"
    for n in range(28)
)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with own_settings(settle_seconds=0) as its:
        yield its


@pytest.fixture
def fields(tmp_path: Path) -> Any:
    """Return the fields that are proposed for a text, by name."""

    def fields_of(*texts: str) -> dict[str, Any]:
        paths = []
        for at, text in enumerate(texts):
            path = tmp_path / f"things-{at}.csv"
            path.write_text(text)
            paths.append(path)
        schema = yaml.safe_load(propose(paths, Settings(home=tmp_path)))
        return {its["name"]: its for its in schema["fields"]} | {"key": schema.get("primaryKey")}

    return fields_of


@pytest.mark.parametrize("text", [STOCK, READINGS], ids=["stock", "readings"])
def test_the_files_it_was_proposed_for_are_imported_without_a_reject(
    text: str, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "first try.csv"
    path.write_text(text)
    proposed = propose([path], settings, "tried")
    assert f"# first try.csv: {len(text.splitlines()) - 1} rows, no rejects" in proposed
    report = imported(path, proposed, settings)
    assert report.counts.inserted == report.counts.read == len(text.splitlines()) - 1


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.csv")), ids=lambda path: path.name)
def test_what_is_proposed_for_any_sample_says_what_it_rejects(
    path: Path, settings: Settings
) -> None:
    proposed = propose([path], settings, "tried")
    if "settle: no value states its time zone" in proposed:
        text = "    type: datetime\n"
        proposed = proposed.replace(text, f"{text}    csv_pipeline: {{zone: UTC}}\n")
    report = imported(path, proposed, settings)
    assert (report.counts.rejected == 0) == any(
        word in proposed for word in ("no rejects", "superseded", "refused until")
    )


def imported(path: Path, proposed: str, settings: Settings) -> Any:
    """Import a file for a feed of its own and return the report."""
    name = f"tried_{abs(hash(proposed))}"
    own = proposed.replace("\nname: tried\n", f"\nname: {name}\n", 1)
    feed = feed_in(own.encode(), "proposed", name)
    opened: Pipeline = open_pipeline(settings, [feed])
    with opened.database.begin() as connection:
        arrivals.register(connection, [found_file(location_of(path), "somebody", name)])
    (claim,) = opened.claim("somebody", name)
    report = ingest(opened, claim)
    opened.close()
    assert report.problem is None
    return report


def test_columns_are_what_all_of_their_values_are(fields: Any) -> None:
    found = fields(STOCK)
    assert found["art_nr"] == {
        "name": "art_nr", "title": "Art.-Nr.", "csv_pipeline": {"identifier": True}
    }  # fmt: skip
    assert found["preis"]["csv_pipeline"] == {"precision": 18, "scale": 2}
    assert found["preis"]["decimalChar"] == ","
    assert found["bestand"]["type"] == "integer"
    assert "constraints" not in found["bestand"]
    assert found["aktiv"]["type"] == "boolean"
    assert (found["geandert_am"]["type"], found["geandert_am"]["title"]) == ("date", "Geändert am")
    assert found["key"] == ["art_nr"]


def test_values_that_are_none_make_a_column_text_unless_they_are_few(fields: Any) -> None:
    rows = "".join(f"x{n},{n}\n" for n in range(500))
    assert fields(f"a,b\n{rows}")["b"]["type"] == "integer"
    assert fields(f"a,b\n{rows}y,about 7\n")["b"]["type"] == "integer"
    assert "type" not in fields(f"a,b\n{rows}" + "y,about 7\n" * 3)["b"]


def test_a_column_is_what_it_is_in_all_files(fields: Any) -> None:
    found = fields("name,size\nx,1\n", "Size,colour\n2.5,red\n")
    assert found["size"] == {
        "name": "size", "type": "number", "csv_pipeline": {"precision": 18, "scale": 2},
        "constraints": {"required": True}, "decimalChar": ".",
    }  # fmt: skip
    assert "constraints" not in found["colour"]


@pytest.mark.parametrize(
    "values",
    [["007", "12"], ["4006381333931", "4006381333948"], ["+4930123", "12"]],
    ids=["zeros", "long", "plus"],
)
def test_digits_that_are_no_quantity_are_ids(values: list[str], fields: Any) -> None:
    found = fields("what\n" + "\n".join(values) + "\n")["what"]
    assert found["csv_pipeline"] == {"identifier": True}


@pytest.mark.parametrize(
    ("values", "word", "ways", "doubt"),
    [
        (["03/04/2025", "05/04/2025"], "format", ["%d/%m/%Y", "%m/%d/%Y"], "3 April 2025 by day"),
        (['"1,234"', '"2,500"'], "decimalChar", [".", ","], "1234 by point, 1.234 by comma"),
    ],
    ids=["dates", "amounts"],
)
def test_what_nothing_settles_is_told_and_refused_until_a_line_settles_it(
    values: list[str], word: str, ways: list[str], doubt: str, tmp_path: Path
) -> None:
    path = tmp_path / "open.csv"
    path.write_text("shop,what\n" + "".join(f"s{n},{its}\n" for n, its in enumerate(values)))
    proposed = propose([path], Settings(home=tmp_path), "tried")
    assert "# open.csv: refused until what `settle:` is about below is settled" in proposed
    assert "  # settle: " in proposed
    assert doubt in proposed
    with pytest.raises(UndecidableError):
        rejects_of(path, feed_in(proposed.encode(), "proposed", "tried"))
    for way in ways:
        line = f'{word}: "{way}"'
        assert line in proposed
        settled = proposed.replace("    title: What\n", "").replace(
            "  - name: what\n", f"  - name: what\n    {line}\n"
        )
        assert rejects_of(path, feed_in(settled.encode(), "proposed", "tried")) == {}


@pytest.mark.parametrize(
    ("value", "open_", "word", "told"),
    [
        ("31/12/2025", "03/04/2025", {"format": "%d/%m/%Y"}, "# day first: '31/12/2025' in row 2"),
        ("12/31/2025", "03/04/2025", {"format": "%m/%d/%Y"}, "# month first: '12/31/2025'"),
        ('"1.234,50"', '"1,234"', {"decimalChar": ","}, "# comma: '1.234,50' in row 2"),
        ('"1,234.50"', '"1,234"', {"decimalChar": "."}, "# point: '1,234.50' in row 2"),
    ],
)
def test_what_one_value_proves_of_a_column_is_written_with_the_proof(
    value: str, open_: str, word: dict[str, str], told: str, tmp_path: Path
) -> None:
    def proposed(*texts: str) -> str:
        paths = [tmp_path / f"{at}.csv" for at in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return propose(paths, Settings(home=tmp_path), "tried")

    one, other = f"a,b\nx,{value}\ny,{open_}\n", f"a,b\nz,{open_}\n"
    (line,) = (f'{key}: "{its}"' for key, its in word.items())
    assert told in proposed(one)
    assert proposed(other, one).count(line) == 1
    assert proposed(f"a,b,c\nx,{value},{open_}\n").count(line) == 2
    assert "settle" not in proposed(one) + proposed(other, one)


def test_a_date_of_birth_is_no_evidence_that_is_shown(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,birth date\n1,31/12/1985\n2,03/04/1990\n")
    told = propose([tmp_path / "people.csv"], Settings(home=tmp_path))
    assert 'format: "%d/%m/%Y"' in told
    assert "31/12/1985" not in told


def test_files_that_overlap_have_a_key_and_what_comes_again_is_told(tmp_path: Path) -> None:
    first, second = tmp_path / "stock1.csv", tmp_path / "stock2.csv"
    first.write_text("sku,title,stock\nA1,Cup,5\nB2,Pot,7\nC3,Pan,1\n")
    second.write_text("sku,title,stock\nB2,Pot,7\nC3,Pan,9\nD4,Jug,2\n")
    told = propose([first, second], Settings(home=tmp_path))
    assert "primaryKey: [sku]" in told
    assert (
        "no two rows of a file have the same; of 2 that come again in another file 1 are equal "
        "and 1 have other values, which are updates" in told
    )
    second.write_text("sku,title,stock\nB2,Pot,7\nB2,Pan,9\n")
    assert "primaryKey: [sku]" not in propose([first, second], Settings(home=tmp_path))


def test_a_counter_that_begins_anew_in_each_file_is_no_key(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    paths[0].write_text("No,town,paid\n1,Bern,5.5\n2,Genf,7.5\n3,Chur,8.5\n")
    paths[1].write_text("No,town,paid\n1,Rom,1.5\n2,Turin,2.5\n3,Pisa,3.5\n")
    assert "primaryKey: [no]" not in propose(paths, Settings(home=tmp_path))


def test_the_time_of_a_day_is_not_lost(fields: Any) -> None:
    found = fields(VISITS)
    assert found["last_visit"]["type"] == "datetime"
    assert found["last_visit_local"]["csv_pipeline"] == {"local_of": "last_visit"}


def test_digits_behind_the_mark_are_not_lost(fields: Any) -> None:
    assert fields("a,b\nx,0.12345\ny,12345678901234567.1\n")["b"]["csv_pipeline"] == {
        "precision": 38,
        "scale": 5,
    }


def test_words_that_differ_in_case_only_are_no_list(fields: Any) -> None:
    same, apart = "a\n" + "open\nOpen\n" * 20, "a\n" + "open\nshut\n" * 20
    assert "categories" not in fields(same)["a"]
    assert fields(apart)["a"]["categories"] == ["open", "shut"]


def test_a_key_may_be_an_id_and_a_day_and_a_moment_is_none_alone(fields: Any) -> None:
    rows = [f"2025-01-{n // 2 + 1:02d},s-{n % 2},{n}.5\n" for n in range(60)]
    assert fields("day,shop,sold\n" + "".join(rows))["key"] == ["shop", "day"]
    assert fields("day,shop,sold\n" + "".join(rows[:40]))["key"] is None
    assert fields("day,sold\n2025-01-01,1.5\n2025-01-02,2.5\n")["key"] is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param("A1,10\nA1,20\nB2,20\n", None, id="an amount"),
        pytest.param("A1,$10.00\nA1,20\nB2,NaN\n", None, id="an amount that is text"),
        pytest.param(
            "A1,open\nA1,paid\nB2,open\nC3,open\nD4,open\n", None, id="a value that changed"
        ),
        pytest.param("A1,1\nA1,2\nB2,1\nC3,1\n", ["order_id", "it"], id="lines of a few"),
        pytest.param("A1,1\nA1,2\nB2,1\n", ["order_id", "it"], id="the number of a line"),
        pytest.param("A1,0\nA1,1\nB2,0\n", ["order_id", "it"], id="lines from 0"),
        pytest.param("A1,1\nA1,3\nB2,1\n", None, id="lines with a gap"),
        pytest.param("A1,2023\nA1,2024\nB2,2024\n", None, id="a year in few rows"),
        pytest.param(
            "".join(f"A{n // 2},{2023 + n % 2}\n" for n in range(60)),
            ["order_id", "it"],
            id="a year",
        ),
        pytest.param(
            "".join(f"A{n // 2},{30 + n % 2}.12.2024\n" for n in range(60)),
            ["order_id", "it"],
            id="a day",
        ),
    ],
)
def test_an_amount_makes_no_pair_a_key_and_what_counts_or_is_a_year_may(
    text: str, key: list[str] | None, fields: Any
) -> None:
    assert fields(f"order_id,it\n{text}")["key"] == key


DAYS = [f"2025-{n // 28 + 1:02d}-{n % 28 + 1:02d}" for n in range(200)]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("day,total,{0}", "{day},{n}.5,A{n}"),
        ("seen,{0}", "{epoch},x{n}"),
        ("ms,{0}", "{epoch}000,{n}"),
        ("pieces,{0}", "{n},A{n}"),
    ],
)
@pytest.mark.parametrize("id_", ["order_id", "Invoice Number", "Beleg-Nr.", "SKU", "ItemID"])
def test_an_id_is_the_key_before_what_is_unique_by_chance(
    header: str, row: str, id_: str, fields: Any
) -> None:
    rows = [row.format(day=day, n=n, epoch=1_700_000_000 + n) for n, day in enumerate(DAYS)]
    key = fields("\n".join([header.format(id_), *rows]) + "\n")["key"]
    assert key == [re.sub("[^a-z]+", "_", id_.lower()).strip("_")]


def test_an_id_that_one_row_in_a_hundred_lacks_is_the_key_and_the_reject_is_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "orders.csv"
    rows = [f"{day},{'' if n == 7 else f'A{n}'}" for n, day in enumerate(DAYS)]
    path.write_text("\n".join(["day,order_id", *rows]) + "\n")
    told = propose([path], Settings(home=tmp_path))
    assert (
        "# no two of 200 rows have the same; rows without one are rejected: 1\nprimaryKey" in told
    )
    assert "# orders.csv: 200 rows, 1 × order_id" in told
    path.write_text("\n".join(["day,order_id", *rows[:50]]) + "\n")
    assert "\nprimaryKey" not in propose([path], Settings(home=tmp_path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("day,kind\n2025-01-01,x\n2025-01-02,x\n2025-01-03,y\n", "day alone"),
        ("epoch,kind\n1700000001,x\n1700000002,x\n1700000003,y\n", "epoch alone"),
        ("ms,kind\n1700000001000,x\n1700000002000,x\n1700000003000,y\n", "ms alone"),
        ("paid,kind\n7,x\n8,x\n9,y\n", "paid alone"),
        ("paid,kind\n7.5,x\n8.5,x\n7.5,y\n", "paid and kind together differ in all 3 rows, by "),
        ("paid,kind\n7.5,x\n7.5,x\n7.5,y\n", "no column or pair"),
    ],
)
def test_what_may_be_unique_by_chance_is_no_key_and_told(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "things.csv").write_text(text)
    told = propose([tmp_path / "things.csv"], Settings(home=tmp_path))
    assert "\nprimaryKey" not in told
    assert f"# rows without a key: {said}" in told


def test_letters_before_digits_are_an_id_and_no_currency(fields: Any) -> None:
    found = fields("Receipt,Date\nR-1,2025-01-31\nR-2,2025-01-31\nR-1001,2025-01-31\n")
    assert found["receipt"]["csv_pipeline"] == {"identifier": True}
    assert found["key"] == ["receipt"]
    found = fields("Code,Shop\nR1001,x\nR1002,x\n")
    assert found["code"]["csv_pipeline"] == {"identifier": True}
    assert found["key"] == ["code"]
    assert fields("Price\nR 1.50\nR 2.50\n")["price"]["type"] == "number"


def test_the_sample_of_a_new_project_has_its_receipts_as_the_key(tmp_path: Path) -> None:
    new_project(tmp_path / "my_shop")
    told = propose([tmp_path / "my_shop" / "samples" / "sales.csv"], Settings(home=tmp_path))
    assert "primaryKey: [receipt]" in told


def test_uuids_and_percentages_are_proposed(fields: Any) -> None:
    uuids = [f"0b0f8a2e-1111-4a4a-8a8a-0123456789{n:02x}" for n in range(3)]
    found = fields("Key,Share\n" + "".join(f"{its},{n}.5%\n" for n, its in enumerate(uuids)))
    assert found["key"] == ["key"]
    assert found["share"]["csv_pipeline"] == {"kind": "percent", "precision": 18, "scale": 2}
    assert fields("token\n" + "\n".join(uuids) + "\n")["token"]["format"] == "uuid"
    assert "format" not in fields("md5\n" + "0b0f8a2e11114a4a8a8a012345678900\n")["md5"]
    assert "csv_pipeline" not in fields("share\n5%\n6%\n7 of 9\n")["share"]


@pytest.mark.parametrize(
    ("title", "values", "odd", "said"),
    [
        ("day", DAYS, "31/02/2025", "a date in 198 of 200 values; row 9 '31/02/2025' is none"),
        ("size", [f"{n}.5" for n in range(200)], "big", "a number in 198 of 200 values; row 9 "),
        ("on", ["yes", "no"] * 100, "perhaps", "a boolean in 198 of 200 values; row 9 'perhaps'"),
        ("t", [f"0b0f8a2e-1111-4a4a-8a8a-{n:012}" for n in range(200)], "?x", "a UUID in 198"),
        ("Phone", [f"30{n}" for n in range(200)], "ask", "a number in 198 of 200 values; row 9 is"),
        ("who", [f"30{n}" for n in range(200)], "a@b.de", "200 values; row 9 is none"),
    ],
)  # fmt: skip
def test_a_value_that_keeps_a_column_text_is_told(
    title: str, values: list[str], odd: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "things.csv"
    rows = [odd if n in {7, 100} else value for n, value in enumerate(values)]
    path.write_text("\n".join([f"{title},x", *(f"{value},y" for value in rows)]) + "\n")
    told = propose([path], Settings(home=tmp_path))
    assert f"  # {said}" in told or ("200 values" in told and said in told)
    rows[50:] = [odd] * 150
    path.write_text("\n".join([f"{title},x", *(f"{value},y" for value in rows)]) + "\n")
    assert " is none" not in propose([path], Settings(home=tmp_path))


def test_a_date_and_its_time_of_a_plain_name_are_one_heading(fields: Any) -> None:
    found = fields("seen\n" + "".join(f"2025-06-{n + 1:02d} 00:00\n" for n in range(28)))
    assert found["seen"]["title"] == found["seen_time"]["title"] == "seen"


def test_names_that_no_column_can_have_get_others(fields: Any) -> None:
    found = fields("Account,2024,日付,Größe,größe!,,_id\nx,1.5,y,b,c,d,e\n")
    assert list(found) == ["account_2", "column_2024", "column", "grosse", "id", "key"]


def test_no_name_is_what_headers_call_another_column(fields: Any) -> None:
    found = fields("Account,Account 2\nx,y\n")
    assert list(found) == ["account_3", "account_2", "key"]
    rows = "".join(f"2025-06-{n + 1:02d} 00:00,{n}\n" for n in range(28))
    found = fields(f"Seen,Seen time\n{rows}")
    assert list(found) == ["seen", "seen_time_2", "seen_time", "key"]


def test_an_archive_is_read_and_one_of_several_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stock.csv.gz"
    path.write_bytes(gzip.compress(STOCK.encode()))
    assert "# stock.csv.gz: 3 rows, no rejects" in propose([path], Settings(home=tmp_path))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as made:
        made.writestr("one.csv", STOCK)
        made.writestr("two.csv", STOCK)
    with pytest.raises(SetupError, match="a single file was needed; the archive has 2"):
        propose([tmp_path / "all.zip"], Settings(home=tmp_path))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.csv").touch()
    with pytest.raises(EmptyFileError):
        propose([tmp_path / "none.csv"], Settings(home=tmp_path))


def test_the_command_writes_no_file_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "stock 2025.csv").write_text(STOCK)
    out = tmp_path / "feeds.d" / "stock.yaml"
    words = ["feeds", "propose", str(tmp_path / "stock 2025.csv"), "--out", str(out)]
    said = CliRunner().invoke(commands.app, words)
    assert said.exit_code == 0
    assert out.read_text().startswith("# Proposed feed stock: ")
    assert "stock 2025.csv: 3 rows, no rejects\n" in said.stdout
    assert "check: only 3 rows show it, which may be chance\n" in said.stdout
    again = CliRunner().invoke(commands.app, words)
    assert again.exit_code == 2
    assert "a new file to write to was needed" in again.stderr


def test_a_feed_that_is_written_to_a_file_has_the_name_that_was_told(tmp_path: Path) -> None:
    sample = tmp_path / "first.csv"
    sample.write_text("Code,Shop\nR1001,x\nR1002,x\n")

    def named(*words: str) -> str:
        said = CliRunner().invoke(app, ["feeds", "propose", str(sample), *words])
        assert said.exit_code == 0
        return read_feed(Path(words[-1])).name

    assert named("--name", "sales", "--out", str(tmp_path / "y.yaml")) == "sales"
    assert named("--out", str(tmp_path / "z.yaml")) == "z"
    bad = CliRunner().invoke(
        app, ["feeds", "propose", str(sample), "--out", str(tmp_path / "1st try.yaml")]
    )
    assert bad.exit_code == 2
    assert "found '1st try'" in bad.stderr
    assert not (tmp_path / "1st try.yaml").exists()
