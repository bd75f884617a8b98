"""A table may hold rows to more than the contract does; what it refuses are rows, not files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from csv_pipeline.model import Outcome
from csv_pipeline_tests.conftest import Desk

HEADER = "Key,Value,Version\n"


@pytest.fixture
def constrained(desk: Desk) -> Iterator[Callable[[str, str], None]]:
    """Add constraints for the test's own account to tables that all tests share."""
    made: list[tuple[str, str]] = []

    def add(table: str, definition: str) -> None:
        name = f"own_{len(made)}_{abs(hash(desk.account))}"
        with desk.pipeline.database.begin() as connection:
            connection.execute(
                sa.text(f'ALTER TABLE data.{table} ADD CONSTRAINT "{name}" {definition}')
            )
        made.append((table, name))

    yield add
    with desk.pipeline.database.begin() as connection:
        for table, name in made:
            connection.execute(sa.text(f'ALTER TABLE data.{table} DROP CONSTRAINT "{name}"'))


def check(desk: Desk, rule: str) -> str:
    return f"CHECK (account <> '{desk.account}' OR {rule})"


def test_rows_that_a_check_of_the_table_refuses_are_rejects(
    desk: Desk, constrained: Callable[[str, str], None]
) -> None:
    constrained("overwritten", check(desk, "version < 100"))
    rows = [f"k{n},v,{n}" for n in range(90, 111)]
    report = desk.bring(HEADER + "\n".join(rows), "overwritten")
    assert report.outcome is Outcome.IMPORTED
    assert (report.counts.inserted, report.counts.rejected) == (10, 11)
    rejects = desk.rejects(report)
    assert [reject.row_number for reject in rejects] == list(range(12, 23))
    assert rejects[0].raw == "k100,v,100"
    assert rejects[0].rule.startswith("database.own_0")
    assert rejects[0].message.startswith("row 12 (line 12): a row that the table takes was needed")
    assert len(desk.rows("overwritten")) == 10
    assert sum(report.rejects_by_rule.values()) == 11


def test_a_refused_update_leaves_the_stored_row_and_no_history(
    desk: Desk, constrained: Callable[[str, str], None]
) -> None:
    constrained("overwritten", check(desk, "version < 100"))
    desk.bring(HEADER + "a,old,1\nb,old,1\n", "overwritten")
    report = desk.bring(HEADER + "a,new,2\nb,new,200\nc,new,300\nd,new,3\n", "overwritten")
    assert (report.counts.updated, report.counts.inserted, report.counts.rejected) == (1, 1, 2)
    stored = [tuple(row) for row in desk.rows("overwritten", "key, value, version", "key")]
    assert stored == [("a", "new", 2), ("b", "old", 1), ("d", "new", 3)]
    assert [row.key for row in desk.rows("overwritten_history", "key")] == ["a"]


def test_of_rows_that_exclude_one_another_one_is_stored(
    desk: Desk, constrained: Callable[[str, str], None]
) -> None:
    mine = f"(value WITH =) WHERE (account = '{desk.account}') DEFERRABLE INITIALLY DEFERRED"
    constrained("overwritten", f"EXCLUDE USING btree {mine}")
    report = desk.bring(HEADER + "a,same,1\nb,same,2\nc,other,3\n", "overwritten")
    assert (report.counts.inserted, report.counts.rejected) == (2, 1)


def test_a_file_of_which_the_table_refuses_too_much_is_refused_whole(
    desk: Desk, constrained: Callable[[str, str], None]
) -> None:
    constrained("limited", check(desk, "version < 100"))
    rows = [f"k{n},v,{n}" for n in range(96, 104)]
    report = desk.bring(HEADER + "\n".join(rows), "limited")
    assert report.outcome is Outcome.REFUSED
    assert report.problem_code == "threshold"
    assert report.counts.rejected == 4
    assert len(desk.rejects(report)) == 4
    assert desk.rows("limited") == []


def test_rows_are_looked_for_no_longer_than_the_feed_puts_up_with_rejects(
    desk: Desk, constrained: Callable[[str, str], None]
) -> None:
    constrained("limited", check(desk, "version < 100"))
    bad = ["b,v,x", "c,v,x"]
    report = desk.bring(
        HEADER + "\n".join(bad + [f"k{n},v,{n}" for n in range(90, 190)]), "limited"
    )
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "threshold")
    assert report.problem is not None
    assert "at most 3 rejected rows; at least 4 of 102 rows" in report.problem
    assert [reject.row_number for reject in desk.rejects(report)] == [2, 3, 14, 15]
    assert report.counts.rejected == 4
    assert desk.rows("limited") == []


def test_a_table_that_refuses_everything_is_not_asked_for_ever(
    desk: Desk, constrained: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.stages.load.writing.MOST_REFUSED", 5)
    constrained("overwritten", check(desk, "version < 100"))
    report = desk.bring(HEADER + "\n".join(f"k{n},v,{n}" for n in range(99, 400)), "overwritten")
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "table")
    assert report.problem is not None
    assert "rows that table data.overwritten takes were needed; it refused 6" in report.problem
    assert "database.own_0" in report.problem
    assert [reject.row_number for reject in desk.rejects(report)] == list(range(3, 9))
    assert desk.rows("overwritten") == []


def test_a_feed_that_names_a_number_of_rejects_is_held_to_that(
    desk: Desk, constrained: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.stages.load.writing.MOST_REFUSED", 1)
    constrained("limited", check(desk, "version < 100"))
    report = desk.bring(HEADER + "".join(f"k{n},v,{n}\n" for n in range(60, 103)), "limited")
    assert (report.outcome, report.counts.rejected) == (Outcome.IMPORTED, 3)


def test_rows_that_stand_in_one_anothers_way_until_the_other_is_written_are_tried_again(
    desk: Desk, constrained: Callable[[str, str], None]
) -> None:
    mine = f"(value WITH =) WHERE (account = '{desk.account}')"
    constrained("overwritten", f"EXCLUDE USING btree {mine}")
    desk.bring(HEADER + "a,first,1\nb,second,1\n", "overwritten")
    report = desk.bring(HEADER + "a,second,2\nb,third,2\n", "overwritten")
    assert (report.counts.updated, report.counts.rejected) == (2, 0)
    assert [row.value for row in desk.rows("overwritten", "key, value")] == ["second", "third"]


def test_a_refused_row_says_how_many_it_superseded_that_stay_out_with_it(
    desk: Desk, constrained: Callable[[str, str], None]
) -> None:
    constrained("overwritten", check(desk, "version < 100"))
    report = desk.bring(HEADER + "a,v,1\na,v,2\na,v,200\nb,v,300\n", "overwritten")
    first, second = desk.rejects(report)
    assert first.message.endswith("; rows of its key that it superseded stay out as well: 2")
    assert "superseded" not in second.message
    assert desk.superseded(report) == [(2, 4), (3, 4)]


def test_what_a_trigger_refuses_is_a_reject_too(desk: Desk) -> None:
    with refusing_trigger(desk, "kept", "NEW.version = 13", "no % here", "'thirteens'"):
        report = desk.bring(HEADER + "a,fine,1\nb,13,13\n", "kept")
    assert (report.counts.inserted, report.counts.rejected) == (1, 1)
    assert "no thirteens here" in desk.rejects(report)[0].message


@contextmanager
def refusing_trigger(desk: Desk, *how: str) -> Iterator[None]:
    table, when, words, value = how
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE FUNCTION data.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF {when} THEN RAISE EXCEPTION '{words}', {value}; END IF; RETURN NEW; END $$; "
                f"CREATE TRIGGER refuse BEFORE INSERT ON data.{table} "
                "FOR EACH ROW EXECUTE FUNCTION data.refuse()"
            )
        )
    yield
    with desk.pipeline.database.begin() as connection:
        connection.execute(sa.text("DROP FUNCTION data.refuse() CASCADE"))


def test_a_corrected_row_that_the_table_refuses_stays_an_open_reject(
    desk: Desk, constrained: Callable[[str, str], None], tmp_path: Path
) -> None:
    constrained("overwritten", check(desk, "version < 100"))
    first = desk.bring(HEADER + "a,one,x\nb,two,y\n", "overwritten")
    out = tmp_path / f"import-{first.import_id}.csv"
    desk.pipeline.write_rejects(first.import_id, out)
    corrected = out.read_text("utf-8-sig").replace(",x,", ",200,").replace(",y,", ",2,")
    second = desk.bring(corrected, "overwritten")
    assert (second.counts.inserted, second.counts.rejected) == (1, 1)
    open_ones = {r.row_number: r.repaired_by_import_id for r in desk.rejects(first)}
    assert open_ones == {2: None, 3: second.import_id}
    assert [r.repaired_by_import_id for r in desk.rejects(second)] == [None]
    desk.pipeline.write_rejects(first.import_id, out)
    third = desk.bring(out.read_text("utf-8-sig").replace(",x,", ",20,"), "overwritten")
    assert third.counts.inserted == 1
    assert len(desk.rows("overwritten")) == 2


def test_words_of_a_trigger_stay_out_where_the_feed_has_protected_columns(desk: Desk) -> None:
    with refusing_trigger(desk, "people", "NEW.secret = '13'", "no % here", "NEW.secret"):
        report = desk.bring("ID,Secret\n1,12\n2,13\n")
    (reject,) = desk.rejects(report)
    assert reject.rule == "database.P0001"
    assert "13" not in reject.message
