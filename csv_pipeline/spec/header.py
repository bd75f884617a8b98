"""How a header fits a feed, and how it differs from the one before."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from hashlib import sha256

from csv_pipeline.model import HeaderDrift
from csv_pipeline.spec.contract import Column, Gathers, heading
from csv_pipeline.spec.feed import Feed, Layout
from csv_pipeline.spec.kinds import Kind

FINGERPRINT = re.compile(r"[0-9a-f]{12}")
_ALIKE = 0.6  # of two names, by difflib's ratio; "Order No." and "Order Number" have 0.67


@lru_cache(maxsize=1_000)
def header_fingerprint(header: tuple[str, ...], feed: str) -> str:
    """Return by what files of a feed are known to have the same header: its names in their order.

    Case, spaces, punctuation and accents do not matter.
    """
    names = "\n".join((feed, *map(heading, header)))
    return sha256(names.encode()).hexdigest()[:12]


@lru_cache(maxsize=1_000)
def sources_in(
    header: tuple[str, ...], feed: Feed
) -> tuple[Mapping[str, int], Mapping[str, tuple[int, ...]]]:
    """Return each contract column's place in the header, and the others that claim to be it.

    The place is that of the column's likeliest name; where a name comes twice, the first. The
    others are those that are no other column's place. A currency is taken from a column that holds
    nothing else, if there is one; amounts that state it claim nothing.
    """
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(header):
        if name == feed.extras_after:
            break
        positions.setdefault(heading(name), []).append(position)
    found = [
        list(gathered_in(header, column.gathers))[:1]
        if column.gathers
        else [
            position
            for name in (() if column.derived else (*column.aliases, column.name))
            for position in positions.get(heading(name), ())
        ]
        for column in feed.columns
    ]
    columns = list(zip(feed.columns, found, strict=True))
    of_values = {p for c, its in columns if c.kind is not Kind.CURRENCY for p in its}
    sources: dict[str, int] = {}
    others: dict[str, list[int]] = {}
    for column, its in columns:
        own = its
        if column.kind is Kind.CURRENCY:
            own = [position for position in its if position not in of_values] or its[:1]
        first, *more = dict.fromkeys(own) or (None,)
        if first is not None:
            sources[column.name] = first
            others[column.name] = more
    used = set(sources.values())
    unused = {name: tuple(p for p in its if p not in used) for name, its in others.items()}
    return sources, {name: positions for name, positions in unused.items() if positions}


@lru_cache(maxsize=1_000)
def gathered_in(header: tuple[str, ...], gathers: Gathers) -> Mapping[int, tuple[str, ...]]:
    """Return the places of the header that a column gathers, with the keys that each name tells.

    Of two that tell the same the first is meant; the other is a column that the feed does not know.
    """
    found: dict[tuple[str, ...], int] = {}
    for position, name in enumerate(header):
        if keys := gathers.keys(name):
            found.setdefault(keys, position)
    return {position: keys for keys, position in found.items()}


def used_in(header: tuple[str, ...], feed: Feed) -> set[int]:
    """Return the places of the header that any column of the contract is taken from."""
    sources, _ = sources_in(header, feed)
    gathered = (gathered_in(header, c.gathers) for c in feed.columns if c.gathers)
    return set(sources.values()).union(*gathered)


def layout_of(sources: Mapping[str, int], feed: Feed) -> Layout:
    """Return the first layout that the columns fit."""
    fitting = (x for x in feed.layouts if not x.marks or x.marks & sources.keys())
    return next(fitting, feed.layouts[-1])


def missing_columns(sources: Mapping[str, int], layout: Layout, feed: Feed) -> list[Column]:
    """Return the columns without which a file of this layout is refused."""
    whole = feed.fields_match in {"exact", "equal", "subset"}
    return [
        c
        for c in feed.columns
        if c.name not in sources and (_is_required(c, layout) or (whole and not c.derived))
    ]


def mismatch(header: tuple[str, ...], feed: Feed) -> str:
    """Return what of a header the feed's `fields_match` excludes; "" if nothing."""
    if feed.fields_match not in {"exact", "equal", "superset"}:
        return ""
    if added := drift(header, feed).added:
        return f"the header has {', '.join(map(repr, added))} besides"
    sources, _ = sources_in(header, feed)
    places = [sources[column.name] for column in feed.columns if column.name in sources]
    if feed.fields_match == "exact" and places != sorted(places):
        at = next(at for at, place in enumerate(places) if place != sorted(places)[at])
        return f"the header has {header[places[at]]!r} in column {places[at] + 1}"
    return ""


def extras_in(header: Sequence[str], used: Iterable[int]) -> dict[str, int]:
    """Name the places of the header that no column uses; no two by the same name."""
    taken = set(used)
    extras: dict[str, int] = {}
    for position, title in enumerate(header):
        if position not in taken:
            name = title or f"column {position + 1}"
            extras[name if name not in extras else f"{name} (column {position + 1})"] = position
    return extras


@lru_cache(maxsize=1_000)
def drift(header: tuple[str, ...], feed: Feed, before: tuple[str, ...] = ()) -> HeaderDrift:
    """Return how a header differs from what the feed knows, and from the one `before` it."""
    sources, _ = sources_in(header, feed)
    layout = layout_of(sources, feed)
    # Without a name that is known it is not a header, and its cells may be anybody's data.
    extras = extras_in(header, used_in(header, feed)) if sources else ()
    added = tuple(name for name in extras if not _is_foreseen(name, feed))
    needed = {c.name for c in missing_columns(sources, layout, feed)} | layout.filled
    missing = {
        title(c): c.headings for c in feed.columns if c.name in needed and c.name not in sources
    }
    known = frozenset().union(*missing.values())
    gone = _gone(header, feed, before, known) if before else {}
    return HeaderDrift(
        added=added,
        missing=tuple(missing),
        gone=tuple(gone),
        renamed=tuple(likeliest(missing | gone, added).items()),
        reordered=_moved(header, feed, before) if before else (),
    )


def likeliest(missing: Mapping[str, Iterable[str]], added: Sequence[str]) -> dict[str, str]:
    """Return for a missing column the added name most like any of its headings, if one is.

    No name means two columns; the most alike are paired first.
    """
    pairs = sorted(
        (
            (max(_alike(known, heading(name)) for known in headings), column, name)
            for column, headings in missing.items()
            for name in added
        ),
        reverse=True,
    )
    found: dict[str, str] = {}
    for alike, column, name in pairs:
        if alike >= _ALIKE and column not in found and name not in found.values():
            found[column] = name
    return found


def title(column: Column) -> str:
    """Return the likeliest name of a column in headers."""
    return column.aliases[0] if column.aliases else column.name


def _is_required(column: Column, layout: Layout) -> bool:
    if column.derived:
        return False
    return column.name in layout.required or not (column.nullable or column.substitute is not None)


def _identities(header: Sequence[str], feed: Feed) -> dict[str, str]:
    """Return what each name means, the column or else the bare name, with the name."""
    columns = {position: f"column {name}" for name, position in sources_in(header, feed)[0].items()}
    return {
        columns.get(p, heading(name)): name
        for p, name in enumerate(header)
        if name and (p in columns or not _is_foreseen(name, feed))
    }


def _is_foreseen(name: str, feed: Feed) -> bool:
    return any(re.match(pattern, name) for pattern in feed.extras)


def _gone(
    header: Sequence[str], feed: Feed, before: Sequence[str], missing: frozenset[str]
) -> dict[str, frozenset[str]]:
    """Return the names that only `before` has, each with its headings, but any of the missing."""
    here, there = _identities(header, feed), _identities(before, feed)
    columns = {f"column {column.name}": column for column in feed.columns}
    return {
        name: columns[i].headings if i in columns else frozenset({i})
        for i, name in there.items()
        if i not in here and heading(name) not in missing
    }


def _moved(header: Sequence[str], feed: Feed, before: Sequence[str]) -> tuple[str, ...]:
    here, there = _identities(header, feed), _identities(before, feed)
    now, then = [i for i in here if i in there], [i for i in there if i in here]
    matcher = SequenceMatcher(None, then, now, autojunk=False)
    stayed = {i for block in matcher.get_matching_blocks() for i in now[block.b :][: block.size]}
    return tuple(here[i] for i in now if i not in stayed)


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
