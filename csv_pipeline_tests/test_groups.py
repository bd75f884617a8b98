"""Small files that go together: nothing but the time is another than if each went alone."""

import gzip
import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.account import DateOrder, DecimalMark
from csv_pipeline.engine import run
from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.engine.importer import Import, imports_of
from csv_pipeline.engine.result_files import draft_results
from csv_pipeline.engine.workspace import Stage, Workspace
from csv_pipeline.errors import LostClaimError
from csv_pipeline.files.landing import found_file
from csv_pipeline.files.local import path_of
from csv_pipeline.handover import WHOLE
from csv_pipeline.location import location_of
from csv_pipeline.model import ImportReport, Outcome, Reject
from csv_pipeline.stages.load import Incoming
from csv_pipeline.storage import arrivals, imports, tables
from csv_pipeline_tests.conftest import Desk, advance, settled
from csv_pipeline_tests.workers import Worker, orders_for

HEADER = "ID,Name,Amount\n"


def test_small_files_of_one_header_are_stored_in_one_transaction(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann {n},{n}.50\n" for n in range(5)])
    with statements(desk) as seen:
        reports = together(desk, imports)
    assert [report.counts.inserted for report in reports] == [1] * 5
    assert all(report.outcome is Outcome.IMPORTED for report in reports)
    assert sum("INSERT INTO csv_pipeline.import " in one for one in seen) == 1
    assert not went_alone(imports)


def test_each_row_says_which_file_it_is_of_and_where_it_stands_there(desk: Desk) -> None:
    contents = [f"{HEADER}a,A,1.10\nb,B,2.20\n", f"{HEADER}c,C,3.30\n", f"{HEADER}d,D,4.40"]
    imports = arrived(desk, contents)
    first, second, third = (report.import_id for report in together(desk, imports))
    assert desk.rows(columns="person_id, _import_id, _created_import_id, _row_number") == [
        ("a", first, first, 2),
        ("b", first, first, 3),
        ("c", second, second, 2),
        ("d", third, third, 2),
    ]


MIXED: dict[str, list[str | bytes]] = {
    "amounts with a currency, of which one is first": [
        f"{HEADER}a,A,$5.00\nb,B,1 234.50\nc,C,7.25\n",
        f"{HEADER}d,D,\n",
        f"{HEADER}e,E,1 234.50\nf,F,1.50\n",
    ],
    "plain": [f"{HEADER}a,A,1.10\n", f"{HEADER}b,B,2.20\nc,C,3.30\n", f"{HEADER}d,D,4.40"],
    "keys that come again": [
        f"{HEADER}a,1,1.00\na,2,1.00\na,3,1.00\n",
        HEADER,
        f"{HEADER}b,1,1.00\nc,1,1.00\n",
        f"{HEADER}a,4,1.00\na,5,1.00\n",
        HEADER,
        f"{HEADER}d,1,1.00\n",
    ],
    "bad rows": [
        f"{HEADER}a,A,x\n,B,1.00\nc,C,1.00\n",
        f"{HEADER}d,D,1.00\n",
        f"{HEADER}e,E\nf,F,1.00,1\ng,G,2.00\n",
        f"{HEADER}h,H,-1.00\n",
        f"{HEADER}i,I,1.00\n",
        f"{HEADER}j,,1.00\n",
    ],
    "quotes": [
        f'{HEADER}a,"A, B",1.00\n',
        f'{HEADER}b,"open,1.00\nc,C,1.00\n',
        f'{HEADER}d,D","1.00\n',
        f'{HEADER}e,"two\nlines",1.00\n',
        f"{HEADER}f,'F',1.00\n",
        f'{HEADER}g,6" nail,1.00\n',
        f'{HEADER}h,"say ""h""",1.00\n',
    ],
    "amounts": [
        f'{HEADER}a,A,"1,50"\n',
        f"{HEADER}b,B,2.50\n",
        f'{HEADER}c,C,"1,234"\n',
        f"{HEADER}d,D,\n",
        f'{HEADER}e,E,"1,234"\nf,F,2.50\n',
        f"{HEADER}g,G,7\n",
    ],
    "headers and non-data lines": [
        f"{HEADER}a,A,1.00\n",
        f"{HEADER}b,B,1.00\n\n",
        "ID;Name;Amount\nc;C;1.00\n",
        f"{HEADER}d,D,1.00\n{HEADER}e,E,1.00\n",
        "Report of today\n" + f"{HEADER}f,F,1.00\n",
        f"{HEADER}g,G,1.00\n,,\n",
        f"{HEADER}h,H,1.00\r\n",
        "Something,Else\n1,2\n",
        "ID,Name,Colour\ni,I,red\n",
        "ID,Name,Colour\nj,J,blue\n",
    ],
    "encodings": [
        f"{HEADER}a,Ärger,1.00\n",
        f"{HEADER}b,naïve,1.00\n".encode("cp1252"),
        f"{HEADER}c,C,1.00\n".encode("utf-8-sig"),
        f"{HEADER}d,D,1.00\n".encode("utf-16"),
        f"{HEADER}e,E\0,1.00\n",
        f"{HEADER}f,F,1.00\n".replace("\n", "\r"),
        f"{HEADER}g,G,1.00\n",
        f"{HEADER}h,œuvre,1.00\n",
    ],
    "keys over a file that drops out": [
        f"{HEADER}a,A,1.00\n",
        f"{HEADER}k,old,1.00\nragged,R\n",
        f"{HEADER}k,new,1.00\n",
        f"{HEADER}l,Läng,1.00\n".encode("cp1252"),
        f"{HEADER}l,lang,1.00\n",
        f"{HEADER}b,B,1.50\n",
        f'{HEADER}m,old,"1,50"\n',
        f"{HEADER}m,new,2.50\n",
        f"{HEADER}n,x,x\no,old,1.00\n",
        f"{HEADER}o,new,1.00\n",
        f"{HEADER},,\np,old,1.00\n",
        f"{HEADER}p,new,1.00\n",
    ],
    "other delimiters": [
        "ID;Name;Amount\na;A;1.00\n",
        'ID;Name;Amount\nb;Monitor 24", black;1.00\n',
        'ID;Name;Amount\nc;"C";1.00\n',
        'ID;Name;Amount\nd;say ""hi"" now;1.00\n',
    ],
    "quotes that are characters": [
        f'{HEADER}a,say ""hi"" now,1.00\n',
        f"{HEADER}b,B,1.00\n",
        f'{HEADER}"c",C,1.00\n',
    ],
    "compressed": [
        gzip.compress(f"{HEADER}a,A,1.00\n".encode(), mtime=0),
        f"{HEADER}b,B,1.00\n",
        gzip.compress(f"{HEADER}c,C,1.00\n".encode(), mtime=0),
    ],
    "zones and centuries": [
        "ID,Born\na,2026-05-02T22:15:00Z\n",
        "ID,Born\nb,2026-05-02 22:15\n",
        "ID,Born\nc,2026-05-02\n",
        "ID,Born\nd,14-Jun-26\n",
        "ID,Born\ne,2026-05-02T22:15:00Z\nf,2026-05-02T22:15:00-07:00\n",
        "ID,Born\ng,03/04/2025\n",
        "ID,Born\nh,25/12/2025\n",
        "ID,Born\ni,n/a\n",
        "ID,Born\nj,20260502\nk,Sat 2 May 2026\n",
        "ID,Born\nl,14-Jun-57\n",
    ],
    "dates": [
        "ID,Born,Seen\na,25/12/1990,2024-01-02\n",
        "ID,Born,Seen\nb,03/04/1990,\n",
        "ID,Born,Seen\nc,04/25/1990,2024-01-02\n",
        "ID,Born,Seen\nd,,\n",
        "ID,Born,Seen\ne,13.01.1990,01.02.2024\nf,14.01.1990,31.12.2023\n",
        "ID,Born,Seen\ng,1990-01-31,2024-01-31\n",
    ],
    "one row, many and none": [
        f"{HEADER}a,A,1.00\n",
        HEADER + "".join(f"m{n},Name {n},{n}.50\n" for n in range(300)),
        HEADER,
        f"{HEADER}b,,\n",
        f"{HEADER}c,{'long ' * 200},1\n",
    ],
    "names that nobody knows": [
        "ID,Colour,Size\na,red,1\n",
        "ID,Colour,Size\nColour,ID,Size\n",
        "ID,Colour,Size\nb,Size,Colour\n",
        "ID,Colour,Size\nc,,\n",
        "ID,Colour,Size\nd,12:30,2024-01-02\n",
    ],
    "letters of one encoding and of several": [
        f"{HEADER}a,plain,1.00\n",
        f"{HEADER}b,Müller,1.00\n".encode("cp1252"),
        f"{HEADER}c,Łódź,1.00\n".encode("cp1250"),
        f"{HEADER}d,Müller,1.00\n".encode("cp850"),
        f"{HEADER}e,Müller,1.00\n",
    ],
    "a file twice": [f"{HEADER}a,A,1.00\n", f"{HEADER}b,B,1.00\n", f"{HEADER}a,A,1.00\n"],
}


ALONE: dict[str, set[int]] = {
    "keys that come again": {4, 5},
    "headers and non-data lines": {7},
    "names that nobody knows": {2},
    "a file twice": {2},
}
"""Which of them go alone, by their positions: those that are refused before they are typed, those
whose bytes came before, and those with no neighbour of the same header."""

EARLIER = "Name,Shoe,ID,Amount\nZoe,4,z,9.00\n"


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(None, id="first files"),
        pytest.param(EARLIER, id="another header before", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("kind", MIXED)
def test_what_becomes_of_files_is_the_same_whether_they_go_together_or_alone(
    desk: Desk, kind: str, before: str | None
) -> None:
    found: list[Any] = []
    for style in (together, alone):
        other = Desk(desk.pipeline, f"{style.__name__}-{desk.account[-40:]}", desk.folder)
        if before:
            other.bring(before)
        imports = arrived(other, MIXED[kind])
        reports = style(other, imports)
        if style is together:
            parted = {imports.index(one) for one in went_alone(imports)}
            assert parted == ALONE.get(kind, set())
        files = [(told(r), results(other, r), faults(other, r)) for r in reports]
        found.append([*files, other.rows(columns=_PLAIN)])
    evidence = [[report.evidence for report, *_ in files] for *files, _ in found]
    assert evidence[0] == evidence[1]
    assert found[0] == found[1]


def test_blanks_around_texts_are_counted_for_each_file(desk: Desk) -> None:
    contents = [f"{HEADER}a,Ann,1\n b ,Bob,2\n", f"{HEADER}c,C,3\n", f'{HEADER}d,D,4\ne," E",5\n']
    reports = together(desk, arrived(desk, contents))
    assert [
        [one.because for one in report.evidence if one.subject == "blanks around text"]
        for report in reports
    ] == [
        ["1 cells had any: 1 of 'ID', the first in row 3"],
        [],
        ["1 cells had any: 1 of 'Name', the first in row 3"],
    ]


@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        ("letters of one encoding and of several", {"encoding": "cp1252"}),
        ("dates", {"date_order": DateOrder.MONTH_FIRST}),
        ("amounts", {"decimal_mark": DecimalMark.COMMA}),
    ],
)
def test_what_an_account_declares_is_the_same_evidence_together_and_alone(
    desk: Desk, kind: str, declared: dict[str, Any]
) -> None:
    found = []
    for style in (together, alone):
        other = Desk(desk.pipeline, f"{style.__name__}-{desk.account[-40:]}", desk.folder)
        other.declare(**declared)
        found.append([told(report) for report in style(other, arrived(other, MIXED[kind]))])
    assert found[0] == found[1]


KEY = "123e4567-e89b-12d3-a456-42661417400"
TYPED = {
    "events": [
        "Event,Happened,Paid,Open\na,2026-05-02T22:15:00Z,2026-07-01 12:00,yes\n",
        "Event,Happened,Paid,Open\nb,2026-05-02 22:15,2026-07-01 12:00 EST,no\n",
        "Event,Happened,Paid,Open\nc,2026-05-02 22:15 IST,2026-11-01 01:30,2\n",
        "Event,Happened,Paid,Open\nd,14-Jun-26 9:00,,\ne,2026-05-02 22:15 CST,03/04/2025 9:00,\n",
        "Event,Happened,Paid,Open\nf,,25/12/2025 9:00 PDT,1\ng,,03/04/2025 9:00,0\n",
    ],
    "bookings": [
        f"Booking,Rate,Amount,Side,Credit,Debit\n{KEY}1,12.5%,5.00,H,1.00,\n",
        f'Booking,Rate,Amount,Side,Credit,Debit\n{KEY}2,"12,5 %","5,00",S,,"1,00"\n',
        f'Booking,Rate,Amount,Side,Credit,Debit\n{KEY}3,"1,250 %",5.50,S,,1.00\n',
        f'Booking,Rate,Amount,Side,Credit,Debit\n{KEY}4,"1,250 %",5,X,1,1\n',
    ],
}


@pytest.mark.parametrize("feed", TYPED)
def test_columns_of_all_types_are_read_the_same_together_or_alone(desk: Desk, feed: str) -> None:
    found: list[Any] = []
    for style in (together, alone):
        other = Desk(desk.pipeline, f"{style.__name__}-{desk.account[-40:]}", desk.folder)
        reports = style(other, arrived(other, TYPED[feed], feed))
        files = [(told(r), r.evidence, faults(other, r)) for r in reports]
        columns = ", ".join(column.name for column in desk.pipeline.feed(feed).columns)
        found.append([*files, other.rows(feed, columns)])
    assert found[0] == found[1]
    assert found[0][-1]


def test_times_are_read_as_each_file_proves_them(desk: Desk) -> None:
    contents = [
        "Shift,Begins,Logged\na,1702,2026-05-02T22:15:00Z\n",
        "Shift,Begins,Logged\nb,0930,2026-05-02T22:15:00-07:00\n",
        "Shift,Begins,Logged\nc,17:02,2026-05-02 22:15\n",
        "Shift,Begins,Logged\nd,,2026-05-02\n",
        "Shift,Begins,Logged\ne,1702,\nf,1375,\n",
        "Shift,Begins,Logged\ng,08:30+02:00,\n",
        "Shift,Begins,Logged\nh,17.02,2026-05-02 22:15\ni,8.15,2026-05-02 22:15 CST\n",
    ]
    found: list[Any] = []
    for style in (together, alone):
        other = Desk(desk.pipeline, f"{style.__name__}-{desk.account[-40:]}", desk.folder)
        reports = style(other, arrived(other, contents, "shifts"))
        rows = other.rows("shifts", "shift, begins, logged_on, logged_time")
        found.append([*((told(r), faults(other, r)) for r in reports), rows])
    assert found[0] == found[1]
    assert [row.shift for row in found[0][-1]] == ["a", "b", "c", "d", "g", "h"]


@pytest.mark.parametrize("style", ["together", "alone", "in turn"])
def test_the_first_imported_file_of_a_new_header_tells_that_it_changed(
    desk: Desk, style: str
) -> None:
    desk.bring("Key,Value,Version\nz,z,1\n", "limited")
    bad = "".join(f"x,k{n},A\n" for n in range(9))
    new = [f"Version,Key,Value\n{rows}" for rows in (bad, "x,d,D\n1,a,A\n", "1,b,B\n", "1,c,C\n")]
    imports = arrived(desk, new, "limited")
    reports = STYLES[style](desk, imports)
    assert [report.outcome for report in reports] == [Outcome.REFUSED, *[Outcome.IMPORTED] * 3]
    assert [report.drift.reordered for report in reports] == [("Version",), ("Version",), (), ()]


def test_each_change_of_the_header_is_told_once(desk: Desk) -> None:
    desk.bring("Name,ID,Amount\nZ,z,1.00\n")
    contents = [f"{HEADER}a,A,1.00\n", f"{HEADER}b,B,1.00\n", f"{HEADER}c,C,x\n"]
    contents += ["ID,Amount,Name\nd,1.00,D\n", "ID,Amount,Name\ne,1.00,E\n"]
    reports = together(desk, arrived(desk, contents))
    assert [report.drift.reordered for report in reports] == [("ID",), (), (), ("Amount",), ()]


@pytest.fixture
def watched(desk: Desk) -> Desk:
    """A desk whose table of that name is empty, for the owner to change."""
    execute(desk, "TRUNCATE data.watched, data.watched_history")
    return desk


@pytest.fixture
def own_index(watched: Desk) -> Iterator[None]:
    """A unique index of the owner's, on a column that is not part of the key."""
    execute(watched, "CREATE UNIQUE INDEX one_holder ON data.watched (account, value)")
    yield
    execute(watched, "DROP INDEX data.one_holder")


@pytest.fixture
def own_reference(watched: Desk) -> Iterator[None]:
    """A foreign key of the owner's: what a row names has to be stored."""
    execute(
        watched,
        "ALTER TABLE data.watched ADD CONSTRAINT parent_is_stored "
        "FOREIGN KEY (account, value) REFERENCES data.watched (account, key)",
    )
    yield
    execute(watched, "ALTER TABLE data.watched DROP CONSTRAINT parent_is_stored")


@pytest.fixture
def own_trigger(watched: Desk) -> Iterator[None]:
    """A trigger of the owner's that wants two rows at once."""
    execute(
        watched,
        """
        CREATE FUNCTION data.of_two() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT count(*) FROM fresh) = 1 THEN RAISE 'only one'; END IF; RETURN NULL;
        END $$;
        CREATE TRIGGER of_two AFTER INSERT ON data.watched_history
            REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION data.of_two()
        """,
    )
    yield
    execute(watched, "DROP FUNCTION data.of_two() CASCADE")


VERSIONS = "Key,Value,Version\n"


@pytest.mark.usefixtures("own_index")
def test_a_file_is_not_let_in_by_what_only_a_later_one_frees(desk: Desk) -> None:
    desk.bring(f"{VERSIONS}a,held,1\n", "watched")
    contents = [f"{VERSIONS}b,held,1\n", f"{VERSIONS}a,free,1\n"]
    first, second = together(desk, arrived(desk, contents, "watched"))
    assert (first.counts.inserted, first.counts.rejected, second.counts.updated) == (0, 1, 1)


@pytest.mark.usefixtures("own_reference")
def test_a_file_is_not_let_in_by_a_parent_that_only_a_later_one_brings(desk: Desk) -> None:
    contents = [f"{VERSIONS}b,a,1\n", f"{VERSIONS}a,,1\n"]
    first, second = together(desk, arrived(desk, contents, "watched"))
    assert (first.counts.rejected, second.counts.inserted) == (1, 1)


@pytest.mark.usefixtures("own_trigger")
def test_a_trigger_of_the_owner_meets_each_file_by_itself(desk: Desk) -> None:
    desk.bring(f"{VERSIONS}a,old,1\nb,old,1\n", "watched")
    imports = arrived(desk, [f"{VERSIONS}{key},new,1\n" for key in "ab"], "watched")
    assert [report.counts.rejected for report in together(desk, imports)] == [1, 1]


def test_an_index_that_comes_while_files_are_on_their_way_parts_them(
    watched: Desk, request: pytest.FixtureRequest
) -> None:
    watched.bring(f"{VERSIONS}a,held,1\n", "watched")
    contents = [f"{VERSIONS}b,held,1\n", f"{VERSIONS}a,free,1\n"]
    imports = arrived(watched, contents, "watched")
    advance_all(watched, imports, *list(Stage)[:-2])
    assert not went_alone(imports)
    request.getfixturevalue("own_index")
    advance_all(watched, imports, Stage.LOAD, Stage.REPORT)
    assert [settled(import_).counts.rejected for import_ in imports] == [1, 0]


@pytest.fixture
def own_checks(watched: Desk) -> Iterator[None]:
    """What looks at one row: a check, a foreign key to another table, an index."""
    execute(
        watched,
        """
        CREATE TABLE data.known (value text PRIMARY KEY); INSERT INTO data.known VALUES ('v');
        ALTER TABLE data.watched ADD CONSTRAINT small CHECK (version < 9),
            ADD CONSTRAINT value_is_known FOREIGN KEY (value) REFERENCES data.known NOT VALID;
        CREATE INDEX by_value ON data.watched (value)
        """,
    )
    yield
    execute(
        watched,
        "DROP TABLE data.known CASCADE; DROP INDEX data.by_value; "
        "ALTER TABLE data.watched DROP CONSTRAINT small",
    )


@pytest.mark.usefixtures("own_checks")
def test_files_go_together_where_the_table_looks_at_one_row_at_a_time(desk: Desk) -> None:
    imports = arrived(desk, [f"{VERSIONS}{key},v,1\n" for key in "ab"], "watched")
    assert [report.counts.inserted for report in together(desk, imports)] == [1, 1]
    assert not went_alone(imports)


def test_a_file_with_a_bad_row_goes_with_the_others(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}a,A,1.10\n", f"{HEADER}b,B,x\n", f"{HEADER}c,C,3.30\n"])
    reports = together(desk, imports)
    assert [report.counts.rejected for report in reports] == [0, 1, 0]
    assert not went_alone(imports)


def test_of_files_that_bring_the_same_key_the_later_one_wins(desk: Desk) -> None:
    other = "Amount,ID,Name\n"  # the same columns in another order, so that it goes alone
    contents = [f"{HEADER}a,1st,1.00\n", f"{HEADER}b,B,1.00\n", f"{HEADER}a,2nd,1.00\n"]
    contents += [f"{other}1.00,b,again\n", f"{HEADER}b,last,1.00\n", f"{HEADER}c,C,1.00\n"]
    reports = together(desk, arrived(desk, contents))
    assert [report.counts.updated for report in reports] == [0, 0, 1, 1, 1, 0]
    assert desk.rows(columns="person_id, name") == [("a", "2nd"), ("b", "last"), ("c", "C")]


def test_each_file_keeps_the_evidence_of_its_own_values(desk: Desk) -> None:
    contents = [f"{HEADER}a,A,1.50\n", f"{HEADER}b,B,7\n", f'{HEADER}c,C,"1,5"\nd,D,"2,25"\n']
    reports = together(desk, arrived(desk, contents))
    said = [{e.subject: e.because for e in report.evidence} for report in reports]
    assert "'1.50' in row 2" in said[0]["decimal mark of Amount"]
    assert "decimal mark of Amount" not in said[1]
    assert "'1,5' in row 2" in said[2]["decimal mark of Amount"]
    assert [str(amount) for (amount,) in desk.rows(columns="amount", order="person_id")] == [
        *("1.50", "7.00", "1.50", "2.25")
    ]


def test_one_of_them_can_be_undone(desk: Desk) -> None:
    before = desk.bring(f"{HEADER}a,old,1.00\nb,old,1.00\n")
    imports = arrived(desk, [f"{HEADER}a,new,1.00\n", f"{HEADER}b,new,1.00\n", f"{HEADER}c,C,1\n"])
    reports = together(desk, imports)
    assert not went_alone(imports)
    assert [(r.counts.updated, r.counts.inserted) for r in reports] == [(1, 0), (1, 0), (0, 1)]
    undone = desk.pipeline.undo(reports[0].import_id).undo
    assert undone is not None
    assert (undone.restored, undone.deleted) == (1, 0)
    assert desk.rows(columns="person_id, name, _import_id") == [
        ("a", "old", before.import_id),
        ("b", "new", reports[1].import_id),
        ("c", "C", reports[2].import_id),
    ]


def test_rows_that_are_stored_are_unchanged_together_too(desk: Desk) -> None:
    contents = [f"{HEADER}{n},Ann,1.00\n" for n in range(3)]
    together(desk, arrived(desk, contents))
    imports = arrived(
        desk,
        [content + "\n" for content in contents[:1]] + [f"{HEADER}{n},Ann,1.0\n" for n in (1, 2)],
    )
    assert [report.counts.unchanged for report in together(desk, imports)] == [1, 1, 1]


def test_bytes_that_came_before_are_a_duplicate_among_others_too(desk: Desk) -> None:
    contents = [f"{HEADER}a,A,1.00\n", f"{HEADER}b,B,1.00\n", f"{HEADER}c,C,1.00\n"]
    known = desk.bring(contents[1])
    reports = together(desk, arrived(desk, contents))
    outcomes = [report.outcome for report in reports]
    assert outcomes == [Outcome.IMPORTED, Outcome.DUPLICATE, Outcome.IMPORTED]
    assert reports[1].same_as == known.import_id


def test_bytes_that_came_before_count_again_once_another_file_of_the_run_changed_their_rows(
    desk: Desk,
) -> None:
    first = f"{HEADER}k,one,1.00\n"
    desk.bring(first)
    drop(desk, [f"{HEADER}k,two,1.00\n", first])
    reports = run.run(desk.pipeline, desk.pipeline.claim(desk.account, "people"))
    assert [report.counts.updated for report in reports] == [1, 1]
    assert desk.rows(columns="name") == [("one",)]


def test_a_duplicate_that_leaves_its_group_does_not_make_the_others_older(desk: Desk) -> None:
    newest = arrived(desk, [f"{HEADER}x,X,1.00\n"])[0]
    run.run(desk.pipeline, [newest.claim])
    drop(desk, [f"{HEADER}x,X,1.00\n", f"{HEADER}k,C,1.00\n", f"{HEADER}k,B,1.00\n"])
    reports = run.run(desk.pipeline, desk.pipeline.claim(desk.account, "people"))
    assert [str(report.outcome) for report in reports] == ["duplicate", "imported", "imported"]
    assert desk.rows(columns="name", order="person_id") == [("B",), ("X",)]


def test_each_of_them_has_its_turn_when_bytes_come_again_or_an_undo_is_undone(desk: Desk) -> None:
    contents = [f"{HEADER}a,A,1.00\n", f"{HEADER}a,B,1.00\n"]
    first, _ = together(desk, arrived(desk, contents))
    undone = desk.pipeline.undo(first.import_id)
    desk.pipeline.undo(undone.import_id)
    assert desk.rows(columns="name") == [("B",)]
    again = desk.bring(contents[0])
    assert again.outcome is Outcome.IMPORTED
    assert desk.rows(columns="name") == [("A",)]


def test_nobody_waits_for_a_file_of_the_same_group_that_is_refused(desk: Desk) -> None:
    desk.bring("Key,Value,Version\nk,old,1\n", "limited")
    bad = "".join(f"x{n},v,A\n" for n in range(9))
    contents = [f"Key,Value,Version\n{bad}k,new,1\n", "Key,Value,Version\nk,old,1\nz,z,1\n"]
    reports = together(desk, arrived(desk, contents, "limited"))
    assert [report.outcome for report in reports] == [Outcome.REFUSED, Outcome.IMPORTED]
    with desk.pipeline.database.begin() as connection:
        confirmed = sa.select(sa.func.count()).select_from(tables.confirmed_row)
        mine = tables.confirmed_row.c.account == desk.account
        assert connection.scalar(confirmed.where(mine)) == 0


def test_a_dry_run_of_several_files_gives_each_claim_back(desk: Desk) -> None:
    drop(desk, ["Colour,Size\nred,3\n", f"{HEADER}a,A,1.00\n", "Colour,Size\nred,4\n"])
    claims = desk.pipeline.claim(desk.account, "people", dry_run=True)
    run.run(desk.pipeline, claims)
    with desk.pipeline.database.begin() as connection:
        found = arrivals.find(connection, account=desk.account)
    assert {str(arrival.status) for arrival in found} == {"waiting"}


def test_a_file_that_is_refused_when_it_is_read_does_not_part_those_around_it(desk: Desk) -> None:
    contents = [f"{HEADER}a,A,1.00\n", "\n\n", f"{HEADER}b,B,1.00\n"]
    imports = arrived(desk, contents)
    assert [report.counts.inserted for report in together(desk, imports)] == [1, 0, 1]
    assert went_alone(imports) == [imports[1]]


def test_a_file_whose_claim_is_lost_is_not_stored_and_the_others_are(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(4)])
    advance_all(desk, imports, *list(Stage)[:-2])
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.update(tables.arrival)
            .where(tables.arrival.c.arrival_id == imports[2].claim.arrival_id)
            .values(attempt=tables.arrival.c.attempt + 1)
        )
    result = run.advance(desk.pipeline, [import_.claim for import_ in imports], Stage.LOAD)
    assert [lost.arrival_id for lost in result.lost] == [imports[2].claim.arrival_id]
    assert [name for (name,) in desk.rows(columns="person_id")] == ["0", "1", "3"]


def test_a_row_that_the_table_refuses_is_rejected_and_no_other(desk: Desk) -> None:
    long = "".join(map(str, range(9_000)))  # for any index
    imports = arrived(desk, [f"{HEADER}a,A,1.00\n", f"{HEADER}{long},B,1.00\nb,B,1.00\n"])
    assert [(r.counts.inserted, r.counts.rejected) for r in together(desk, imports)] == [
        (1, 0),
        (1, 1),
    ]


@pytest.mark.parametrize("moment", ["after read", "before load", "copy", "settle", "after load"])
def test_files_that_go_together_survive_the_death_of_their_worker(desk: Desk, moment: str) -> None:
    drop(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(3)])
    worker = Worker(orders_for(desk.pipeline, desk.account, stops=(moment,)))
    worker.comes_to(moment)
    worker.kill()
    left: list[Import] = []
    deadline = time.monotonic() + 20
    while moment != "after load" and not left:  # the server may take a moment to see that it died
        assert time.monotonic() < deadline
        left = imports_of(desk.pipeline, desk.pipeline.claim(desk.account, "people"))
    assert len(left) == (0 if moment == "after load" else 3)
    together(desk, left)
    assert [name for (name,) in desk.rows(columns="person_id")] == ["0", "1", "2"]
    with desk.pipeline.database.begin() as connection:
        reports = imports.newest(connection, account=desk.account)
    assert [report.counts.inserted for report, _ in reports] == [1, 1, 1]


@pytest.mark.parametrize("moment", ["committed", "after load"])
def test_files_whose_worker_died_before_it_reported_get_their_results_from_the_sweep(
    desk: Desk, moment: str
) -> None:
    drop(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(3)])
    worker = Worker(orders_for(desk.pipeline, desk.account, stops=(moment,)))
    worker.comes_to(moment)
    worker.kill()
    with desk.pipeline.database.begin() as connection:
        reports = [report for report, _ in imports.newest(connection, account=desk.account)]
    assert [results(desk, report) for report in reports] == [None] * 3
    settings = desk.pipeline.settings
    for report in reports:
        os.utime(settings.work_area / f"{report.import_id}-1", (0, 0))
        os.utime(drafts(desk, report), (0, 0))
    sweep(settings, desk.pipeline.database, desk.pipeline.feeds)
    told = [results(desk, report) for report in reversed(reports)]
    assert told == [f"{RESULTS}2,2,inserted,{n},\n" for n in range(3)]


def test_results_of_a_load_that_came_to_nothing_are_not_left(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(incoming: Incoming, workspaces: list[Workspace]) -> None:
        draft_results(incoming, workspaces)
        if len(workspaces) == 1:
            return
        for workspace in workspaces:
            assert workspace.results is not None
            workspace.results.path.write_text("of the load that failed")
        raise OSError("the disk is full")

    monkeypatch.setattr("csv_pipeline.engine.loader.draft_results", fail)
    reports = together(desk, arrived(desk, [f"{HEADER}{n},A,1.00\n" for n in range(2)]))
    assert [results(desk, r) for r in reports] == [
        f"{RESULTS}2,2,inserted,{n},\n" for n in range(2)
    ]


def test_results_are_not_swept_while_their_import_may_be_reported_on(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}a,A,1.00\n", f"{HEADER}b,B,1.00\n"])
    advance_all(desk, imports, *list(Stage)[:-1])
    for import_ in imports:
        os.utime(drafts(desk, settled(import_)), (0, 0))
    sweep(desk.pipeline.settings, desk.pipeline.database, desk.pipeline.feeds)
    advance_all(desk, imports, Stage.REPORT)
    assert all(results(desk, settled(import_)) for import_ in imports)


def test_a_file_that_breaks_is_recorded_and_the_others_go_on(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(4)])
    advance_all(desk, imports, Stage.ARRIVE)
    imports[1].fail(OSError("the disk is full"))
    advance_all(desk, imports, *list(Stage)[1:])
    outcomes = [settled(import_).outcome for import_ in imports]
    assert outcomes.count(Outcome.FAILED) == 1
    assert outcomes[1] is Outcome.FAILED
    assert [name for (name,) in desk.rows(columns="person_id")] == ["0", "2", "3"]


@pytest.mark.parametrize("style", ["together", "alone"])
def test_a_result_file_that_cannot_be_written_costs_no_other(desk: Desk, style: str) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann {n},{n}.50\n" for n in range(3)])
    (imports[1].work / "results.csv.part").mkdir(parents=True)
    reports = STYLES[style](desk, imports)
    assert [report.counts.inserted for report in reports] == [1, 1, 1]
    assert [results(desk, report) is None for report in reports] == [False, True, False]
    assert not went_alone(imports) or style == "alone"


def test_result_files_are_written_though_one_of_the_files_left_the_run(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(4)])
    advance_all(desk, imports, *list(Stage)[:-1])
    assert not went_alone(imports)
    left = imports[1:]
    advance_all(desk, left, Stage.REPORT)
    assert all(results(desk, settled(import_)) for import_ in left)


CELLS = {
    "ID": ["", "0"],
    "Name": [
        "Ann",
        "Zoë",
        "",
        "a;b",
        "x:y",
        "12:30",
        "'q",
        "1",
        '"a, b"',
        "Total",
        "a\tb",
        "|",
        "#c",
    ],
    "Amount": ["1.00", "2.50", "12", '"2,50"', "1.234", "", "x", "-3", "$5.00", "--", "N/A"],
    "Born": ["2026-01-02", "03/04/2025", "25/12/2025", "", "14/06/57", "20260313", "soon"],
    "Shoe": ["38", "", "L", "=1"],
}


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 40))]
)
def test_random_files_end_together_as_they_would_alone(desk: Desk, seed: int) -> None:
    draw = Random(seed)  # noqa: S311  # files of a test
    columns = ["ID", *draw.sample(["Name", "Amount", "Born", "Shoe"], draw.randint(0, 4))]
    header, number, files = ",".join(columns), itertools.count(), []
    for _ in range(4):
        kinds = draw.choice([3, 20])  # so many kinds of cells are among the rows of a file
        rows = [
            ",".join(draw.choice(CELLS[name][:kinds]) + ("" if name != "ID" else f"k{next(number)}")
            for name in columns)
            for _ in range(draw.choice([1, 2, 5]))
        ]  # fmt: skip
        files.append("\n".join([header, *rows, ""]))
    found: list[Any] = []
    for style in (together, alone):
        other = Desk(desk.pipeline, f"{style.__name__}-{desk.account[-40:]}", desk.folder)
        reports = style(other, arrived(other, files))
        ends = [(told(r), results(other, r), faults(other, r)) for r in reports]
        found.append([*ends, other.rows(columns=_PLAIN)])
    assert found[0] == found[1], files


def test_a_limit_of_the_account_is_one_of_each_file(desk: Desk) -> None:
    desk.declare(max_file_bytes=40)
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(4)])
    assert [report.counts.inserted for report in together(desk, imports)] == [1] * 4
    assert not went_alone(imports)


def test_files_that_another_worker_has_by_now_are_left_to_it(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(3)])
    advance_all(desk, imports, Stage.ARRIVE)
    for import_ in imports:
        desk.pipeline.leases.drop(import_.claim)  # as in a process that goes on with the run
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.update(tables.arrival)
            .where(tables.arrival.c.arrival_id == imports[0].claim.arrival_id)
            .values(worker="another host/boot/namespace/1/2")
        )
    with pytest.raises(LostClaimError):
        advance_all(desk, imports, Stage.READ)


def test_after_a_death_between_commit_and_report_the_ledger_tells_each_outcome(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(3)])
    advance_all(desk, imports, *list(Stage)[:-1])
    for import_ in imports:
        import_.finish()  # as in another process
    again = imports_of(desk.pipeline, [import_.claim for import_ in imports])
    advance_all(desk, again, Stage.LOAD, Stage.REPORT)
    assert [settled(import_).counts.inserted for import_ in again] == [1, 1, 1]
    assert len(desk.rows()) == 3


def arrived(desk: Desk, contents: Sequence[str | bytes], feed: str = "people") -> list[Import]:
    """Drop files and return their imports, claimed in this order."""
    drop(desk, contents, feed)
    return imports_of(desk.pipeline, desk.pipeline.claim(desk.account, feed))


def drop(desk: Desk, contents: Sequence[str | bytes], feed: str = "people") -> None:
    """Let files arrive in this order."""
    folder = desk.folder / f"{len(list(desk.folder.iterdir()))}"
    folder.mkdir()
    paths = [folder / f"{number}.csv" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with desk.pipeline.database.begin() as connection:
            arrivals.register(connection, [found_file(location_of(path), desk.account, feed)])


def advance_all(desk: Desk, imports: list[Import], *stages: Stage) -> None:
    """Do some stages, for those together that go together."""
    for stage in stages:
        result = run.advance(desk.pipeline, [import_.claim for import_ in imports], stage)
        for lost in result.lost:
            raise lost


def together(desk: Desk, imports: list[Import]) -> list[ImportReport]:
    """Import files together as far as they may."""
    advance_all(desk, imports, *Stage)
    return [settled(import_) for import_ in imports]


def alone(_: Desk, imports: list[Import]) -> list[ImportReport]:
    """Import the same files each by itself, as the steps of a run do."""
    for stage in Stage:
        for import_ in imports:
            advance(import_, stage)
    return [settled(import_) for import_ in imports]


def in_turn(_: Desk, imports: list[Import]) -> list[ImportReport]:
    """Import the same files one after the other, as the command line does."""
    for import_ in imports:
        for stage in Stage:
            advance(import_, stage)
    return [settled(import_) for import_ in imports]


STYLES = {"together": together, "alone": alone, "in turn": in_turn}


def went_alone(imports: list[Import]) -> list[Import]:
    """Return those whose rows were typed by themselves."""
    shares = [(import_, import_.workspace.shared) for import_ in imports]
    return [import_ for import_, share in shares if share is None or share.part == WHOLE]


_PLAIN = "person_id, name, amount, _row_number, _extra"


def told(report: ImportReport) -> ImportReport:
    """Return what a report says, but for its numbers, its account and its time."""
    warnings = (replace(w, message=w.message.replace(report.account, "")) for w in report.warnings)
    return replace(
        report,
        warnings=tuple(warnings),
        import_id=0,
        arrival_id=0,
        account="",
        same_as=None if report.same_as is None else 0,
        problem=report.problem
        and re.sub(r"import \d+", "import", report.problem.replace(report.account, "")),
        stage_seconds={},
    )


def faults(desk: Desk, report: ImportReport) -> list[Reject]:
    """Return the faults of an import, without its number."""
    return [replace(reject, import_id=0) for reject in desk.rejects(report)]


def results(desk: Desk, report: ImportReport) -> str | None:
    """Return the result file of an import, if there is one."""
    location = desk.pipeline.results_of(report)
    return None if location is None else path_of(location).read_text("utf-8-sig")


RESULTS = "_row_number,_line_number,_outcome,person_id,_errors\n"


def drafts(desk: Desk, report: ImportReport) -> Path:
    """Return where the result file of an import is until it is put where it belongs."""
    return desk.pipeline.settings.work_area / f"{report.import_id}-1" / "results.csv"


def execute(desk: Desk, statement: str) -> None:
    """Change the database as its owner might."""
    with desk.pipeline.database.begin() as connection:
        connection.execute(sa.text(statement))


@contextmanager
def statements(desk: Desk) -> Iterator[list[str]]:
    """Give the statements that are executed meanwhile."""
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    engine = desk.pipeline.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
