"""What every file store must do: each promise of `FileStore`, held against each store."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from csv_pipeline.errors import SetupError
from csv_pipeline.files import stores
from csv_pipeline.files.store import FileStatus
from csv_pipeline.files.stores import fetch, free_name, move, store_of, unchanged, written_to
from csv_pipeline.location import Location, location_of, parts_below
from csv_pipeline_tests.file_stores import OWN, Folder, Own

NAMES = [
    "a.csv",
    "a b.csv",
    "Müller–Ø.csv",
    "50%.csv",
    "a%20b.csv",
    "+#&=?.csv",
    "a!b.csv",
    "~.csv",
]


class Shelf:
    """A store with the test's own part of it."""

    def __init__(self, own: Own) -> None:
        self.own, self.store = own, store_of(own.location("in"))

    def put(self, key: str, content: str = "ID\n1\n", age: float = 60) -> Location:
        self.own.put(key, content, age)
        return self.own.location(key)

    def status(self, key: str) -> FileStatus:
        return self.store.status(self.own.location(key))

    def read(self, location: Location, wanted: FileStatus | None = None) -> bytes:
        return b"".join(self.store.read(location, wanted or self.store.status(location)))

    def listed(self, area: str = "in", **how: Any) -> list[str]:
        root = self.own.location(area)
        return ["/".join(below(one.location, root)) for one in self.store.listing(root, **how)]


def below(location: Location, area: Location) -> tuple[str, ...]:
    parts = parts_below(location, area)
    assert parts is not None
    return parts


@pytest.fixture
def shelf(own: Own) -> Shelf:
    return Shelf(own)


@pytest.fixture
def elsewhere(own: Own, request: pytest.FixtureRequest, tmp_path: Path) -> Own:
    """A part of the other store."""
    if isinstance(own, Folder):
        found: Own = request.getfixturevalue("bucket")
        return found
    return Folder(tmp_path / "elsewhere")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_listed_read_moved_and_removed(shelf: Shelf, name: str) -> None:
    shelf.put(f"in/{name}", "ID\n1\n")
    (listed,) = shelf.store.listing(shelf.own.location("in"))
    assert (listed.location.name, listed.status.size_bytes, listed.fault) == (name, 5, None)
    assert location_of(str(listed.location)) == listed.location
    assert shelf.read(listed.location, listed.status) == b"ID\n1\n"
    target = shelf.own.location(f"kept/{name}")
    move(listed.location, target)
    assert shelf.own.keys() == [f"kept/{name}"]
    shelf.store.remove(target)
    assert shelf.own.keys() == []


def test_the_status_of_a_listing_is_that_of_the_file(shelf: Shelf) -> None:
    location = shelf.put("in/a.csv")
    (listed,) = shelf.store.listing(shelf.own.location("in"))
    assert listed.status == shelf.store.status(location)
    assert listed.status.modified_at.tzinfo is not None


def test_an_area_that_is_not_there_has_no_files(shelf: Shelf) -> None:
    assert shelf.listed() == []


def test_an_area_that_is_prepared_is_empty(shelf: Shelf) -> None:
    shelf.store.prepare(shelf.own.location("in"))
    shelf.store.prepare(shelf.own.location("in"))
    assert shelf.listed() == []


def test_files_below_an_area_are_listed_and_those_beside_it_are_not(shelf: Shelf) -> None:
    for key in ("in/a/1.csv", "in/a/b/2.csv", "in/3.csv", "in-not/4.csv", "in.csv"):
        shelf.put(key)
    assert sorted(shelf.listed()) == ["3.csv", "a/1.csv", "a/b/2.csv"]


def test_more_files_than_a_page_has_are_all_listed(shelf: Shelf) -> None:
    names = [f"{number:04}.csv" for number in range(shelf.own.page + 100)]
    shelf.own.fill(f"in/{name}" for name in names)
    assert shelf.listed() == names


def test_a_folder_or_what_stands_for_one_is_no_file(shelf: Shelf) -> None:
    shelf.put("in/a/", "")
    shelf.put("in/b/", "")
    shelf.put("in/b/1.csv")
    assert shelf.listed() == ["b/1.csv"]


def test_what_lies_under_an_ignored_name_is_not_listed(shelf: Shelf) -> None:
    for key in ("in/.git/a.csv", "in/a/.b/c.csv", "in/a/.d.csv", "in/a/e.csv"):
        shelf.put(key)
    assert shelf.listed(ignored=lambda name: name.startswith(".")) == ["a/e.csv"]


def test_a_listing_goes_on_where_another_stopped_and_leaves_nothing_out(shelf: Shelf) -> None:
    for name in "abc":
        shelf.put(f"in/{name}/1.csv")
    listing = shelf.store.listing(shelf.own.location("in"))
    next(listing)
    second = next(listing)
    assert shelf.listed(start_at=second.at) == ["b/1.csv", "c/1.csv", "a/1.csv"]


@pytest.mark.parametrize("act", ["status", "read", "transfer"])
def test_a_file_that_is_missing_is_told(shelf: Shelf, act: str) -> None:
    there = shelf.put("in/there.csv")
    location, status = shelf.own.location("in/a.csv"), shelf.store.status(there)
    acts: dict[str, Callable[[], Any]] = {
        "status": lambda: shelf.store.status(location),
        "read": lambda: shelf.read(location, status),
        "transfer": lambda: shelf.store.transfer(location, status, there),
    }
    with pytest.raises(FileNotFoundError):
        acts[act]()
    assert not shelf.store.exists(location)


def test_to_remove_what_is_missing_does_nothing(shelf: Shelf) -> None:
    shelf.store.remove(shelf.own.location("in/a.csv"))
    assert not shelf.store.exists(shelf.own.location("in/a.csv"))


def test_an_empty_file_is_one(shelf: Shelf) -> None:
    location = shelf.put("in/a.csv", "")
    assert shelf.status("in/a.csv").size_bytes == 0
    assert shelf.read(location) == b""
    move(location, shelf.own.location("kept/a.csv"))
    assert shelf.own.keys() == ["kept/a.csv"]


def replaced(shelf: Shelf, key: str) -> FileStatus:
    """Put a file, and another one of its size over it; return what the first one was."""
    shelf.put(key, "ID\n1\n")
    before = shelf.status(key)
    shelf.put(key, "ID\n2\n", age=30)
    return before


def test_a_file_replaced_by_one_of_its_size_is_another(shelf: Shelf) -> None:
    before = replaced(shelf, "in/a.csv")
    assert shelf.status("in/a.csv") != before
    location = shelf.own.location("in/a.csv")
    assert not unchanged(location, before.size_bytes, before.modified_at, before.etag)


@pytest.mark.parametrize("act", ["read", "remove", "transfer"])
def test_a_file_that_replaced_the_one_wanted_is_left_alone(shelf: Shelf, act: str) -> None:
    before, location = replaced(shelf, "in/a.csv"), shelf.own.location("in/a.csv")
    target = shelf.own.location("kept/a.csv")
    if act == "remove":
        shelf.store.remove(location, before)
    elif act == "read":
        with pytest.raises(FileNotFoundError):
            shelf.read(location, before)
    else:
        shelf.store.create(target)
        with pytest.raises(FileNotFoundError):
            shelf.store.transfer(location, before, target)
    assert shelf.own.get("in/a.csv") == "ID\n2\n"


def test_a_fetched_file_has_its_bytes_and_their_sha_256(shelf: Shelf, tmp_path: Path) -> None:
    location = shelf.put("in/a.csv", "ID\n1\n")
    fetched = tmp_path / "copy"
    digest = fetch(location, shelf.store.status(location), fetched)
    assert (fetched.read_bytes(), digest) == (b"ID\n1\n", hashlib.sha256(b"ID\n1\n").hexdigest())


def test_a_file_replaced_between_scan_and_fetch_is_not_fetched(
    shelf: Shelf, tmp_path: Path
) -> None:
    before = replaced(shelf, "in/a.csv")
    with pytest.raises(FileNotFoundError):
        fetch(shelf.own.location("in/a.csv"), before, tmp_path / "copy")


def test_a_file_replaced_while_it_is_read_is_never_given_as_the_one_wanted(shelf: Shelf) -> None:
    location = shelf.put("in/a.csv", "ID\n1\n")
    chunks = shelf.store.read(location, shelf.store.status(location))
    given = [next(chunks)]
    shelf.put("in/a.csv", "ID\n2\n3\n", age=30)
    with suppress(FileNotFoundError):  # the other right answer
        assert b"".join(chain(given, chunks)) == b"ID\n1\n"


def test_a_file_is_put_whole_over_the_one_that_is_there(shelf: Shelf, tmp_path: Path) -> None:
    for content in ("first", "second"):
        draft = tmp_path / "draft"
        draft.write_text(content)
        shelf.store.put(draft, shelf.own.location("results/a/import-1.csv"))
        assert shelf.own.keys() == ["results/a/import-1.csv"]
        assert shelf.own.get("results/a/import-1.csv") == content


def test_a_file_larger_than_a_part_of_an_answer_is_put_and_read_whole(
    shelf: Shelf, tmp_path: Path
) -> None:
    content = b"ID,Name\n" + b"1,Ann\n" * 1_500_000
    draft, target = tmp_path / "draft", shelf.own.location("results/a.csv")
    draft.write_bytes(content)
    shelf.store.put(draft, target)
    assert shelf.own.read("results/a.csv") == content
    assert shelf.read(target) == content


def test_what_is_not_written_to_its_end_is_not_put(shelf: Shelf, tmp_path: Path) -> None:
    target = shelf.put("results/a.csv", "before")

    def write(path: Path) -> None:
        path.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), written_to(target, tmp_path) as path:
        write(path)
    assert (shelf.own.keys(), shelf.own.get("results/a.csv")) == (["results/a.csv"], "before")
    assert [one.name for one in tmp_path.iterdir() if one.name != "own"] == []


def test_what_is_removed_before_its_end_is_not_put(shelf: Shelf, tmp_path: Path) -> None:
    target = shelf.put("results/a.csv", "before")
    with written_to(target, tmp_path) as path:
        path.unlink()
    assert shelf.own.get("results/a.csv") == "before"


def test_a_name_is_taken_once(shelf: Shelf) -> None:
    target = shelf.own.location("kept/a.csv")
    shelf.store.create(target)
    with pytest.raises(FileExistsError):
        shelf.store.create(target)
    assert (shelf.own.keys(), shelf.own.get("kept/a.csv")) == (["kept/a.csv"], "")


def test_a_moved_file_is_known_again(shelf: Shelf) -> None:
    source, target = shelf.put("in/a.csv"), shelf.own.location("kept/a.csv")
    before = shelf.store.status(source)
    move(source, target)
    size, at = before.size_bytes, before.modified_at
    assert unchanged(target, size, at, shelf.store.status(target).etag, moved=True)
    assert not unchanged(target, size + 1, at, "", moved=True)
    assert not shelf.store.exists(source)


def test_a_file_never_moves_over_another(shelf: Shelf) -> None:
    source, target = shelf.put("in/a.csv", "mine"), shelf.put("kept/a.csv", "theirs")
    with pytest.raises(FileExistsError):
        move(source, target)
    assert [shelf.own.get(key) for key in ("in/a.csv", "kept/a.csv")] == ["mine", "theirs"]


def test_a_move_that_stopped_once_the_name_was_taken_is_ended(shelf: Shelf) -> None:
    source, target = shelf.put("in/a.csv", "mine"), shelf.put("kept/a.csv", "")
    move(source, target)
    assert (shelf.own.keys(), shelf.own.get("kept/a.csv")) == (["kept/a.csv"], "mine")


def test_a_move_that_stopped_before_the_original_went_is_ended(shelf: Shelf) -> None:
    source, target = shelf.put("in/a.csv", "mine"), shelf.put("kept/a.csv", "mine")
    move(source, target)
    assert shelf.own.keys() == ["kept/a.csv"]


def test_a_move_that_fails_gives_the_name_back(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = shelf.put("in/a.csv", "mine"), shelf.own.location("kept/a.csv")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(shelf.store), "transfer", full)
    with pytest.raises(OSError, match="No space left"):
        move(source, target)
    assert shelf.own.keys() == ["in/a.csv"]


def test_a_worker_that_wakes_up_after_another_ended_its_move_takes_nothing_away(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = shelf.put("in/a.csv", "mine"), shelf.own.location("kept/a.csv")
    transfer = type(shelf.store).transfer

    def after_another(*args: Any) -> None:
        with monkeypatch.context() as other:
            other.setattr(type(shelf.store), "transfer", transfer)
            move(source, target)
        transfer(*args)

    monkeypatch.setattr(type(shelf.store), "transfer", after_another)
    with pytest.raises(FileNotFoundError):
        move(source, target)
    assert (shelf.own.keys(), shelf.own.get("kept/a.csv")) == (["kept/a.csv"], "mine")


def test_a_file_moves_to_another_store_whole(shelf: Shelf, elsewhere: Own) -> None:
    source, target = shelf.put("in/a b%é.csv", "mine"), elsewhere.location("kept/a b%é.csv")
    before = shelf.store.status(source)
    move(source, target)
    assert (shelf.own.keys(), elsewhere.keys()) == ([], ["kept/a b%é.csv"])
    assert elsewhere.get("kept/a b%é.csv") == "mine"
    assert unchanged(target, before.size_bytes, before.modified_at, "", moved=True)


def test_a_move_to_another_store_that_stopped_halfway_is_ended(
    shelf: Shelf, elsewhere: Own
) -> None:
    source, target = shelf.put("in/a.csv", "mine"), elsewhere.location("kept/a.csv")
    elsewhere.put("kept/a.csv", "mine")
    move(source, target)
    assert (shelf.own.keys(), elsewhere.get("kept/a.csv")) == ([], "mine")


def test_a_copy_in_another_store_that_differs_leaves_the_original(
    shelf: Shelf, elsewhere: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = shelf.put("in/a.csv", "mine"), elsewhere.location("kept/a.csv")
    monkeypatch.setattr(stores, "_is_same", lambda *_: False)
    with pytest.raises(OSError, match="the copy is not"):
        move(source, target)
    assert (shelf.own.get("in/a.csv"), elsewhere.keys()) == ("mine", [])


def test_a_free_name_is_given_by_the_store(shelf: Shelf) -> None:
    now = shelf.store.status(shelf.put("kept/a.csv")).modified_at
    folder = shelf.own.location("kept")
    free = free_name(folder, "a.csv", now)
    assert free.name == f"a-{now:%Y%m%dT%H%M%SZ}.csv"
    assert free_name(folder, "a.csv", now, [free]).name == f"a-{now:%Y%m%dT%H%M%SZ}-2.csv"
    assert free_name(folder, "b.csv", now).name == "b.csv"


def test_a_file_can_be_imported_and_nobody_writes_to_it(shelf: Shelf) -> None:
    location = shelf.put("in/a.csv")
    assert shelf.store.fault(location, shelf.own.location("in")) is None
    assert not shelf.store.is_being_written(location)


def test_a_path_of_this_machine_is_given_only_of_a_file_that_has_one(shelf: Shelf) -> None:
    location = shelf.put("in/a.csv", "ID\n1\n")
    path = shelf.store.on_disk(location)
    assert path is None or path.read_text() == "ID\n1\n"


def test_a_folder_left_empty_goes_with_its_last_file_if_that_is_asked(shelf: Shelf) -> None:
    for name in ("a.csv", "b.csv"):
        shelf.put(f"kept/{name}")
    for name in ("a.csv", "b.csv"):
        shelf.store.remove(shelf.own.location(f"kept/{name}"), folder=True)
    assert not shelf.store.exists(shelf.own.location("kept"))


def test_every_store_is_in_the_suite() -> None:
    assert OWN.keys() == stores._STORES.keys()  # noqa: SLF001


def test_a_store_that_nobody_knows_is_a_wrong_setting() -> None:
    with pytest.raises(
        SetupError, match=r"ftp://box/a: a path or a URL with s3://, gs://, az:// was needed"
    ):
        store_of(location_of("ftp://box/a"))
