"""An upload goes into the landing area without a lock, once, and again if that was cut off."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.engine import placing
from csv_pipeline.engine import uploads as engine
from csv_pipeline.engine.placing import place
from csv_pipeline.engine.receiving import Receiver
from csv_pipeline.storage import uploads
from csv_pipeline.storage.api_tables import upload as table
from csv_pipeline.storage.uploads import Upload, UploadState, UploadStateError
from csv_pipeline_tests.conftest import Desk

CONTENT = b"ID,Name\n1,one\n"


@pytest.fixture
def upload(desk: Desk) -> Upload:
    """An upload that is whole."""
    begun = engine.begin(desk.pipeline, desk.account, "people.csv", by="test", feed="people")
    with Receiver.of(desk.pipeline, begun) as receiver:
        receiver.write([CONTENT])
        return receiver.finish()


def while_bytes_travel(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> list[Any]:
    """Do something in the middle of putting an upload, and give what it returned or raised."""
    found: list[Any] = []
    put = placing._put  # noqa: SLF001

    def slowly(*what: Any) -> None:
        try:
            found.append(do())
        except UploadStateError as error:
            found.append(error)
        put(*what)

    monkeypatch.setattr(placing, "_put", slowly)
    return found


def test_nothing_is_locked_while_the_bytes_of_an_upload_travel(
    desk: Desk, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state() -> str:
        row = sa.select(table.c.state).where(table.c.upload_id == upload.upload_id)
        with desk.pipeline.database.begin() as connection:
            return str(connection.scalar(row.with_for_update(nowait=True)))

    assert while_bytes_travel(monkeypatch, state) == []
    placed = place(desk.pipeline, upload.upload_id)
    assert placed.state is UploadState.ARRIVED


@pytest.mark.parametrize("what", [engine.cancel, engine.to_be_checked, place])
def test_an_upload_on_its_way_into_the_landing_area_is_left_to_who_puts_it_there(
    desk: Desk, upload: Upload, monkeypatch: pytest.MonkeyPatch, what: Callable[..., object]
) -> None:
    found = while_bytes_travel(monkeypatch, lambda: what(desk.pipeline, upload.upload_id))
    placed = place(desk.pipeline, upload.upload_id)
    assert isinstance(found[0], UploadStateError)
    assert placed.arrival_id is not None
    assert [claim.name for claim in desk.pipeline.claim(desk.account, "people")] == ["people.csv"]


def test_an_upload_whose_way_was_cut_off_is_placed_again(
    desk: Desk, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        while_bytes_travel(patch, fail)
        with pytest.raises(ConnectionError):
            place(desk.pipeline, upload.upload_id)
    assert place(desk.pipeline, upload.upload_id).state is UploadState.ARRIVED


@pytest.mark.parametrize("was_put", [True, False])
def test_an_upload_whose_service_was_killed_is_placed_when_its_lease_is_over(
    desk: Desk, upload: Upload, was_put: bool
) -> None:
    pipeline, number = desk.pipeline, upload.upload_id
    target = pipeline.settings.landing_area / desk.account / "people" / f"upload-{number}"
    if was_put:
        placing._put(pipeline, upload, target / upload.name)  # noqa: SLF001
    with pipeline.database.begin() as connection:
        uploads.change(connection, number, placing_until=sa.text("now() + interval '1 minute'"))
    with pytest.raises(UploadStateError):
        place(pipeline, number)
    with pipeline.database.begin() as connection:
        uploads.change(connection, number, placing_until=sa.func.now())
    assert place(pipeline, number).state is UploadState.ARRIVED
    assert Path(str(target / upload.name).removeprefix("file://")).read_bytes() == CONTENT


def test_a_file_whose_upload_was_canceled_after_its_lease_does_not_arrive(
    desk: Desk, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel_late() -> None:
        with desk.pipeline.database.begin() as connection:
            uploads.change(connection, upload.upload_id, placing_until=None)
        with desk.pipeline.database.begin() as connection:
            uploads.cancel(connection, upload.upload_id)

    while_bytes_travel(monkeypatch, cancel_late)
    with pytest.raises(UploadStateError, match="canceled"):
        place(desk.pipeline, upload.upload_id)
    assert desk.pipeline.claim(desk.account, "people") == []
    assert not list((desk.pipeline.settings.landing_folder / desk.account).rglob("*.csv"))
