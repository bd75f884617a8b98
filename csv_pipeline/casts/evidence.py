"""Collect what the values of a column prove about how they are written, and decide by it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from csv_pipeline.account import Setting
from csv_pipeline.errors import ContradictionError, UndecidableError
from csv_pipeline.model import Evidence, ReportWarning


@dataclass(slots=True)
class Sightings:
    """How many values showed something, and the first of them."""

    count: int = 0
    row_number: int = 0
    value: str = ""

    def add(self, mask: pl.Series, values: pl.Series, row_numbers: pl.Series) -> None:
        """Count the values under `mask`."""
        found = int(mask.sum() or 0)
        if not found:
            return
        first = mask.arg_max() or 0
        if not self.count or row_numbers[first] < self.row_number:
            self.row_number, self.value = row_numbers[first], values[first]
        self.count += found

    def join(self, others: "Sightings") -> None:
        """Count what was sighted elsewhere."""
        if others.count and (not self.count or others.row_number < self.row_number):
            self.row_number, self.value = others.row_number, others.value
        self.count += others.count


@dataclass(slots=True)
class Notes:
    """Whether any value of a column shows something, and one that does; by its name."""

    patterns: Mapping[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)

    @property
    def open(self) -> dict[str, str]:
        """What no value has shown yet, each with its pattern."""
        return {name: its for name, its in self.patterns.items() if name not in self.found}

    def add(self, values: pl.Series) -> None:
        """Take in one batch of trimmed values."""
        names = self.open
        if names and values.null_count() < values.len():
            self.take(names, _matches(values, names.values()), values)

    def take(
        self, names: Iterable[str], masks: Iterable[pl.Series | None], values: pl.Series
    ) -> None:
        """Note the values of which `masks` tells; None tells of no value."""
        for name, mask in zip(names, masks, strict=True):
            if mask is not None and mask.any():
                self.found[name] = str(values.filter(mask).min())  # distinct values have no order

    def of(self, masks: Iterable[pl.Series | None], values: pl.Series) -> "Notes":
        """Return the notes of the values of which `masks` tells."""
        mine = Notes(self.patterns)
        mine.take(self.patterns, masks, values)
        return mine


@dataclass(slots=True)
class Survey:
    """What the values of one column prove: one way to write them, the other, or neither.

    `styles` names the two ways, such as day first and month first; `proofs` are the patterns that
    only the one or the other can match, and `ambiguous` the one that both can. `plain`, if there is
    one, matches values that prove the first way; most are like that, and it is quickly asked.
    `read` gives of the others, and their row numbers, the part that the patterns are about.
    `declared` is the way that the feed declares, if it does. `notes` are what else is asked of the
    values on this occasion. `meaning` says what a value is by one of the styles, if it is anything;
    so it does by `another` way, which is only ever declared. Other columns prove nothing of one
    that is `alone`.
    """

    column: str
    heading: str
    protected: bool
    styles: tuple[str, str]
    proofs: tuple[str, str]
    ambiguous: str
    plain: str | None = None
    read: Callable[[pl.Series, pl.Series], pl.Series] | None = None
    declared: str | None = None
    notes: Notes = field(default_factory=Notes)
    meaning: Callable[[str, str], str | None] = lambda *_: None
    another: str = ""
    alone: bool = False
    seen: tuple[Sightings, Sightings] = field(default_factory=lambda: (Sightings(), Sightings()))
    open: Sightings = field(default_factory=Sightings)

    def add(self, values: pl.Series, row_numbers: pl.Series) -> None:
        """Take in one batch of trimmed values."""
        if self.plain is not None:
            plain = values.str.contains(self.plain)
            self.seen[0].add(plain, values, row_numbers)
            if plain.all():
                return
            values, row_numbers = values.filter(~plain), row_numbers.filter(~plain)
        written = values
        if self.read is not None:
            values = self.read(values, row_numbers)
            if values.null_count() == values.len():
                return
        patterns, noted = (*self.proofs, self.ambiguous), self.notes.open
        distinct = values.unique()
        repeats = 2 * distinct.len() < values.len()
        looked = distinct if repeats else values
        found = _matches(looked, (*patterns, *noted.values())).get_columns()
        masks = found[: len(patterns)]
        self.notes.take(noted, found[len(patterns) :], looked)
        if repeats and not any(mask.any() for mask in masks):
            return
        if repeats:
            masks = _matches(values, patterns).get_columns()
        for sightings, mask in zip((*self.seen, self.open), masks, strict=True):
            sightings.add(mask, written, row_numbers)

    def masks(self, values: pl.Series, row_numbers: pl.Series) -> tuple[pl.Series | None, ...]:
        """Return which trimmed values prove the one way, and the other, which are open, and notes.

        A mask each, None where it tells of no value; the notes have theirs in the order of their
        patterns.
        """
        if self.read is not None:
            values = self.read(values, row_numbers)
        first, *others = (
            values.str.contains(pattern).fill_null(value=False)
            for pattern in (*self.proofs, self.ambiguous, *self.notes.patterns.values())
        )
        if self.plain is not None:
            first |= values.str.contains(self.plain).fill_null(value=False)
        return tuple(mask if mask.any() else None for mask in (first, *others))

    def take(
        self, masks: Iterable[pl.Series | None], values: pl.Series, row_numbers: pl.Series
    ) -> "Survey":
        """Return the survey of the values of which `masks` tells."""
        seen = (Sightings(), Sightings(), Sightings())
        own = list(masks)
        for sightings, mask in zip(seen, own[:3], strict=True):
            if mask is not None:
                sightings.add(mask, values, row_numbers)
        notes = self.notes.of(own[3:], values)
        return replace(self, notes=notes, seen=seen[:2], open=seen[2])

    def told(self, setting: Setting) -> tuple[str | None, str]:
        """Return the way that is declared, whatever the values are, and who declares it."""
        if setting.value is not None:
            return setting.value, setting.evidence
        return self.declared, "the feed declares it"

    @property
    def has_both(self) -> bool:
        """Whether some values can only be the one way and others only the other."""
        return all(seen.count for seen in self.seen)

    def differ(self) -> ReportWarning:
        """Return that they are, though each was read as it says itself."""
        told = (
            f"{self.shown(s)} is {style}" for style, s in zip(self.styles, self.seen, strict=True)
        )
        return ReportWarning(
            code="column.styles_differ",
            message=f"column {self.heading!r}: {', '.join(told)}; each is read as only it can be, "
            "and values that can be both are refused",
            count=min(seen.count for seen in self.seen),
        )

    @property
    def proven(self) -> str | None:
        """The one way that values prove, if they do not prove both."""
        proven = [style for style, seen in zip(self.styles, self.seen, strict=True) if seen.count]
        return proven[0] if len(proven) == 1 else None

    @property
    def silent(self) -> bool:
        """Whether no value of the column is written in either way."""
        return not (self.open.count or any(seen.count for seen in self.seen))

    def because(self) -> str:
        """Return what the decision is based on."""
        first, second = self.seen
        if first.count and second.count:
            return (
                f"the column holds both: {self.shown(first)} can only be {self.styles[0]}, "
                f"{self.shown(second)} only {self.styles[1]}, and no value can be either"
            )
        proof = first if first.count else second
        rest = f"; it decides {self.open.count:,} that could be either" if self.open.count else ""
        more = f", like {proof.count - 1:,} more of the column" if proof.count > 1 else ""
        return f"{self.shown(proof)} can be nothing else{more}{rest}"

    def both_ways(self) -> str:
        """Return what the first open value is by each style; "" if it is protected."""
        if self.protected:
            return ""
        read = [f"{meant} by {way}" for way, meant in self.meanings.items()]
        return f": {', '.join(read)}" if len(read) > 1 else ""

    @property
    def meanings(self) -> dict[str, str]:
        """What the first open value is by each style by which it is anything."""
        ways = (*self.styles, *filter(None, [self.another]))
        meant = {way: self.meaning(self.open.value, way) for way in ways}
        return {way: its for way, its in meant.items() if its}

    def all_open(self) -> "Survey":
        """Return the survey with what proves a style among what could be either, and alone."""
        made = Sightings()
        for its in (*self.seen, self.open):
            made.join(its)
        return replace(self, seen=(Sightings(), Sightings()), open=made, alone=True)

    def shown(self, sightings: Sightings) -> str:
        """Return the first value seen and its row, the value masked if it is protected."""
        value = "the value" if self.protected else repr(sightings.value)
        return f"{value} in row {sightings.row_number}"


def _matches(values: pl.Series, patterns: Iterable[str]) -> pl.DataFrame:
    """Return a column for each pattern: where it matches, null where there is no value."""
    return values.to_frame("value").select(
        pl.col("value").str.contains(pattern).alias(str(number))
        for number, pattern in enumerate(patterns)
    )


def decide(
    surveys: list[Survey], setting: Setting, settled: Mapping[str, str | None], file_name: str
) -> tuple[dict[str, str | None], list[Evidence]]:
    """Return each column's way and the evidence for it; None means each value speaks for itself.

    What the account declared settles what is open; then what the feed did; then what is `settled`
    of a column beforehand, because the file holds rows of one that was read before. A column that
    proves nothing follows the other columns of the file if these agree.

    Raises:
        ContradictionError: A value proves another way than account or feed declared.
        UndecidableError: A column has values that could be either and nothing settles which.
    """
    decisions: dict[str, str | None] = {}
    evidence = []
    proven = {survey.proven for survey in surveys} - {None}
    for survey in surveys:
        style, because = survey.told(setting)
        if style is not None and settled.get(survey.column) is None:
            who = setting.because if setting.value else because
            refuse_disproved(survey, style, who, file_name, setting)
        if style is None:
            style, because = settled.get(survey.column), "so was the import read that is repaired"
        if survey.silent:
            decisions[survey.column] = style
            continue
        if style is None:
            style, because = survey.proven, survey.because()
            if style is None and survey.open.count:
                style, because = _by_the_others(survey, proven, file_name, setting)
        decisions[survey.column] = style
        evidence.append(
            Evidence(
                subject=f"{setting} of {survey.heading}",
                decision=str(style or "each value by itself"),
                because=because,
            )
        )
    return decisions, evidence


def refuse_disproved(
    survey: Survey, told: str, because: str, file_name: str, setting: Setting
) -> None:
    """Hold the values of a column against the way that something else tells.

    Raises:
        ContradictionError: A value proves another one.
    """
    for style, seen in zip(survey.styles, survey.seen, strict=True):
        if style != told and seen.count:
            raise ContradictionError(
                file_name,
                f"column {survey.heading!r} needs the {setting} {told}, as {because}",
                f"{survey.shown(seen)} can only be {style}; "
                f"{_way_out(survey, told, style, setting)}",
            )


def _way_out(survey: Survey, told: str, proven: str, setting: Setting) -> str:
    """Return what settles that a column proves another way than it is told."""
    if setting.value is None:
        return "correct the one or the other"
    if survey.proven:
        return f"correct the file, or declare what it holds: {setting.declare(proven)}"
    if survey.open.count:
        return f"others can only be {told}: correct the file"
    return f"others can only be {told}: correct the file, or let each tell: {setting.forget}"


def _by_the_others(
    survey: Survey, proven: set[str | None], file_name: str, setting: Setting
) -> tuple[str | None, str]:
    both = survey.has_both
    if len(proven) == 1 and not (both or survey.alone):
        style = next(iter(proven))
        return style, f"the column settles nothing; other columns of the file prove {style}"
    found = f"{survey.shown(survey.open)} could be either{survey.both_ways()}"
    if survey.open.count > 1:
        found += f", like {survey.open.count - 1:,} more of the column"
    first, second = survey.styles
    if both:
        one, other = (survey.shown(seen) for seen in survey.seen)
        found += f", while {one} can only be {first} and {other} only {second}"
        needed = f"needs one {setting}"
    else:
        needed = f"needs a value that settles {first} or {second}, or the setting {setting.name!r} "
        needed += f"of account {setting.account!r}"
        if len(proven) > 1:
            found += "; other columns of the file prove both"
        else:
            declared = [setting.declare(style) for style in survey.meanings or survey.styles]
            found += f"; to settle it: {' or '.join(declared)}"
    raise UndecidableError(file_name, f"column {survey.heading!r} {needed}", found)
