"""What is proposed for a file imports it: the stored cells are those of the file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from csv_pipeline.engine.pipeline import open_pipeline
from csv_pipeline.engine.proposing import propose
from csv_pipeline.errors import SetupError
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import ImportReport
from csv_pipeline.settings import Settings
from csv_pipeline.spec.declared import feed_in
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.conftest import ingest, own_settings

ROWS = range(60)
DAYS = [date(2026, 3, 1) + timedelta(days=n % 28) for n in ROWS]


@dataclass(frozen=True)
class Case:
    """A file, the columns that are stored of it, and its cells as they are to be stored."""

    name: str
    content: bytes
    columns: str
    stored: list[tuple[Any, ...]]
    settle: tuple[str, str] = ("", "")


def _of(name: str, header: str, row: Any, encoding: str = "utf-8", end: str = "\n") -> bytes:
    text = header + "".join(f"{row(n)}{end}" for n in ROWS)
    return text.encode(encoding)


CASES = [
    Case(
        "artikel.csv",
        _of(
            "artikel",
            "Artikelnummer;Größe;Betrag;MwSt;PLZ;EAN;Datum\r\n",
            lambda n: (
                f"{n:05d};Größe {n};1.{n:03d},00 €;19 %;0{1000 + n};{4006381333900 + n};"
                f"{DAYS[n]:%d.%m.%Y}"
            ),
            "cp1252",
            "\r\n",
        ),
        "artikelnummer, grosse, betrag, mwst, plz, ean, datum",
        [
            (
                f"{n:05d}",
                f"Größe {n}",
                Decimal(1000 + n),
                Decimal(19),
                f"0{1000 + n}",
                str(4006381333900 + n),
                DAYS[n],
            )
            for n in ROWS
        ],
    ),
    Case(
        "orders.tsv",
        _of(
            "orders",
            "Order ID\tName\tOrdered\tPhone\tPaid\n",
            lambda n: (
                f"O-{n}\tMüller {n}\t{DAYS[n]} 10:{n:02d}:07\t030{n:05d}\t{('ja', 'nein')[n % 2]}"
            ),
            "utf-16",
        ),
        "order_id, name, ordered, ordered_local, phone, paid",
        [
            (
                f"O-{n}",
                f"Müller {n}",
                datetime(DAYS[n].year, DAYS[n].month, DAYS[n].day, 10, n, 7, tzinfo=UTC),
                f"{DAYS[n]} 10:{n:02d}:07",
                f"030{n:05d}",
                n % 2 == 0,
            )
            for n in ROWS
        ],
        ("    type: datetime\n", "    type: datetime\n    csv_pipeline: {zone: UTC}\n"),
    ),
    Case(
        "report.csv",
        b"Report of sales\nfrom 2026-03-01\n\n"
        + _of(
            "report",
            "Receipt,Shop,Amount,Note\n",
            lambda n: f'R-{n},{("Bern", "Chur")[n % 2]},{n}.50,"two\nlines, {n}"',
        )
        + b"Total,,1800.00,\n",
        "receipt, shop, amount, note",
        [(f"R-{n}", ("Bern", "Chur")[n % 2], Decimal(f"{n}.5"), f"two\nlines, {n}") for n in ROWS],
    ),
    Case(
        "clearing.csv",
        _of(
            "clearing",
            "",
            lambda n: (
                f"{100000 + n};{DAYS[n]:%Y%m%d};DE{89370400440532013000 + n};{n},50;EUR;"
                f"{DAYS[n]} 09:{n:02d}"
            ),
        ),
        "column_1, column_2, column_3, column_4, column_5, column_6, column_6_local",
        [
            (
                100000 + n,
                DAYS[n],
                f"DE{89370400440532013000 + n}",
                Decimal(f"{n}.5"),
                "EUR",
                datetime(DAYS[n].year, DAYS[n].month, DAYS[n].day, 9, n, tzinfo=UTC),
                f"{DAYS[n]} 09:{n:02d}",
            )
            for n in ROWS
        ],
        ("    type: datetime\n", "    type: datetime\n    csv_pipeline: {zone: UTC}\n"),
    ),
    Case(
        "events.csv",
        _of("events", "id,payload\n", lambda n: f'e{n},"{{""n"": {n}, ""of"": [1, 2]}}"'),
        "id, payload",
        [(f"e{n}", {"n": n, "of": [1, 2]}) for n in ROWS],
    ),
    Case(
        "prices.csv",
        _of("prices", "sku,price,total,qty\n", lambda n: f"A{n},{n}.00,{n * 2},{n % 5}"),
        "sku, price, total, qty",
        [(f"A{n}", Decimal(n), Decimal(n * 2), n % 5) for n in ROWS],
    ),
]


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with own_settings(settle_seconds=0) as its:
        yield its


def imported(
    path: Path, text: str, settings: Settings, columns: str
) -> tuple[ImportReport, list[Any]]:
    """Import a file for what was proposed, and return the report and the stored rows."""
    name = f"kept_{abs(hash(text))}"
    opened = open_pipeline(settings, [feed_in(text.encode(), "proposed", name)])
    with opened.database.begin() as connection:
        arrivals.register(connection, [found_file(location_of(path), "somebody", name)])
    (claim,) = opened.claim("somebody", name)
    report = ingest(opened, claim)
    with opened.database.engine.connect() as connection:
        names: list[sa.ColumnClause[Any]] = [sa.column(its) for its in columns.split(", ")]
        table = sa.table(name, schema="data")
        query = sa.select(*names).select_from(table).order_by(sa.column("_row_number"))
        rows = connection.execute(query)
        found = [tuple(row) for row in rows]
    opened.close()
    return report, found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_cell_of_a_file_is_stored(case: Case, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.content)
    text = propose([path], settings)
    if case.settle[0]:
        assert "refused until what `settle:` is about below is settled" in text
        text = text.replace(*case.settle)
    else:
        assert f"# {case.name}: 60 rows, no rejects" in text
    report, rows = imported(path, text, settings, case.columns)
    assert report.problem is None
    assert report.counts.inserted == report.counts.read == len(case.stored)
    stored = [
        tuple(json.loads(its) if isinstance(its, str) and its[:1] == "{" else its for its in row)
        for row in rows
    ]
    assert stored == case.stored


@pytest.fixture
def proposed(tmp_path: Path) -> Any:
    """Return what is proposed for texts, each in a file of its own."""

    def of(*texts: str) -> str:
        paths = [tmp_path / f"file-{at}.csv" for at in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return propose(paths, Settings(home=tmp_path))

    return of


BELOW = "Id,Name,Day\n1,Ann,2026-01-03\n2,Bob,2026-01-04\n3,Cyd,2026-01-05\n"


def test_lines_above_the_header_are_declared_so_that_only_others_are_warned_about(
    proposed: Any, settings: Settings, tmp_path: Path
) -> None:
    text = proposed('Period,"January, all"\nRun 17,by ann\n\n' + BELOW)
    assert "# line 2 of file-0.csv, above the header: a word" in text
    found = []
    for above in ('Period,"February"\nRun 9,by bob\n\n', "Period,May\nSeller,bob\n\n"):
        path = tmp_path / "again.csv"
        path.write_text(above + BELOW)
        report, rows = imported(path, text, settings, "id, name")
        assert rows == [("1", "Ann"), ("2", "Bob"), ("3", "Cyd")]
        found.append([(one.code, one.count) for one in report.warnings])
    assert found == [[], [("lines.undeclared", 1)]]


def test_a_line_above_the_header_that_a_row_may_be_like_is_told_and_not_declared(
    proposed: Any,
) -> None:
    found = proposed("Ann,May\n\n" + BELOW.replace("1,Ann", "Ann,x"))
    assert "non_data" not in found
    assert "a row may be like it, so that it is not declared, but warned about" in found
    assert "3 rows" in found


def test_a_total_that_is_no_sum_stays_a_row_and_how_to_declare_it_is_told(proposed: Any) -> None:
    text = proposed("Receipt,Shop,Paid\nR-1,a,1.50\nR-2,b,2.50\nTotal,,9.00\n")
    assert "3 rows" in text
    assert "row 4 of file-0.csv may be a total, 'Total', but is the sum of no column" in text
    lines = text.split("if it is no data, add\n")[1].split("\ndescription:")[0]
    told = yaml.safe_load("\n".join(line.removeprefix("#   ") for line in lines.splitlines()))
    own = yaml.safe_load(text) | told
    again = feed_in(json.dumps(own, default=str).encode(), "told", "told")
    assert [one.name for one in again.non_data] == ["total"]


def test_the_closing_balance_of_a_statement_is_no_row(proposed: Any) -> None:
    rows = "".join(f"{day}.10.2026;{day},50;{100 + day},25\n" for day in range(11, 30))
    text = proposed(f"Tag;Betrag;Saldo\n{rows}Endsaldo;;129,25\n")
    assert "'129,25' is the last of 'Saldo' above it" in text
    assert "type: date" in text
    text = proposed(f"Tag;Betrag;Saldo\n{rows}Endsaldo;;130,25\n")
    assert "may be a total, 'Endsaldo', but is the sum of no column" in text


def test_meters_without_a_header_are_ids_and_the_key_with_their_times(proposed: Any) -> None:
    text = proposed(
        "".join(
            f"DE000{meter}5550,2026-10-05T{hour:02d}:00:00Z,{meter}{hour:02d}.5\n"
            for meter in range(5)
            for hour in range(24)
        )
    )
    assert "categories" not in text
    assert "primaryKey: [column_1, column_2]" in text


def test_a_row_of_a_thing_called_total_is_no_total(proposed: Any) -> None:
    text = proposed("Brand,Shop,Paid\nShell,a,1.50\nEsso,b,2.50\nTotal,c,4.00\n")
    assert "non_data" not in text
    assert "may be a total" not in text


def test_a_proven_total_takes_no_row_that_has_other_cells(
    settings: Settings, tmp_path: Path
) -> None:
    rows = "".join(f"X{n},Bern,{n}.50\n" for n in range(4))
    (tmp_path / "a.csv").write_text(f"Item,Shop,Paid\n{rows}Total,,8.00\n")
    text = propose([tmp_path / "a.csv"], settings)
    assert "'8.00' is the sum of 'Paid' above it" in text
    (tmp_path / "b.csv").write_text(f"Item,Shop,Paid\n{rows}Total,Chur,3.00\nTotal,,11.00\n")
    report, _ = imported(tmp_path / "b.csv", text, settings, "item")
    assert (report.counts.read, report.counts.inserted) == (5, 5)


def test_a_key_that_a_later_file_disproves_is_not_used_silently(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("order_id,item\nA1,x\nA2,y\n")
    text = propose([tmp_path / "a.csv"], settings)
    assert "# check: only 2 rows show it, which may be chance\nprimaryKey: [order_id]" in text
    (tmp_path / "b.csv").write_text("order_id,item\nA1,x\nA1,y\nA2,z\n")
    report, _ = imported(tmp_path / "b.csv", text, settings, "order_id")
    assert (report.counts.inserted, report.counts.rejected) == (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "order_date,order_status,amount\n2026-01-01,open,5.00\n2026-01-02,paid,5.00\n"
        "2026-01-01,paid,7.00\n",
        "Name,Phone\n" + "".join(f"n{n % 9},030{n:05d}\n" for n in ROWS),
        "Town,ZIP\n" + "".join(f"t{n % 9},{10000 + n}\n" for n in ROWS),
        "No,Town\n" + "".join(f"{n + 1},t{n % 9}\n" for n in ROWS),
    ],
    ids=["dates and words", "phones", "postcodes", "a counter"],
)
def test_what_differs_by_chance_is_told_and_no_key(text: str, proposed: Any) -> None:
    told = proposed(text)
    assert "\nprimaryKey" not in told
    assert "by chance: check" in told


def test_what_several_files_do_not_have_in_common_is_told(proposed: Any) -> None:
    text = proposed("id,qty,color\na1,5,red\na2,6,blue\n", "id,qty\na3,5.5\na4,x\n")
    assert "a number in 3 of 4 values; row 3 of file-1.csv 'x' is none" in text
    assert "# in 1 of 2 files\n  - name: color" in text


def test_days_of_both_orders_stay_text_and_are_told(proposed: Any) -> None:
    text = proposed("id,at\na1,31/12/2025\na2,12/31/2025\na3,01/02/2025\n")
    assert "'12/31/2025' in row 3 can only be month first" in text
    assert "type: date" not in text


def test_files_with_a_header_and_without_are_of_no_one_feed(proposed: Any) -> None:
    rows = "".join(f"{n},{n}.5,2026-01-01\n" for n in range(1, 9))
    with pytest.raises(SetupError, match=r"file-1\.csv: a file without a header was needed"):
        proposed(rows, f"id,paid,day\n{rows}")


def test_one_word_in_all_rows_is_no_list_of_words(proposed: Any) -> None:
    text = proposed("id,currency\n" + "".join(f"a{n},EUR\n" for n in ROWS))
    assert "# the same in all rows: 'EUR'" in text
    assert "categories" not in text


@pytest.mark.parametrize(
    ("title", "value", "type_"),
    [
        ("stock", "5", "integer"),
        ("stock", "1,234,567", "integer"),
        ("stock", "5.00", "number"),
        ("stock", "5,0", "number"),
        ("stock", "5 €", "number"),
        ("Preis", "5", "number"),
        ("Total TTC", "5", "number"),
        ("day", "20260315", "date"),
        ("stock", "20261315", "integer"),
    ],
)
def test_amounts_are_numbers_and_pieces_are_whole(
    title: str, value: str, type_: str, proposed: Any
) -> None:
    text = proposed(f'x,{title}\na,"{value}"\nb,"{value}"\n')
    assert yaml.safe_load(text)["fields"][1]["type"] == type_


def test_a_column_called_value_hinders_no_other(proposed: Any) -> None:
    text = proposed("seen,value,tried_0\n2026-03-01,1.5,2\n2026-03-02,2.5,3\n")
    types = [one["type"] for one in yaml.safe_load(text)["fields"]]
    assert types == ["date", "number", "integer"]
