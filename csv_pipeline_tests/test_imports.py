"""What becomes of the rows of a file: every one has one outcome, and it is the right one."""

import csv
import io
import itertools
import os
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csv_pipeline.account import DateOrder
from csv_pipeline.engine import loader as ingest_module
from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import LostClaimError
from csv_pipeline.model import Counts, Outcome
from csv_pipeline.storage import imports, tables
from csv_pipeline_tests.conftest import Desk, advance, ingest, settled


def outcomes(counts: Counts) -> tuple[int, int, int, int, int, int]:
    c = counts
    return c.inserted, c.updated, c.unchanged, c.kept, c.superseded, c.rejected


def test_new_changed_and_unchanged_rows_are_counted_apart(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ann\n2,Bob\n")
    report = desk.bring("ID,Name\n1,Ann\n2,Rob\n3,Cid\n")
    assert outcomes(report.counts) == (1, 1, 1, 0, 0, 0)
    assert [row.name for row in desk.rows(order="person_id")] == ["Ann", "Rob", "Cid"]


def test_an_import_is_finished_when_it_ends_and_not_when_its_transaction_begins(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = vars(ingest_module)["load"]
    began: list[datetime] = []

    def slowly(connection: Any, *rest: Any) -> Any:
        began.append(connection.scalar(sa.select(sa.func.now())))
        connection.execute(sa.select(sa.func.pg_sleep(0.2)))
        return load(connection, *rest)

    monkeypatch.setattr(ingest_module, "load", slowly)
    desk.bring("ID,Name\n1,Ann\n")
    with desk.pipeline.database.begin() as connection:
        ((_, finished_at),) = imports.newest(connection, account=desk.account)
    assert (finished_at - began[0]).total_seconds() > 0.2


def test_a_row_that_does_not_change_is_not_rewritten(desk: Desk) -> None:
    first = desk.bring("ID,Name\n1,Ann\n")
    version = desk.rows(columns="xmin::text, _import_id")
    desk.bring("ID,Name\n1,Ann\n2,Bob\n")
    assert desk.rows(columns="xmin::text, _import_id", order="person_id")[0] == version[0]
    assert version[0]._import_id == first.import_id


def test_a_changed_row_leaves_its_earlier_values_in_history(desk: Desk) -> None:
    first = desk.bring("ID,Name\n1,Ann\n")
    second = desk.bring("ID,Name\n1,Eve\n")
    past = desk.rows("people_history", "name, _import_id, _replaced_by_import_id")
    assert [tuple(row) for row in past] == [("Ann", first.import_id, second.import_id)]


def test_a_file_without_a_column_leaves_its_stored_values_alone(desk: Desk) -> None:
    desk.bring("ID,Name,Amount\n1,Ann,5.00\n")
    desk.bring("ID,Name\n1,Eve\n")
    assert tuple(desk.rows(columns="name, amount")[0]) == ("Eve", Decimal("5.00"))


def test_columns_nobody_knows_are_kept_and_reported(desk: Desk) -> None:
    report = desk.bring("ID,Name,Shoe Size,,Shoe Size\n1,Ann,38,x,39\n2,Bob,,,\n")
    extras = desk.rows(columns="_extra", order="person_id")
    assert extras[0]._extra == {"Shoe Size": "38", "column 4": "x", "Shoe Size (column 5)": "39"}
    assert extras[1]._extra is None
    assert report.drift.added == ("Shoe Size", "column 4", "Shoe Size (column 5)")


def test_an_extra_cell_that_changes_is_an_update(desk: Desk) -> None:
    desk.bring("ID,Shoe\n1,38\n")
    report = desk.bring("ID,Hat\n1,L\n")
    assert outcomes(report.counts) == (0, 1, 0, 0, 0, 0)
    assert desk.rows(columns="_extra")[0]._extra == {"Shoe": "38", "Hat": "L"}


def test_the_last_row_of_a_key_wins_within_a_file(desk: Desk) -> None:
    report = desk.bring("ID,Name\n1,Ann\n1,Eve\n2,Bob\n1,Zoe\n")
    assert outcomes(report.counts) == (2, 0, 0, 0, 2, 0)
    assert desk.superseded(report) == [(2, 5), (3, 5)]
    assert desk.rows(columns="name", order="person_id")[0].name == "Zoe"


def test_a_rejected_row_supersedes_none(desk: Desk) -> None:
    report = desk.bring("ID,Name,Amount\n1,Ann,1.00\n1,Ann,x\n")
    assert outcomes(report.counts) == (1, 0, 0, 0, 0, 1)


def test_all_faults_of_a_row_are_reported(desk: Desk) -> None:
    report = desk.bring("ID,Name,Amount,Born,Secret\n,,5.00,someday,abc\n")
    assert [reject.rule for reject in desk.rejects(report)] == [
        "amount.named_people_only",
        "born_on.date",
        "person_id.required",
        "secret.matches",
    ]


def test_a_value_that_does_not_cast_is_one_fault_and_not_two(desk: Desk) -> None:
    report = desk.bring("ID,Name,Amount\n1,A,-1.00\n2,B,abc\n")
    assert [reject.rule for reject in desk.rejects(report)] == ["amount.ge", "amount.decimal"]


def test_a_fault_shows_the_cell_as_it_stands_in_the_file(desk: Desk) -> None:
    rows = '1,Ann,-1,2\n2,Bob,"-1,000.5",2\n3,,5,2\n4,Dee,7.00,2\n5,,,2\n6,Cid, -2.000 ,x\n'
    rejects = desk.rejects(desk.bring(f"ID,Name,Amount,Secret\n{rows}"))
    assert [(r.rule, r.value) for r in rejects if r.column == "amount" and "ge" in r.rule] == [
        ("amount.ge", "-1"),
        ("amount.ge", "-1,000.5"),
        ("amount.ge", "-2.000"),
    ]
    assert [r.message.partition(": ")[2][:4] for r in rejects if r.row_number == 4] == ["'5' "]


def test_a_message_is_stored_without_the_place_that_stands_beside_it(desk: Desk) -> None:
    report = desk.bring("ID,Amount\n1,abc\n2,1,2\n")
    assert [reject.message.partition(", as")[0] for reject in desk.rejects(report)] == [
        "row 2 (line 2), column amount ('Amount'): 'abc' breaks rule amount.decimal "
        "(an amount with at most 2 decimals)",
        "row 3 (line 3): 2 fields were needed",
    ]
    query = sa.text("SELECT message FROM csv_pipeline.reject WHERE import_id = :id ORDER BY 1")
    with desk.pipeline.database.begin() as connection:
        stored = list(connection.scalars(query, {"id": report.import_id}))
    assert [message[:20] for message in stored] == ["2 fields were needed", "column amount ('Amou"]


def test_messages_stored_by_an_earlier_release_lose_their_place(desk: Desk) -> None:
    report = desk.bring("ID,Amount\n1,abc\n2,1,2\n")
    before = desk.rejects(report)
    migration = import_module("csv_pipeline.storage.migrations.versions.0008_bounds")
    with desk.pipeline.database.begin() as connection:
        for reject in before:
            connection.execute(
                sa.update(tables.reject)
                .where(tables.reject.c.import_id == report.import_id)
                .where(tables.reject.c.row_number == reject.row_number)
                .values(message=reject.message)
            )
        connection.execute(sa.text(migration.SHORTER_MESSAGES))
    assert desk.rejects(report) == before


def test_a_protected_value_is_masked_in_the_message(desk: Desk) -> None:
    report = desk.bring("ID,Secret\n1,hunter2\n")
    reject = desk.rejects(report)[0]
    assert "hunter2" not in reject.message
    assert reject.value == "hunter2"


def test_newest_wins_takes_only_a_newer_version(desk: Desk) -> None:
    desk.bring("Key,Value,Version\na,old,2\nb,old,2\nc,old,2\nd,old,\n", "versions")
    report = desk.bring("Key,Value,Version\na,new,3\nb,new,1\nc,new,\nd,new,1\n", "versions")
    assert outcomes(report.counts) == (0, 2, 0, 2, 0, 0)
    values = desk.rows("versions", "value", "key")
    assert [row.value for row in values] == ["new", "old", "old", "new"]


def test_newest_wins_keeps_the_stored_row_on_a_tie(desk: Desk) -> None:
    desk.bring("Key,Value,Version\na,old,2\n", "versions")
    report = desk.bring("Key,Value,Version\na,new,2\n", "versions")
    assert outcomes(report.counts) == (0, 0, 0, 1, 0, 0)


def test_two_accounts_keep_the_same_key_apart(
    pipeline: Pipeline, desk: Desk, tmp_path: Any
) -> None:
    other = Desk(pipeline, f"{desk.account[:50]}-other", tmp_path)
    desk.bring("ID,Name\n1,Ann\n")
    report = other.bring("ID,Name\n1,Bob\n")
    assert outcomes(report.counts) == (1, 0, 0, 0, 0, 0)
    assert [row.name for row in desk.rows()] == ["Ann"]


def test_a_header_without_rows_is_an_import_of_none(desk: Desk) -> None:
    report = desk.bring("ID,Name\n")
    assert (report.outcome, report.counts) == (Outcome.IMPORTED, Counts())


def test_a_missing_column_refuses_the_file_and_names_what_it_has(desk: Desk) -> None:
    report = desk.bring("Name,Shoe\nAnn,38\n", name="people.csv")
    assert (report.outcome, report.problem) == (
        Outcome.REFUSED,
        "people.csv: feed 'people' needs the column 'ID' (also known as 'person_id'); "
        "the header has 'Name', 'Shoe'",
    )


def test_a_header_that_another_feed_knows_refuses_the_file(desk: Desk) -> None:
    names = "Sales Record Number,Order Number,Buyer Name,Buyer Email,Sold For,Sale Date"
    report = desk.bring(f"{names}\n1,2,3,4,5,6\n", "customers", name="orders.csv")
    assert report.problem == (
        "orders.csv: a header of feed 'customers' was needed; it knows 2 of the 6 names there, "
        "feed 'ebay_orders' 6: put it into the folder of that feed"
    )


def test_a_feed_declared_later_claims_no_header_that_another_has_always_taken(desk: Desk) -> None:
    names = "Customer ID,Email,Sales Record Number,Order Number,Sold For,Sale Date,Item Number"
    row = "{},a@example.com,2,3,4,5,6\n"
    refused = desk.bring(f"{names}\n{row.format(1)}", "customers")
    assert refused.problem_code == "wrong_feed"
    customers = {"customers": desk.pipeline.feed("customers")}
    before = Desk(replace(desk.pipeline, feeds=customers), desk.account, desk.folder)
    assert before.bring(f"{names}\n{row.format(2)}", "customers").counts.inserted == 1
    assert desk.bring(f"{names}\n{row.format(3)}", "customers").counts.inserted == 1


def test_work_left_behind_by_a_dead_worker_is_removed(desk: Desk) -> None:
    settings = desk.pipeline.settings
    left = settings.work_area / "999999-1"
    left.mkdir(parents=True)
    (left / "source").write_text("ID\n1\n")
    sweep(settings, desk.pipeline.database)
    assert left.exists()
    os.utime(left, (0, 0))
    sweep(settings, desk.pipeline.database)
    assert not left.exists()


def test_a_file_without_a_header_shows_none_of_its_cells(desk: Desk) -> None:
    report = desk.bring("C1,jane.roe@example.com,555\nC2,joe@example.com,556\n")
    assert report.problem_code == "missing_column"
    assert report.problem is not None
    assert "jane" not in report.problem
    assert report.problem.endswith("no line of it looks like a header")


def test_two_columns_that_claim_to_be_one_and_differ_reject_the_row(desk: Desk) -> None:
    report = desk.bring("ID,Name,name\n1,Ann,Ann\n2,Bob,Rob\n3,Cid,\n")
    (reject,) = desk.rejects(report)
    assert (reject.rule, reject.column, reject.value) == ("name.contested", "name", "Bob")
    assert "'name' of the file claims to be it, too, and holds 'Rob'" in reject.message
    assert report.counts.inserted == 2


def test_a_value_that_only_the_other_of_such_columns_has_rejects_the_row(desk: Desk) -> None:
    report = desk.bring("ID,Name,name,Name\n1,Ann,,Ann\n2,,Bob,\n3,,,Cid\n4,Dee,Dee,Eva\n5,,,\n")
    faults = [(reject.row_number, reject.rule) for reject in desk.rejects(report)]
    assert [row for row, rule in faults if rule == "name.contested"] == [3, 4, 5]
    assert desk.rows(columns="person_id, name") == [("1", "Ann"), ("5", None)]


def test_a_nul_in_a_heading_is_shown_and_stored(desk: Desk) -> None:
    report = desk.bring("ID,fo\0o\n1,x\n")
    assert report.drift.added == ("fo\u2400o",)
    assert report.counts.inserted == 1


def test_a_key_too_long_for_the_table_is_a_reject(desk: Desk) -> None:
    key = "".join(chr(97 + (n * n) % 26) + str(n) for n in range(20_000))
    report = desk.bring(f"ID\n{key}\n2\n")
    assert (report.counts.inserted, report.counts.rejected) == (1, 1)
    (reject,) = desk.rejects(report)
    assert (reject.row_number, reject.rule) == (2, "key.too_long")
    assert key[:50] not in reject.message


def test_a_refused_file_can_be_named_again(desk: Desk) -> None:
    report = desk.bring("ID,Born\n1,03/04/2025\n")
    desk.declare(date_order=DateOrder.DAY_FIRST)
    claims = desk.pipeline.claim(desk.account, "people", arrival_ids=[report.arrival_id])
    assert ingest(desk.pipeline, claims[0]).outcome is Outcome.IMPORTED


def test_a_dry_run_counts_and_stores_nothing(desk: Desk) -> None:
    report = desk.bring("ID,Name\n1,Ann\n", dry_run=True)
    assert (report.outcome, report.counts.inserted) == (Outcome.DRY_RUN, 1)
    assert desk.rows() == []
    assert len(desk.pipeline.claim(desk.account, "people")) == 1


def test_counts_that_do_not_meet_leave_nothing_visible(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.stages.load.copy_superseded", lambda *_: 7)
    report = desk.bring("ID,Name\n1,Ann\n")
    assert (report.outcome, report.problem_code) == (Outcome.FAILED, "AccountingError")
    assert "nothing of it is stored" in str(report.problem)
    assert desk.rows() == []


def test_the_database_itself_refuses_counts_that_do_not_add_up(desk: Desk) -> None:
    report = desk.bring("ID,Name\n1,Ann\n")
    table = tables.import_
    raised = pytest.raises(sa.exc.IntegrityError, match="every_row_has_one_outcome")
    with raised, desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.update(table).where(table.c.import_id == report.import_id).values(inserted=2)
        )


def test_a_worker_that_lost_its_claim_commits_nothing(desk: Desk) -> None:
    slow = desk.claimed("ID,Name\n1,Ann\n")
    for stage in (Stage.ARRIVE, Stage.READ, Stage.TRANSFORM, Stage.VALIDATE):
        advance(slow, stage)
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.update(tables.arrival)
            .where(tables.arrival.c.arrival_id == slow.claim.arrival_id)
            .values(lease_expires_at=sa.func.now() - sa.text("interval '1 second'"))
        )
    fast = desk.pipeline.claim(desk.account, "people")[0]
    with pytest.raises(LostClaimError):
        advance(slow, Stage.LOAD)
    assert desk.rows() == []
    assert ingest(desk.pipeline, fast).counts.inserted == 1


def test_a_process_that_goes_on_with_a_claim_renews_its_lease(desk: Desk) -> None:
    import_ = desk.claimed("ID,Name\n1,Ann\n")
    desk.pipeline.leases.drop(import_.claim)  # another process took it
    table = tables.arrival
    expiry = sa.select(table.c.lease_expires_at).where(
        table.c.arrival_id == import_.claim.arrival_id
    )
    with desk.pipeline.database.begin() as connection:
        before = connection.execute(expiry).scalar_one()
    advance(import_, Stage.READ)
    with desk.pipeline.database.begin() as connection:
        assert connection.execute(expiry).scalar_one() > before


def test_a_stage_that_finds_its_input_missing_does_the_stage_before_again(desk: Desk) -> None:
    import_ = desk.claimed("ID,Name\n1,Ann\n")
    advance(import_, Stage.VALIDATE)
    assert settled(import_).counts.inserted == 1


def test_a_report_step_that_is_repeated_keeps_the_seconds(desk: Desk) -> None:
    import_ = desk.claimed("ID,Name\n" + "".join(f"{n},Ann\n" for n in range(500)))
    advance(import_, Stage.REPORT)
    with desk.pipeline.database.begin() as connection:
        before = imports.report_of(connection, import_.claim.import_id).stage_seconds
    import_.finish()  # and then the process died before its step was recorded
    again = Import(desk.pipeline, import_.claim)
    advance(again, Stage.REPORT)
    with desk.pipeline.database.begin() as connection:
        after = imports.report_of(connection, import_.claim.import_id).stage_seconds
    assert {stage: after[stage] for stage in before} == before
    assert before["load"] > 0


def test_the_ledger_keeps_the_whole_report(desk: Desk) -> None:
    report = desk.bring("ID,Name,Amount\n1,A,x\n2,B,1.50\n")
    with desk.pipeline.database.begin() as connection:
        stored = imports.report_of(connection, report.import_id)
    assert (stored.counts, stored.evidence) == (report.counts, report.evidence)
    assert stored.rejects_by_rule == {"amount.decimal": 1}
    assert set(stored.stage_seconds) == {"arrive", "read", "transform", "validate", "load"}


_AMOUNTS = {"": None, "1.00": Decimal("1.00"), "2,5": Decimal("2.50")}
_VALUES = st.sampled_from([*_AMOUNTS, "-1", "x", '"', "a\nb", "é"])
_FILES = itertools.count()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(st.sampled_from("abc"), _VALUES, _VALUES), max_size=8))
def test_the_last_good_row_of_each_key_is_stored_and_every_row_has_one_outcome(
    desk: Desk, rows: list[tuple[str, str, str]]
) -> None:
    before = {row.person_id: (row.name, row.amount) for row in desk.rows()}
    file, out = f"file {next(_FILES)}", io.StringIO()
    csv.writer(out).writerows([("ID", "Name", "Amount", file), *((*row, file) for row in rows)])
    counts = desk.bring(out.getvalue()).counts
    good = [
        (key, (name or None, _AMOUNTS[amount]))
        for key, name, amount in rows
        if amount == "" or (amount in _AMOUNTS and name)
    ]
    after = {row.person_id: (row.name, row.amount) for row in desk.rows()}
    assert after == before | dict(good)
    assert (counts.read, counts.rejected) == (len(rows), len(rows) - len(good))
    assert counts.superseded == len(good) - len(dict(good))
    assert counts.balance


@pytest.mark.parametrize("here", [True, False])
def test_a_claim_is_renewed_once_where_another_process_took_it(desk: Desk, *, here: bool) -> None:
    import_ = desk.claimed("ID,Name\nP1,Ann\n")
    if not here:
        desk.pipeline.leases.drop(import_.claim)
    renewals: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if "SET lease_expires_at=(now()" in statement:
            renewals.append(stage)

    engine = desk.pipeline.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        for stage in Stage:
            advance(import_, stage)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    import_.finish()
    assert renewals == ([] if here else [Stage.ARRIVE])


@pytest.mark.parametrize("most_bytes", [256 * 1024, -1])
def test_rows_that_meet_stored_ones_are_counted_whether_scratch_is_in_memory_or_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, most_bytes: int
) -> None:
    monkeypatch.setattr("csv_pipeline.engine.workspace.MOST_BYTES_OF_ONE", most_bytes)
    too_long = "".join(map(str, range(9_000)))  # for any index
    desk.bring("ID,Name\n1,Ann\n2,Bob\n")
    report = desk.bring(f"ID,Name\n1,Ann\n2,Rob\n3,Cid\n{too_long},Dan\n")
    assert outcomes(report.counts) == (1, 1, 1, 0, 0, 1)
    assert desk.pipeline.results_of(report) is not None
