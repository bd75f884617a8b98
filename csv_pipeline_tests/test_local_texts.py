"""The text of a timestamp is kept beside it where the file does not state the time zone."""

import pytest

from csv_pipeline.errors import SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.spec.contract import Contract, Timestamp, column, columns_of
from csv_pipeline.spec.declared import feed_in
from csv_pipeline.spec.declared.forms import written
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline_tests.conftest import Desk

FEED = "events"
KEPT_AS_IT_IS = {"last_processed"}  # its text is kept in each row, for the list of remaining work


def stored(desk: Desk) -> list[tuple[str | None, str | None]]:
    rows = desk.rows(FEED, "sent_at::text AS at, sent_at_local", "event")
    return [(row.at, row.sent_at_local) for row in rows]


def test_the_text_is_kept_only_where_the_cell_states_no_zone(desk: Desk) -> None:
    cells = ["2026-07-01 12:00", "2026-07-01 12:00 +01:00", "2026-07-01T12:00:00Z", ""]
    cells += ["Jul-01-2026 12:00 PDT", "9999-12-31 00:00"]
    rows = "".join(f"{at},{cell}\n" for at, cell in enumerate(cells))
    report = desk.bring(f"Event,Sent\n{rows}", FEED)
    assert report.counts.inserted == len(cells), desk.rejects(report)
    assert stored(desk) == [
        ("2026-07-01 10:00:00+00", "2026-07-01 12:00"),
        ("2026-07-01 11:00:00+00", None),
        ("2026-07-01 12:00:00+00", None),
        (None, None),
        ("2026-07-01 19:00:00+00", None),
        ("9999-12-31 00:00:00+00", "9999-12-31 00:00"),
    ]


def test_a_corrected_row_keeps_the_corrected_text(desk: Desk) -> None:
    first = desk.bring("Event,Sent\n1,2026-07-01 25:00\n2,2026-07-01 12:00\n", FEED)
    assert first.counts.rejected == 1
    back = f"_import_id,_row_number,Event,Sent\n{first.import_id},2,1,2026-07-01 23:00\n"
    assert desk.bring(back, FEED).counts.inserted == 1
    assert stored(desk)[0] == ("2026-07-01 21:00:00+00", "2026-07-01 23:00")


def test_an_undo_brings_the_text_back_with_its_moment(desk: Desk) -> None:
    desk.bring("Event,Sent\n1,2026-07-01 12:00\n", FEED)
    second = desk.bring("Event,Sent\n1,2026-07-01T10:00:00Z\n", FEED)
    assert (second.counts.updated, stored(desk)[0][1]) == (1, None)
    desk.pipeline.undo(second.import_id)
    assert stored(desk) == [("2026-07-01 10:00:00+00", "2026-07-01 12:00")]


def test_an_alias_of_the_account_names_both(desk: Desk) -> None:
    desk.declare(feed=FEED, aliases=(("Gesendet", "sent_at"),))
    desk.bring("Event,Gesendet\n1,2026-07-01 12:00\n", FEED)
    assert stored(desk) == [("2026-07-01 10:00:00+00", "2026-07-01 12:00")]


def test_each_form_of_a_feed_has_the_column(desk: Desk) -> None:
    feed = desk.pipeline.feed(FEED)
    schema = written(feed, "table-schema")
    again = feed_in(schema.encode(), FEED, FEED)
    (kept,) = (one for one in columns_of(again.contract) if one.local_of)
    assert (kept.name, kept.local_of, kept.aliases) == (
        "sent_at_local",
        "sent_at",
        ("Sent", "sent_at"),
    )


@pytest.mark.parametrize("local_of", ["event", "nothing", "seen_at"])
def test_it_is_of_a_timestamp_that_may_lack_its_zone(local_of: str) -> None:
    class Wrong(Contract):
        event: str = column()
        seen_at: Timestamp = column(unit="ms")
        seen_at_local: str = column(local_of=local_of)

    with pytest.raises(SetupError, match="a timestamp of the contract that is no number"):
        columns_of(Wrong)


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_each_timestamp_that_may_lack_its_zone_has_its_text_beside_it(feed: Feed) -> None:
    kept = {column.local_of for column in feed.columns}
    for one in feed.columns:
        if one.kind is Kind.TIMESTAMP and one.unit is None and not one.derived:
            assert one.name in kept | KEPT_AS_IT_IS
