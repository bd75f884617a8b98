"""Write a first YAML feed for files, through the reader and the casts that would import them.

What was written is read back and held against the files before it is given: it says how many of
their rows it takes.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.batches import scan
from csv_pipeline.engine.beforehand import hints_for
from csv_pipeline.engine.column_proposals import ColumnOfFiles, Proposed, settled
from csv_pipeline.engine.findings import count_rejects
from csv_pipeline.engine.key_proposals import Rows, key_of
from csv_pipeline.engine.preambles import lines_above
from csv_pipeline.engine.total_lines import totals_in
from csv_pipeline.errors import SetupError, UndecidableError
from csv_pipeline.handover import REJECTS
from csv_pipeline.model import StoredText
from csv_pipeline.parts import Files, together
from csv_pipeline.settings import Settings
from csv_pipeline.spec.contract import heading
from csv_pipeline.spec.declared import feed_in
from csv_pipeline.spec.declared.columns import slug_of
from csv_pipeline.spec.declared.document import Path as PathIn
from csv_pipeline.spec.declared.emitting import yaml_of
from csv_pipeline.spec.feed import Feed, NonDataPattern
from csv_pipeline.spec.names import OF_DAGSTER
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.transform import transform
from csv_pipeline.stages.unpack import UnpackLimits, Wanted, unpack
from csv_pipeline.stages.validate import validate

_UNICODE = ("utf", "ascii", "cp1252")
_NOBODY = Account(account="proposal")


def propose(paths: Sequence[Path], settings: Settings, name: str | None = None) -> str:
    """Return a YAML feed for files, with its evidence as comments, and its name if one is told.

    Raises:
        FileRefusedError: A file cannot be read.
        SetupError: One is an archive of several, or the name is none.
    """
    with TemporaryDirectory(prefix="csv-pipeline-") as folder:
        work = Path(folder)
        hints = [hints_for(path.name, settings, None) for path in paths]
        files = [
            _read(path, work / str(at), settings, its, work / f"{at}-plain")
            for at, (path, its) in enumerate(zip(paths, hints, strict=True))
        ]
        totals = totals_in(files)
        patterns = tuple(
            NonDataPattern(name=f"total_{number}", pattern=one.pattern)
            for number, one in enumerate((one for one in totals if one.proven), 1)
        )
        above = lines_above(files)
        declared = [one for one in above if one.takes_no_row]
        patterns += tuple(
            NonDataPattern(name=f"preamble_{number}", pattern=one.pattern, above=True)
            for number, one in enumerate(declared, 1)
        )
        if patterns:
            hints = [replace(its, non_data=patterns) for its in hints]
            files = [
                _read(path, work / f"{at}-rows", settings, its, work / f"{at}-plain")
                for at, (path, its) in enumerate(zip(paths, hints, strict=True))
            ]
        columns = list(_columns(files))
        schema, comments = _schema(columns, files)
        if patterns:
            own = schema.setdefault("csv_pipeline", {})
            own["non_data"] = [
                {"name": one.name, "pattern": one.pattern} | ({"above": True} if one.above else {})
                for one in patterns
            ]
            for at, line in enumerate(declared, len(patterns) - len(declared)):
                comments["csv_pipeline", "non_data", at] = line.because
        called = name or _called(paths[0])
        text = yaml_of({"name": name, **schema} if name else schema, comments)
        feed = feed_in(text.encode(), called, called)
        checked = [
            _told(path, work / f"check-{at}", settings, feed, work / f"{at}-plain")
            for at, path in enumerate(paths)
        ]
        extra = sorted({title for one in files for title in one.header if not heading(title)})
    checked += [line for one in totals for line in one.because.splitlines()]
    checked += [
        f"{one.because}; a row may be like it, so that it is not declared, but warned about"
        for one in above
        if not one.takes_no_row
    ]
    checked += [f"kept in _extra: the column {title!r}" for title in extra]
    return "".join(f"# {line}\n" for line in _head(called, checked)) + text


def to_decide(text: str) -> Iterator[str]:
    """Give the comments of a proposal that somebody has to look at: its head, and what is open."""
    head = True
    for line in text.splitlines():
        comment = line.strip().removeprefix("# ")
        head = head and line.startswith("#")
        if head or (line.strip().startswith("# ") and re.search(r"\b(?:settle|check)\b", comment)):
            yield comment


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
    name = "_".join(words)[:40] or "feed"
    return f"{name}_feed" if name in OF_DAGSTER else name


def _read(path: Path, work: Path, settings: Settings, hints: ReadHints, unpacked: Path) -> Files:
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
    text = read(plain.path, work, hints)
    return together([text], [path.name], work)


def _columns(files: Sequence[Files]) -> Iterator[ColumnOfFiles]:
    """Give the columns of all files, those of the first one first; a name means one column."""
    places: dict[str, list[tuple[Files, int]]] = {}
    titles: dict[str, str] = {}
    contested: dict[str, str] = {}
    for one in files:
        seen: dict[str, int] = {}
        for at, title in enumerate(one.header):
            known = heading(title)
            if known and known not in seen:
                seen[known] = at
                titles.setdefault(known, title)
                places.setdefault(known, []).append((one, at))
            elif known and _differ(one, seen[known], at):
                contested[known] = (
                    f"check: columns {seen[known] + 1} and {at + 1} are both called {title!r}; "
                    "rows where they differ are rejected, until the file has a name for each"
                )
    for known, its in places.items():
        yield ColumnOfFiles(
            titles[known],
            tuple(its),
            len(files),
            positional=not files[0].texts[0].header_line,
            contested=contested.get(known, ""),
        )


def _differ(files: Files, one: int, other: int) -> bool:
    """Return whether the second of two columns has a value that is not that of the first."""
    first, second = (pl.col(str(at)).str.strip_chars().replace("", None) for at in (one, other))
    differ = second.is_not_null() & first.ne_missing(second)
    return bool(scan(files.rows).select(differ.any()).collect().item())


def _schema(
    columns: Sequence[ColumnOfFiles], files: Sequence[Files]
) -> tuple[dict[str, Any], dict[PathIn, str]]:
    """Return the words of a feed, and the comments by what they are about."""
    proposed: list[Proposed] = []
    sources: dict[str, ColumnOfFiles] = {}
    comments: dict[PathIn, str] = {}
    titles = {heading(one.title) for one in columns}
    for one in columns:
        name = _free(slug_of(one.title), one.title, sources, titles)
        time = _free(f"{name}_time", one.title, sources, titles)
        for its in one.fields(name, time):
            proposed.append(its)
            sources[its.words["name"]] = one
    fields: list[dict[str, Any]] = []
    for its in settled(proposed):
        comments["fields", len(fields)] = its.because
        fields.append(its.words)
    schema: dict[str, Any] = {"description": "What the files hold.", "fields": fields}
    key, because = key_of(fields, Rows.of(sources, files))
    own: dict[str, Any] = {}
    if key:
        schema["primaryKey"] = list(key)
        own["duplicates"] = "reject_duplicates"
        for field in fields:
            if field["name"] in key:
                field.pop("constraints", None)
        comments["primaryKey",] = because
    else:
        comments["fields",] = because
    others = sorted({one.texts[0].encoding for one in files} - {"utf-8"})
    if legacy := [its for its in others if not its.lower().startswith(_UNICODE)]:
        own["encodings"] = legacy
    if not files[0].texts[0].header_line:
        schema["dialect"] = _dialect(files)
        comments["dialect",] = "no header: the first line has values as the others have them"
    return schema | ({"csv_pipeline": own} if own else {}), comments


def _dialect(files: Sequence[Files]) -> dict[str, Any]:
    """Return how files without a header are written.

    Raises:
        SetupError: Some have one.
    """
    for one in files:
        if one.texts[0].header_line:
            raise SetupError(
                f"{one.names[0]}: a file without a header was needed, as {files[0].names[0]} is; "
                f"it has one on line {one.texts[0].header_line}"
            )
    text = files[0].texts[0]
    quote = {} if text.quote == '"' else {"quoteChar": text.quote}
    return {"header": False, "delimiter": text.delimiter, **quote}


def _free(name: str, title: str, names: Iterable[str], titles: Collection[str]) -> str:
    """Return a name that no column has, and that is not what headers call another one."""
    known, own = {*names, "account"}, heading(title)
    numbered = (name if at == 1 else f"{name[:58]}_{at}" for at in count(1))
    return next(
        one
        for one in numbered
        if one not in known and (heading(one) == own or heading(one) not in titles)
    )


def _checked(
    path: Path, work: Path, settings: Settings, feed: Feed, unpacked: Path
) -> tuple[str, int, dict[str, int]]:
    """Return a file's name, its rows, and the rules that any of them would break."""
    files = _read(path, work, settings, hints_for(path.name, settings, feed), unpacked)
    (typed,) = transform(files, feed, _NOBODY)
    if isinstance(typed, Exception):
        raise typed
    (valid,) = validate(files, [typed], feed)
    rules: dict[str, int] = {}
    for rejects in (files.rejects, valid.rejects):
        rules |= count_rejects(scan(rejects, REJECTS))[0]
    superseded = {"superseded": valid.superseded} if valid.superseded else {}
    return path.name, files.texts[0].records, rules | superseded


def _told(path: Path, work: Path, settings: Settings, feed: Feed, unpacked: Path) -> str:
    """Return what becomes of a file under the feed."""
    try:
        name, rows, rules = _checked(path, work, settings, feed, unpacked)
    except UndecidableError:
        return f"{path.name}: refused until what `settle:` is about below is settled"
    broken = ", ".join(f"{many:,} × {rule}" for rule, many in rules.items())
    return f"{name}: {rows:,} rows, {broken or 'no rejects'}"


def _head(name: str, checked: Iterable[str]) -> Iterator[str]:
    yield f"Proposed feed {name}: read it, correct it, and keep it as feeds.d/{name}.yaml"
    yield from checked
