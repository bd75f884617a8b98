"""What the stages of an import remember of one another."""

import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from csv_pipeline.batches import BatchWriter, batches, in_order, scan
from csv_pipeline.handover import save, saved
from csv_pipeline.model import StoredText


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


@pytest.mark.parametrize("size", [2, 20_000])
def test_batches_are_scanned_as_one_table(tmp_path: Path, size: int) -> None:
    writer = BatchWriter(tmp_path / "rows")
    numbers = pl.DataFrame({"n": range(size)}).with_columns(text=pl.format("t{}", "n"))
    for number, some in enumerate((numbers, numbers.clear(), numbers.tail(1))):
        writer.write(some, number)
    rows, whole = scan(writer.batches), pl.concat([numbers, numbers.tail(1)])
    last = pl.col("n") == size - 1
    assert rows.collect().equals(whole)
    assert rows.filter(last).select("text").collect().rows() == 2 * [(f"t{size - 1}",)]
    assert rows.head(size + 1).select("n").collect().height == size + 1
    assert rows.head(1).collect().rows() == [(0, "t0")]
    assert rows.filter(last).head(1).collect().rows() == [(size - 1, f"t{size - 1}")]
    assert rows.select(pl.len()).collect().item() == size + 1
    assert [some.columns for some in batches(writer.batches, ["text"])] == 3 * [["text"]]


def test_a_batch_that_is_written_anew_is_what_it_became(tmp_path: Path) -> None:
    writer = BatchWriter(tmp_path / "rows")
    for size in (20_000, 3, 20_000):
        writer.write(pl.DataFrame({"n": range(size)}), 0)
        assert [some.height for some in batches(writer.batches)] == [size]
    assert writer.rows == 20_000


def test_a_directory_that_nothing_was_written_to_reads_like_an_empty_one(tmp_path: Path) -> None:
    directory = BatchWriter(tmp_path / "rows").batches
    assert list(batches(directory)) == []
    assert scan(directory, pl.Schema({"n": pl.Int64})).collect().is_empty()


def test_a_writer_leaves_nothing_of_what_was_there_before(tmp_path: Path) -> None:
    BatchWriter(tmp_path / "rows").write(pl.DataFrame({"n": [1]}), 0)
    assert list(batches(BatchWriter(tmp_path / "rows").batches)) == []
