"""An S3 server on this machine, and a test's own bucket in it."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from csv_pipeline.files import objects


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


class Bucket:
    """A bucket as the tests fill it and look into it, by a connection of their own."""

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self.client: Any = boto3.client("s3", endpoint_url=address)
        self.client.create_bucket(Bucket=name)

    def put(self, key: str, content: str | bytes) -> None:
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

    def put_zip(self, key: str, **members: str) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for member, content in members.items():
                archive.writestr(f"{member}.csv", content)
        self.put(key, packed.getvalue())

    def get(self, key: str) -> str:
        answer = self.client.get_object(Bucket=self.name, Key=key)
        return str(answer["Body"].read().decode())

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2")
        return [
            found["Key"]
            for page in pages.paginate(Bucket=self.name, Prefix=prefix)
            for found in page.get("Contents", ())
        ]
