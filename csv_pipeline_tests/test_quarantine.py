"""Files are judged whole, headers are watched, and nothing protected is told to anybody."""

import traceback
from dataclasses import replace

import polars as pl
import pytest
import sqlalchemy as sa

from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import HeaderDrift, Outcome
from csv_pipeline.spec.header import drift
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.conftest import Desk, advance, settled


def versions(good: int, bad: int) -> str:
    """Return a file with so many good and bad rows."""
    rows = [f"g{number},a,1\n" for number in range(good)]
    return "Key,Value,Version\n" + "".join(rows + [f"b{n},a,x\n" for n in range(bad)])


def test_a_file_with_more_rejected_rows_than_allowed_is_refused_whole(desk: Desk) -> None:
    report = desk.bring(versions(100, 4), "limited", name="v.csv")
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "threshold")
    assert report.problem == (
        "v.csv: feed 'limited' allows at most 3 rejected rows; 4 of 104 rows (3.8%) were, so no "
        "row of the file is stored"
    )
    assert desk.rows("limited") == []


def test_the_rejects_of_a_refused_file_are_kept_and_can_be_read(desk: Desk) -> None:
    report = desk.bring(versions(100, 4), "limited")
    assert [reject.rule for reject in desk.rejects(report)] == ["version.integer"] * 4
    assert (report.counts.read, report.counts.rejected) == (104, 4)
    path = desk.folder / "out.csv"
    assert desk.pipeline.write_rejects(report.import_id, path) == 4


def test_a_file_with_a_greater_share_of_rejected_rows_than_allowed_is_refused(desk: Desk) -> None:
    report = desk.bring(versions(18, 3), "limited", name="v.csv")
    assert report.problem is not None
    assert "at most 10% of the rows rejected; 3 of 21 rows (14.3%) were" in report.problem


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        pytest.param(27, 3, id="just at both limits"),
        pytest.param(1, 2, id="too few rows for a share"),
        pytest.param(0, 0, id="no rows"),
    ],
)
def test_a_file_within_its_thresholds_is_imported(desk: Desk, good: int, bad: int) -> None:
    report = desk.bring(versions(good, bad), "limited")
    assert (report.outcome, report.counts.rejected) == (Outcome.IMPORTED, bad)


def test_malformed_records_count_for_the_threshold(desk: Desk) -> None:
    report = desk.bring(versions(100, 2) + "short,1\n" * 2, "limited")
    assert report.problem_code == "threshold"
    assert len(desk.rejects(report)) == 4


def test_rejected_rows_of_a_refused_file_are_not_taken_back(desk: Desk) -> None:
    first = desk.bring(versions(100, 4), "limited")
    path = desk.folder / "out.csv"
    desk.pipeline.write_rejects(first.import_id, path)
    report = desk.bring(path.read_text().replace(",x,", ",1,"), "limited", name="m.csv")
    assert report.problem == (
        f"m.csv: rejected rows of an import of {desk.account}/limited that stored rows were "
        f"needed; import {first.import_id} was refused; correct its whole file and send that"
    )


def test_corrected_rows_are_not_held_to_the_threshold(desk: Desk) -> None:
    first = desk.bring(versions(97, 3), "limited")
    path = desk.folder / "out.csv"
    desk.pipeline.write_rejects(first.import_id, path)
    limited = replace(desk.pipeline.feed("limited"), max_rejected_rows=1)
    desk.pipeline = replace(desk.pipeline, feeds={"limited": limited})
    report = desk.bring(path.read_bytes(), "limited")
    assert (report.outcome, report.counts.rejected) == (Outcome.IMPORTED, 3)


def test_a_refused_file_can_be_named_again_after_the_threshold_was_raised(desk: Desk) -> None:
    report = desk.bring(versions(100, 4), "limited")
    limited = replace(desk.pipeline.feed("limited"), max_rejected_rows=None)
    pipeline = replace(desk.pipeline, feeds={"limited": limited})
    (claim,) = pipeline.claim(desk.account, "limited", arrival_ids=[report.arrival_id])
    import_ = Import(pipeline, claim)
    for stage in Stage:
        advance(import_, stage)
    assert settled(import_).counts.inserted == 100


def test_a_renamed_column_is_named_with_its_likeliest_new_name(pipeline: Pipeline) -> None:
    found = drift(("ID", "Full Name", "Sums"), pipeline.feed("people"), ("ID", "Name", "Amount"))
    assert found == HeaderDrift(
        added=("Full Name", "Sums"), gone=("Name", "Amount"), renamed=(("Name", "Full Name"),)
    )


def test_a_column_under_another_name_of_its_own_is_no_drift(pipeline: Pipeline) -> None:
    feed = pipeline.feed("customers")
    assert not drift(("Kundennummer", "Town"), feed, ("Customer ID", "City"))


def test_another_name_of_a_missing_column_is_not_gone_too(pipeline: Pipeline) -> None:
    before = ("Order Number", "Sale Date", "Order Total", "Buyer Name", "Shoe")
    for header in (before, (*before, "Total Price")):
        found = drift(("a", "b"), pipeline.feed("ebay_orders"), header)
        assert found.missing == ("Order Number", "Sale Date", "Total Price", "Buyer Name")
        assert found.gone == ("Shoe",)


def test_the_fewest_columns_that_moved_are_the_reordered_ones(pipeline: Pipeline) -> None:
    before = ("ID", "Name", "Amount", "Born", "Shoe")
    found = drift(("ID", "Born", "Name", "Amount", "Shoe"), pipeline.feed("people"), before)
    assert found == HeaderDrift(added=("Shoe",), reordered=("Born",))


def test_a_header_is_compared_with_the_last_one_of_its_account(desk: Desk) -> None:
    desk.bring("ID,Name,Amount\n1,Ann,1.00\n")
    report = desk.bring("ID,Amount,Names\n2,2.00,\n")
    assert report.drift == HeaderDrift(
        added=("Names",), gone=("Name",), renamed=(("Name", "Names"),)
    )


def test_a_refusal_for_a_missing_column_names_the_likeliest(desk: Desk) -> None:
    report = desk.bring("Person No,Name\n1,Ann\n", name="p.csv")
    assert report.problem is not None
    assert "the header has 'Person No', 'Name'; 'Person No' may be 'ID'" in report.problem
    assert report.drift.renamed == (("ID", "Person No"),)


SECRET = "hunter2 is a secret"  # noqa: S105  # of nobody


def test_an_error_of_the_server_quotes_no_row(desk: Desk) -> None:
    statement = sa.text("SELECT CAST(:value AS integer)")
    with pytest.raises(sa.exc.DataError) as raised, desk.pipeline.database.begin() as connection:
        connection.execute(statement, {"value": SECRET})
    shown = "".join(traceback.format_exception(raised.value))
    assert "invalid input syntax for type integer" in shown
    assert "hunter2" not in shown


def test_an_error_of_the_server_about_a_key_does_not_quote_it(desk: Desk) -> None:
    twice = sa.text("INSERT INTO csv_pipeline.account (account) VALUES (:one), (:one)")
    with (
        pytest.raises(sa.exc.IntegrityError) as raised,
        desk.pipeline.database.begin() as connection,
    ):
        connection.execute(twice, {"one": SECRET})
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_a_failed_copy_quotes_no_row_in_the_ledger(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = desk.folder / "file.csv"
    path.write_text("ID,Secret\n1,12345\n")
    with desk.pipeline.database.begin() as connection:
        arrivals.register(connection, [found_file(location_of(path), desk.account, "people")])
    import_ = Import(desk.pipeline, desk.pipeline.claim(desk.account, "people")[0])
    advance(import_, Stage.VALIDATE)
    secret = pl.lit(f"[{SECRET}")
    monkeypatch.setattr(
        "csv_pipeline.stages.load._rows",
        lambda incoming: (rows.with_columns(_extra=secret) for rows in incoming.rows()),
    )
    with pytest.raises(Exception, match="invalid input syntax") as raised:
        advance(import_, Stage.LOAD)
    import_.fail(raised.value)
    monkeypatch.undo()
    advance(import_, Stage.LOAD)
    problem = settled(import_).problem
    assert problem is not None
    assert "(SQLSTATE 22P02)" in problem
    assert "hunter2" not in problem


def test_an_error_of_polars_quotes_no_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(*_: object, **__: object) -> None:
        pl.Series("secret", [SECRET]).cast(pl.Int64)

    monkeypatch.setattr("csv_pipeline.engine.group.transform", careless)
    report = desk.bring("ID,Secret\n1,12\n")
    assert report.problem_code == "InvalidOperationError"
    assert "hunter2" not in str(report.problem)
