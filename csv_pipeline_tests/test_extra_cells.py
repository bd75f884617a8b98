"""A cell in a column that the feed does not know is kept as one in a column that it knows."""

import itertools

import polars as pl
import pytest

from csv_pipeline.model import ImportReport
from csv_pipeline_tests.conftest import Desk

HEADER = "Key,Value,Version,Colour,Size\n"


def outcome(report: ImportReport) -> str:
    names = ("inserted", "updated", "unchanged", "kept")
    (found,) = (name for name in names if getattr(report.counts, name))
    return found


CASES: dict[str, list[tuple[str, str, str, str, str | None]]] = {
    "overwritten": [
        ("11", "red", "blue", "updated", "blue"),
        ("11", "red", "", "updated", None),
        ("11", "", "blue", "updated", "blue"),
        ("11", "", "", "unchanged", None),
    ],
    "filled": [
        ("11", "red", "blue", "kept", "red"),
        ("11", "red", "", "kept", "red"),
        ("11", "", "blue", "updated", "blue"),
        ("11", "", "", "unchanged", None),
    ],
    "kept": [
        ("11", "red", "blue", "kept", "red"),
        ("11", "red", "", "kept", "red"),
        ("11", "", "blue", "kept", None),
    ],
    "versions": [
        ("12", "red", "blue", "updated", "blue"),
        ("12", "red", "", "updated", None),
        ("12", "", "blue", "updated", "blue"),
        ("21", "red", "blue", "kept", "red"),
        ("21", "red", "", "kept", "red"),
        ("11", "red", "", "kept", "red"),
    ],
    "greatest": [
        ("11", "m", "k", "kept", "m"),
        ("11", "k", "m", "updated", "m"),
        ("11", "m", "", "kept", "m"),
        ("11", "", "m", "updated", "m"),
    ],
    "least": [("11", "m", "k", "updated", "k"), ("11", "m", "", "kept", "m")],
}
"""By feed: the versions, the cell stored and the one that comes; what is done, and what stays."""


@pytest.mark.parametrize("feed", CASES)
def test_the_feed_s_policy_decides_whatever_the_neighbour_holds(desk: Desk, feed: str) -> None:
    cases = [(*case, neighbour) for neighbour in ("L", "") for case in CASES[feed]]
    before, after = HEADER, HEADER
    for n, (versions, stored, incoming, _, _, neighbour) in enumerate(cases):
        before += f"k{n:02},same,{versions[0]},{stored},{neighbour}\n"
        after += f"k{n:02},same,{versions[1]},{incoming},{neighbour}\n"
    desk.bring(before, feed)
    found = desk.pipeline.results_of(desk.bring(after, feed))
    assert found is not None
    done = pl.read_csv(str(found))["_outcome"].to_list()
    rows = desk.rows(feed, "_extra ->> 'Colour' AS colour, _extra ->> 'Size' AS size", "key")
    assert [(what, *row) for what, row in zip(done, rows, strict=True)] == [
        (what, left, neighbour or None) for _, _, _, what, left, neighbour in cases
    ]


BEFORE_AND_AFTER = list(
    itertools.product(
        [(1, 1), (1, 2), (2, 1)],  # the versions
        itertools.product(["", "k", "m"], repeat=2),  # the cells
    )
)


@pytest.mark.parametrize("feed", CASES)
def test_a_column_that_the_feed_does_not_know_goes_as_one_that_it_knows(
    desk: Desk, feed: str
) -> None:
    found = []
    for header, name in (("Value", "value"), ("Colour", "_extra ->> 'Colour'")):
        other = Desk(desk.pipeline, f"{desk.account[:50]}-{header.lower()}", desk.folder)
        for time in (0, 1):
            rows = (
                f"{n},{cells[time]},{versions[time]}\n"
                for n, (versions, cells) in enumerate(BEFORE_AND_AFTER)
            )
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


def test_blanks_around_a_cell_are_none_of_it_also_within_quotes(desk: Desk) -> None:
    desk.bring(f'{HEADER}" a ","\t x  y ",1," red ",\n', "overwritten")
    (row,) = desk.rows("overwritten", "key, value, _extra")
    assert tuple(row) == ("a", "x  y", {"Colour": "red", "Size": None})
    again = desk.bring(f"{HEADER}a,x  y,1,red,\n", "overwritten")
    assert outcome(again) == "unchanged"
