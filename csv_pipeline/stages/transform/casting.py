"""Turn the text of a batch into typed columns, with a fault for each value that does not cast."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice

import polars as pl

from csv_pipeline.account import DecimalMark
from csv_pipeline.casts import cells, clocks, currencies, decimals, timestamps
from csv_pipeline.casts.by_kind import CASTS, Reason
from csv_pipeline.casts.reading import Reading
from csv_pipeline.handover import ORIGIN, REJECTS, TYPED_ORIGIN
from csv_pipeline.rejects.faults import MASK, fault_rows
from csv_pipeline.spec.contract import Column, Gathers
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.header import gathered_in
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.stages.transform.bared import bared
from csv_pipeline.stages.transform.derived import with_derived
from csv_pipeline.stages.transform.plan import Plan, is_id
from csv_pipeline.stages.transform.signing import signed

_FEW = 2_000  # rows


def typed_rows(
    batch: pl.DataFrame, plan: Plan
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return a batch as the contract's columns, its rows' faults, and what is to be counted of it.

    That are the ids to look at, and the texts that had something around them: see `bared`.

    The rows have `EXTRA` and `TYPED_ORIGIN` besides. The ids are those columns, with
    `TYPED_ORIGIN`, of which a spreadsheet may have damaged any.
    """
    feed = plan.feed
    every = [column for column in feed.columns if column.name in plan.sources]
    present = [column for column in every if column.gathers is None]
    trimmed = _trimmed(batch, present, plan.sources)
    text, odd = _clean(trimmed, present, feed)
    contested = _contested(batch, text, plan) if plan.others else {}
    made: list[pl.Series] = []
    faults = [pl.DataFrame(schema=REJECTS)]
    for column in present:
        values, shown = text[column.name], plan.headings[column.name]
        if column.local_of in plan.readings:
            values = timestamps.local(values, plan.readings[column.local_of])
        cast = CASTS[column.kind].values(values, column, plan.readings[column.name])
        made.append(cast.alias(column.name))
        reasons: Iterable[Reason] = ()
        if column.kind is Kind.TEXT and odd[column.name].cell:
            reasons = cells.damage(values, is_id=is_id(column, feed))
        failed = _failed(values, cast, column, plan)
        if failed is not None:
            values = values.set(failed & cells.are_none(values, column, plan.nulls), None)
            text = text.with_columns(values)
            reasons = _reasons(values, failed & values.is_not_null(), column, plan)
        faults += [
            fault_rows(text, mask, column, shown, rule, needed)
            for mask, rule, needed in reasons
            if mask.any()
        ]
        if column.name in contested:
            faults.append(contested[column.name])
        if column.name in plan.layout.filled and values.null_count():
            faults.append(
                fault_rows(text, values.is_null(), column, shown, "required", "a value in each row")
            )
    for column in every:
        if column.gathers is not None:
            gathered, more = _gathered(batch, column, column.gathers, plan)
            made.append(gathered)
            faults += more
    typed = pl.DataFrame([*made, *text.select(TYPED_ORIGIN), _extra(batch, plan)])
    if plan.decided.stating or plan.account.currency:
        typed, more = _with_currency(typed, text, plan)
        faults += more
    faults += _in_another_currency(typed, text, plan)
    typed, more = signed(typed, text, plan)
    faults += more
    ids = text.select(*TYPED_ORIGIN, *(name for name, its in odd.items() if its.damaged))
    around = bared(batch, trimmed, present, plan.sources, odd)
    return with_derived(typed, plan), pl.concat(faults), ids, around


def _gathered(
    batch: pl.DataFrame, column: Column, gathers: Gathers, plan: Plan
) -> tuple[pl.Series, list[pl.DataFrame]]:
    """Return the cells of the columns that one gathers as JSON, and a fault for each that is none.

    A row all of whose cells are blank has no value.
    """
    places = gathered_in(plan.header, gathers)
    kind = replace(column, kind=Kind.DECIMAL, dtype=pl.Decimal(18, gathers.scale), gathers=None)
    parts = [replace(kind, name=str(position)) for position in places]
    text, _ = _text(batch, parts, {part.name: int(part.name) for part in parts}, plan.feed)
    how = Reading(plan.account.decimal_mark or DecimalMark.POINT)
    made: list[pl.Series] = []
    faults: list[pl.DataFrame] = []
    for part in parts:
        values = text[part.name]
        amounts = CASTS[Kind.DECIMAL].values(values, part, how)
        made.append(amounts.cast(pl.String).alias(part.name))
        rows = text.select(values.alias(column.name), *TYPED_ORIGIN)
        shown = plan.header[int(part.name)]
        faults += [
            fault_rows(rows, failed, column, shown, rule, needed)
            for failed, rule, needed in _odd_amounts(values, amounts, part, gathers, plan)
            if failed.any()
        ]
    filled = pl.any_horizontal(pl.all().is_not_null())
    document = _document({keys: str(position) for position, keys in places.items()})
    value = pl.when(filled).then(document.struct.json_encode())
    return pl.DataFrame(made).select(value.alias(column.name)).to_series(), faults


def _odd_amounts(
    values: pl.Series, amounts: pl.Series, part: Column, gathers: Gathers, plan: Plan
) -> Iterator[Reason]:
    """Give the cells of one gathered column that are no amounts, or not such as it has."""
    cast = CASTS[Kind.DECIMAL]
    failed = amounts.is_null() & values.is_not_null()
    yield failed & ~cells.are_none(values, part, plan.nulls), cast.rule, cast.needed(part)
    if gathers.ge is not None:
        yield (amounts < gathers.ge).fill_null(value=False), "ge", f"{gathers.ge} or more"
    stated = currencies.all_meant(decimals.currency(values), gathers.currency)
    other = (amounts.is_not_null() & stated.is_not_null()) & stated.ne_missing(
        pl.Series([gathers.currency], dtype=pl.String)
    )
    yield other, "currency", f"an amount in {gathers.currency or 'no currency'}"


def _document(names: Mapping[tuple[str, ...], str]) -> pl.Expr:
    """Return columns as a struct by their keys, and structs in it by the keys that follow."""
    parts = []
    for key in sorted({keys[0] for keys in names}):
        below = {keys[1:]: name for keys, name in names.items() if keys[0] == key}
        part = pl.col(below[()]) if () in below else _document(below)
        parts.append(part.alias(key))
    return pl.struct(parts)


def _contested(batch: pl.DataFrame, text: pl.DataFrame, plan: Plan) -> dict[str, pl.DataFrame]:
    """Return the faults where columns of the file that claim to be one differ, by column."""
    found: dict[str, pl.DataFrame] = {}
    for column in plan.feed.columns:
        for position in plan.others.get(column.name, ()):
            differ, other = _differing(batch, text[column.name], column, position, plan)
            if not differ.any():
                continue
            needed = pl.format(
                "one value; {} of the file claims to be it, too, and holds {}",
                pl.lit(repr(plan.header[position])),
                pl.lit(MASK) if column.protected else pl.format("'{}'", pl.col("_other")),
            )
            rows, shown = text.with_columns(other.alias("_other")), plan.headings[column.name]
            faults = fault_rows(rows, differ, column, shown, "contested", needed)
            found[column.name] = pl.concat([found.get(column.name, faults.clear()), faults])
    return found


def _differing(
    batch: pl.DataFrame, one: pl.Series, column: Column, position: int, plan: Plan
) -> tuple[pl.Series, pl.Series]:
    """Return where another column of the file holds another value, or one alone; and its values."""
    text, _ = _text(batch, [column], {column.name: position}, plan.feed)
    other = text[column.name]
    if column.kind is not Kind.TEXT:
        other = other.set(cells.are_none(other, column, plan.nulls), None)
    return other.is_not_null() & one.ne_missing(other), other


def _text(
    batch: pl.DataFrame, columns: Sequence[Column], positions: Mapping[str, int], feed: Feed
) -> tuple[pl.DataFrame, dict[str, cells.Oddities]]:
    """Return clean cells by column, null for no value, with `TYPED_ORIGIN`; and what is odd."""
    return _clean(_trimmed(batch, columns, positions), columns, feed)


def _trimmed(
    batch: pl.DataFrame, columns: Sequence[Column], positions: Mapping[str, int]
) -> pl.DataFrame:
    return batch.select(
        *(pl.col(str(positions[c.name])).str.strip_chars().alias(c.name) for c in columns),
        *(pl.col(name).alias(typed) for name, typed in zip(ORIGIN, TYPED_ORIGIN, strict=True)),
    )


def _clean(
    trimmed: pl.DataFrame, columns: Sequence[Column], feed: Feed
) -> tuple[pl.DataFrame, dict[str, cells.Oddities]]:
    # Few columns have such cells, and to look takes a fifth of the time of making all anew.
    known = [(c, cells.null_words(feed.nulls | c.nulls), is_id(c, feed)) for c in columns]
    odd = _oddities(trimmed.select(c.name for c in columns), known)
    clean = [
        cells.cleaned(trimmed[c.name], c, words, is_id=names_things)
        for c, words, names_things in known
        if odd[c.name].cell or cells.changes_any(c)
    ]
    return trimmed.with_columns(clean) if clean else trimmed, odd


def _oddities(
    trimmed: pl.DataFrame, known: Sequence[tuple[Column, tuple[str, ...], bool]]
) -> dict[str, cells.Oddities]:
    """Return what any cell of each column may be; of the columns their words and whether an id."""
    if trimmed.height < _FEW:  # then to ask of each column is most of the time, and few have any
        every = {word for _, words, _ in known for word in words}
        if not cells.any_odd(
            trimmed, every, [c.name for c, _, names_things in known if names_things]
        ):
            return {c.name: cells.Oddities(cell=False) for c, _, _ in known}
    asked = [cells.asked(c.name, words, is_id=names_things) for c, words, names_things in known]
    answers = iter(trimmed.select(chain.from_iterable(asked)).row(0))
    return {
        c.name: cells.Oddities(*islice(answers, len(its)))
        for (c, _, _), its in zip(known, asked, strict=True)
    }


def _cleaned(position: int, words: tuple[str, ...]) -> pl.Expr:
    """Return the trimmed cell, null where it is one of the words for no value."""
    value = pl.col(str(position)).str.strip_chars()
    return pl.when(~value.is_in(words)).then(value)


def _failed(values: pl.Series, cast: pl.Series, column: Column, plan: Plan) -> pl.Series | None:
    """Return where the file gives a value that is none of its kind; None if that is nowhere.

    Of a time that follows a date, the date says it: where that was read, so was the time, unless it
    is too fine; and so the amount says whether what it states is a currency.
    """
    if plan.readings[column.name].follows:
        fine = values.str.contains(clocks.TOO_FINE).fill_null(value=False)
        return fine if fine.any() else None
    if column.kind is Kind.CURRENCY and plan.amount_at(plan.sources[column.name]):
        return None
    if cast.null_count() <= values.null_count():
        return None  # to count costs nothing; no cast makes a value of none but a substitute
    failed = cast.is_null() & values.is_not_null()
    return failed if failed.any() else None


def _reasons(values: pl.Series, failed: pl.Series, column: Column, plan: Plan) -> Iterator[Reason]:
    """Give the values that failed by the rule that they break, each with what it needs."""
    positions = failed.arg_true()
    some, reading = values.gather(positions), plan.readings[column.name]
    rest = pl.repeat(value=True, n=len(some), eager=True)
    cast = CASTS[column.kind]
    for mask, rule, needed in (
        *cells.damage(some, is_id=is_id(column, plan.feed)),
        *cast.reasons(some, column, reading),
        *_by_the_other_style(some, column, plan),
        (rest, cast.rule, cast.needed(column)),
    ):
        mine = mask.fill_null(value=False) & rest
        rest &= ~mine
        if mine.any():
            yield (failed & False).scatter(positions.filter(mine), values=True), rule, needed


def _by_the_other_style(values: pl.Series, column: Column, plan: Plan) -> Iterator[Reason]:
    """Give the values that are good ones by another way than account or feed declares."""
    cast = CASTS[column.kind]
    if cast.declared is None:
        return
    name, styles = cast.declared
    setting = plan.account.setting(name)
    declared = setting.value or column.style
    because = setting.because if setting.value else "the feed declares it"
    for style in styles if declared is not None else ():
        if style != declared:
            other = replace(plan.readings[column.name], style=style)
            good = cast.values(values, column, other).is_not_null()
            needed = f"{cast.needed(column)}, by the {setting} {declared}"
            yield good, cast.rule, f"{needed}, as {because}"


def _with_currency(
    typed: pl.DataFrame, text: pl.DataFrame, plan: Plan
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Return the rows with the currency that their amounts state, and a fault where these differ.

    Where the file has no column for it, all its amounts have one.
    """
    columns = {column.name: column for column in plan.feed.columns}
    own = next((c for c in columns.values() if c.kind is Kind.CURRENCY and c.name in typed), None)
    if own is None:
        return typed, []
    first = plan.amount_at(plan.sources[own.name]) or own.name
    names = [first, *(name for name in plan.decided.stating if name != first)]
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


def _in_another_currency(
    typed: pl.DataFrame, text: pl.DataFrame, plan: Plan
) -> Iterator[pl.DataFrame]:
    """Give a fault for each amount that states another currency than the columns which tell it."""
    for column in plan.feed.columns:
        told = [typed[name] for name in column.currency_in if name in typed.columns]
        if not told or column.name not in plan.decided.stating:
            continue
        stated = decimals.currency(text[column.name])
        meant = currencies.all_meant(stated, plan.account.currency)
        if (differ := currencies.disagreeing(meant, told)).any():
            whole = pl.concat_str(told, separator=" or ", ignore_nulls=True)
            rows, shown = text.with_columns(whole.alias("_whole")), plan.headings[column.name]
            needed = pl.format("an amount in {}, as its row says", pl.col("_whole"))
            yield fault_rows(rows, differ, column, shown, "currency", needed)


def _extra(batch: pl.DataFrame, plan: Plan) -> pl.Series:
    """Return the cells that no column uses as JSON objects, null where all of them are empty."""
    if not plan.extras:
        return pl.Series(EXTRA, [None] * batch.height, dtype=pl.String)
    words = cells.null_words(plan.feed.nulls)
    frame = batch.select(_cleaned(at, words).alias(name) for name, at in plan.extras.items())
    filled = pl.any_horizontal(pl.all().is_not_null())
    return frame.select(
        pl.when(filled).then(pl.struct(pl.all()).struct.json_encode()).alias(EXTRA)
    ).to_series()
