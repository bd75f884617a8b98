"""From text rows to typed rows: names by the header, values by casts, nothing guessed.

What a column's values prove of day order and decimal mark is collected over the whole file before
the first value is cast. A value that does not cast leaves a null behind and a fault beside it, and
the row goes on to be validated, so that all its faults are found.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl
from polars.exceptions import ColumnNotFoundError

from csv_pipeline.casts import dates, decimals
from csv_pipeline.casts.evidence import Survey, decide
from csv_pipeline.contract import Column, Kind, heading
from csv_pipeline.errors import MissingColumnError, SetupError, UndecidableError
from csv_pipeline.header import extras_in, layout_of, likeliest, missing_columns, sources_in, title
from csv_pipeline.model import (
    Account,
    Evidence,
    Feed,
    FileFacts,
    Layout,
    WholeFile,
    takes_facts,
)
from csv_pipeline.storage.rejects import fault_rows
from csv_pipeline.storage.work import (
    EXTRA,
    PLACE,
    REJECTS,
    TYPED_PLACE,
    BatchWriter,
    Part,
    TextFile,
    TypedFile,
    batches,
    in_order,
    scan,
)

_INTEGER = r"^(-?\d{1,18})(?:\.0+)?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How the columns of one header become those of the contract."""

    feed: Feed
    layout: Layout
    sources: Mapping[str, int]  # contract column → place in the header
    others: Mapping[str, int]  # contract column → another place that claims to be it
    extras: Mapping[str, int]  # other heading → place in the header
    headings: dict[str, str]
    ways: dict[str, str | None]
    facts: FileFacts

    def columns(self) -> tuple[str, ...]:
        """Return the contract's columns that this file gives values to."""
        return tuple(
            column.name
            for column in self.feed.columns
            if column.derived or column.substitute is not None or column.name in self.sources
        )


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
) -> TypedFile:
    """Write the rows as the contract's columns to `work` and return which the file had, and why so.

    `settled` is how the amounts and dates of a column were read before, if these rows were; then
    `facts` are those of the file that they are from.

    Raises:
        MissingColumnError: The header lacks columns that the feed needs in this layout.
        UndecidableError: Nothing settles the day order or decimal mark of a column.
        ContradictionError: What the file says of itself is not what it holds.
    """
    sources, others = sources_in(text.header, feed)
    layout = _layout(sources, feed, facts)
    _refuse_missing(sources, layout, feed, text.header, name)
    headings = {column: text.header[place] for column, place in sources.items()}
    ways, evidence = _surveyed(text, feed, account, settled, sources, headings, name)
    extras = extras_in(text.header, sources.values())
    plan = _Plan(
        feed=feed,
        layout=layout,
        sources=sources,
        others=others,
        extras=extras,
        headings=headings,
        ways=ways,
        facts=facts or _facts(text, feed, layout, sources),
    )
    rows, rejects = BatchWriter(work / "typed"), BatchWriter(work / "rejects-transform")

    def type_batch(numbered: tuple[int, pl.DataFrame]) -> int:
        number, batch = numbered
        typed, faults = _typed(batch, plan)
        rows.write(typed, number)
        rejects.write(faults, number)
        return faults["row_number"].n_unique()

    at_fault = sum(in_order(type_batch, enumerate(batches(text.rows))))
    checked = _check_file(text, rows.directory, plan, account, name)
    return TypedFile(
        rows=rows.directory,
        rejects=rejects.directory,
        rows_at_fault=at_fault,
        columns=plan.columns(),
        headings=headings,
        extras=tuple(extras),
        layout=layout.name,
        ways=ways,
        facts=plan.facts,
        evidence=(_layout_evidence(layout, plan), *evidence, *checked),
    )


def settle_parts(
    text: TextFile, feed: Feed, account: Account, parts: Sequence[Part], names: Sequence[str]
) -> list[tuple[dict[str, str | None], list[Evidence]] | None]:
    """Return how the amounts and dates of each part of a text are read by its own values, and why.

    None of one whose values settle nothing. `names` are those of the parts' files.
    """
    sources, _ = sources_in(text.header, feed)
    whole = _surveys(feed, sources, {name: text.header[place] for name, place in sources.items()})
    columns = [str(sources[survey.column]) for survey in (*whole.amounts, *whole.days)]
    frame = pl.concat(batches(text.rows, ["row_number", *columns]))
    rows = frame["row_number"]
    surveyed: dict[str, tuple[pl.Series, tuple[pl.Series, ...]]] = {}
    for survey in (*whole.amounts, *whole.days):
        values = frame[str(sources[survey.column])].str.strip_chars()
        surveyed[survey.column] = values, survey.masks(values)

    firsts = [part.first for part in parts]
    starts = dict(zip(firsts, rows.search_sorted(pl.Series(firsts)), strict=True))

    def of_part(survey: Survey, part: Part) -> Survey:
        values, masks = surveyed[survey.column]
        start = starts[part.first]
        mine = slice(start, start + part.rows)
        return survey.take((mask[mine] for mask in masks), values[mine], rows[mine] - part.rows_up)

    found: list[tuple[dict[str, str | None], list[Evidence]] | None] = []
    for part, name in zip(parts, names, strict=True):
        amounts = [of_part(survey, part) for survey in whole.amounts]
        days = [of_part(survey, part) for survey in whole.days]
        try:
            found.append(_Surveys(amounts, days).decided(account, {}, name))
        except UndecidableError:
            found.append(None)
    return found


def facts_by_header(header: tuple[str, ...], feed: Feed) -> FileFacts:
    """Return what a header tells of its file: each column that it has is taken to have values."""
    sources, _ = sources_in(header, feed)
    return _facts_of(layout_of(sources, feed), sources, feed, set(sources))


def _facts(text: TextFile, feed: Feed, layout: Layout, sources: Mapping[str, int]) -> FileFacts:
    """Look through the whole file for values in the columns that the feed asks for."""
    wanted = {name: str(sources[name]) for name in feed.asks_filled if name in sources}
    filled: set[str] = set()
    for batch in batches(text.rows, wanted.values()) if wanted else ():
        cells = batch.select(
            _cleaned(int(place), feed.nulls).is_not_null().any().alias(name)
            for name, place in wanted.items()
            if name not in filled
        )
        filled |= {name for name in cells.columns if cells[name].item()}
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


def _layout_evidence(layout: Layout, plan: _Plan) -> Evidence:
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


def _surveyed(  # noqa: PLR0913, PLR0917  # the file, whose it is, and how its header reads
    text: TextFile,
    feed: Feed,
    account: Account,
    settled: Mapping[str, str | None],
    sources: Mapping[str, int],
    headings: Mapping[str, str],
    name: str,
) -> tuple[dict[str, str | None], list[Evidence]]:
    """Let all values say how amounts and dates are written."""
    surveys = _surveys(feed, sources, headings)
    asked = (*surveys.amounts, *surveys.days)
    for batch in batches(text.rows, ["row_number", *(str(sources[s.column]) for s in asked)]):
        _take_in(batch, asked, sources)
    return surveys.decided(account, settled, name)


@dataclass(frozen=True, slots=True)
class _Surveys:
    """What the values of the columns of amounts and of dates prove."""

    amounts: list[Survey]
    days: list[Survey]

    def decided(
        self, account: Account, settled: Mapping[str, str | None], name: str
    ) -> tuple[dict[str, str | None], list[Evidence]]:
        marks, of_marks = decide(self.amounts, account.decimal_mark, settled, name, "decimal_mark")
        orders, of_orders = decide(self.days, account.date_order, settled, name, "date_order")
        return marks | orders, of_orders + of_marks


def _surveys(feed: Feed, sources: Mapping[str, int], headings: Mapping[str, str]) -> _Surveys:
    amounts, days = (
        [
            survey(column, headings[column.name])
            for column in feed.columns
            if column.kind is kind and column.name in sources
        ]
        for kind, survey in ((Kind.DECIMAL, decimals.survey), (Kind.DATE, dates.survey))
    )
    return _Surveys(amounts, days)


def _take_in(batch: pl.DataFrame, surveys: Iterable[Survey], sources: Mapping[str, int]) -> None:
    trimmed = batch.with_columns(pl.col(pl.String).str.strip_chars())
    for survey in surveys:
        survey.add(trimmed[str(sources[survey.column])], batch["row_number"])


def _typed(batch: pl.DataFrame, plan: _Plan) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a batch as the contract's columns, `EXTRA` and `TYPED_PLACE`, and its rows' faults."""
    feed = plan.feed
    present = [column for column in feed.columns if column.name in plan.sources]
    text = _text(batch, {c.name: plan.sources[c.name] for c in present}, feed.nulls)
    contested = {c.name: _contested(batch, c, plan) for c in present if c.name in plan.others}
    made: list[pl.Series] = []
    faults = [pl.DataFrame(schema=REJECTS)]
    for column in present:
        values = text[column.name]
        cast, rule, needed = _cast(values, column, plan.ways.get(column.name))
        made.append(cast.alias(column.name))
        shown = plan.headings[column.name]
        failed = _failed(values, cast, column)
        if failed is not None:
            faults.append(fault_rows(text, failed, column, shown, rule, needed))
        if column.name in contested:
            shown_twice = "one value; two columns of the file claim to be it and differ"
            faults.append(
                fault_rows(text, contested[column.name], column, shown, "contested", shown_twice)
            )
        if column.name in plan.layout.filled and values.null_count():
            faults.append(
                fault_rows(text, values.is_null(), column, shown, "required", "a value in each row")
            )
    typed = pl.DataFrame([*made, *text.select(TYPED_PLACE), _extra(batch, plan)])
    return _derived(typed, plan), pl.concat(faults)


def _contested(batch: pl.DataFrame, column: Column, plan: _Plan) -> pl.Series:
    """Return where two columns of the file claim to be one of the contract and differ."""
    one = _cleaned(plan.sources[column.name], plan.feed.nulls)
    other = _cleaned(plan.others[column.name], plan.feed.nulls)
    return batch.select((one != other).fill_null(value=False)).to_series()


def _text(batch: pl.DataFrame, sources: Mapping[str, int], nulls: frozenset[str]) -> pl.DataFrame:
    """Return the trimmed cells by column, null where one stands for no value, and `TYPED_PLACE`."""
    trimmed = batch.select(
        *(pl.col(str(place)).str.strip_chars().alias(name) for name, place in sources.items()),
        *(pl.col(name).alias(typed) for name, typed in zip(PLACE, TYPED_PLACE, strict=True)),
    )
    # Few columns have such cells, and to look takes a fifth of the time of making all anew.
    words = ("", *sorted(nulls))
    has_nulls = trimmed.select(_has_any(name, words) for name in sources)
    found = [name for name in sources if has_nulls[name].item()]
    return trimmed.with_columns(pl.when(~pl.col(name).is_in(words)).then(name) for name in found)


@lru_cache(maxsize=10_000)  # a feed's columns are the same in all its files
def _has_any(name: str, words: tuple[str, ...]) -> pl.Expr:
    """Return whether any cell of a column is one of the words."""
    return pl.any_horizontal(pl.col(name) == word for word in words).any().alias(name)


def _cleaned(place: int, nulls: frozenset[str]) -> pl.Expr:
    """Return the trimmed cell, null where it stands for no value."""
    value = pl.col(str(place)).str.strip_chars()
    return pl.when(~value.is_in(["", *sorted(nulls)])).then(value)


def _cast(values: pl.Series, column: Column, way: str | None) -> tuple[pl.Series, str, str]:
    """Return the typed values, the rule that a null breaks where the text is not, and its needs."""
    match column.kind:
        case Kind.TEXT:
            made = values if column.substitute is None else values.fill_null(column.substitute)
            return made, "", ""
        case Kind.CHOICE:
            folded = values.str.to_lowercase().str.replace_all(r"[\s_-]+", "_")
            made = folded.replace_strict(
                {word.replace(" ", "_").replace("-", "_"): x for word, x in column.choices.items()},
                default=None,
                return_dtype=pl.String,
            )
            return made, "choice", f"one of {', '.join(column.choices)}"
        case Kind.INTEGER:
            whole = values.str.extract(_INTEGER).cast(pl.Int64, strict=False)
            return whole, "integer", "a whole number"
        case Kind.DECIMAL:
            assert isinstance(column.dtype, pl.Decimal)  # noqa: S101  # the kind says so
            needed = decimals.HINT.format(scale=column.dtype.scale)
            return decimals.cast(values, column.dtype, way), "decimal", needed
        case Kind.DATE:
            return dates.cast(values, way), "date", dates.HINT
        case Kind.TIME:
            return dates.time_of_day(values), "time", dates.TIME_HINT


def _failed(values: pl.Series, cast: pl.Series, column: Column) -> pl.Series | None:
    """Return where the file gives a value that is none of its kind; None if that is nowhere.

    A time of day is given where one follows the date.
    """
    if column.kind is not Kind.TIME and cast.null_count() <= values.null_count():
        return None  # to count costs nothing; no cast makes a value of none but a substitute
    meant = dates.has_time(values) if column.kind is Kind.TIME else values.is_not_null()
    failed = cast.is_null() & meant
    return failed if failed.any() else None


def _extra(batch: pl.DataFrame, plan: _Plan) -> pl.Series:
    """Return the cells that no column uses as JSON objects, null where all of them are empty."""
    if not plan.extras:
        return pl.Series(EXTRA, [None] * batch.height, dtype=pl.String)
    cells = [_cleaned(place, plan.feed.nulls).alias(name) for name, place in plan.extras.items()]
    frame = batch.select(cells)
    filled = pl.any_horizontal(pl.all().is_not_null())
    return frame.select(
        pl.when(filled).then(pl.struct(pl.all()).struct.json_encode()).alias(EXTRA)
    ).to_series()


def _derived(typed: pl.DataFrame, plan: _Plan) -> pl.DataFrame:
    """Add what the feed derives; the columns that the file lacks are there to derive from only."""
    absent = [
        pl.lit(column.substitute, column.dtype).alias(column.name)
        for column in plan.feed.columns
        if column.name not in plan.sources
    ]
    rows = typed.lazy().with_columns(*absent)
    for derive in plan.feed.transforms:
        make: Callable[..., pl.LazyFrame] = derive
        rows = make(rows, plan.facts) if takes_facts(derive) else make(rows)
    try:
        made = rows.select(*plan.columns(), EXTRA, *TYPED_PLACE).collect()
    except ColumnNotFoundError as error:
        raise SetupError(
            f"feed {plan.feed.name!r}: transforms that make the derived columns and keep the "
            f"others were needed; {_first_line(error)}"
        ) from error
    return _in_order_of(typed, made, plan.feed)


def _in_order_of(typed: pl.DataFrame, made: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """Return the rows in the order of the file; a transform may have sorted them.

    Raises:
        SetupError: They are not the rows that it was given.
    """
    number = TYPED_PLACE[0]
    if made[number].equals(typed[number]):
        return made
    ordered = made.sort(number)
    if ordered[number].equals(typed[number]):
        return ordered
    raise SetupError(
        f"feed {feed.name!r}: transforms that give each row back once were needed, as "
        f"{typed.height:,} rows; {made.height:,} came back, with other row numbers"
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _check_file(
    text: TextFile, rows: Path, plan: _Plan, account: Account, name: str
) -> list[Evidence]:
    if not plan.feed.file_checks:
        return []
    whole = WholeFile(
        name=name,
        layout=plan.layout.name,
        account=account,
        rows=scan(rows),
        malformed=scan(text.rejects).select("line_number"),
        non_data=text.non_data,
    )
    found = (check(whole) for check in plan.feed.file_checks)
    return [evidence for evidence in found if evidence is not None]
