"""Convert text rows to typed rows: names by the header, values by casts.

What a column's values prove of day order and decimal mark is collected over the whole file before
the first value is cast. A value that does not cast becomes null with a fault, and the row is still
validated, so that all its faults are found.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice
from pathlib import Path

import polars as pl
from polars.exceptions import ColumnNotFoundError

from csv_pipeline.casts import cells, currencies, dates, decimals, integers, times
from csv_pipeline.casts.dates import DOUBTED, ZONED, Reading
from csv_pipeline.casts.doubts import Doubts
from csv_pipeline.casts.evidence import Survey, decide
from csv_pipeline.casts.figures import Figures, figures_of
from csv_pipeline.casts.identifiers import Rounded, is_rounded, rounded
from csv_pipeline.casts.moments import Moments, Settled, moments_of, reading, settle, take_census
from csv_pipeline.casts.nulls import are_none
from csv_pipeline.casts.times import Forms
from csv_pipeline.casts.zones import Census
from csv_pipeline.errors import FileRefusedError, MissingColumnError, SetupError
from csv_pipeline.model import Account, DateOrder, DecimalMark, Evidence, FileFacts
from csv_pipeline.rejects.faults import MASK, fault_rows
from csv_pipeline.spec.contract import Column, Kind, heading
from csv_pipeline.spec.feed import Feed, Layout, WholeFile, takes_facts
from csv_pipeline.spec.header import (
    extras_in,
    layout_of,
    likeliest,
    missing_columns,
    sources_in,
    title,
)
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.workspace import (
    ORIGIN,
    REJECTS,
    TYPED_ORIGIN,
    BatchWriter,
    Part,
    TextFile,
    TypedFile,
    batches,
    in_order,
    parts_of,
    scan,
)

_FEW = 2_000  # rows
_DECLARED = {
    Kind.DATE: ("date_order", tuple(DateOrder)),
    Kind.DECIMAL: ("decimal_mark", tuple(DecimalMark)),
    Kind.INTEGER: ("decimal_mark", tuple(DecimalMark)),
}
"""What an account may declare of how the values of a kind are read, and the ways to read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How the columns of one header become those of the contract."""

    feed: Feed
    layout: Layout
    sources: Mapping[str, int]  # contract column → place in the header
    others: Mapping[str, int]  # contract column → another place that claims to be it
    extras: Mapping[str, int]  # other heading → place in the header
    header: tuple[str, ...]
    headings: dict[str, str]
    styles: dict[str, str | None]
    account: Account  # what it declares of currency, day order and decimal mark
    stating: tuple[str, ...]  # columns of amounts that state a currency
    readings: Mapping[str, Reading]  # of the columns of dates and times
    nulls: frozenset[str]  # words for no value, case-folded, where a column is not text
    facts: FileFacts

    def columns(self) -> tuple[str, ...]:
        """Return the contract's columns that this file gives values to."""
        return tuple(
            column.name
            for column in self.feed.columns
            if column.derived or column.substitute is not None or column.name in self.sources
        )

    def amount_at(self, position: int) -> str | None:
        """Return the column of amounts at a place of the header, if there is one."""
        amounts = (c.name for c in self.feed.columns if c.kind is Kind.DECIMAL)
        return next((name for name in amounts if self.sources.get(name) == position), None)


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
    surveys = _surveys(feed, account, sources, headings)
    decided = _surveyed(text, feed, surveys, sources, account, settled, name, today)
    extras = extras_in(text.header, sources.values())
    nulls = frozenset(word.casefold() for word in (*feed.nulls, *account.null_words))
    plan = _Plan(
        feed=feed,
        layout=layout,
        sources=sources,
        others=others,
        extras=extras,
        header=text.header,
        headings=headings,
        styles=decided.styles,
        account=account,
        stating=surveys.figures.stating,
        readings={
            c.name: reading(c, one, decided.styles) for one in surveys.moments for c in one.columns
        },
        nulls=nulls,
        facts=facts or _facts(text, feed, layout, sources, nulls),
    )
    rows, rejects = BatchWriter(work / "typed"), BatchWriter(work / "rejects-transform")

    def type_batch(numbered: tuple[int, pl.DataFrame]) -> tuple[int, dict[str, Rounded]]:
        number, batch = numbered
        typed, faults, ids = _typed(batch, plan)
        rows.write(typed, number)
        rejects.write(faults, number)
        return faults["row_number"].n_unique(), ids

    at_fault, all_ids = 0, dict[str, Rounded]()
    for rejected, ids in in_order(type_batch, enumerate(batches(text.rows))):
        at_fault += rejected
        all_ids |= {name: all_ids.get(name, Rounded()) + its for name, its in ids.items()}
    damaged = (its.warning(headings[name]) for name, its in all_ids.items())
    checked = _check_file(text, rows.directory, plan, account, name)
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
    whole = _surveys(feed, account, sources, headings)
    columns = [str(sources[survey.column]) for survey in whole.asked]
    ids = [str(sources[c.name]) for c in feed.columns if c.name in sources and _is_id(c, feed)]
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

    def of_part(part: Part) -> tuple[_Surveys, dict[int, Census]]:
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
        return _Surveys(whole.figures.of(surveys, amounts, numbers), moments), censuses

    found: list[tuple[dict[str, str | None], list[Evidence]] | None] = []
    for at, (part, name) in enumerate(zip(parts, names, strict=True)):
        surveys, censuses = of_part(part)
        try:
            settled = surveys.decided(account, feed, {}, censuses, name, _year(today))
        except FileRefusedError:
            found.append(None)
        else:
            odd = settled.warnings or at in doubtful
            found.append(None if odd else (settled.styles, settled.evidence))
    return found


def _year(today: date | None) -> int:
    """Return the latest year that it is anywhere on a day, which is this day if none is given."""
    return ((today or datetime.now(UTC).date()) + timedelta(days=1)).year


def facts_by_header(header: tuple[str, ...], feed: Feed) -> FileFacts:
    """Return what a header tells of its file: each column that it has is taken to have values."""
    sources, _ = sources_in(header, feed)
    return _facts_of(layout_of(sources, feed), sources, feed, set(sources))


def _facts(
    text: TextFile,
    feed: Feed,
    layout: Layout,
    sources: Mapping[str, int],
    nulls: frozenset[str],
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
    surveys: "_Surveys",
    sources: Mapping[str, int],
    account: Account,
    settled: Mapping[str, str | None],
    name: str,
    today: date | None,
) -> Settled:
    """Let all values say how amounts, dates and times are written."""
    asked = surveys.asked
    for batch in batches(text.rows, ["row_number", *(str(sources[s.column]) for s in asked)]):
        trimmed = batch.with_columns(pl.col(pl.String).str.strip_chars())
        for survey in asked:
            survey.add(trimmed[str(sources[survey.column])], batch["row_number"])
    censuses = {m.position: Census() for m in surveys.moments if ZONED in m.notes.found}
    columns = ["row_number", *map(str, censuses)]
    for batch in batches(text.rows, columns) if censuses else ():
        for position, census in censuses.items():
            take_census(census, batch[str(position)].str.strip_chars(), batch["row_number"])
    doubted = any(DOUBTED in one.notes.found for one in surveys.moments)
    positions = [str(one.position) for one in surveys.moments]
    for batch in batches(text.rows, positions) if doubted else ():
        for one in surveys.moments:
            one.doubts.add(batch[str(one.position)].str.strip_chars())
    return surveys.decided(account, feed, settled, censuses, name, _year(today))


@dataclass(frozen=True, slots=True)
class _Surveys:
    """What the values of the columns of figures, and of dates and times, prove."""

    figures: Figures
    moments: list[Moments]

    @property
    def asked(self) -> tuple[Survey | Forms, ...]:
        """All of them."""
        return (*self.figures.surveys, *(one.survey for one in self.moments))

    def decided(  # noqa: PLR0913, PLR0917  # a file, whose it is, and what is known of it
        self,
        account: Account,
        feed: Feed,
        settled: Mapping[str, str | None],
        censuses: Mapping[int, Census],
        name: str,
        year: int,
    ) -> Settled:
        days = [one.survey for one in self.moments if isinstance(one.survey, Survey)]
        marks, of_marks = self.figures.decided(account, settled, name, feed.name)
        orders, of_orders = decide(days, account.setting("date_order"), settled, name)
        ordered = account.date_order is not None
        others = settle(self.moments, censuses, settled, year, ordered=ordered)
        return Settled(
            styles=marks | orders | others.styles,
            evidence=[*others.evidence, *of_orders, *of_marks],
            warnings=others.warnings,
        )


def _surveys(
    feed: Feed, account: Account, sources: Mapping[str, int], headings: Mapping[str, str]
) -> _Surveys:
    return _Surveys(
        figures_of(feed.columns, sources, headings, account.currency),
        moments_of(feed.columns, sources, headings),
    )


def _is_id(column: Column, feed: Feed) -> bool:
    return column.identifier or column.name in feed.key


def _typed(
    batch: pl.DataFrame, plan: _Plan
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Rounded]]:
    """Return a batch as the contract's columns, its rows' faults, and what is known of its ids.

    The rows have `EXTRA` and `TYPED_ORIGIN` besides. Of ids there is, by column, how many of them a
    spreadsheet may have rounded.
    """
    feed = plan.feed
    present = [column for column in feed.columns if column.name in plan.sources]
    text, odd = _text(batch, present, plan.sources, feed)
    contested = _contested(batch, text, plan) if plan.others else {}
    made: list[pl.Series] = []
    faults = [pl.DataFrame(schema=REJECTS)]
    for column in present:
        values = text[column.name]
        reading = plan.readings.get(column.name)
        cast, rule, needed = _cast(values, column, plan.styles.get(column.name), reading)
        made.append(cast.alias(column.name))
        shown = plan.headings[column.name]
        is_id = _is_id(column, feed)
        for mask, its_rule, its_need in cells.damage(values, column, odd[column.name], is_id=is_id):
            if mask.any():
                faults.append(fault_rows(text, mask, column, shown, its_rule, its_need))
        failed = _failed(values, cast, column, plan)
        if failed is not None:
            values = values.set(failed & are_none(values, column, plan.nulls), None)
            text = text.with_columns(values)
            failed &= values.is_not_null()
            for mask, its_rule, its_need in _reasons(values, failed, column, plan, rule, needed):
                faults.append(fault_rows(text, mask, column, shown, its_rule, its_need))
        if column.name in contested:
            faults.append(contested[column.name])
        if column.name in plan.layout.filled and values.null_count():
            faults.append(
                fault_rows(text, values.is_null(), column, shown, "required", "a value in each row")
            )
    typed = pl.DataFrame([*made, *text.select(TYPED_ORIGIN), _extra(batch, plan)])
    if plan.stating or plan.account.currency:
        typed, more = _with_currency(typed, text, plan)
        faults += more
    lines = text[TYPED_ORIGIN[1]]
    ids = {name: rounded(text[name], lines) for name, its in odd.items() if its.rounded}
    return _derived(typed, plan), pl.concat(faults), ids


def _contested(batch: pl.DataFrame, text: pl.DataFrame, plan: _Plan) -> dict[str, pl.DataFrame]:
    """Return the faults where two columns of the file claim to be one and differ, by column."""
    columns = [column for column in plan.feed.columns if column.name in plan.others]
    others, _ = _text(batch, columns, plan.others, plan.feed)
    found: dict[str, pl.DataFrame] = {}
    for column in columns:
        one, other = text[column.name], others[column.name]
        differ = (one != other).fill_null(value=False)
        if differ.any():
            title = plan.header[plan.others[column.name]]
            held = pl.lit(MASK) if column.protected else pl.format("'{}'", pl.col("_other"))
            needed = pl.format(
                "one value; {} of the file claims to be it, too, and holds {}",
                pl.lit(repr(title)),
                held,
            )
            rows = text.with_columns(other.alias("_other"))
            shown = plan.headings[column.name]
            found[column.name] = fault_rows(rows, differ, column, shown, "contested", needed)
    return found


def _text(
    batch: pl.DataFrame, columns: Sequence[Column], positions: Mapping[str, int], feed: Feed
) -> tuple[pl.DataFrame, dict[str, cells.Oddities]]:
    """Return clean cells by column, null for no value, with `TYPED_ORIGIN`; and what is odd."""
    trimmed = batch.select(
        *(pl.col(str(positions[c.name])).str.strip_chars().alias(c.name) for c in columns),
        *(pl.col(name).alias(typed) for name, typed in zip(ORIGIN, TYPED_ORIGIN, strict=True)),
    )
    # Few columns have such cells, and to look takes a fifth of the time of making all anew.
    known = [(c, cells.null_words(feed.nulls | c.nulls), _is_id(c, feed)) for c in columns]
    odd = _oddities(trimmed.select(c.name for c in columns), known)
    clean = [
        cells.cleaned(trimmed[c.name], c, words, is_id=is_id)
        for c, words, is_id in known
        if odd[c.name].cell or c.fold_case or c.pad
    ]
    return trimmed.with_columns(clean) if clean else trimmed, odd


def _oddities(
    trimmed: pl.DataFrame, known: Sequence[tuple[Column, tuple[str, ...], bool]]
) -> dict[str, cells.Oddities]:
    """Return what any cell of each column may be; of the columns their words and whether an id."""
    if trimmed.height < _FEW:  # then to ask of each column is most of the time, and few have any
        every = {word for _, words, _ in known for word in words}
        if not cells.any_odd(trimmed, every, [c.name for c, _, is_id in known if is_id]):
            return {c.name: cells.Oddities(cell=False) for c, _, _ in known}
    asked = [cells.asked(c.name, words, is_id=is_id) for c, words, is_id in known]
    answers = iter(trimmed.select(chain.from_iterable(asked)).row(0))
    return {
        c.name: cells.Oddities(*islice(answers, len(its)))
        for (c, _, _), its in zip(known, asked, strict=True)
    }


def _cleaned(position: int, words: tuple[str, ...]) -> pl.Expr:
    """Return the trimmed cell, null where it is one of the words for no value."""
    value = pl.col(str(position)).str.strip_chars()
    return pl.when(~value.is_in(words)).then(value)


def _cast(  # noqa: PLR0911  # a kind each
    values: pl.Series, column: Column, style: str | None, reading: Reading | None = None
) -> tuple[pl.Series, str, str]:
    """Return the typed values, the rule that a null breaks where the text is not, and its needs."""
    match column.kind:
        case Kind.TEXT:
            made = values if column.substitute is None else values.fill_null(column.substitute)
            return made, "", ""
        case Kind.CHOICE:
            return cells.choices(values, column), "choice", f"one of {', '.join(column.choices)}"
        case Kind.CURRENCY:
            return decimals.currency(values), "currency", currencies.HINT
        case Kind.INTEGER:
            return integers.cast(values, style), "integer", integers.HINT
        case Kind.DECIMAL:
            assert isinstance(column.dtype, pl.Decimal)  # noqa: S101  # the kind says so
            needed = decimals.HINT.format(scale=column.dtype.scale)
            return decimals.cast(values, column.dtype, style), "decimal", needed
        case Kind.DATE:
            return dates.cast(values, reading or Reading()), "date", dates.HINT
        case Kind.TIME:
            follows = reading is not None and reading.follows
            cast = dates.time_of_day if follows else times.cast
            return cast(values, reading or Reading()), "time", times.NEEDED


def _failed(values: pl.Series, cast: pl.Series, column: Column, plan: _Plan) -> pl.Series | None:
    """Return where the file gives a value that is none of its kind; None if that is nowhere.

    Of a time that follows a date, the date says it: where that was read, so was the time; and so
    the amount says whether what it states is a currency.
    """
    reading = plan.readings.get(column.name)
    if reading is not None and reading.follows:
        return None
    if column.kind is Kind.CURRENCY and plan.amount_at(plan.sources[column.name]):
        return None
    if cast.null_count() <= values.null_count():
        return None  # to count costs nothing; no cast makes a value of none but a substitute
    failed = cast.is_null() & values.is_not_null()
    return failed if failed.any() else None


def _reasons(  # noqa: PLR0913, PLR0917  # what failed, and what a failure is called
    values: pl.Series, failed: pl.Series, column: Column, plan: _Plan, rule: str, needed: str
) -> Iterator[tuple[pl.Series, str, str]]:
    """Give the values that failed by the rule that they break, each with what it needs."""
    positions = failed.arg_true()
    some, style = values.gather(positions), plan.styles.get(column.name)
    rest = pl.repeat(value=True, n=len(some), eager=True)
    for mask, its, needs in (
        *cells.reasons(some, column, style, is_id=_is_id(column, plan.feed)),
        *_by_the_other_style(some, column, plan, rule, needed),
        *_reasons_of_moments(some, column, plan.readings.get(column.name), rule, needed),
        (rest, rule, needed),
    ):
        mine = mask.fill_null(value=False) & rest
        rest &= ~mine
        if mine.any():
            yield (failed & False).scatter(positions.filter(mine), values=True), its, needs


def _by_the_other_style(
    values: pl.Series, column: Column, plan: _Plan, rule: str, needed: str
) -> Iterator[tuple[pl.Series, str, str]]:
    """Give the values that are good ones by another way than the account declares."""
    name, styles = _DECLARED.get(column.kind, ("", ()))
    setting = plan.account.setting(name) if name else None
    if setting is None or setting.value is None:
        return
    reading = plan.readings.get(column.name)
    for style in styles:
        if style != setting.value:
            other = replace(reading, order=style) if reading else None
            good = _cast(values, column, style, other)[0].is_not_null()
            yield good, rule, f"{needed}, by the {setting} {setting.value}, as {setting.because}"


def _reasons_of_moments(
    values: pl.Series, column: Column, reading: Reading | None, rule: str, needed: str
) -> Iterator[tuple[pl.Series, str, str]]:
    if reading is not None:
        read = dates.read if column.kind is Kind.DATE else times.read
        why = read(values, reading)["fault"]
        for its in why.drop_nulls().unique().sort():
            yield why == its, its, needed if its == rule else dates.NEEDED[its]


def _with_currency(
    typed: pl.DataFrame, text: pl.DataFrame, plan: _Plan
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Return the rows with the currency that their amounts state, and a fault where these differ.

    Where the file has no column for it, all its amounts have one.
    """
    columns = {column.name: column for column in plan.feed.columns}
    own = next((c for c in columns.values() if c.kind is Kind.CURRENCY and c.name in typed), None)
    if own is None:
        return typed, []
    first = plan.amount_at(plan.sources[own.name]) or own.name
    names = [first, *(name for name in plan.stating if name != first)]
    found = (typed[own.name], *(decimals.currency(text[name]) for name in names[1:]))
    stated = [currencies.all_meant(one, plan.account.currency) for one in found]
    whole, others = currencies.reconciled(stated)
    rows = text.with_columns(whole.alias("_whole"))
    needed = pl.format("an amount in {}, as another of its row is", pl.col("_whole"))
    faults = [
        fault_rows(rows, other, columns[name], plan.headings[name], "currency", needed)
        for name, other in zip(names, others, strict=True)
        if other.any()
    ]
    return typed.with_columns(whole.alias(own.name)), faults


def _extra(batch: pl.DataFrame, plan: _Plan) -> pl.Series:
    """Return the cells that no column uses as JSON objects, null where all of them are empty."""
    if not plan.extras:
        return pl.Series(EXTRA, [None] * batch.height, dtype=pl.String)
    words = cells.null_words(plan.feed.nulls)
    frame = batch.select(_cleaned(at, words).alias(name) for name, at in plan.extras.items())
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
        made = rows.select(*plan.columns(), EXTRA, *TYPED_ORIGIN).collect()
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
    number = TYPED_ORIGIN[0]
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
