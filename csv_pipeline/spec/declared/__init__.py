"""Feeds declared in files: a Frictionless Table Schema plus one block of the pipeline's own.

A file gives the same `Feed` as Python does: its contract is a Pandera model, made of the same
`column()`, so that nothing else in the pipeline knows where a feed was declared. `words` is the
one description of what may stand in a file; it checks files and makes the JSON Schema for editors.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
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
_KEY = re.compile(r"""( *)["']?(\w+)["']?[ ]*:[ ]*(.*)""")
_NAME = re.compile(r"""["']?([a-z][a-z0-9_]*)["']?[ ,]*(?:#.*)?$""")
_INLINE_NAME = re.compile(r"""\{[^\[{]*?\bname["']?[ ]*:[ ]*["']?([a-z][a-z0-9_]*)""")


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
    """Give the feeds of a folder's files with these.

    Raises:
        SetupError: There is no such folder.
    """
    if not folder.is_dir():
        raise SetupError(f"{folder}: a folder of feeds was needed; there is none")
    for path in files_in(folder):
        try:
            yield path, read_feed(path)
        except SetupError as error:
            yield path, BrokenFeed(name=_name_in(path), why=str(error))


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder that declare feeds, by name; hidden ones do not."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in SUFFIXES and not path.name.startswith(".")
    )


def _schema_in(text: bytes, source: str) -> Document:
    document = parse(text, source)
    return schema_of(document) if is_contract(document) else document


def _name_in(path: Path) -> str:
    """Return the name of a feed that is broken: what its file says, as far as it can be read."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES)
    except OSError:
        return path.stem
    try:
        said = _schema_in(text, str(path)).value
    except SetupError:
        return _name_among(text.decode(errors="replace")) or path.stem
    own = said.get("csv_pipeline") if isinstance(said, dict) else None
    for block in (own, said):
        if isinstance(block, dict) and isinstance(name := block.get("name"), str) and name:
            return name
    return path.stem


def _name_among(text: str) -> str:
    """Return the name that a text which is no YAML gives its feed, by its lines; "" if none.

    A key of the file, or of its block, stands in a line of its own, as far left as any of them.
    """
    keys = [
        (len(found[1]), found[2], found[3]) for found in map(_KEY.match, text.splitlines()) if found
    ]
    top = min((left for left, _, _ in keys), default=0)
    blocks = [n for n, (left, key, _) in enumerate(keys) if left == top and key == "csv_pipeline"]
    for at in blocks[:1]:
        if inline := _INLINE_NAME.match(keys[at][2]):
            return inline[1]
        its = list(takewhile(lambda key: key[0] > top, keys[at + 1 :]))
        if name := _named(its, its[0][0] if its else 0):
            return name
    return _named(keys, top)


def _named(keys: Iterable[tuple[int, str, str]], at: int) -> str:
    """Return what stands behind the first key `name` at a place in its line."""
    said = (_NAME.match(value) for left, key, value in keys if (left, key) == (at, "name"))
    return next((found[1] for found in said if found), "")
