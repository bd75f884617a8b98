"""From text rows to typed rows: names by the header, values by casts, nothing guessed.

What a column's values prove of day order and decimal mark is collected over the whole file before
the first value is cast. A value that does not cast leaves a null behind and a fault beside it, and
the row goes on to be validated, so that all its faults are found.
"""

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

import polars as pl

from csv_pipeline.account import Account, account_command, entry_of
from csv_pipeline.batches import Batches, BatchWriter, batches, in_order, scan
from csv_pipeline.casts import cells
from csv_pipeline.casts.identifiers import Damage, damage
from csv_pipeline.errors import ContradictionError, FileRefusedError, MissingColumnError
from csv_pipeline.handover import TYPED_ORIGIN, WHOLE, TypedFile
from csv_pipeline.model import Evidence, FileFacts, ReportWarning
from csv_pipeline.parts import Files, by_part, parts_of
from csv_pipeline.spec.contract import Column, heading
from csv_pipeline.spec.feed import Feed, Layout
from csv_pipeline.spec.file_name import FromName
from csv_pipeline.spec.header import (
    extras_in,
    layout_of,
    likeliest,
    mismatch,
    missing_columns,
    sources_in,
    title,
    used_in,
)
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.stages.transform import bared
from csv_pipeline.stages.transform.casting import typed_rows
from csv_pipeline.stages.transform.derived import check_file
from csv_pipeline.stages.transform.named import told_by_name
from csv_pipeline.stages.transform.plan import Plan
from csv_pipeline.stages.transform.surveys import Decided, Header, survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a header fits a feed: how many of its names the feed knows, and what it lacks."""

    feed: str
    layout: str
    known: int
    missing: tuple[str, ...]


def fit(header: tuple[str, ...], feed: Feed) -> Fit:
    """Return how a header fits a feed; one that lacks nothing is not refused for it."""
    sources, _ = sources_in(header, feed)
    layout = layout_of(sources, feed)
    return Fit(
        feed=feed.name,
        layout=layout.name,
        known=len(
            used_in(header, feed)
            | {at for at, name in enumerate(header) if heading(name) in feed.headings}
        ),
        missing=tuple(title(column) for column in missing_columns(sources, layout, feed)),
    )


def transform(
    files: Files, feed: Feed, account: Account, today: date | None = None
) -> list[TypedFile | FileRefusedError]:
    """Write the rows as the contract's columns and return for each file which it had, and why so.

    `today` is the day of the import, by which years of two digits are read. A file is refused by

    - `MissingColumnError`: The header lacks columns that the feed needs in this layout.
    - `ContradictionError`: The header has columns that `fields_match` excludes.
    - `UndecidableError`: Nothing settles the day order or decimal mark of a column.
    - `MixedCurrenciesError`: Amounts of a column are in several, and no column says in which.
    - `ContradictionError`: What the file says of itself is not what it holds.
    - `FileNameError`: A part of its name is no value of the column that it tells.
    """
    sources, others = sources_in(files.header, feed)
    layout = _layout(sources, feed, files.facts)
    if refused := _refusals(files, feed, account, sources, layout):
        return [*refused]
    headings = {column: files.header[position] for column, position in sources.items()}
    header = Header(feed=feed, account=account, sources=sources, headings=headings)
    nulls = frozenset(word.casefold() for word in (*feed.nulls, *account.null_words))
    extras = extras_in(files.header, used_in(files.header, feed))

    def planned(at: int, decided: Decided, filled: Collection[str]) -> Plan:
        facts = files.facts or _facts_of(layout, sources, feed, filled, files.from_names[at])
        return Plan(
            feed=feed,
            layout=layout,
            sources=sources,
            others=others,
            extras=extras,
            header=files.header,
            headings=headings,
            account=account,
            nulls=nulls,
            decided=decided,
            facts=facts,
            told=told_by_name(dict(facts.from_name), feed, account, files.names[at]),
        )

    surveyed = zip(survey(files, header, today), _filled(files, header, nulls), strict=True)
    plans = [
        one if isinstance(one, FileRefusedError) else _unless_refused(planned, at, one, filled)
        for at, (one, filled) in enumerate(surveyed)
    ]
    rows, rejects = (
        BatchWriter(files.work / "typed", main=True),
        BatchWriter(files.work / "rejects-transform"),
    )
    alike = _alike(plans)

    def type_batch(
        numbered: tuple[int, pl.DataFrame],
    ) -> tuple[pl.Series, list[tuple[pl.DataFrame, pl.DataFrame]]]:
        number, batch = numbered
        made = [typed_rows(some, plan) for plan, some in _by_plan(batch, files, alike)]
        typed, faults = (pl.concat(one[at] for one in made) for at in (0, 1))
        rows.write(typed if len(made) == 1 else typed.sort(TYPED_ORIGIN[0]), number)
        rejects.write(faults, number)
        return faults["row_number"].unique(), [its[2:] for its in made]

    at_fault, damaged_ids = [0] * len(plans), [dict[str, Damage]() for _ in plans]
    around: list[bared.Found] = [{} for _ in plans]
    for bad, found in in_order(type_batch, enumerate(batches(files.rows) if alike else ())):
        for at, some in by_part(bad.to_frame(), files.parts):
            at_fault[at] += some.height
        for ids, texts in found:
            _add_damage(damaged_ids, ids, files)
            bared.add(around, texts, files)
    made: list[TypedFile | FileRefusedError] = []
    own = _own_rows(rows.batches, files) if feed.file_checks else {}
    for at, plan in enumerate(plans):
        if isinstance(plan, FileRefusedError):
            made.append(plan)
            continue
        try:
            checked = check_file(files, at, own[at], plan) if own else []
        except FileRefusedError as refusal:
            made.append(refusal)
            continue
        damaged = (its.warnings(headings[name]) for name, its in damaged_ids[at].items())
        made.append(
            TypedFile(
                rows=rows.batches,
                rejects=rejects.batches,
                part=files.parts[at],
                rows_at_fault=at_fault[at],
                columns=plan.columns(),
                headings=headings,
                extras=tuple(plan.extras),
                layout=layout.name,
                styles=plan.styles,
                facts=plan.facts,
                evidence=(
                    *(its.evidence if (its := files.from_names[at]) else ()),
                    _layout_evidence(layout, plan),
                    *_declared(plan),
                    *plan.decided.evidence,
                    *bared.evidence(around[at], headings),
                    *(one for one in checked if isinstance(one, Evidence)),
                ),
                warnings=(
                    *plan.decided.warnings,
                    *chain.from_iterable(damaged),
                    *(one for one in checked if isinstance(one, ReportWarning)),
                ),
            )
        )
    return made


def _unless_refused(
    planned: Callable[[int, Decided, Collection[str]], Plan],
    at: int,
    decided: Decided,
    filled: Collection[str],
) -> Plan | FileRefusedError:
    try:
        return planned(at, decided, filled)
    except FileRefusedError as refusal:
        return refusal


def _own_rows(rows: Batches, files: Files) -> dict[int, pl.LazyFrame]:
    """Return the typed rows of each file, numbered as there."""
    if files.parts == (WHOLE,):
        return {0: scan(rows)}
    number = TYPED_ORIGIN[0]
    own = {at: pl.LazyFrame() for at in range(len(files.parts))}
    for batch in batches(rows):
        own = {at: batch.clear().lazy() for at in own}
        for at, some in by_part(batch, files.parts, number):
            own[at] = some.with_columns(some[number] - files.parts[at].rows_up).lazy()
    return own


_Alike = Sequence[tuple[Plan, Sequence[int]]]


def _alike(plans: Sequence[Plan | FileRefusedError]) -> _Alike:
    """Return the plans that differ, each with the positions of the files that have it."""
    found: dict[object, tuple[Plan, list[int]]] = {}
    for at, plan in enumerate(plans):
        if isinstance(plan, Plan):
            known_by = (tuple(plan.styles.items()), plan.decided.stating, plan.facts)
            found.setdefault(known_by, (plan, []))[1].append(at)
    return list(found.values())


def _by_plan(
    batch: pl.DataFrame, files: Files, alike: _Alike
) -> Iterator[tuple[Plan, pl.DataFrame]]:
    """Give the rows of a batch by the plan of their file; those of refused files stay away."""
    for plan, positions in alike:
        if len(positions) == len(files.parts):
            yield plan, batch
            continue
        position = parts_of(batch["row_number"], files.parts)
        yield plan, batch.filter(position.is_in(positions))


def _add_damage(to: Sequence[dict[str, Damage]], ids: pl.DataFrame, files: Files) -> None:
    """Add what is known of the ids of a batch to what is known of those of each file."""
    number, line, *_ = TYPED_ORIGIN
    for name in ids.columns[len(TYPED_ORIGIN) :]:
        for at, some in by_part(ids, files.parts, number):
            known = to[at].get(name, Damage())
            to[at][name] = known + damage(some[name], some[line])


def facts_by_header(header: tuple[str, ...], feed: Feed) -> FileFacts:
    """Return what a header tells of its file: each column that it has is taken to have values."""
    sources, _ = sources_in(header, feed)
    return _facts_of(layout_of(sources, feed), sources, feed, set(sources))


def _filled(files: Files, header: Header, nulls: frozenset[str]) -> list[Collection[str]]:
    """Look through each file for values in the columns that the feed asks for."""
    feed, sources = header.feed, header.sources
    wanted = {name: str(sources[name]) for name in feed.asks_filled if name in sources}
    columns = {column.name: column for column in feed.columns}
    filled: list[set[str]] = [set() for _ in files.parts]
    looked_at = batches(files.rows, ["row_number", *wanted.values()])
    for batch in looked_at if wanted and files.facts is None else ():
        trimmed = batch.with_columns(pl.col(pl.String).str.strip_chars())
        for name, position in wanted.items():
            column, values = columns[name], trimmed[position]
            blank = values.is_in(cells.null_words(feed.nulls | column.nulls))
            if column.kind is not Kind.TEXT:
                blank |= cells.are_none(values, column, nulls)
            has_value = batch.select("row_number").filter(~blank)
            for at, _ in by_part(has_value, files.parts):
                filled[at].add(name)
        if all(len(its) == len(wanted) for its in filled):
            break
    return list(filled)


def _facts_of(
    layout: Layout,
    sources: Mapping[str, int],
    feed: Feed,
    filled: Collection[str],
    from_name: FromName | None = None,
) -> FileFacts:
    return FileFacts(
        layout=layout.name,
        columns=tuple(sources),
        asked=feed.asks_filled,
        filled=tuple(name for name in feed.asks_filled if name in filled),
        from_name=tuple(from_name.texts.items()) if from_name else (),
    )


def _layout(sources: Mapping[str, int], feed: Feed, facts: FileFacts | None) -> Layout:
    """Return the layout that the header has, or that these rows had in the file they are from."""
    known = {layout.name: layout for layout in feed.layouts}
    if facts is not None and facts.layout in known:
        return known[facts.layout]
    return layout_of(sources, feed)


def _layout_evidence(layout: Layout, plan: Plan) -> Evidence:
    marks = sorted(plan.headings[mark] for mark in layout.marks & plan.sources.keys())
    because = f"the header has {', '.join(map(repr, marks))}" if marks else "no other layout fits"
    return Evidence(subject="layout", decision=layout.name, because=because)


def _declared(plan: Plan) -> Iterator[Evidence]:
    """Give which columns have a name, or words, that the account declares."""
    account = plan.account
    for alias in account.aliases:
        title, name = alias
        position = plan.sources.get(name)
        if position is not None and heading(plan.header[position]) == heading(title):
            because = account.setting("aliases", entry_of(alias)).evidence
            yield Evidence(subject=f"column {title!r}", decision=name, because=because)
    for name in dict.fromkeys(column for column, *_ in account.maps if column in plan.sources):
        its = [one for one in account.maps if one[0] == name]
        because = account.setting("maps", entry_of(its[-1])).evidence
        words = f"words of {plan.headings[name]}"
        yield Evidence(subject=words, decision=f"{len(its)} more", because=because)


def _refusals(
    files: Files, feed: Feed, account: Account, sources: Mapping[str, int], layout: Layout
) -> list[FileRefusedError]:
    """Return for each file why it is refused for its header, which all have; none if it fits."""
    if missing := missing_columns(sources, layout, feed):
        without = Header(feed=feed, account=account, sources=sources, headings={})
        return [_without(missing, without, files.header, name) for name in files.names]
    if files.replay is None and (found := mismatch(files.header, feed)):
        its_order = " in their order" if feed.fields_match == "exact" else ""
        needed = (
            f"the columns of feed {feed.name!r} and no others{its_order} were needed, as its "
            f"fieldsMatch is {feed.fields_match}"
        )
        return [ContradictionError(name, needed, found) for name in files.names]
    return []


def _without(
    missing: Sequence[Column], known: Header, header: tuple[str, ...], name: str
) -> FileRefusedError:
    """Return why a file is refused that lacks columns."""
    sources, feed = known.sources, known.feed
    # Without a name that is known it is not a header, and its cells may be anybody's data.
    shown = header if sources else ()
    likely = likeliest(
        {title(column): column.headings for column in missing},
        tuple(extras_in(shown, sources.values())),
    )
    wanted = [(title(column), _other_names(column)) for column in missing]
    settle = ""
    if len(likely) == len(missing):
        names = {title(column): column.name for column in missing}
        aliases = (shlex.quote(f"{added}={names[its]}") for its, added in likely.items())
        command = account_command(known.account.account, feed.name, known.account.header)
        settle = f"; if so: {command} {' '.join(f'--alias {alias}' for alias in aliases)}"
    return MissingColumnError(name, feed.name, wanted, shown, likely, settle)


def _other_names(column: Column) -> tuple[str, ...]:
    return (*column.aliases[1:], column.name) if column.aliases else ()
