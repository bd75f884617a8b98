"""From text rows to typed rows: names by the header, values by casts, nothing guessed.

What a column's values prove of day order and decimal mark is collected over the whole file before
the first value is cast. A value that does not cast leaves a null behind and a fault beside it, and
the row goes on to be validated, so that all its faults are found.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.casts import cells, decimals
from csv_pipeline.casts.dates import DOUBTED, ZONED
from csv_pipeline.casts.doubts import Doubts
from csv_pipeline.casts.evidence import Survey
from csv_pipeline.casts.identifiers import Rounded, is_rounded
from csv_pipeline.casts.moments import Moments, reading, take_census
from csv_pipeline.casts.nulls import are_none
from csv_pipeline.casts.reading import Reading
from csv_pipeline.casts.times import Forms
from csv_pipeline.casts.zones import Census
from csv_pipeline.errors import FileRefusedError, MissingColumnError
from csv_pipeline.handover import (
    BatchWriter,
    Part,
    TextFile,
    TypedFile,
    batches,
    in_order,
    parts_of,
)
from csv_pipeline.model import Evidence, FileFacts
from csv_pipeline.spec.contract import Column, heading
from csv_pipeline.spec.feed import Feed, Layout
from csv_pipeline.spec.header import (
    extras_in,
    layout_of,
    likeliest,
    missing_columns,
    sources_in,
    title,
)
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.stages.transform.casting import typed_rows
from csv_pipeline.stages.transform.derived import check_file
from csv_pipeline.stages.transform.plan import Plan, is_id
from csv_pipeline.stages.transform.surveys import Surveys, survey, surveys_of, year_of


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
        known=sum(heading(name) in feed.headings for name in header),
        missing=tuple(title(column) for column in missing_columns(sources, layout, feed)),
    )


def transform(  # noqa: PLR0913  # a file, whose it is, and what is known of it
    text: TextFile,
    work: Path,
    feed: Feed,
    account: Account,
    *,
    name: str,
    settled: Mapping[str, str | None],
    facts: FileFacts | None = None,
    today: date | None = None,
) -> TypedFile:
    """Write the rows as the contract's columns to `work` and return which the file had, and why so.

    `settled` is how the amounts and dates of a column were read before, if these rows were; then
    `facts` are those of the file that they are from. `today` is the day of the import, by which
    years of two digits are read.

    Raises:
        MissingColumnError: The header lacks columns that the feed needs in this layout.
        UndecidableError: Nothing settles the day order or decimal mark of a column.
        MixedCurrenciesError: Amounts of a column are in several, and no column says in which.
        ContradictionError: What the file says of itself is not what it holds.
    """
    sources, others = sources_in(text.header, feed)
    layout = _layout(sources, feed, facts)
    _refuse_missing(sources, layout, feed, text.header, name)
    headings = {column: text.header[position] for column, position in sources.items()}
    surveys = surveys_of(feed, account, sources, headings)
    decided = survey(text, feed, surveys, sources, account, settled, name, today)
    extras = extras_in(text.header, sources.values())
    nulls = frozenset(word.casefold() for word in (*feed.nulls, *account.null_words))
    plan = Plan(
        feed=feed,
        layout=layout,
        sources=sources,
        others=others,
        extras=extras,
        header=text.header,
        headings=headings,
        account=account,
        stating=surveys.figures.stating,
        readings={
            **{name: Reading(decided.styles.get(name)) for name in sources},
            **{
                column.name: reading(column, one, decided.styles)
                for one in surveys.moments
                for column in one.columns
            },
        },
        nulls=nulls,
        facts=facts or _facts(text, feed, layout, sources, nulls),
    )
    rows, rejects = BatchWriter(work / "typed", main=True), BatchWriter(work / "rejects-transform")

    def type_batch(numbered: tuple[int, pl.DataFrame]) -> tuple[int, dict[str, Rounded]]:
        number, batch = numbered
        typed, faults, ids = typed_rows(batch, plan)
        rows.write(typed, number)
        rejects.write(faults, number)
        return faults["row_number"].n_unique(), ids

    at_fault, all_ids = 0, dict[str, Rounded]()
    for rejected, ids in in_order(type_batch, enumerate(batches(text.rows))):
        at_fault += rejected
        all_ids |= {name: all_ids.get(name, Rounded()) + its for name, its in ids.items()}
    damaged = (its.warning(headings[name]) for name, its in all_ids.items())
    checked = check_file(text, rows.directory, plan, account, name)
    return TypedFile(
        rows=rows.directory,
        rejects=rejects.directory,
        rows_at_fault=at_fault,
        columns=plan.columns(),
        headings=headings,
        extras=tuple(extras),
        layout=layout.name,
        styles=decided.styles,
        facts=plan.facts,
        evidence=(_layout_evidence(layout, plan), *decided.evidence, *checked),
        warnings=(*decided.warnings, *filter(None, damaged)),
    )


def settle_parts(  # noqa: PLR0913, PLR0917  # a text, whose it is, and what is known of it
    text: TextFile,
    feed: Feed,
    account: Account,
    parts: Sequence[Part],
    names: Sequence[str],
    today: date | None = None,
) -> list[tuple[dict[str, str | None], list[Evidence]] | None]:
    """Return how the amounts and dates of each part of a text are read by its own values, and why.

    None of one whose values settle nothing, or show what a person should look at. `names` are those
    of the parts' files.
    """
    sources, _ = sources_in(text.header, feed)
    headings = {name: text.header[position] for name, position in sources.items()}
    whole = surveys_of(feed, account, sources, headings)
    columns = [str(sources[survey.column]) for survey in whole.asked]
    ids = [str(sources[c.name]) for c in feed.columns if c.name in sources and is_id(c, feed)]
    frame = pl.concat(batches(text.rows, ["row_number", *columns, *ids]))
    rows = frame["row_number"]
    trimmed = frame.with_columns(pl.col(pl.String).str.strip_chars())
    masks = {
        survey.column: survey.masks(trimmed[str(sources[survey.column])], rows)
        for survey in whole.asked
        if isinstance(survey, Survey)
    }
    stating = {
        name: decimals.currency(trimmed[str(sources[name])]) for name in whole.figures.stating
    }
    doubtful = {at for i in ids for at in parts_of(rows.filter(is_rounded(trimmed[i])), parts)}
    firsts = [part.first for part in parts]
    starts = dict(zip(firsts, rows.search_sorted(pl.Series(firsts)), strict=True))

    def of_part(part: Part) -> tuple[Surveys, dict[int, Census]]:
        mine = slice(starts[part.first], starts[part.first] + part.rows)
        numbers = rows[mine] - part.rows_up

        def taken(survey: Survey) -> Survey:
            values = trimmed[str(sources[survey.column])][mine]
            its = (mask if mask is None else mask[mine] for mask in masks[survey.column])
            return survey.take(its, values, numbers)

        moments: list[Moments] = []
        censuses: dict[int, Census] = {}
        for one in whole.moments:
            values, known = trimmed[str(one.position)][mine], one.survey
            survey = known.of(values, numbers) if isinstance(known, Forms) else taken(known)
            moments.append(replace(one, survey=survey, doubts=Doubts()))
            if ZONED in survey.notes.found:
                censuses[one.position] = Census()
                take_census(censuses[one.position], values, numbers)
        for one in moments if any(DOUBTED in one.notes.found for one in moments) else ():
            one.doubts.add(trimmed[str(one.position)][mine])
        surveys = {survey.column: taken(survey) for survey in whole.figures.surveys}
        amounts = {
            name: (stated[mine], trimmed[str(sources[name])][mine])
            for name, stated in stating.items()
        }
        return Surveys(whole.figures.of(surveys, amounts, numbers), moments), censuses

    found: list[tuple[dict[str, str | None], list[Evidence]] | None] = []
    for at, (part, name) in enumerate(zip(parts, names, strict=True)):
        surveys, censuses = of_part(part)
        try:
            settled = surveys.decided(account, feed, {}, censuses, name, year_of(today))
        except FileRefusedError:
            found.append(None)
        else:
            odd = settled.warnings or at in doubtful
            found.append(None if odd else (settled.styles, settled.evidence))
    return found


def facts_by_header(header: tuple[str, ...], feed: Feed) -> FileFacts:
    """Return what a header tells of its file: each column that it has is taken to have values."""
    sources, _ = sources_in(header, feed)
    return _facts_of(layout_of(sources, feed), sources, feed, set(sources))


def _facts(
    text: TextFile, feed: Feed, layout: Layout, sources: Mapping[str, int], nulls: frozenset[str]
) -> FileFacts:
    """Look through the whole file for values in the columns that the feed asks for."""
    wanted = {name: str(sources[name]) for name in feed.asks_filled if name in sources}
    columns = {column.name: column for column in feed.columns}
    filled: set[str] = set()
    for batch in batches(text.rows, wanted.values()) if wanted else ():
        trimmed = batch.with_columns(pl.col(pl.String).str.strip_chars())
        for name in wanted.keys() - filled:
            column, values = columns[name], trimmed[wanted[name]]
            blank = values.is_in(cells.null_words(feed.nulls | column.nulls))
            if column.kind is not Kind.TEXT:
                blank |= are_none(values, column, nulls)
            filled |= {name} if (~blank).any() else set()
        if filled == wanted.keys():
            break
    return _facts_of(layout, sources, feed, filled)


def _facts_of(
    layout: Layout, sources: Mapping[str, int], feed: Feed, filled: Collection[str]
) -> FileFacts:
    return FileFacts(
        layout=layout.name,
        columns=tuple(sources),
        asked=feed.asks_filled,
        filled=tuple(name for name in feed.asks_filled if name in filled),
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


def _refuse_missing(
    sources: Mapping[str, int], layout: Layout, feed: Feed, header: tuple[str, ...], name: str
) -> None:
    missing = missing_columns(sources, layout, feed)
    if missing:
        # Without a name that is known it is not a header, and its cells may be anybody's data.
        shown = header if sources else ()
        likely = likeliest(
            {title(column): column.headings for column in missing},
            tuple(extras_in(shown, sources.values())),
        )
        wanted = [(title(column), _other_names(column)) for column in missing]
        raise MissingColumnError(name, feed.name, wanted, shown, likely)


def _other_names(column: Column) -> tuple[str, ...]:
    return (*column.aliases[1:], column.name) if column.aliases else ()
