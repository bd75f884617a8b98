"""A test's own part of every file store: a folder, or a bucket of an S3 server on this machine.

Tests fill it and look into it by means of their own. A store more is a class more, and a line in
the fixture `own`.
"""

import io
import itertools
import os
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from csv_pipeline.files import objects
from csv_pipeline.location import Location, location_of

_NUMBERS = itertools.count()


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


@contextmanager
def named(address: str) -> Iterator[None]:
    """Let the environment name a store, whether it answers or not."""
    forget = objects._client.cache_clear  # noqa: SLF001  # it reads the environment once
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ENDPOINT_URL", address)
            environment.setenv("AWS_ACCESS_KEY_ID", "somebody")
            environment.setenv("AWS_SECRET_ACCESS_KEY", "something")
            environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
            forget()
            yield
    finally:
        forget()


class Own:
    """A test's own part of a store."""

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


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a server that speaks S3."""
    with running_store() as found:
        yield found


@pytest.fixture
def bucket(address: str) -> Bucket:
    """A bucket of the test's own."""
    return Bucket(address, f"bucket-{next(_NUMBERS)}")


def _folder(request: pytest.FixtureRequest) -> Own:
    return Folder(request.getfixturevalue("tmp_path") / "own")


def _bucket(request: pytest.FixtureRequest) -> Own:
    found: Bucket = request.getfixturevalue("bucket")
    return found


OWN = {"": _folder, "s3": _bucket}
"""What gives a test its own part of a store, by the scheme of the store's URLs."""


@pytest.fixture(params=OWN, ids=lambda scheme: scheme or "local")
def own(request: pytest.FixtureRequest) -> Own:
    """The test's own part of every store, one after the other."""
    return OWN[request.param](request)
