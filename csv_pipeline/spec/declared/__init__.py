"""Feeds declared in files: a Frictionless Table Schema plus one block of the pipeline's own.

A file gives the same `Feed` as Python does: its contract is a Pandera model, made of the same
`column()`, so that nothing else in the pipeline knows where a feed was declared. `words` is the
one description of what may stand in a file; it checks files and makes the JSON Schema for editors.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.declared.building import feed_of
from csv_pipeline.spec.declared.document import Document, parse
from csv_pipeline.spec.declared.faults import checked
from csv_pipeline.spec.declared.odcs import is_contract, schema_of
from csv_pipeline.spec.declared.words import FeedFile
from csv_pipeline.spec.feed import BrokenFeed, Feed

SUFFIXES = (".yaml", ".yml", ".json")
MOST_BYTES = 1024**2


def read_feed(path: Path) -> Feed:
    """Return the feed that a file declares.

    Raises:
        SetupError: It declares none; every fault is named with its line and column.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: a file that declares a feed was needed; {error.strerror}") from (
            error
        )
    if len(text) > MOST_BYTES:
        raise SetupError(
            f"{path}: a file of at most {MOST_BYTES:,} bytes was needed; it has {len(text):,}"
        )
    return feed_in(text, str(path), path.stem)


def feed_in(text: bytes, source: str, name: str) -> Feed:
    """Return the feed that a text declares, of this name if it says no other.

    Raises:
        SetupError: It declares none; every fault is named with its line and column in `source`.
    """
    document = _schema_in(text, source)
    return feed_of(checked(document, FeedFile), document, name)


def read_folder(folder: Path) -> Iterator[tuple[Path, Feed | BrokenFeed]]:
    """Give the feeds of a folder's files with these, by name; hidden files are none.

    Raises:
        SetupError: There is no such folder.
    """
    if not folder.is_dir():
        raise SetupError(f"{folder}: a folder of feeds was needed; there is none")
    for path in sorted(folder.iterdir()):
        if path.suffix in SUFFIXES and not path.name.startswith("."):
            try:
                yield path, read_feed(path)
            except SetupError as error:
                yield path, BrokenFeed(name=_name_in(path), why=str(error))


def _schema_in(text: bytes, source: str) -> Document:
    document = parse(text, source)
    return schema_of(document) if is_contract(document) else document


def _name_in(path: Path) -> str:
    """Return the name of a feed that is broken: what its file says, as far as it can be read."""
    with suppress(OSError, SetupError):
        with path.open("rb") as file:
            said = _schema_in(file.read(MOST_BYTES), str(path)).value
        own = said.get("csv_pipeline") if isinstance(said, dict) else None
        for block in (own, said):
            if isinstance(block, dict) and isinstance(name := block.get("name"), str) and name:
                return name
    return path.stem
