"""One question tells all that the ledger knows of files whose rows are about to be stored."""

import re
from dataclasses import replace

import pytest
import sqlalchemy as sa

from csv_pipeline.errors import LostClaimError
from csv_pipeline.model import Claim
from csv_pipeline.storage import claims
from csv_pipeline.storage.situation import Asked, SameContent, Situation, situation
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.feeds import TEST_FEEDS

PEOPLE = next(feed for feed in TEST_FEEDS if feed.name == "people")
ONE, TWO = "ID,Name\n1,Ann\n", "ID,Name\n2,Bo\n"


def ask(desk: Desk, *incoming: Asked, layouts: tuple[str, ...] = ()) -> Situation:
    with desk.pipeline.database.begin() as connection:
        return situation(connection, PEOPLE, incoming, layouts)


def fingerprint(desk: Desk, import_id: int) -> str:
    with desk.pipeline.database.begin() as connection:
        query = sa.text("SELECT fingerprint FROM csv_pipeline.import WHERE import_id = :id")
        return str(connection.scalar(query, {"id": import_id}))


def claimed(desk: Desk) -> Claim:
    return desk.claimed("ID,Name\n9,Zoe\n").claim


def test_nothing_is_known_of_the_first_file_of_an_account(desk: Desk) -> None:
    found = ask(desk, Asked(claim=claimed(desk), fingerprint="new"), layouts=("default",))
    (file,) = found.files
    assert (file.is_overtaken, file.is_awaited, file.same) == (False, False, None)
    assert (found.any_stored, found.headers) == (False, {})


def test_rows_of_another_account_are_no_rows_of_this_one(desk: Desk) -> None:
    Desk(desk.pipeline, f"{desk.account}-2", desk.folder).bring(ONE)
    assert not ask(desk, Asked(claim=claimed(desk))).any_stored


def test_each_file_has_the_import_that_brought_its_bytes_and_whether_that_is_current(
    desk: Desk,
) -> None:
    one, two = desk.bring(ONE), desk.bring(TWO)
    desk.bring("ID,Name\n1,Eve\n")
    first, second = desk.claimed("ID,Name\n8,X\n").claim, desk.claimed("ID,Name\n9,Y\n").claim
    found = ask(
        desk,
        Asked(claim=first, fingerprint=fingerprint(desk, two.import_id)),
        Asked(claim=second, fingerprint="new"),
        Asked(claim=first, fingerprint=fingerprint(desk, one.import_id)),
    )
    assert [file.same for file in found.files] == [
        SameContent(import_id=two.import_id, is_current=False),
        None,
        SameContent(import_id=one.import_id, is_current=False),
    ]


def test_what_brought_the_bytes_is_current_while_only_rows_were_added_since(desk: Desk) -> None:
    one = desk.bring(ONE)
    desk.bring(TWO)
    asked = Asked(claim=claimed(desk), fingerprint=fingerprint(desk, one.import_id))
    (file,) = ask(desk, asked).files
    assert file.same == SameContent(import_id=one.import_id, is_current=True)


def test_a_file_is_awaited_that_arrived_before_all_that_are_asked_for(desk: Desk) -> None:
    first, second = claimed(desk), claimed(desk)
    together = ask(desk, Asked(claim=first), Asked(claim=second))
    assert [file.is_awaited for file in together.files] == [False, False]
    assert ask(desk, Asked(claim=second)).files[0].is_awaited


def test_a_file_is_overtaken_once_rows_of_a_later_one_are_stored(desk: Desk) -> None:
    first = claimed(desk)
    desk.bring(ONE)
    assert ask(desk, Asked(claim=first)).files[0].is_overtaken


def test_a_repair_counts_where_the_import_does_that_it_repairs(desk: Desk) -> None:
    one = desk.bring(ONE)
    desk.bring(TWO)
    claim = claimed(desk)
    (alone,) = ask(desk, Asked(claim=claim)).files
    (repair,) = ask(desk, Asked(claim=claim, repairs=one.import_id)).files
    assert (alone.position, alone.is_overtaken) == (claim.position, False)
    assert repair.is_overtaken
    assert repair.position != claim.position


def test_the_last_header_of_each_layout_is_told(desk: Desk) -> None:
    report = desk.bring(ONE)
    assert report.layout is not None
    found = ask(desk, Asked(claim=claimed(desk)), layouts=(report.layout, "another"))
    assert found.headers == {report.layout: ("ID", "Name")}
    assert found.any_stored


def test_a_claim_that_is_lost_is_named(desk: Desk) -> None:
    kept, lost = claimed(desk), claimed(desk)
    with desk.pipeline.database.begin() as connection:
        claims.release(connection, lost)
    with pytest.raises(LostClaimError, match=re.escape(str(lost.arrival_id))):
        ask(desk, Asked(claim=kept), Asked(claim=lost))


def test_a_dry_run_of_a_file_that_is_not_entered_has_no_claim_to_lose(desk: Desk) -> None:
    outside = replace(claimed(desk), arrival_id=0, attempt=0, position=None, dry_run=True)
    (file,) = ask(desk, Asked(claim=outside)).files
    assert (file.is_overtaken, file.is_awaited) == (False, False)
