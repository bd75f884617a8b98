"""A cell in a column that the feed does not know is kept as one in a column that it knows."""

import itertools

import pytest

from csv_pipeline.model import ImportReport
from csv_pipeline_tests.conftest import Desk

HEADER = "Key,Value,Version,Colour,Size\n"


def outcome(report: ImportReport) -> str:
    names = ("inserted", "updated", "unchanged", "kept")
    (found,) = (name for name in names if getattr(report.counts, name))
    return found


def cell(desk: Desk, feed: str, name: str) -> str | None:
    (row,) = desk.rows(feed, f"_extra ->> '{name}' AS cell")
    found: str | None = row.cell
    return found


@pytest.mark.parametrize("neighbour", ["L", ""])
@pytest.mark.parametrize(
    ("feed", "versions", "stored", "incoming", "what", "left"),
    [
        ("overwritten", "11", "red", "blue", "updated", "blue"),
        ("overwritten", "11", "red", "", "updated", None),
        ("overwritten", "11", "", "blue", "updated", "blue"),
        ("overwritten", "11", "", "", "unchanged", None),
        ("filled", "11", "red", "blue", "kept", "red"),
        ("filled", "11", "red", "", "kept", "red"),
        ("filled", "11", "", "blue", "updated", "blue"),
        ("filled", "11", "", "", "unchanged", None),
        ("kept", "11", "red", "blue", "kept", "red"),
        ("kept", "11", "red", "", "kept", "red"),
        ("kept", "11", "", "blue", "kept", None),
        ("versions", "12", "red", "blue", "updated", "blue"),
        ("versions", "12", "red", "", "updated", None),
        ("versions", "12", "", "blue", "updated", "blue"),
        ("versions", "21", "red", "blue", "kept", "red"),
        ("versions", "21", "red", "", "kept", "red"),
        ("versions", "11", "red", "", "kept", "red"),
        ("greatest", "11", "m", "k", "kept", "m"),
        ("greatest", "11", "k", "m", "updated", "m"),
        ("greatest", "11", "m", "", "kept", "m"),
        ("greatest", "11", "", "m", "updated", "m"),
        ("least", "11", "m", "k", "updated", "k"),
        ("least", "11", "m", "", "kept", "m"),
    ],
)
def test_the_feed_s_policy_decides_whatever_the_neighbour_holds(  # noqa: PLR0917
    desk: Desk, feed: str, versions: str, stored: str, incoming: str, what: str,
    left: str | None, neighbour: str,
) -> None:  # fmt: skip
    old, new = versions[0], versions[1]
    desk.bring(f"{HEADER}a,same,{old},{stored},{neighbour}\n", feed)
    report = desk.bring(f"{HEADER}a,same,{new},{incoming},{neighbour}\n#\n", feed)
    assert (outcome(report), cell(desk, feed, "Colour")) == (what, left)
    assert cell(desk, feed, "Size") == (neighbour or None)


PAIRS = list(itertools.product(["", "k", "m"], repeat=2))


@pytest.mark.parametrize("feed", ["overwritten", "filled", "kept", "versions", "greatest", "least"])
@pytest.mark.parametrize("versions", [(1, 1), (1, 2), (2, 1)])
def test_a_column_that_the_feed_does_not_know_goes_as_one_that_it_knows(
    desk: Desk, feed: str, versions: tuple[int, int]
) -> None:
    found = []
    for header, name in (("Value", "value"), ("Colour", "_extra ->> 'Colour'")):
        other = Desk(desk.pipeline, f"{desk.account[:50]}-{header.lower()}", desk.folder)
        for place, version in enumerate(versions):
            rows = (f"{n},{pair[place]},{version}\n" for n, pair in enumerate(PAIRS))
            report = other.bring(f"Key,{header},Version\n{''.join(rows)}", feed)
        found.append(
            (report.counts, [row.cell for row in other.rows(feed, f"{name} AS cell", "key")])
        )
    assert found[0] == found[1]


def test_a_column_that_a_file_lacks_leaves_its_cells_alone(desk: Desk) -> None:
    desk.bring(f"{HEADER}a,x,1,red,L\n", "overwritten")
    report = desk.bring("Key,Value,Version,Size\na,x,1,\n", "overwritten")
    assert outcome(report) == "updated"
    assert desk.rows("overwritten", "_extra")[0]._extra == {"Colour": "red"}


def test_a_row_whose_last_cell_is_erased_has_none(desk: Desk) -> None:
    desk.bring(f"{HEADER}a,x,1,red,\n", "overwritten")
    desk.bring(f"{HEADER}a,x,1,,\n", "overwritten")
    assert desk.rows("overwritten", "_extra")[0]._extra is None


def test_of_many_rows_a_blank_erases_what_a_file_without_the_column_left(desk: Desk) -> None:
    """So many rows are compared by the hash of what was brought."""
    keys = [f"k{number}" for number in range(6_000)]
    desk.bring("Key,Value,Colour\n" + "".join(f"{key},x,red\n" for key in keys), "overwritten")
    lacks = desk.bring("Key,Value\n" + "".join(f"{key},y\n" for key in keys), "overwritten")
    assert lacks.counts.updated == 6_000
    blank = desk.bring("Key,Value,Colour\n" + "".join(f"{key},y,\n" for key in keys), "overwritten")
    assert blank.counts.updated == 6_000
    assert desk.rows("overwritten", "DISTINCT _extra")[0]._extra is None


def test_a_dry_run_shows_no_change_of_cells_that_stay_blank(desk: Desk) -> None:
    desk.bring(f"{HEADER}a,old,1,red,\n", "overwritten")
    report = desk.bring(f"{HEADER}a,new,1,red,\n", "overwritten", dry_run=True)
    assert [change.column for change in report.differences] == ["value"]
