"""What a feed is: its contract, key, policies, layouts, transforms and checks."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from typing import Literal

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.errors import BrokenFeedError, SetupError, UnknownFeedError
from csv_pipeline.model import Evidence, FileFacts, NonDataLine, ReportWarning
from csv_pipeline.spec.catalog import Catalog
from csv_pipeline.spec.conflict import ConflictPolicy, Overwrite
from csv_pipeline.spec.contract import (
    Column,
    Contract,
    columns_of,
    headings_of,
    hold_zone,
    meanings_of,
    protected,
)
from csv_pipeline.spec.derived import DerivedTable
from csv_pipeline.spec.dialect import TableDialect
from csv_pipeline.spec.duplicates import DuplicatePolicy, LastInFile
from csv_pipeline.spec.file_name import FileName
from csv_pipeline.spec.names import hold_names
from csv_pipeline.spec.sign import hold_signs
from csv_pipeline.spec.snapshot import Snapshot
from csv_pipeline.spec.version import version_of
from csv_pipeline.spec.worklist import Worklist

SHARE_FROM_ROWS = 20

FieldsMatch = Literal["exact", "equal", "subset", "superset", "partial"]
"""How the columns of a file and those of a contract are to match: see `Feed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NonDataPattern:
    """A record that belongs to the report's layout, such as a footer.

    `pattern` has to explain the whole raw text of the record, from its first character to its last,
    but for empty cells at the end; so it never takes a row that begins like a footer. Its groups
    are kept as facts about the file. One that is of the preamble is looked for `above` the header
    as well.
    """

    name: str
    pattern: str
    above: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One shape in which a feed's files come.

    A file has this layout if its header has any column of `marks`; a layout without marks takes any
    file. Then the header needs the columns of `required` too, and every row a value in `filled`.
    """

    name: str
    marks: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()


Transform = (
    Callable[[pl.LazyFrame], pl.LazyFrame] | Callable[[pl.LazyFrame, FileFacts], pl.LazyFrame]
)
"""Makes derived columns, each row by itself; one that needs them takes the facts of the file."""


@cache
def takes_facts(transform: Transform) -> bool:
    """Return whether a transform takes the facts of the file besides the rows.

    Raises:
        SetupError: It takes neither one argument nor two.
    """
    taken = [
        parameter
        for parameter in inspect.signature(transform).parameters.values()
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
        and parameter.default is parameter.empty
    ]
    if len(taken) not in {1, 2}:
        raise SetupError(
            f"transform {transform!r}: the rows, or the rows and the facts of the file were needed "
            f"as arguments; it takes {len(taken)}"
        )
    return len(taken) == 2


SELLER = "seller"
"""The subject of the evidence that names whose a file is; an account's files are of one seller,
unless it declares several.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFile:
    """What a feed's file checks may look at: the typed rows and what the file says of itself.

    `rows` has the contract's columns, null where the file lacks one, plus `_row_number` and
    `_line_number`, rows with faults among them; `malformed` has the `line_number` of each record
    that never became a row. `preamble` are the first lines with text above the header.
    """

    name: str
    layout: str
    account: Account
    rows: pl.LazyFrame
    malformed: pl.LazyFrame
    non_data: tuple[NonDataLine, ...]
    preamble: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)  # a feed is itself; what follows of it is cached
class Feed:
    """One kind of CSV: its contract, key, conflict policy and target table.

    Attributes:
        name: The folder in the landing area, the Dagster asset and the table in schema `data`.
        key: The columns that make a row the same, within an account. None: rows are the same that
            hold the same, counted, so that two identical rows of a file stay two.
        counted: What rows without a key are the same by, if it is not all columns: the others may
            change when the row comes again.
        conflict: What happens when the key is stored and the rows differ.
        column_conflicts: The same for single columns, by name.
        duplicates: What happens when a key comes several times in a file.
        snapshot: A file brings every row of a scope, and what becomes of stored rows that are not
            in it. None: a file says nothing about rows that are not in it.
        layouts: Tried in this order; the first that a header fits is the file's.
        transforms: Functions over typed rows that make the derived columns, in this order. They
            see all columns of the contract, nulls where the file lacks them; how many rows come at
            once is open, so that each row is to be made by itself. What they need of the others
            is in `FileFacts`, their second argument if they have one.
        asks_filled: Columns of which the transforms ask whether any row of the file has a value.
        file_checks: Functions that raise `ContradictionError` for a file that contradicts itself,
            and may return evidence of what they found, or a warning.
        extras: Patterns of names, from their beginning, that a header may have or lack besides:
            they are kept in `_extra` as others are, and are no drift.
        extras_after: The name of a column behind which no column is the contract's, whatever it is
            called.
        fields_match: What of the contract a header has to have, as Table Schema says it: the same
            columns in their order (`exact`) or any (`equal`), all of them at least (`subset`), no
            others (`superset`), or those that are required (`partial`).
        nulls: Cells, trimmed, that mean no value besides the empty one.
        dialect: How files are written, and whether they have a header. None: their bytes show it.
        encodings: Tried in this order when a file is not Unicode.
        time_zone: That of timestamps which state none, by its name of IANA, unless their
            column or the account declares one.
        confidential: No cell of its files is shown outside of the database, as if every column were
            protected: a row whose cells have shifted may hold a protected value in any of them.
        file_name: How files are named, and which derived columns the name tells.
        worklist: Which rows are work that remains; a list of them is written after each import.
        views: SELECT statements by view name, made in schema `data`.
        derived: Tables computed from its rows, made beside it, and recomputed after each import.
        catalog: Owners, tags, names and automation of its assets in Dagster.
        reject_rate_warning: The share of rejected rows above which the asset check warns.
        max_rejected_rows: A file with more rejected rows than these is refused; None: no limit.
        max_rejected_share: So is one with a greater share of them, unless it has fewer than
            `SHARE_FROM_ROWS` rows: a share says little about a handful.
        needs_good_row: A file is refused if none of its rows can be stored, however few there are.
        aliases: Names in headers with the columns that they name, besides those of the contract.
        maps: Columns with a word and what is stored for it, besides the words of the contract.
            These two are for `as_declared`.
    """

    name: str
    description: str
    contract: type[Contract]
    key: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    conflict: ConflictPolicy = field(default_factory=Overwrite)
    column_conflicts: Mapping[str, ConflictPolicy] = field(default_factory=dict)
    duplicates: DuplicatePolicy = field(default_factory=LastInFile)
    snapshot: Snapshot | None = None
    layouts: tuple[Layout, ...] = (Layout(name="standard"),)
    non_data: tuple[NonDataPattern, ...] = ()
    transforms: tuple[Transform, ...] = ()
    asks_filled: tuple[str, ...] = ()
    file_checks: tuple[Callable[[WholeFile], Evidence | ReportWarning | None], ...] = ()
    extras: tuple[str, ...] = ()
    extras_after: str | None = None
    fields_match: FieldsMatch = "partial"
    nulls: frozenset[str] = frozenset()
    dialect: TableDialect | None = None
    encodings: tuple[str, ...] = ("cp1252",)
    time_zone: str | None = None
    confidential: bool = False
    file_name: FileName | None = None
    worklist: Worklist | None = None
    views: Mapping[str, str] = field(default_factory=dict)
    derived: tuple[DerivedTable, ...] = ()
    group: str = "default"
    catalog: Catalog = field(default_factory=Catalog)
    reject_rate_warning: float = 0.05
    max_rejected_rows: int | None = None
    max_rejected_share: float | None = None
    needs_good_row: bool = False
    aliases: tuple[tuple[str, str], ...] = ()
    maps: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        """Hold the declaration to the contract's columns, and its names to what can hold them."""
        hold_names(self.name, self.contract, self.views, (t.name for t in self.derived))
        self.catalog.hold_to(self.name)
        if self.time_zone is not None:
            hold_zone(self.time_zone)
        hold_signs(self.name, self.columns)
        if self.snapshot is not None:
            policies = (self.conflict, *self.column_conflicts.values())
            self.snapshot.hold_to(self.name, self.columns, policies)
        if self.confidential and self.worklist:
            raise SetupError(f"feed {self.name!r}: a confidential feed cannot have a worklist")
        for transform in self.transforms:
            takes_facts(transform)
        shares = (self.reject_rate_warning, self.max_rejected_share or 0)
        if not all(0 <= share <= 1 for share in shares) or (self.max_rejected_rows or 0) < 0:
            raise SetupError(
                f"feed {self.name!r}: reject_rate_warning and max_rejected_share from 0 to 1, and "
                "max_rejected_rows of 0 or more were needed; found "
                f"{self.reject_rate_warning}, {self.max_rejected_share}, {self.max_rejected_rows}"
            )
        if fault := self._fault():
            raise SetupError(
                f"feed {self.name!r}: columns of its contract were needed for key or counted, "
                f"conflicts, duplicates, layouts, asks_filled, file_name and worklist; {fault}"
            )

    def _fault(self) -> str:
        """Return what the declaration says of a column that cannot be."""
        told = self.file_name.columns if self.file_name else frozenset[str]()
        decided_by_key = sorted(self.column_conflicts.keys() & {*self.key, *self.counted})
        if unknown := sorted(self._named() - {column.name for column in self.columns}):
            return f"the contract has no {', '.join(map(repr, unknown))}"
        if wrong := self._fault_of_key():
            return wrong
        if in_files := sorted(told - {c.name for c in self.columns if c.derived}):
            return f"the file's name tells {', '.join(map(repr, in_files))}, which is not derived"
        if decided_by_key:
            return f"{', '.join(map(repr, decided_by_key))} is of the key, which cannot differ"
        return ""

    def _fault_of_key(self) -> str:
        """Return why rows cannot be told apart by the columns declared; "" if they can."""
        if blank := sorted(
            c.name
            for c in self.columns
            if c.name in self.key and c.nullable and c.substitute is None
        ):
            return f"{', '.join(map(repr, blank))} of the key may be null and has no substitute"
        for names in (self.key, self.counted):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                return f"{', '.join(map(repr, twice))} is named twice"
        return "rows that have a key are not counted" if self.key and self.counted else ""

    def _named(self) -> set[str]:
        """Return the columns that the declaration names."""
        conflicts = (self.conflict, *self.column_conflicts.values())
        named = {
            *self.key,
            *self.counted,
            *self.column_conflicts,
            *self.duplicates.columns,
            *self.asks_filled,
        }
        named.update(name for policy in conflicts for name in policy.columns)
        named.update(self.worklist.columns if self.worklist else ())
        for layout in self.layouts:
            named |= layout.marks | layout.required | layout.filled
        return named

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The contract's columns in the order they are declared."""
        columns = protected(self.contract) if self.confidential else columns_of(self.contract)
        return tuple(map(self._declared, columns)) if self.aliases or self.maps else columns

    def _declared(self, column: Column) -> Column:
        its = {column.name, column.local_of}
        names = (name for name, named in self.aliases if named in its)
        words = {word.casefold(): stored for name, word, stored in self.maps if name == column.name}
        return replace(
            column,
            aliases=(*column.aliases, *names),
            choices={**column.choices, **words} if words else column.choices,
        )

    @cached_property
    def version(self) -> str:
        """What changes where rows may be read or stored in another way, and only there."""
        facts = {one.name: getattr(self, one.name) for one in fields(self)}
        return version_of({name: its for name, its in facts.items() if name not in _OF_NO_ROW})

    @property
    def relations(self) -> tuple[str, ...]:
        """The names of its views and derived tables."""
        return (*self.views, *(table.name for table in self.derived))

    @cached_property
    def headings(self) -> frozenset[str]:
        """Every name, reduced by `contract.heading`, that a header of this feed may hold."""
        return headings_of(self.columns)

    @cached_property
    def meanings(self) -> Mapping[str, str]:
        """What each of these names means; two that mean the same name the same columns."""
        return meanings_of(self.columns)


_OF_NO_ROW = frozenset(
    {
        "description",
        "confidential",
        "worklist",
        "views",
        "derived",
        "group",
        "catalog",
        "reject_rate_warning",
    }
)
"""What a feed declares that makes no other row of the same file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenFeed:
    """A feed that others go on without, and `why`.

    The file that declares it is wrong, or the table of its rows `differs` from what that declares.
    """

    name: str
    why: str
    differs: bool = False


def parted(feeds: Iterable[Feed | BrokenFeed]) -> tuple[tuple[Feed, ...], tuple[BrokenFeed, ...]]:
    """Return the feeds that can be used, and those that cannot.

    A feed with a table that is derived from one that is broken is so too.
    """
    several = tuple(feeds)
    whole = [one for one in several if isinstance(one, Feed)]
    broken = [one for one in several if isinstance(one, BrokenFeed)]
    for cause in broken:  # which grows
        if any(one.name == cause.name for one in whole):
            continue
        why = f"feed {cause.name!r} was needed to derive a table from; {cause.why}"
        lost = [one for one in whole if any(cause.name in its.touched for its in one.derived)]
        whole = [one for one in whole if one not in lost]
        broken += [BrokenFeed(name=one.name, why=why, differs=cause.differs) for one in lost]
    return tuple(whole), tuple(broken)


def as_declared(feed: Feed, account: Account) -> Feed:
    """Return a feed as the files of an account are read by it: with its aliases, maps, thresholds.

    The same for the same settings, as much is known by the feed.
    """
    said = {name: its for name in _OF_ACCOUNT if (its := getattr(account, name)) not in {None, ()}}
    return _as_declared(feed, Account(account="", **said)) if said else feed


@cache
def _as_declared(feed: Feed, account: Account) -> Feed:
    """Return a feed with what an account, whoever it is, declares of it."""
    said = {name: its for name, its in account.declared().items() if name not in _OF_SNAPSHOT}
    limits = {name: its for name, its in account.declared().items() if name in _OF_SNAPSHOT}
    snapshot = feed.snapshot and replace(feed.snapshot, **limits)
    return replace(feed, **said, snapshot=snapshot)


_OF_SNAPSHOT = ("max_missing_rows", "max_missing_share")
_OF_ACCOUNT = ("aliases", "maps", "max_rejected_rows", "max_rejected_share", *_OF_SNAPSHOT)
"""What an account may declare of a feed, by the same names."""


def feed_named(feeds: Mapping[str, Feed], name: str, broken: Iterable[BrokenFeed] = ()) -> Feed:
    """Return the feed of this name.

    Raises:
        BrokenFeedError: The file that declares it is wrong, or its table differs from it.
        UnknownFeedError: There is none.
    """
    if name in feeds:
        return feeds[name]
    for one in broken:
        if one.name == name:
            raise BrokenFeedError(name, one.why, differs=one.differs)
    raise UnknownFeedError(name, sorted(feeds))
