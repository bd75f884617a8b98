"""Write a first YAML feed for files, through the reader and the casts that would import them.

What was written is read back and held against the files before it is given: it says how many of
their rows it takes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.batches import scan
from csv_pipeline.engine.beforehand import hints_for
from csv_pipeline.engine.column_proposals import ColumnOfFiles
from csv_pipeline.engine.findings import count_rejects
from csv_pipeline.errors import SetupError
from csv_pipeline.handover import REJECTS
from csv_pipeline.model import StoredText
from csv_pipeline.parts import Files, together
from csv_pipeline.settings import Settings
from csv_pipeline.spec.contract import heading
from csv_pipeline.spec.declared import feed_in
from csv_pipeline.spec.declared.columns import slug_of
from csv_pipeline.spec.declared.document import Path as PathIn
from csv_pipeline.spec.declared.emitting import yaml_of
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.read import read
from csv_pipeline.stages.transform import transform
from csv_pipeline.stages.unpack import UnpackLimits, Wanted, unpack
from csv_pipeline.stages.validate import validate

_KEY_COLUMNS = 12
"""Of so many columns pairs are tried as well."""

_NO_KEY_OF = frozenset({"number", "boolean", "any", "time"})
_NO_KEY_ALONE = frozenset({"date", "datetime"})
_UNICODE = ("utf", "ascii", "cp1252")
_NOBODY = Account(account="proposal")


def propose(paths: Sequence[Path], settings: Settings, name: str | None = None) -> str:
    """Return a YAML feed for files, with its evidence as comments.

    Raises:
        FileRefusedError: A file cannot be read.
        SetupError: One is an archive of several, or the name is none.
    """
    with TemporaryDirectory(prefix="csv-pipeline-") as folder:
        work = Path(folder)
        files = [
            _read(path, work / str(at), settings, None, work / f"{at}-plain")
            for at, path in enumerate(paths)
        ]
        columns = list(_columns(files))
        schema, comments = _schema(columns, files)
        called = name or _called(paths[0])
        text = yaml_of(schema, comments)
        feed = feed_in(text.encode(), called, called)
        checked = [
            _checked(path, work / f"check-{at}", settings, feed, work / f"{at}-plain")
            for at, path in enumerate(paths)
        ]
    return "".join(f"# {line}\n" for line in _head(called, checked)) + text


def rejects_of(path: Path, feed: Feed) -> dict[str, int]:
    """Return the rules that rows of a sample break, and how many do, without a database.

    Raises:
        FileRefusedError: The sample is not a file of this feed.
    """
    with TemporaryDirectory(prefix="csv-pipeline-") as folder:
        work = Path(folder)
        return _checked(path, work / "check", Settings(), feed, work / "plain")[2]


def _called(path: Path) -> str:
    """Return a feed's name for a file's: `Orders 2025-03.csv` is `orders`."""
    words = re.findall(r"[a-z]+", path.name.partition(".")[0].casefold())
    return "_".join(words)[:45] or "feed"


def _read(path: Path, work: Path, settings: Settings, feed: Feed | None, unpacked: Path) -> Files:
    unpacked.mkdir(exist_ok=True)
    work.mkdir()
    stored = StoredText(path=path, size_bytes=path.stat().st_size, fingerprint="")
    limits = UnpackLimits(
        max_compressed_bytes=settings.max_compressed_bytes,
        max_file_bytes=settings.max_file_bytes,
        max_ratio=settings.max_ratio,
        max_members=settings.max_members,
    )
    plain = unpack(stored, unpacked, limits, Wanted(path.name))
    if plain.members:
        raise SetupError(f"{path}: a single file was needed; the archive has {len(plain.members)}")
    text = read(plain.path, work, hints_for(path.name, settings, feed))
    return together([text], [path.name], work)


def _columns(files: Sequence[Files]) -> Iterator[ColumnOfFiles]:
    """Give the columns of all files, those of the first one first; a name means one column."""
    places: dict[str, list[tuple[Files, int]]] = {}
    titles: dict[str, str] = {}
    for one in files:
        seen: set[str] = set()
        for at, title in enumerate(one.header):
            known = heading(title)
            if known and known not in seen:
                seen.add(known)
                titles.setdefault(known, title)
                places.setdefault(known, []).append((one, at))
    for known, its in places.items():
        yield ColumnOfFiles(titles[known], tuple(its), len(files))


def _schema(
    columns: Sequence[ColumnOfFiles], files: Sequence[Files]
) -> tuple[dict[str, Any], dict[PathIn, str]]:
    """Return the words of a feed, and the comments by what they are about."""
    fields: list[dict[str, Any]] = []
    sources: dict[str, ColumnOfFiles] = {}
    comments: dict[PathIn, str] = {}
    for one in columns:
        for its in one.fields(_free(slug_of(one.title), sources)):
            comments["fields", len(fields)] = its.because
            sources[its.words["name"]] = one
            fields.append(its.words)
    schema: dict[str, Any] = {"description": "What the files hold.", "fields": fields}
    key, because = _key(fields, sources)
    if key:
        schema["primaryKey"] = list(key)
        for field in fields:
            if field["name"] in key:
                del field["constraints"]
        comments["primaryKey",] = because
    else:
        comments["fields",] = because
    others = sorted({one.texts[0].encoding for one in files} - {"utf-8"})
    if legacy := [its for its in others if not its.lower().startswith(_UNICODE)]:
        schema["csv_pipeline"] = {"encodings": legacy}
    return schema, comments


def _free(name: str, taken: Iterable[str]) -> str:
    """Return a name that no column has."""
    known = {*taken, "account"}
    numbered = (name if at == 1 else f"{name[:58]}_{at}" for at in range(1, len(known) + 2))
    return next(one for one in numbered if one not in known)


def _key(
    fields: Sequence[dict[str, Any]], sources: dict[str, ColumnOfFiles]
) -> tuple[tuple[str, ...], str]:
    """Return the columns by which rows differ, and how that is known; ids are tried first."""
    fit = [its for its in fields if its.get("constraints") and its.get("type") not in _NO_KEY_OF]
    fit.sort(key=lambda its: "identifier" not in its.get("csv_pipeline", {}))
    names = [its["name"] for its in fit]
    alone = [(its["name"],) for its in fit if its.get("type") not in _NO_KEY_ALONE]
    rows = max((sources[name].values.len() for name in names), default=0)
    for columns in (*alone, *combinations(names[:_KEY_COLUMNS], 2)):
        frame = pl.DataFrame({name: sources[name].values for name in columns})
        if rows > 1 and frame.n_unique() == rows:
            return columns, f"no two of {rows:,} rows have the same"
    return (), "no column or pair that has a value in each row differs in all: rows without a key"


def _checked(
    path: Path, work: Path, settings: Settings, feed: Feed, unpacked: Path
) -> tuple[str, int, dict[str, int]]:
    """Return a file's name, its rows, and the rules that any of them would break."""
    files = _read(path, work, settings, feed, unpacked)
    (typed,) = transform(files, feed, _NOBODY)
    if isinstance(typed, Exception):
        raise typed
    (valid,) = validate(files, [typed], feed)
    rules: dict[str, int] = {}
    for rejects in (files.rejects, valid.rejects):
        rules |= count_rejects(scan(rejects, REJECTS))[0]
    superseded = {"superseded": valid.superseded} if valid.superseded else {}
    return path.name, files.texts[0].records, rules | superseded


def _head(name: str, checked: Iterable[tuple[str, int, dict[str, int]]]) -> Iterator[str]:
    yield f"Proposed feed {name}: read it, correct it, and keep it as feeds.d/{name}.yaml"
    for file, rows, rules in checked:
        broken = ", ".join(f"{count:,} × {rule}" for rule, count in rules.items())
        yield f"{file}: {rows:,} rows, {broken or 'no rejects'}"
