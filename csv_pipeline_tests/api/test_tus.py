"""An upload by tus goes on after any break, byte for byte, and one writer adds to it at a time."""

import base64
import hashlib
import http.client
import io
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from tusclient.client import TusClient
from tusclient.uploader.uploader import Uploader

from csv_pipeline.access import Scope
from csv_pipeline.api import bodies
from csv_pipeline.api.runs import Runs
from csv_pipeline.api.service import Service
from csv_pipeline.engine import receiving, uploads
from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.receiving import Receiver
from csv_pipeline.storage import accounts, tokens
from csv_pipeline.storage import uploads as stored
from csv_pipeline.storage.api_tables import upload as table
from csv_pipeline.storage.uploads import UploadState, UploadStateError
from csv_pipeline_tests.api.live import DagsterNoting, Full, serving

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}


@dataclass(frozen=True)
class Sender:
    """Who sends by tus for an account, to a service that is served on a port."""

    pipeline: Pipeline
    account: str
    address: str
    token: str
    dagster: DagsterNoting
    api: httpx2.Client

    def create(self, size: int, name: str = "people.csv", **said: str) -> str:
        """Begin an upload and return its path."""
        said = {"filename": name, "feed": "people"} | said
        answer = self.api.post(
            "/api/v1/tus",
            headers=TUS | {"Upload-Length": str(size), "Upload-Metadata": _encoded(said)},
        )
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    def patch(self, path: str, offset: int, data: bytes, **headers: str) -> httpx2.Response:
        told = BYTES | {"Upload-Offset": str(offset)} | headers
        return self.api.patch(path, content=data, headers=told)

    def offset(self, path: str) -> int:
        return int(self.api.head(path, headers=TUS).headers["upload-offset"])

    def upload(self, path: str) -> stored.Upload:
        with self.pipeline.database.begin() as connection:
            return stored.find(connection, int(path.rpartition("/")[2]))

    def landed(self, path: str) -> bytes:
        """Return the bytes that lie in the landing area."""
        upload = self.upload(path)
        assert upload.state is UploadState.ARRIVED, upload
        lane = self.pipeline.settings.landing_folder / self.account / str(upload.feed)
        return (lane / f"upload-{upload.upload_id}" / upload.name).read_bytes()

    def open_patch(self, path: str, offset: int, length: int, data: bytes) -> socket.socket:
        """Begin a PATCH of so many bytes and send only these of them."""
        host, _, port = self.address.removeprefix("http://").partition(":")
        found = socket.create_connection((host, int(port)), timeout=10)
        headers = BYTES | {
            "Host": host,
            "Authorization": f"Bearer {self.token}",
            "Upload-Offset": str(offset),
            "Content-Length": str(length),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        found.sendall(f"PATCH {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        return found


def _some(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311  # bytes, no secret


def _path_of(uploader: Uploader) -> str:
    assert uploader.url is not None
    return f"/api/v1/tus/{uploader.url.rpartition('/')[2]}"


def _encoded(said: dict[str, str]) -> str:
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in said.items())


def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if is_so():
            return
        time.sleep(0.02)
    raise AssertionError("it did not become so")


@pytest.fixture(scope="module")
def dagster() -> DagsterNoting:
    return DagsterNoting()


@pytest.fixture(scope="module")
def address(shared_pipeline: Pipeline, dagster: DagsterNoting) -> Iterator[str]:
    with serving(Service(pipeline=shared_pipeline, runs=Runs(dagster))) as address:
        yield address


@pytest.fixture
def sender(
    pipeline: Pipeline, account: str, address: str, dagster: DagsterNoting
) -> Iterator[Sender]:
    with pipeline.database.begin() as connection:
        accounts.add(connection, account)
        token, _ = tokens.make(connection, "tus", account=account, scopes=[Scope.UPLOAD])
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=address, headers=headers, timeout=20) as api:
        yield Sender(pipeline, account, address, token, dagster, api)


def _client(sender: Sender) -> TusClient:
    headers = {"Authorization": f"Bearer {sender.token}"}
    return TusClient(f"{sender.address}/api/v1/tus", headers=headers)


@pytest.mark.parametrize("checksum", [False, True])
def test_what_tuspy_sends_in_pieces_lies_in_the_landing_area(
    sender: Sender, checksum: bool
) -> None:
    content = _some(1, 300_000)
    uploader = _client(sender).uploader(
        file_stream=io.BytesIO(content),
        chunk_size=70_000,
        metadata={"filename": "people.csv", "feed": "people", "account": sender.account},
        upload_checksum=checksum,
    )
    uploader.upload()
    assert sender.landed(_path_of(uploader)) == content
    assert sender.dagster.lanes[-1] == f"{sender.account}/people"


def test_tuspy_goes_on_where_another_one_stopped(sender: Sender) -> None:
    content = _some(2, 200_000)
    first = _client(sender).uploader(
        file_stream=io.BytesIO(content),
        chunk_size=50_000,
        metadata={"filename": "people.csv", "feed": "people"},
    )
    first.upload_chunk()  # type: ignore[no-untyped-call]
    again = _client(sender).uploader(file_stream=io.BytesIO(content), url=first.url)
    assert again.offset == 50_000
    again.upload()
    assert sender.landed(_path_of(first)) == content


def test_an_upload_that_breaks_at_any_byte_comes_whole(sender: Sender) -> None:
    chance = random.Random(3)  # noqa: S311  # bytes, no secret
    content = chance.randbytes(3_000_000)
    path, at = sender.create(len(content)), 0
    for _ in range(8):
        some = chance.randrange(0, (len(content) - at) // 3)
        broken = sender.open_patch(path, at, len(content) - at, content[at : at + some])
        if chance.random() < 0.5:
            broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        broken.close()
        at = sender.offset(path)
    answer = sender.patch(path, at, content[at:])
    while answer.status_code in {409, 423}:  # one that broke off was not done yet
        at = sender.offset(path)
        answer = sender.patch(path, at, content[at:])
    assert answer.status_code == 204
    assert sender.landed(path) == content


def _is_free(sender: Sender, path: str) -> bool:
    query = sa.select(table.c.writer).where(table.c.upload_id == sender.upload(path).upload_id)
    with sender.pipeline.database.begin() as connection:
        return connection.scalar(query) is None


def test_while_one_stalls_a_second_is_refused_at_once_and_all_else_goes_on(
    sender: Sender, pipeline: Pipeline
) -> None:
    path = sender.create(100)
    others = [sender.create(100) for _ in range(20)]  # more than there are connections
    with ExitStack() as stalled:
        for one in (path, *others):
            stalled.enter_context(sender.open_patch(one, 0, 100, b"some"))
        _until(lambda: not any(_is_free(sender, one) for one in (path, *others)))
        began = time.monotonic()
        refused = sender.patch(path, 0, b"x" * 100)
        assert (refused.status_code, refused.json()["code"]) == (423, "upload_locked")
        assert sender.offset(path) == 0
        assert sender.api.get("/health/ready").status_code == 200
        assert time.monotonic() - began < bodies.STALL_SECONDS / 3
        assert pipeline.database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    _until(lambda: all(_is_free(sender, one) for one in (path, *others)))
    assert sender.offset(path) == 4


def test_who_stalls_is_told_so_and_what_came_is_kept(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "STALL_SECONDS", 0.2)
    path = sender.create(100)
    with sender.open_patch(path, 0, 100, b"0123456789") as stalled:
        answer = http.client.HTTPResponse(stalled)
        answer.begin()
        assert answer.status == 408
        assert b"upload_too_slow" in answer.read()
    assert sender.offset(path) == 10


def test_without_a_token_not_one_byte_is_written(sender: Sender) -> None:
    path = sender.create(100)
    with sender.pipeline.database.begin() as connection:
        other, _ = tokens.make(connection, "r", account=sender.account, scopes=[Scope.READ])
    for headers, code in (
        ({"Authorization": ""}, "unauthenticated"),
        ({"Authorization": "Bearer none"}, "unauthenticated"),
        ({"Authorization": f"Bearer {other}"}, "not_allowed"),
    ):
        answer = sender.patch(path, 0, b"0123456789", **headers)
        assert answer.json()["code"] == code
    assert sender.offset(path) == 0
    assert not uploads.path_of(sender.pipeline, sender.upload(path)).exists()


def test_an_upload_of_another_account_is_not_there(sender: Sender) -> None:
    path = sender.create(100)
    with sender.pipeline.database.begin() as connection:
        accounts.add(connection, "somebody-else")
        other, _ = tokens.make(connection, "o", account="somebody-else", scopes=[Scope.UPLOAD])
    told = {"Authorization": f"Bearer {other}"}
    assert sender.patch(path, 0, b"x", **told).json()["code"] == "unknown_upload"
    assert sender.api.head(path, headers=TUS | told).status_code == 404
    assert sender.api.delete(path, headers=TUS | told).json()["code"] == "unknown_upload"
    assert sender.offset(path) == 0


def test_what_is_not_as_tus_says_is_refused(sender: Sender) -> None:
    path = sender.create(10)
    api = sender.api
    size, name = {"Upload-Length": "10"}, {"Upload-Metadata": _encoded({"filename": "a.csv"})}
    for answer, code in (
        (api.post("/api/v1/tus", headers=size), "unsupported_protocol"),
        (api.post("/api/v1/tus", headers=TUS), "invalid_request"),
        (api.post("/api/v1/tus", headers=TUS | {"Upload-Length": "-1"}), "invalid_request"),
        (
            api.post("/api/v1/tus", headers=TUS | name | {"Upload-Length": "9" * 18}),
            "file_too_large",
        ),
        (api.post("/api/v1/tus", headers=TUS | size), "invalid_name"),
        (
            api.post("/api/v1/tus", headers=TUS | size | {"Upload-Metadata": "filename %"}),
            "invalid_request",
        ),
        (
            api.post(
                "/api/v1/tus",
                headers=TUS | size | {"Upload-Metadata": _encoded({"filename": "../../x"})},
            ),
            "invalid_name",
        ),
        (api.patch(path, content=b"x", headers=TUS | {"Upload-Offset": "0"}), "wrong_media_type"),
        (api.patch(path, content=b"x", headers=BYTES), "invalid_request"),
        (sender.patch(path, 5, b"x"), "offset_mismatch"),
        (sender.patch(path, 0, b"x" * 11), "file_too_large"),
        (sender.patch(path, 0, b"x", **{"Upload-Checksum": "crc 0"}), "invalid_request"),
        (sender.patch(path, 0, b"x", **{"Upload-Checksum": "sha1 AAAA"}), "checksum_mismatch"),
        (sender.patch("/api/v1/tus/0", 0, b"x"), "unknown_upload"),
    ):
        assert answer.json()["code"] == code, answer.text
    assert sender.offset(path) == 0
    endless = api.patch(
        path, content=iter([b"x" * 8, b"y" * 8]), headers=BYTES | {"Upload-Offset": "0"}
    )
    assert endless.json()["code"] == "file_too_large"
    assert sender.offset(path) in {0, 8}


def test_bytes_with_their_sum_are_kept_and_others_are_not(sender: Sender) -> None:
    path = sender.create(20)
    good = base64.b64encode(hashlib.sha256(b"0123456789").digest()).decode()
    assert sender.patch(path, 0, b"9876543210", **{"Upload-Checksum": f"sha256 {good}"}).is_error
    assert sender.offset(path) == 0
    assert sender.patch(path, 0, b"0123456789", **{"Upload-Checksum": f"sha256 {good}"}).is_success
    assert sender.offset(path) == 10


def test_an_upload_that_is_ended_or_expired_is_gone(sender: Sender) -> None:
    path = sender.create(10)
    assert sender.patch(path, 0, b"01234").status_code == 204
    folder = uploads.path_of(sender.pipeline, sender.upload(path)).parent
    assert sender.api.delete(path, headers=TUS).status_code == 204
    assert not folder.exists()
    assert sender.api.head(path, headers=TUS).status_code == 410
    assert sender.patch(path, 5, b"56789").json()["code"] == "upload_expired"
    late, kept = sender.create(10), sender.create(10)
    assert sender.patch(late, 0, b"01234").headers["upload-expires"].endswith("GMT")
    folder = uploads.path_of(sender.pipeline, sender.upload(late)).parent
    with sender.pipeline.database.begin() as connection:
        past = sa.func.now() - timedelta(seconds=1)
        stored.change(connection, sender.upload(late).upload_id, expires_at=past)
    stray = sender.pipeline.settings.uploads_area / "999999999"
    stray.mkdir(parents=True)
    os.utime(stray, (0, 0))
    sweep(sender.pipeline.settings, sender.pipeline.database)
    assert not folder.exists()
    assert not stray.exists()
    assert sender.patch(late, 5, b"56789").json()["code"] == "upload_expired"
    assert sender.offset(kept) == 0


def test_bytes_behind_the_offset_are_cut_off_and_lost_ones_are_asked_for_again(
    sender: Sender,
) -> None:
    path = sender.create(10)
    sender.patch(path, 0, b"01234")
    file = uploads.path_of(sender.pipeline, sender.upload(path))
    file.write_bytes(b"01234garbage and more")  # a process was killed before it noted them
    assert sender.patch(path, 5, b"56").status_code == 204
    assert file.read_bytes() == b"0123456"
    file.write_bytes(b"012")  # the disk lost some
    assert sender.patch(path, 7, b"789").json()["code"] == "offset_mismatch"
    assert sender.offset(path) == 3
    assert sender.patch(path, 3, b"3456789").status_code == 204
    assert sender.landed(path) == b"0123456789"


def test_one_whose_lease_ran_out_writes_no_more(
    sender: Sender, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sender.create(10)
    with Receiver.of(pipeline, sender.upload(path)) as first:
        first.write([b"0", b"", b"1"])
        with pipeline.database.begin() as connection:  # its process was stopped for long
            past = sa.func.now() - timedelta(seconds=1)
            stored.change(connection, first.upload.upload_id, writer_until=past)
        assert sender.patch(path, 0, b"abcd").status_code == 204
        monkeypatch.setattr(receiving, "LEASE_SECONDS", 0.0)
        monkeypatch.setattr(receiving, "_KEPT_EVERY_SECONDS", 0.0)
        with pytest.raises(UploadStateError):
            first.write([b"23"])
        with pytest.raises(UploadStateError):
            first.keep()
    file = uploads.path_of(pipeline, sender.upload(path))
    assert sender.offset(path) == 4
    assert file.read_bytes() == b"abcd"


def test_an_upload_left_whole_goes_on_when_its_client_asks(
    sender: Sender, pipeline: Pipeline
) -> None:
    path = sender.create(4)
    with Receiver.of(pipeline, sender.upload(path)) as killed:
        killed.write([b"ID\n1"])
        killed.keep()
    assert sender.offset(path) == 4
    assert sender.landed(path) == b"ID\n1"
    assert sender.patch(path, 4, b"").status_code == 204


def test_a_file_may_come_with_its_creation_and_an_empty_one_too(sender: Sender) -> None:
    told = {"Upload-Metadata": _encoded({"filename": "a.csv", "feed": "people"})}
    answer = sender.api.post(
        "/api/v1/tus", content=b"ID\n1", headers=BYTES | told | {"Upload-Length": "4"}
    )
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "4")
    assert sender.landed(answer.headers["location"]) == b"ID\n1"
    assert sender.landed(sender.create(0)) == b""


def test_what_is_to_be_checked_is_and_metadata_is_told(sender: Sender) -> None:
    path = sender.create(2, name="größe.csv", feed="", check="true")
    told = sender.api.head(path, headers=TUS).headers
    pairs: dict[str, Any] = dict(p.split(" ") for p in told["upload-metadata"].split(","))
    assert base64.b64decode(pairs["filename"]).decode() == "größe.csv"
    assert base64.b64decode(pairs["check"]) == b"true"
    assert (told["upload-length"], told["cache-control"]) == ("2", "no-store")
    sender.patch(path, 0, b"ID")
    assert sender.upload(path).state is UploadState.CHECKING
    assert sender.dagster.checks[-1] == sender.upload(path).upload_id


def test_what_is_forgotten_while_it_is_checked_ends_its_check(sender: Sender) -> None:
    path = sender.create(2, feed="", check="true")
    sender.patch(path, 0, b"ID")
    assert sender.api.delete(path, headers=TUS).status_code == 204
    assert sender.dagster.ended[-1] == f"check-{sender.upload(path).upload_id}"


def test_what_of_tus_there_is_is_said(sender: Sender) -> None:
    answer = sender.api.options("/api/v1/tus")
    assert answer.headers["tus-version"] == "1.0.0"
    assert "expiration" in answer.headers["tus-extension"]


def test_a_full_disk_is_said_and_what_was_kept_goes_on_later(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sender.create(10)
    sender.patch(path, 0, b"012")
    with monkeypatch.context() as full:
        full.setattr("csv_pipeline.engine.receiving.os", Full())
        answer = sender.patch(path, 3, b"3456789")
    assert (answer.status_code, answer.json()["code"]) == (507, "no_space")
    assert sender.offset(path) == 3
    sender.patch(path, 3, b"3456789")
    assert sender.landed(path) == b"0123456789"
