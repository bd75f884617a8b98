"""Looking into a file for a feed shows what an import for it reads, whatever the file."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from csv_pipeline.account import Declared
from csv_pipeline.batches import scan
from csv_pipeline.engine.findings import non_data_in
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.inspection import inspect_file, write_clean
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import FileRefusedError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.handover import REJECTS, TextFile
from csv_pipeline.model import Claim
from csv_pipeline.stages.read import read
from csv_pipeline_tests.test_corpus import CASES
from csv_pipeline_tests.test_kinds import KINDS

Imported = Callable[[Path, str], TextFile | FileRefusedError]
FILES = sorted([*CASES.glob("*.csv"), *KINDS.glob("*/*.csv"), *KINDS.glob("*/*.txt")])


def _id(path: Path) -> str:
    return path.stem if path.parent == CASES else f"{path.parent.name}-{path.stem}"


def _is_of_encodings(path: Path) -> bool:
    """Return whether a file is there for its bytes, and its header is like any other."""
    return path.name.startswith(("encoding_", "mixed_", "text_"))


_OTHERS = [path for path in FILES if not _is_of_encodings(path)]
PROPOSED_FOR = [
    path if at % 8 == 0 else pytest.param(path, marks=pytest.mark.slow)
    for at, path in enumerate(_OTHERS)
]


def _imported(pipeline: Pipeline, path: Path, feed: str, work: Path) -> TextFile | FileRefusedError:
    claim = Claim(
        import_id=0,
        arrival_id=0,
        attempt=0,
        account="anybody",
        feed=feed,
        name=path.name,
        location=str(path),
        size_bytes=path.stat().st_size,
        modified_at=datetime.now(UTC),
    )
    hints = Import(pipeline, claim, Declared(account="anybody")).hints(declared=True)
    try:
        return read(path, work, hints)
    except FileRefusedError as refusal:
        return refusal


@pytest.fixture(scope="module")
def imported(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """What an import for a feed reads of a file; read once, whichever tests ask."""
    folder = tmp_path_factory.mktemp("imported")
    return cache(lambda path, feed: _imported(pipeline, path, feed, folder / f"{_id(path)}-{feed}"))


@pytest.mark.parametrize("position", range(len(FILES)), ids=[_id(path) for path in FILES])
def test_a_file_is_looked_into_for_a_feed_as_an_import_for_it_reads_it(
    position: int, pipeline: Pipeline, imported: Imported, tmp_path: Path
) -> None:
    path, asked = FILES[position], FEEDS[position % len(FEEDS)]  # each file for one feed in turn
    feed = asked.name
    wanted = imported(path, feed)
    out = tmp_path / "clean.csv"
    if isinstance(wanted, FileRefusedError):
        with pytest.raises(type(wanted)) as refusal:
            inspect_file(path, pipeline.settings, [asked], feed=feed, out=out)
        assert str(refusal.value) == str(wanted)
        return
    found = inspect_file(path, pipeline.settings, [asked], feed=feed, out=out)
    assert found.text is not None
    clean = out.read_bytes()
    write_clean(wanted, out)
    assert clean == out.read_bytes()
    rejects = scan(wanted.rejects, REJECTS).select("line_number", "rule").collect().rows()
    assert [(one.line_number, one.rule) for one in found.faults] == rejects[: len(found.faults)]
    assert found.non_data_lines == non_data_in(wanted).first
    for fact in ("header", "header_line", "records", "malformed", "blank", "lines", "evidence"):
        assert getattr(found.text, fact) == getattr(wanted, fact), fact


@pytest.mark.parametrize("path", PROPOSED_FOR, ids=_id)
def test_a_feed_is_proposed_with_the_header_that_an_import_for_it_finds(
    path: Path, pipeline: Pipeline, imported: Imported
) -> None:
    try:
        found = inspect_file(path, pipeline.settings, FEEDS, full=True)
    except FileRefusedError:
        return
    for one in found.proposals:
        wanted = imported(path, one.fit.feed)
        if isinstance(wanted, FileRefusedError):
            assert one.problem == f"{wanted.needed}; {wanted.found}"
            assert not one.fits
        else:
            assert one.header_line == wanted.header_line
