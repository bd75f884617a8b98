"""What Google Cloud Storage and Azure have of their own; `test_file_stores` holds the rest."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError, StoreDeniedError, StoreUnavailableError
from csv_pipeline.files import objects
from csv_pipeline.files.stores import move, store_of
from csv_pipeline.location import Location
from csv_pipeline.model import Outcome
from csv_pipeline_tests.file_stores import (
    OWN,
    Container,
    Folder,
    GoogleBucket,
    Own,
    connection_string,
    named,
)
from csv_pipeline_tests.landings import GOOD, TODAY, Landing
from csv_pipeline_tests.object_servers import AZURE_ACCOUNT, AZURE_KEY, Forwarding, serving
from csv_pipeline_tests.store_faults import CutOff, FaultyStore, Instead, Refusal, faulty_store

CLOUDS = ("gs", "az")
WAITS, DENIED = StoreUnavailableError, StoreDeniedError


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest) -> Own:
    return OWN[request.param](request)


def scheme_of(own: Own) -> str:
    return own.location("").scheme


@pytest.fixture
def faulty(
    cloud: Own, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyStore]:
    """A server before the one that has the buckets, asked once."""
    address = request.getfixturevalue("google" if scheme_of(cloud) == "gs" else "azure")
    monkeypatch.setattr(objects, "_ATTEMPTS", 1)
    with faulty_store(FaultyStore(scheme_of(cloud), Forwarding(address))) as store:
        yield store


def look(own: Own, key: str = "in/a.csv") -> Any:
    return store_of(own.location(key)).status(own.location(key))


def listed(own: Own) -> list[str]:
    area = own.location("in")
    return [found.location.key for found in store_of(area).listing(area)]


GOOGLE = [
    ("403 Forbidden", "forbidden", DENIED),
    ("404 Not Found", "The specified bucket does not exist.", DENIED),
    ("404 Not Found", "No such object", FileNotFoundError),
    ("412 Precondition Failed", "conditionNotMet", FileNotFoundError),
    ("429 Too Many Requests", "rateLimitExceeded", WAITS),
    ("503 Service Unavailable", "backendError", WAITS),
    ("400 Bad Request", "invalid", OSError),
]
AZURE = [
    ("401 Unauthorized", "InvalidAuthenticationInfo", DENIED),
    ("403 Forbidden", "AuthorizationPermissionMismatch", DENIED),
    ("403 Forbidden", "AuthenticationFailed", DENIED),
    ("404 Not Found", "ContainerNotFound", DENIED),
    ("404 Not Found", "BlobNotFound", FileNotFoundError),
    ("412 Precondition Failed", "ConditionNotMet", FileNotFoundError),
    ("412 Precondition Failed", "LeaseIdMissing", OSError),
    ("409 Conflict", "SnapshotsPresent", OSError),
    ("409 Conflict", "PendingCopyOperation", WAITS),
    ("429 Too Many Requests", "TooManyRequests", WAITS),
    ("503 Service Unavailable", "ServerBusy", WAITS),
    ("400 Bad Request", "InvalidInput", OSError),
]


def test_each_refusal_is_told_as_what_it_is(cloud: Own, faulty: FaultyStore) -> None:
    table: list[tuple[str, str, type[Exception]]] = GOOGLE if faulty.scheme == "gs" else AZURE
    for status, code, error in table:
        faulty.refuse(status, code)
        with pytest.raises(error) as told:
            look(cloud)
        assert (told.type is error, code in str(told.value)) == (True, True), code


def test_one_object_may_be_denied_and_a_listing_is_denied_for_all(
    cloud: Own, faulty: FaultyStore
) -> None:
    faulty.refuse("403 Forbidden", "AuthorizationPermissionMismatch")
    with pytest.raises(StoreDeniedError) as one:
        look(cloud)
    with pytest.raises(StoreDeniedError) as every:
        listed(cloud)
    assert (one.value.of_all, every.value.of_all) == (False, True)


def test_a_store_that_is_too_busy_for_a_moment_is_asked_again(
    cloud: Own, faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.put("in/a.csv", GOOD)
    monkeypatch.setattr(objects, "_ATTEMPTS", 3)
    store_of(cloud.location("")).forget()
    faulty.refuse("503 Service Unavailable", "ServerBusy", times=1)
    assert look(cloud).size_bytes == len(GOOD)
    assert len(faulty.requests) == 2


def test_an_answer_that_breaks_off_is_no_file(cloud: Own, faulty: FaultyStore) -> None:
    cloud.put("in/a.csv", GOOD * 10)
    location, status = cloud.location("in/a.csv"), look(cloud)
    faulty.fault = lambda *_: CutOff(20)
    with pytest.raises(StoreUnavailableError):
        b"".join(store_of(location).read(location, status))


def test_a_store_that_does_not_answer_is_silent(
    cloud: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_ATTEMPTS", 1)
    with (
        named("http://127.0.0.1:9", scheme_of(cloud)),
        pytest.raises(StoreUnavailableError, match="does not answer"),
    ):
        look(cloud)


def test_a_bucket_that_is_not_there_is_denied(cloud: Own) -> None:
    area = Location(f"{scheme_of(cloud)}://nowhere-at-all", "in")
    with pytest.raises(StoreDeniedError, match=r"in .*://nowhere-at-all at http://127.0.0.1:"):
        list(store_of(area).listing(area))


@pytest.mark.parametrize(("scheme", "module"), [("gs", "google.cloud.storage"), ("az", "azure")])
def test_a_store_without_its_package_says_what_to_install(
    scheme: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(f"{module}.")] + [module]:
        monkeypatch.setitem(sys.modules, name, None)
    location = Location(f"{scheme}://box", "a.csv")
    with (
        named("http://127.0.0.1:9", scheme),
        pytest.raises(SetupError, match=rf"pip install 'csv-pipeline\[{scheme}\]'"),
    ):
        store_of(location).status(location)


def test_what_replaced_an_object_is_not_copied(cloud: Own) -> None:
    cloud.put("in/a.csv", "before")
    location, before = cloud.location("in/a.csv"), look(cloud)
    cloud.put("in/a.csv", "after")
    cloud.put("kept/a.csv", "")
    with pytest.raises(FileNotFoundError):
        store_of(location).transfer(location, before, cloud.location("kept/a.csv"))
    assert (cloud.get("in/a.csv"), cloud.get("kept/a.csv")) == ("after", "")


def test_odd_keys_hold_up_no_other(cloud: Own) -> None:
    keys = ["in//a.csv", "in/a/b.csv"]
    if scheme_of(cloud) == "gs":  # Azure's addresses have no such names
        keys = ["in/../a.csv", "in/./b.csv", "in//a.csv", "in/a\0.csv", "in/a/b.csv"]
    for key in keys:
        cloud.put(key, GOOD)
    assert listed(cloud) == keys
    for number, key in enumerate(keys):
        move(cloud.location(key), cloud.location(f"kept/{number}"))
    assert (listed(cloud), len(cloud.keys("kept/"))) == ([], len(keys))


def test_files_of_every_store_are_imported_at_once_and_kept_beside_it(
    pipeline: Pipeline, account: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    every = [Folder(tmp_path), *(OWN[scheme](request) for scheme in ("s3", *CLOUDS))]
    unset = ("archive_folder", "refused_folder", "results_folder", "rejects_folder")
    areas = tuple(own.location("in/landing") for own in every)
    how = {"home": tmp_path / "in", "landing": areas, **dict.fromkeys(unset)}
    landing = Landing(pipeline, account, every[0], **how)
    for number, own in enumerate(every):
        own.put(landing.key("My Orders.csv"), f"ID,Name\n{number},Ann\n")
    assert [report.outcome for report in landing.bring()] == [Outcome.IMPORTED] * 4
    for own in every[1:]:
        assert own.keys() == [f"in/archive/{landing.lane}/{TODAY}/My Orders.csv"]
    assert landing.bring() == []


# Google Cloud Storage


def test_an_object_of_googles_is_moved_by_its_checksum_and_not_read(
    google_bucket: GoogleBucket, google: str
) -> None:
    google_bucket.put("in/a.csv", GOOD)
    with faulty_store(FaultyStore("gs", Forwarding(google))) as seen:
        move(google_bucket.location("in/a.csv"), google_bucket.location("kept/a.csv"))
    assert google_bucket.keys() == ["kept/a.csv"]
    assert not any("alt=media" in request for request in seen.requests)


def test_an_object_of_googles_whose_metadata_change_is_the_same(
    google_bucket: GoogleBucket,
) -> None:
    google_bucket.put("in/a.csv", GOOD)
    before, blob = look(google_bucket), google_bucket.bucket.blob("in/a.csv")
    blob.metadata = {"seen": "yes"}
    blob.patch()
    assert look(google_bucket) == before


@pytest.fixture
def google_account(
    google_bucket: GoogleBucket, google: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyStore]:
    """A service account whose tokens the server gives, if it does."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    store = FaultyStore("gs", Forwarding(google))
    with serving(store) as address:
        facts = {
            "type": "service_account",
            "client_email": "somebody@example.com",
            "private_key": key.private_bytes(serialization.Encoding.PEM, *form).decode(),
            "token_uri": f"{address}/token",
        }
        tmp_path.joinpath("account.json").write_text(json.dumps(facts))
        monkeypatch.delenv("STORAGE_EMULATOR_HOST")
        monkeypatch.setenv("API_ENDPOINT_OVERRIDE", address)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        store_of(google_bucket.location("")).forget()
        yield store
    store_of(google_bucket.location("")).forget()


def test_an_account_of_googles_that_was_deleted_is_denied(
    google_bucket: GoogleBucket, google_account: FaultyStore
) -> None:
    google_account.refuse("400 Bad Request", "invalid_grant")
    with pytest.raises(StoreDeniedError, match="are set: GOOGLE_APPLICATION_CREDENTIALS") as told:
        look(google_bucket)
    assert "invalid_grant" in str(told.value)
    assert google_account.requests == ["POST /token?"]


def test_a_token_of_googles_that_the_store_takes_no_more_is_denied(
    google_bucket: GoogleBucket, google_account: FaultyStore
) -> None:
    token = Instead(json.dumps({"access_token": "a-secret", "expires_in": 3600}).encode())
    expired = Refusal("401 Unauthorized", "Invalid Credentials")
    google_bucket.put("in/a.csv", GOOD)
    google_account.fault = lambda _, path: token if path.startswith("/token") else None
    assert look(google_bucket).size_bytes == len(GOOD)
    google_account.fault = lambda _, path: token if path.startswith("/token") else expired
    with pytest.raises(StoreDeniedError, match="Invalid Credentials: As told") as told:
        look(google_bucket)
    assert "a-secret" not in str(told.value)


def test_credentials_of_googles_that_are_not_there_are_denied(
    google_bucket: GoogleBucket, google_account: FaultyStore, tmp_path: Path
) -> None:
    tmp_path.joinpath("account.json").unlink()
    with pytest.raises(StoreDeniedError, match=r"account\.json was not found"):
        look(google_bucket)


# Azure Blob Storage


def test_azure_is_reached_by_a_key_or_a_signature_and_not_by_an_old_one(
    container: Container, azure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.put("in/a.csv", GOOD)
    now, may = datetime.now(UTC), ContainerSasPermissions(read=True, write=True, delete=True)

    def signed(until: timedelta) -> str:
        whose = (AZURE_ACCOUNT, container.name, AZURE_KEY)
        sas = generate_container_sas(*whose, permission=may, expiry=now + until)
        return f"BlobEndpoint={azure}/{AZURE_ACCOUNT};SharedAccessSignature={sas}"

    def reached_by(connection: str) -> None:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
        store_of(container.location("")).forget()
        look(container)

    reached_by(signed(timedelta(hours=1)))
    move(container.location("in/a.csv"), container.location("in/b.csv"))
    container.put("in/a.csv", GOOD)
    for connection in (signed(timedelta(hours=-1)), connection_string(azure, "c29tZXRoaW5n")):
        with pytest.raises(StoreDeniedError) as told:
            reached_by(connection)
        said = str(told.value)
        assert "are set: AZURE_STORAGE_CONNECTION_STRING" in said
        assert not [secret for secret in ("c29tZXRoaW5n", "sig=") if secret in said]


def test_azure_without_an_account_is_denied(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    store_of(container.location("")).forget()
    with pytest.raises(StoreDeniedError, match=r"AZURE_STORAGE_ACCOUNT or .* is not set"):
        look(container)


def test_the_account_key_and_signature_of_azure_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    location, store = Location("az://box", "a.csv"), store_of(Location("az://box"))
    monkeypatch.setattr(objects, "_ATTEMPTS", 1)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "no-such-account.invalid")
    for name, value in (("AZURE_STORAGE_KEY", AZURE_KEY), ("AZURE_STORAGE_SAS_TOKEN", "sig=abc")):
        with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            store.forget()
            stack.callback(store.forget)
            with pytest.raises(StoreUnavailableError) as told:
                store.status(location)
            assert "no-such-account.invalid.blob.core.windows.net" in str(told.value)
            assert "abc" not in str(told.value)


def test_a_name_that_azure_has_no_address_for_is_refused_and_silences_nothing(
    container: Container,
) -> None:
    with pytest.raises(OSError, match=r"a blob without '\.' or '\.\.'") as told:
        look(container, "in/../a.csv")
    assert told.type is OSError


def test_a_folder_of_a_data_lake_is_no_file(container: Container) -> None:
    container.put("in/a/b.csv", GOOD)
    container.client.upload_blob("in/a", b"", metadata={"hdi_isfolder": "true"})
    assert listed(container) == ["in/a/b.csv"]


def test_a_leased_blob_is_read_and_stays(container: Container) -> None:
    container.put("in/a.csv", GOOD)
    lease = container.client.get_blob_client("in/a.csv").acquire_lease()
    with pytest.raises(OSError, match="LeaseIdMissing"):
        move(container.location("in/a.csv"), container.location("kept/a.csv"))
    lease.release()
    move(container.location("in/a.csv"), container.location("kept/a.csv"))
    assert container.keys() == ["kept/a.csv"]
