"""What happens when a key is stored already, or comes again in the same file."""

import itertools
from dataclasses import asdict

import pytest
import sqlalchemy as sa

from csv_pipeline.errors import SetupError
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.conflict import Greatest, NewestWins
from csv_pipeline.spec.duplicates import NewestInFile
from csv_pipeline.spec.feed import Feed
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.feeds import Version

HEADER = "Key,Value,Version\n"
OUTCOMES = ("inserted", "updated", "unchanged", "kept", "superseded", "rejected")


def outcomes(report: ImportReport) -> dict[str, int]:
    assert report.outcome is Outcome.IMPORTED, report.problem
    assert report.counts.balance
    return {name: n for name, n in asdict(report.counts).items() if name in OUTCOMES and n}


def values(desk: Desk, feed: str) -> list[tuple[str, str | None, int | None]]:
    return [tuple(row) for row in desk.rows(feed, "key, value, version", "key")]


@pytest.mark.parametrize(
    ("feed", "stored", "incoming", "outcome", "left"),
    [
        ("overwritten", "a,old,2", "a,new,1", "updated", ("a", "new", 1)),
        ("overwritten", "a,old,2", "a,,", "updated", ("a", None, None)),
        ("kept", "a,old,1", "a,new,2", "kept", ("a", "old", 1)),
        ("kept", "a,,", "a,new,2", "kept", ("a", None, None)),
        ("filled", "a,old,", "a,new,2", "updated", ("a", "old", 2)),
        ("filled", "a,old,1", "a,new,2", "kept", ("a", "old", 1)),
        ("filled", "a,old,1", "a,,", "kept", ("a", "old", 1)),
        ("first_known", "a,old,1", "a,new,1", "unchanged", ("a", "old", 1)),
        ("first_known", "a,old,1", "a,,1", "unchanged", ("a", "old", 1)),
        ("first_known", "a,,1", "a,new,1", "updated", ("a", "new", 1)),
        ("first_known", "a,old,1", "a,new,2", "updated", ("a", "old", 2)),
        ("versions", "a,old,1", "a,new,2", "updated", ("a", "new", 2)),
        ("versions", "a,old,2", "a,new,1", "kept", ("a", "old", 2)),
        ("versions", "a,old,2", "a,new,2", "kept", ("a", "old", 2)),
        ("versions", "a,old,2", "a,new,", "kept", ("a", "old", 2)),
        ("versions", "a,old,", "a,new,1", "updated", ("a", "new", 1)),
        ("versions", "a,old,", "a,new,", "kept", ("a", "old", None)),
        ("later", "a,old,1", "a,new,2", "updated", ("a", "new", 2)),
        ("later", "a,old,2", "a,new,2", "updated", ("a", "new", 2)),
        ("later", "a,old,2", "a,new,1", "kept", ("a", "old", 2)),
        ("later", "a,old,2", "a,new,", "kept", ("a", "old", 2)),
        ("later", "a,old,", "a,new,", "updated", ("a", "new", None)),
        ("later", "a,old,", "a,new,1", "updated", ("a", "new", 1)),
        ("greatest", "a,m,1", "a,k,2", "updated", ("a", "m", 2)),
        ("greatest", "a,m,2", "a,k,1", "kept", ("a", "m", 2)),
        ("greatest", "a,,2", "a,k,", "updated", ("a", "k", 2)),
        ("least", "a,m,1", "a,k,2", "updated", ("a", "k", 1)),
        ("least", "a,k,1", "a,,2", "kept", ("a", "k", 1)),
        ("longest", "a,long,1", "a,longer,1", "updated", ("a", "longer", 1)),
        ("longest", "a,long,1", "a,gone,1", "kept", ("a", "long", 1)),
        ("longest", "a,,1", "a,x,1", "updated", ("a", "x", 1)),
        ("longest", "a,long,1", "a,,1", "kept", ("a", "long", 1)),
        *((feed, "a,x,1", "a,x,1", "unchanged", ("a", "x", 1)) for feed in ("kept", "greatest")),
    ],
)
def test_each_policy_decides_and_counts(  # noqa: PLR0917
    desk: Desk, feed: str, stored: str, incoming: str, outcome: str, left: tuple[object, ...]
) -> None:
    desk.bring(f"{HEADER}{stored}\n", feed)
    report = desk.bring(f"{HEADER}{incoming}\nz,other,1\n", feed)
    assert outcomes(report) == {"inserted": 1, outcome: 1}
    assert values(desk, feed)[0] == left


def test_a_row_that_may_not_differ_is_rejected_with_both_values(desk: Desk) -> None:
    desk.bring(HEADER + "a,old,1\nb,same,2\n", "without_conflict")
    report = desk.bring(HEADER + "a,new,1\nb,same,2\nc,fresh,3\n", "without_conflict")
    assert outcomes(report) == {"inserted": 1, "unchanged": 1, "rejected": 1}
    (reject,) = desk.rejects(report)
    assert reject.rule == "value.conflict"
    assert reject.raw == "a,new,1"
    assert reject.message == (
        "row 2 (line 2), column value: the stored value 'old' was needed; found 'new'"
    )
    assert report.rejects_by_rule == {"value.conflict": 1}
    assert values(desk, "without_conflict")[0] == ("a", "old", 1)


def test_a_cell_that_the_feed_does_not_know_may_not_differ_either(desk: Desk) -> None:
    header = "Key,Value,Version,Colour,Size\n"
    stored = "a,x,1,blue,1\nb,x,1,blue,2\nc,x,1,,\nd,x,1,blue,\n"
    desk.bring(header + stored, "without_conflict")
    report = desk.bring(header + "a,x,1,red,3\nb,x,1,,2\nc,x,1,red,\n", "without_conflict")
    assert outcomes(report) == {"rejected": 1, "kept": 2}
    assert [(r.row_number, r.rule, r.value) for r in desk.rejects(report)] == [
        (2, "Colour.conflict", "red"),
        (2, "Size.conflict", "3"),
    ]
    assert desk.rejects(report)[0].message == (
        "row 2 (line 2), column Colour: the stored value 'blue' was needed; found 'red'"
    )
    assert desk.rows("without_conflict", "_extra", "key")[0][0] == {"Colour": "blue", "Size": "1"}


def test_a_column_more_contradicts_nothing(desk: Desk) -> None:
    desk.bring(HEADER + "a,x,1\n", "without_conflict")
    report = desk.bring("Key,Value,Version,Colour\na,x,1,red\n", "without_conflict")
    assert outcomes(report) == {"kept": 1}


def test_columns_have_policies_of_their_own(desk: Desk) -> None:
    header = "SKU,Title,Note,First Seen,Best Price,Maker\n"
    desk.bring(f"{header}1,old,,2025-02-01,5.00,Acme\n", "wares")
    report = desk.bring(f"{header}1,new,a note,2025-01-01,4.00,Other\n", "wares")
    assert outcomes(report) == {"updated": 1}
    (row,) = desk.rows("wares", "title, note, first_seen_on::text, best_price::text, maker")
    assert tuple(row) == ("new", "a note", "2025-01-01", "5.00", "Acme")
    again = desk.bring(f"{header}1,new,b note,2025-03-01,3.00,Third\n", "wares")
    assert outcomes(again) == {"kept": 1}


def test_a_conflict_of_protected_values_shows_neither(desk: Desk) -> None:
    desk.bring("SKU,Secret\n1,1111\n", "wares")
    report = desk.bring("SKU,Secret\n1,2222\n", "wares")
    (reject,) = desk.rejects(report)
    assert reject.rule == "secret.conflict"
    assert not {"1111", "2222"} & set(reject.message.replace("'", " ").split())


def test_a_dry_run_shows_what_would_change_and_changes_nothing(desk: Desk) -> None:
    header = "SKU,Title,Note,Colour\n"
    desk.bring(f"{header}1,old,,red\n2,same,kept,\n3,gone,,\n", "wares")
    rows = f"{header}1,new,a note,blue\n2,same,other,\n3,,,\n4,made,,\n"
    report = desk.bring(rows, "wares", dry_run=True)
    assert (report.counts.inserted, report.counts.updated, report.counts.kept) == (1, 2, 1)
    seen = [(d.row_number, d.key, d.column, d.before, d.after) for d in report.differences]
    assert seen == [
        (2, "1", "title", "old", "new"),
        (2, "1", "note", None, "a note"),
        (2, "1", "_extra", '{"Colour": "red"}', '{"Colour": "blue"}'),
        (4, "3", "title", "gone", None),
    ]
    assert [row.title for row in desk.rows("wares", "title", "sku")] == ["old", "same", "gone"]
    assert desk.rows("products_history") == []


def test_a_null_in_the_key_is_stored_as_the_declared_substitute(desk: Desk) -> None:
    report = desk.bring("SKU,Title\n,nameless\n", "wares")
    assert outcomes(report) == {"inserted": 1}
    assert desk.rows("wares", "sku")[0].sku == "none"


def test_a_null_in_a_key_without_substitute_is_a_reject(desk: Desk) -> None:
    report = desk.bring(HEADER + ",nameless,1\nb,named,1\n", "versions")
    assert outcomes(report) == {"inserted": 1, "rejected": 1}
    assert desk.rejects(report)[0].rule == "key.required"


@pytest.mark.parametrize(
    ("feed", "row_number", "superseded"),
    [
        ("versions", 4, [(2, 4), (3, 4)]),
        ("first_in_file", 2, [(3, 2), (4, 2)]),
        ("newest_in_file", 3, [(2, 3), (4, 3)]),
    ],
)
def test_the_feed_says_which_row_of_a_repeated_key_stands(
    desk: Desk, feed: str, row_number: int, superseded: list[tuple[int, int]]
) -> None:
    report = desk.bring(HEADER + "a,one,2\na,two,9\na,three,\nb,alone,1\n", feed)
    assert outcomes(report) == {"inserted": 2, "superseded": 2}
    assert desk.superseded(report) == superseded
    assert desk.rows(feed, "_row_number", "key")[0][0] == row_number


def test_all_rows_of_a_repeated_key_are_rejected_where_the_feed_wants_that(desk: Desk) -> None:
    report = desk.bring(HEADER + "a,one,1\nb,alone,1\na,two,2\nc,,x\n", "once_in_file")
    assert outcomes(report) == {"inserted": 1, "rejected": 3}
    rejects = desk.rejects(report)
    assert [(r.row_number, r.rule) for r in rejects] == [
        (2, "key.duplicate"),
        (4, "key.duplicate"),
        (5, "version.integer"),
    ]
    assert rejects[0].message.endswith(
        "a key that is in one row of the file only was needed; it is in rows 2, 4"
    )
    assert values(desk, "once_in_file") == [("b", "alone", 1)]


def test_identical_rows_without_a_key_stay_as_many_as_they_are(desk: Desk) -> None:
    rows = ["Ann,1.00,2025-01-02", "Bob,2.00,", "Ann,1.00,2025-01-02"]
    report = desk.bring("Payer,Amount,Paid\n" + "\n".join(rows), "payments")
    assert outcomes(report) == {"inserted": 3}
    again = desk.bring("Payer,Amount,Paid\n" + "\n".join([*reversed(rows), ""]), "payments")
    assert outcomes(again) == {"unchanged": 3}
    more = desk.bring("Payer,Amount,Paid\n" + "\n".join([*rows, rows[0], "Eve,,"]), "payments")
    assert outcomes(more) == {"inserted": 2, "unchanged": 3}
    assert len(desk.rows("payments")) == 5


def test_of_many_rows_without_a_key_one_more_of_the_same_is_inserted(desk: Desk) -> None:
    header, rows = "Payer,Amount,Paid\n", [f"P{n},1.00,2025-01-02" for n in range(6_000)]
    assert outcomes(desk.bring(header + "\n".join(rows), "payments")) == {"inserted": 6_000}
    report = desk.bring(header + "\n".join([*rows, rows[7], rows[7], "New,,"]), "payments")
    assert outcomes(report) == {"inserted": 3, "unchanged": 6_000}


def test_a_column_more_does_not_bring_rows_without_a_key_again(desk: Desk) -> None:
    desk.bring("Payer,Amount,Paid\nAnn,1.00,2025-01-02\n", "payments")
    report = desk.bring("Payer,Amount,Paid,Branch\nAnn,1.00,2025-01-02,North\n", "payments")
    assert outcomes(report) == {"updated": 1}
    assert desk.rows("payments", "_extra")[0][0] == {"Branch": "North"}


def test_no_two_values_or_columns_are_taken_for_one_another(desk: Desk) -> None:
    cells = ["", "0", "1", "-1", "2"]
    rows = [f"k{n},{a},{b}" for n, (a, b) in enumerate(itertools.product(cells, cells))]
    desk.bring(HEADER + "\n".join(rows), "overwritten")
    swapped = [f"k{n},{b},{a}" for n, (a, b) in enumerate(itertools.product(cells, cells))]
    report = desk.bring(HEADER + "\n".join(swapped), "overwritten")
    assert outcomes(report) == {"updated": 20, "unchanged": 5}


@pytest.fixture
def many_rows(desk: Desk) -> list[str]:
    """More rows than are worth a look at the stored hashes first."""
    rows = [f"k{n},value {n},{n}" for n in range(6_000)]
    assert outcomes(desk.bring(HEADER + "\n".join(rows), "overwritten")) == {"inserted": 6_000}
    return rows


def test_of_many_rows_only_those_that_changed_are_written(desk: Desk, many_rows: list[str]) -> None:
    before = {row.key: row.xmin for row in desk.rows("overwritten", "key, xmin::text")}
    many_rows[10], many_rows[20] = "k10,changed,10", "k20,value 20,"
    report = desk.bring(HEADER + "\n".join([*many_rows, "new,one,1"]), "overwritten")
    assert outcomes(report) == {"inserted": 1, "updated": 2, "unchanged": 5_998}
    after = {row.key: row.xmin for row in desk.rows("overwritten", "key, xmin::text")}
    assert {key for key, xmin in after.items() if before.get(key) != xmin} == {"k10", "k20", "new"}


def test_a_row_edited_in_the_database_is_not_taken_for_what_a_file_brought(
    desk: Desk, many_rows: list[str]
) -> None:
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE data.overwritten SET value = 'by hand' WHERE key = 'k5' AND account = :a"
            ),
            {"a": desk.account},
        )
    report = desk.bring(HEADER + "\n".join([*many_rows, ""]), "overwritten")
    assert outcomes(report) == {"updated": 1, "unchanged": 5_999}
    assert ("k5", "value 5", 5) in values(desk, "overwritten")


def test_rows_of_a_file_with_fewer_columns_are_compared_by_those(
    desk: Desk, many_rows: list[str]
) -> None:
    short = "\n".join(row.rpartition(",")[0] for row in many_rows)
    assert outcomes(desk.bring("Key,Value\n" + short, "overwritten")) == {"unchanged": 6_000}


@pytest.mark.parametrize(
    ("how", "wrong"),
    [
        ({"key": ("nothing",)}, "nothing"),
        ({"key": ("value",)}, "substitute"),
        ({"key": ("key",), "conflict": NewestWins("absent")}, "absent"),
        ({"key": ("key",), "duplicates": NewestInFile("absent")}, "absent"),
        ({"key": ("key",), "column_conflicts": {"key": Greatest()}}, "cannot differ"),
    ],
)
def test_a_feed_that_contradicts_its_contract_is_refused_where_it_is_declared(
    how: dict[str, object], wrong: str
) -> None:
    with pytest.raises(SetupError, match=wrong):
        Feed(name="bad", description="Bad.", contract=Version, **how)  # type: ignore[arg-type]
