"""What became of an import is recorded at once, and told to whoever must know."""

from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.errors import LostClaimError
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.storage import claims, imports
from csv_pipeline.storage.records import Record, record_imports
from csv_pipeline.storage.webhooks import OUTBOX_DAYS
from csv_pipeline_tests.conftest import Desk


def told(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    query = sa.text(
        "SELECT kind, payload FROM csv_pipeline.outbox"
        " WHERE payload ->> 'account' = :account ORDER BY outbox_id"
    )
    with desk.pipeline.database.begin() as connection:
        return [(row[0], row[1]) for row in connection.execute(query, {"account": desk.account})]


def test_every_import_and_undo_is_told_with_its_counts_and_no_value_of_a_row(desk: Desk) -> None:
    first = desk.bring("ID,Name,Amount\n1,Ann,secret\n2,Bo,2\n")
    desk.bring("Colour\nred\n")
    desk.pipeline.undo(first.import_id)
    (imported, one), (refused, two), (undo, three) = told(desk)
    assert (imported, refused, undo) == ("imported", "refused", "undo")
    assert (one["read"], one["inserted"], one["rejected"]) == (2, 1, 1)
    assert two["problem_code"] is not None
    assert three["undoes"] == first.import_id
    assert not {"Ann", "secret", "red"} & set(str((one, two, three)).split("'"))


def test_a_dry_run_tells_nobody(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ann\n", dry_run=True)
    assert told(desk) == []


def test_nobody_is_told_of_an_import_whose_transaction_fails(desk: Desk) -> None:
    lost, kept = desk.claimed("ID,Name\n1,Ann\n").claim, desk.claimed("ID,Name\n2,Bo\n").claim
    with desk.pipeline.database.begin() as connection:
        claims.release(connection, lost)
    records = [
        Record(claim=claim, report=ImportReport.of(claim, Outcome.REFUSED, problem="no"))
        for claim in (kept, lost)
    ]
    with pytest.raises(LostClaimError), desk.pipeline.database.begin() as connection:
        record_imports(connection, records)
    assert told(desk) == []


def test_old_messages_are_forgotten(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ann\n")
    desk.bring("ID,Name\n2,Bo\n")
    age = sa.text(
        "UPDATE csv_pipeline.outbox SET created_at = now() - :days * interval '1 day'"
        " WHERE outbox_id = (SELECT min(outbox_id) FROM csv_pipeline.outbox"
        " WHERE payload ->> 'account' = :account)"
    )
    with desk.pipeline.database.begin() as connection:
        connection.execute(age, {"days": OUTBOX_DAYS + 1, "account": desk.account})
    sweep(desk.pipeline.settings, desk.pipeline.database)
    assert len(told(desk)) == 1


def test_the_ledger_knows_how_many_rows_are_stored(desk: Desk) -> None:
    def stored() -> int:
        with desk.pipeline.database.begin() as connection:
            return imports.rows_stored(connection, desk.account, "people")

    assert stored() == 0
    first = desk.bring("ID,Name\n1,Ann\n2,Bo\n")
    desk.bring("ID,Name\n2,Bob\n3,Cy\n")
    assert stored() == 3
    undo = desk.pipeline.undo(first.import_id)
    assert stored() == len(desk.rows()) == 2
    desk.pipeline.undo(undo.import_id)
    assert stored() == len(desk.rows()) == 3
