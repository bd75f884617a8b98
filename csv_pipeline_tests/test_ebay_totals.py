"""Whatever files tell of an eBay order, and in whatever order they came, it counts once."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from csv_pipeline.batches import scan
from csv_pipeline.feeds.ebay_orders import EBAY_ORDERS
from csv_pipeline.model import ImportReport
from csv_pipeline.parts import together
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline_tests.conftest import Desk, typed_file

HUB = (
    "Sales Record Number,Order Number,Buyer Username,Item Number,Transaction ID,Quantity,Sold For,"
    "Total Price,Sale Date\n"
    "71,53-00000-00001,potfan,,,2,$30.00,$35.00,May-18-26\n"
    "71,53-00000-00001,potfan,255600000001,3001,1,$10.00,,May-18-26\n"
    "71,53-00000-00001,potfan,255600000002,3002,1,$20.00,,May-18-26\n"
    "72,53-00000-00002,ann,255600000003,3003,2,$4.00,$9.50,May-18-26\n"
    "73,53-00000-00003,bob,255600000003,3004,1,$4.00,$5.50,May-19-26\n"
)
OWN = (
    "Order ID,Buyer Name,Order Total,Order Date,Order Status\n"
    "53-00000-00001,Ada Pott,$35.00,2026-05-18,shipped\n"
    "53-00000-00002,Ann Ray,$9.50,2026-05-18,shipped\n"
    "53-00000-00004,Cid Low,$7.00,2026-05-20,pending\n"
)
OWN_WITH_ITEMS = (
    "Order ID,Buyer Name,Order Total,Order Date,Item ID\n"
    "53-00000-00002,Ann Ray,$9.50,2026-05-18,255600000003\n"
    "53-00000-00003,Bob Sun,$5.50,2026-05-19,255600000003\n"
)
OF_HUB = {1: ("30.00", 2, "35.00"), 2: ("8.00", 1, "9.50"), 3: ("4.00", 1, "5.50")}
OF_OWN = {1: ("35.00", 1, "35.00"), 2: ("9.50", 1, "9.50"), 4: ("7.00", 1, "7.00")}


def totals(desk: Desk) -> dict[int, tuple[str, int, str]]:
    columns = "order_id, revenue, items, total"
    rows = [tuple(row) for row in desk.rows("ebay_order_totals", columns, "order_id")]
    found = {int(order[-1]): (str(revenue), n, str(total)) for order, revenue, n, total in rows}
    assert len(found) == len(rows), "an order has two lines"
    return found


@pytest.mark.parametrize("files", [(HUB, OWN), (OWN, HUB), (OWN, HUB, OWN + "\n"), (HUB, OWN, HUB)])
def test_report_and_own_list_count_an_order_once(desk: Desk, files: tuple[str, ...]) -> None:
    for file in files:
        desk.bring(file, "ebay_orders")
    assert totals(desk) == OF_OWN | OF_HUB


@pytest.mark.parametrize("files", [(HUB, OWN_WITH_ITEMS), (OWN_WITH_ITEMS, HUB)])
def test_an_own_list_that_names_the_items_adds_none(desk: Desk, files: tuple[str, ...]) -> None:
    for file in files:
        desk.bring(file, "ebay_orders")
    assert totals(desk) == OF_HUB


@pytest.mark.parametrize(
    ("files", "undone", "left"),
    [
        ((OWN, HUB), 1, OF_OWN),
        ((OWN, HUB), 0, OF_HUB),  # rows that the report has written since stay
        ((HUB, OWN), 1, OF_HUB),
        # The list has written the summary row since, so that it stays, without its items.
        ((HUB, OWN), 0, OF_OWN | {1: ("30.00", 1, "35.00")}),
    ],
)
def test_what_is_left_of_them_after_an_undo_counts_once_too(
    desk: Desk, files: tuple[str, ...], undone: int, left: dict[int, tuple[str, int, str]]
) -> None:
    imports = [desk.bring(file, "ebay_orders").import_id for file in files]
    desk.pipeline.undo(imports[undone])
    assert totals(desk) == left


def test_sales_that_were_paid_for_together_count_once(desk: Desk) -> None:
    unpaid = (
        "68,,potfan,255600000001,3001,1,$10.00,$12.00,May-18-26\n"
        "69,,potfan,255600000002,3002,1,$20.00,$22.00,May-18-26\n"
        "70,,potfan,255600000002,,1,$20.00,$22.00,May-18-26\n"  # may be another sale of the item
    )
    desk.bring(f"{HUB.splitlines()[0]}\n{unpaid}", "ebay_orders")
    desk.bring(HUB, "ebay_orders")
    lines = desk.rows("ebay_order_totals", "order_key", "order_id NULLS FIRST")
    assert [key for (key,) in lines] == ["70", *(f"53-00000-0000{n}" for n in (1, 2, 3))]


def test_a_list_of_one_s_own_leaves_alone_what_the_report_tells_of_a_line(desk: Desk) -> None:
    desk.bring(HUB, "ebay_orders")
    desk.bring(OWN, "ebay_orders")
    query = "layout, line_kind, buyer_name, order_status"
    row = desk.rows("ebay_orders", query, "order_key, item_number")[0]
    assert tuple(row) == ("seller_hub", "summary", "Ada Pott", "SHIPPED")


@pytest.mark.parametrize("files", ["report, list", "list, report", "report, list, report"])
def test_a_list_of_one_s_own_replaces_no_amount_of_the_report(desk: Desk, files: str) -> None:
    own = OWN.replace("$35.00", "EUR 36.10").replace("Order Status", "Quantity")
    own = own.replace("shipped", "7").replace("pending", "1").replace("05-18,", "05-11,")
    for file in files.split(", "):
        desk.bring(HUB if file == "report" else own, "ebay_orders")
    query = "total_price, currency, quantity, sold_on, buyer_name"
    row = desk.rows("ebay_orders", query, "order_key, item_number")[0]
    assert tuple(row) == (Decimal("35.00"), "$", 2, date(2026, 5, 18), "Ada Pott")


def test_a_list_of_one_s_own_changes_no_revenue_of_a_report_that_names_no_items(desk: Desk) -> None:
    desk.bring(
        "Order Number,Sold For,Total Price,Quantity,Sale Date,Buyer Name\n"
        "53-00000-00001,$2.00,$6.50,3,May-18-26,Ada\n",
        "ebay_orders",
    )
    desk.bring(
        "Order ID,Buyer Name,Order Total,Order Date,Quantity\n"
        "53-00000-00001,Ada Pott,$9.00,2026-05-18,4\n",
        "ebay_orders",
    )
    assert totals(desk) == {1: ("6.00", 1, "6.50")}


def test_a_corrected_row_of_an_older_report_still_tells_what_its_line_is(
    desk: Desk, bring_back: Callable[[ImportReport, str, str], ImportReport]
) -> None:
    first = desk.bring(HUB.replace(",2,$30.00", ",x,$30.00"), "ebay_orders")
    desk.bring(OWN, "ebay_orders")
    assert bring_back(first, ",x,", ",2,").counts.rejected == 0
    assert totals(desk) == OF_OWN | OF_HUB


@pytest.fixture
def bring_back(desk: Desk) -> Callable[[ImportReport, str, str], ImportReport]:
    """Send the rejected rows of an import back with a text replaced."""

    def back(report: ImportReport, old: str, new: str) -> ImportReport:
        path = desk.folder / "rejects.csv"
        desk.pipeline.write_rejects(report.import_id, path)
        return desk.bring(path.read_text().replace(old, new), "ebay_orders")

    return back


@pytest.mark.parametrize("row", [2, 3, 5])
def test_a_row_that_is_corrected_alone_is_the_line_that_it_was_in_its_file(
    desk: Desk, bring_back: Callable[[ImportReport, str, str], ImportReport], row: int
) -> None:
    lines = HUB.splitlines(keepends=True)
    lines[row - 1] = lines[row - 1].replace(",May-1", ",Nay-1")
    report = desk.bring("".join(lines), "ebay_orders")
    assert report.counts.rejected == 1
    bring_back(report, "Nay-1", "May-1")
    assert totals(desk) == OF_HUB


def test_rows_of_an_import_that_stored_no_facts_are_typed_by_its_header(
    desk: Desk, bring_back: Callable[[ImportReport, str, str], ImportReport]
) -> None:
    report = desk.bring(HUB.replace(",2,$30.00", ",x,$30.00"), "ebay_orders")
    forget = sa.text(
        "UPDATE csv_pipeline.import SET report = report - 'facts' WHERE import_id = :i"
    )
    with desk.pipeline.database.begin() as connection:
        connection.execute(forget, {"i": report.import_id})
    bring_back(report, ",x,", ",2,")
    assert totals(desk) == OF_HUB


def test_a_column_added_to_corrected_rows_does_not_make_their_file_another(desk: Desk) -> None:
    report = desk.bring(OWN.replace("2026-05-20", "2026-05-40"), "ebay_orders")
    path = desk.folder / "rejects.csv"
    desk.pipeline.write_rejects(report.import_id, path)
    header, row = path.read_text().replace("2026-05-40", "2026-05-20").splitlines()
    again = desk.bring(f"{header},Sold For\n{row},$3.00\n", "ebay_orders")
    assert again.counts.inserted == 1, again.problem
    assert desk.rows("ebay_orders", "layout", "order_key")[-1].layout == "simple"
    assert totals(desk) == OF_OWN


@pytest.mark.parametrize("block_bytes", [256, 1024, 1 << 20])
def test_what_a_line_is_does_not_depend_on_the_size_of_blocks(
    tmp_path: Path, block_bytes: int
) -> None:
    header, *rows = HUB.splitlines(keepends=True)
    blank = "70,53-00000-00009,eve,,,1,$1.00,$1.50,May-18-26\n"
    (tmp_path / "hub.csv").write_text(header + blank * 20 + "".join(rows[1:3] * 20) + rows[3] * 20)
    kinds = kinds_in(tmp_path, block_bytes)
    assert kinds == ["summary"] * 20 + ["item"] * 40 + ["single"] * 20


def kinds_in(folder: Path, block_bytes: int) -> list[str]:
    hints = ReadHints(
        name="hub.csv", headings=EBAY_ORDERS.headings, non_data=EBAY_ORDERS.non_data,
        block_bytes=block_bytes,
    )  # fmt: skip
    text = read(folder / "hub.csv", folder, hints)
    typed = typed_file(together([text], ["hub.csv"], folder), EBAY_ORDERS)
    rows: pl.DataFrame = scan(typed.rows).select("line_kind").collect()
    return rows["line_kind"].to_list()


def test_a_report_that_names_no_item_and_no_total_has_orders_of_one_item(desk: Desk) -> None:
    desk.bring(
        "Order Number,Item Number,Sold For,Total Price,Quantity,Sale Date\n"
        "53-00000-00001,--,$2.00,--,3,May-18-26\n53-00000-00002,,$5.00,,1,May-18-26\n",
        "ebay_orders",
    )
    rows = desk.rows("ebay_order_totals", "revenue, items", "order_id")
    assert [tuple(row) for row in rows] == [(Decimal("6.00"), 1), (Decimal("5.00"), 1)]
