"""A test's own part of every file store: a folder, or a bucket of a server on this machine.

Tests fill it and look into it by means of their own. A store more is a class more, and a line in
the fixture `own`.
"""

import io
import itertools
import os
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from azure.storage.blob import BlobServiceClient
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from csv_pipeline.files import az, gs
from csv_pipeline.files.stores import store_of
from csv_pipeline.location import Location, location_of
from csv_pipeline_tests.object_servers import AZURE_ACCOUNT, AZURE_KEY, azure_server, google_server

_NUMBERS = itertools.count()
_NOBODY = AnonymousCredentials()  # type: ignore[no-untyped-call]


@contextmanager
def running_store() -> Iterator[str]:
    """Start a server that speaks S3, let the environment name it, and give its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        with named(f"http://{host}:{port}"):
            yield f"http://{host}:{port}"
    finally:
        server.stop()


def _environment(scheme: str, address: str) -> dict[str, str]:
    match scheme:
        case "gs":
            return {"STORAGE_EMULATOR_HOST": address}
        case "az":
            return {"AZURE_STORAGE_CONNECTION_STRING": connection_string(address)}
        case _:
            return {
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "somebody",
                "AWS_SECRET_ACCESS_KEY": "something",
                "AWS_DEFAULT_REGION": "us-east-1",
            }


def connection_string(address: str, key: str = AZURE_KEY) -> str:
    """Return what names an account of Azure's emulator."""
    facts = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": AZURE_ACCOUNT,
        "AccountKey": key,
        "BlobEndpoint": f"{address}/{AZURE_ACCOUNT}",
    }
    return ";".join(f"{name}={value}" for name, value in facts.items())


@contextmanager
def named(address: str, scheme: str = "s3") -> Iterator[None]:
    """Let the environment name a store, whether it answers or not."""
    store = store_of(Location(f"{scheme}://any"))
    try:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in _environment(scheme, address).items():
                environment.setenv(name, value)
            store.forget()  # it reads the environment once
            yield
    finally:
        store.forget()


class Own:
    """A test's own part of a store."""

    page = 1_000
    """How many files a listing gives at a time."""

    def location(self, key: str) -> Location:
        raise NotImplementedError

    def put(self, key: str, content: str | bytes, age: float = 60) -> None:
        raise NotImplementedError

    def fill(self, keys: Iterable[str]) -> None:
        """Put many empty files."""
        raise NotImplementedError

    def read(self, key: str) -> bytes:
        raise NotImplementedError

    def delete(self, key: str) -> None:
        raise NotImplementedError

    def keys(self, prefix: str = "") -> list[str]:
        raise NotImplementedError

    def get(self, key: str) -> str:
        return self.read(key).decode()

    def put_zip(self, key: str, **members: str) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for member, content in members.items():
                archive.writestr(f"{member}.csv", content)
        self.put(key, packed.getvalue())


class Folder(Own):
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def location(self, key: str) -> Location:
        return location_of(self.path / key)

    def put(self, key: str, content: str | bytes, age: float = 60) -> None:
        path = self.path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if key.endswith("/"):
            path.mkdir(exist_ok=True)
            return
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (time.time() - age,) * 2)

    def fill(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.put(key, "")

    def read(self, key: str) -> bytes:
        return (self.path / key).read_bytes()

    def delete(self, key: str) -> None:
        (self.path / key).unlink()

    def keys(self, prefix: str = "") -> list[str]:
        found = (path for path in self.path.rglob("*") if path.is_file())
        keys = sorted(str(path.relative_to(self.path)) for path in found)
        return [key for key in keys if key.startswith(prefix)]


class Bucket(Own):
    """A bucket, by a connection of the test's own."""

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self.client: Any = boto3.client("s3", endpoint_url=address)
        self.client.create_bucket(Bucket=name)

    def location(self, key: str) -> Location:
        return Location(f"s3://{self.name}", key)

    def put(self, key: str, content: str | bytes, age: float = 60) -> None:
        body = content.encode() if isinstance(content, str) else content
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def fill(self, keys: Iterable[str]) -> None:
        """Put many empty objects; by way of the server's inside, which is ten times as fast."""
        inside = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for key in keys:
            inside.put_object(self.name, key, b"")

    def put_in_parts(self, key: str, content: str) -> None:
        """Put an object as large ones are put; its ETag is no sum of its bytes then."""
        where = {"Bucket": self.name, "Key": key}
        upload = self.client.create_multipart_upload(**where)["UploadId"]
        part = self.client.upload_part(
            **where, UploadId=upload, PartNumber=1, Body=content.encode()
        )
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        self.client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)

    def read(self, key: str) -> bytes:
        answer = self.client.get_object(Bucket=self.name, Key=key)
        return bytes(answer["Body"].read())

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2")
        return [
            found["Key"]
            for page in pages.paginate(Bucket=self.name, Prefix=prefix)
            for found in page.get("Contents", ())
        ]


class GoogleBucket(Own):
    """A bucket of Google's, by a connection of the test's own."""

    page = 5  # more would take long to put

    def __init__(self, address: str, name: str) -> None:
        where = {"api_endpoint": address}
        self.client: Any = storage.Client(None, _NOBODY, client_options=where)
        self.client.create_bucket(name, project="any")
        self.name, self.bucket = name, self.client.bucket(name)

    def location(self, key: str) -> Location:
        return Location(f"gs://{self.name}", key)

    def put(self, key: str, content: str | bytes, age: float = 60) -> None:
        self.bucket.blob(key).upload_from_string(content)

    def fill(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.put(key, b"")

    def read(self, key: str) -> bytes:
        found: bytes = self.bucket.blob(key).download_as_bytes()
        return found

    def delete(self, key: str) -> None:
        self.bucket.blob(key).delete()

    def keys(self, prefix: str = "") -> list[str]:
        return [blob.name for blob in self.client.list_blobs(self.name, prefix=prefix)]


class Container(Own):
    """A container of Azure's, by a connection of the test's own."""

    page = 5  # more would take long to put

    def __init__(self, address: str, name: str) -> None:
        account = BlobServiceClient.from_connection_string(connection_string(address))
        self.name, self.client = name, account.create_container(name)

    def location(self, key: str) -> Location:
        return Location(f"az://{self.name}", key)

    def put(self, key: str, content: str | bytes, age: float = 60) -> None:
        self.client.upload_blob(key, content, overwrite=True)

    def fill(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.put(key, b"")

    def read(self, key: str) -> bytes:
        return self.client.download_blob(key).readall()

    def delete(self, key: str) -> None:
        self.client.delete_blob(key)

    def keys(self, prefix: str = "") -> list[str]:
        return list(self.client.list_blob_names(name_starts_with=prefix))


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a server that speaks S3."""
    with running_store() as found:
        yield found


@pytest.fixture
def bucket(address: str) -> Bucket:
    """A bucket of the test's own."""
    return Bucket(address, f"bucket-{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def google() -> Iterator[str]:
    """The address of a server that speaks as Google Cloud Storage does."""
    with google_server() as found, named(found, "gs"):
        yield found


@pytest.fixture
def google_bucket(google: str, monkeypatch: pytest.MonkeyPatch) -> GoogleBucket:
    """A bucket of the test's own, which is listed in small pages."""
    monkeypatch.setattr(gs, "_PAGE", GoogleBucket.page)
    return GoogleBucket(google, f"bucket-{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def azure() -> Iterator[str]:
    """The address of a server that speaks as Azure Blob Storage does."""
    with azure_server() as found, named(found, "az"):
        yield found


@pytest.fixture
def container(azure: str, monkeypatch: pytest.MonkeyPatch) -> Container:
    """A container of the test's own, which is listed in small pages."""
    monkeypatch.setattr(az, "_PAGE", Container.page)
    return Container(azure, f"container-{next(_NUMBERS)}")


def _folder(request: pytest.FixtureRequest) -> Own:
    return Folder(request.getfixturevalue("tmp_path") / "own")


def _by(fixture: str) -> Callable[[pytest.FixtureRequest], Own]:
    return lambda request: request.getfixturevalue(fixture)


OWN = {"": _folder, "s3": _by("bucket"), "gs": _by("google_bucket"), "az": _by("container")}
"""What gives a test its own part of a store, by the scheme of the store's URLs."""


@pytest.fixture(params=OWN, ids=lambda scheme: scheme or "local")
def own(request: pytest.FixtureRequest) -> Own:
    """The test's own part of every store, one after the other."""
    return OWN[request.param](request)
