"""What the stages of an import remember of one another."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from csv_pipeline.model import StoredText
from csv_pipeline.storage.work import in_order, save, saved


def stored(size: int) -> StoredText:
    return StoredText(path=Path("source"), size_bytes=size, fingerprint="f")


def test_facts_come_back_as_they_were_written(tmp_path: Path) -> None:
    save(tmp_path / "facts.json", stored(1))
    assert saved(tmp_path / "facts.json", StoredText) == stored(1)


def test_facts_that_were_removed_are_not_remembered(tmp_path: Path) -> None:
    save(tmp_path / "facts.json", stored(1))
    (tmp_path / "facts.json").unlink()
    assert saved(tmp_path / "facts.json", StoredText) is None


def test_facts_that_another_process_wrote_anew_are_read_anew(tmp_path: Path) -> None:
    save(tmp_path / "facts.json", stored(1))
    text = (tmp_path / "facts.json").read_text()
    (tmp_path / "other.part").write_text(text.replace("1", "22"))
    (tmp_path / "other.part").replace(tmp_path / "facts.json")
    assert saved(tmp_path / "facts.json", StoredText) == stored(22)


def test_the_facts_of_many_files_are_not_mixed_up(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.json" for number in range(250)]
    for number, path in enumerate(paths):
        save(path, stored(number))
    assert [saved(path, StoredText) for path in paths] == [stored(n) for n in range(250)]


def test_a_single_item_is_done_without_a_thread() -> None:
    assert list(in_order(lambda _: threading.current_thread(), [1])) == [threading.current_thread()]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
def test_items_come_back_in_their_order(count: int) -> None:
    assert list(in_order(lambda item: -item, range(count))) == [-item for item in range(count)]


def test_what_an_item_raises_comes_out_wherever_it_stands() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2, 0, 4)

    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 // item, items()))
