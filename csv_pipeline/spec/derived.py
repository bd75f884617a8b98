"""A table that is derived from feeds' tables, and recomputed for what imports touched only.

Its rows fall into scopes, such as the days of sales: values of some columns of its key. Each feed
that it reads has a statement that tells the scopes of rows that an import or an undo touched, and
one statement computes the rows of given scopes. Neither names an account: where they say `{orders}`
they see the rows of the feed `orders` of one account, and nothing of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from csv_pipeline.errors import SetupError

Type = Literal["text", "integer", "decimal", "date", "timestamp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedColumn:
    """A column of a derived table, described for whoever reads the table."""

    name: str
    type: Type
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """Lines of a derived table: the sums of columns, by the values of another one."""

    by: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)  # a table is itself, as a feed is
class DerivedTable:
    """A table in schema `data` that is computed from feeds' tables, account by account.

    Attributes:
        name: The table and the Dagster asset.
        description: What it tells, for a business user.
        columns: The columns that `select` returns, under their names.
        key: The columns that tell its rows apart, within an account. They are never null.
        scope: Columns of the key; all rows of a scope are recomputed at once.
        touched: A SELECT of the columns of `scope` by the name of a feed. `{touched}` has rows of
            the feed as they were before they changed and as they are now, with the feed's columns.
            It has to return every scope whose rows these may change, and none with a null.
        select: A SELECT of `columns`. Rows of scopes that are not to be computed are left out.
        of_scopes: A SELECT of rows of a feed by its name, all that `select` needs of it for the
            scopes to compute, which are in `{scope}`. `select` sees them as `{orders_of_scopes}`:
            all rows, where all scopes are computed.
        indexes: What the statements find rows of a feed's table by, under its name: what follows
            the table in CREATE INDEX. Each costs every load time.
        totals: Columns whose sums over all rows Dagster shows.
        first: Which rows Dagster shows, as in ORDER BY; those first by key, if empty.
        chart: What Dagster draws of it.
        group: The group of the asset; the feed's, if empty.
    """

    name: str
    description: str
    columns: tuple[DerivedColumn, ...]
    key: tuple[str, ...]
    scope: tuple[str, ...]
    touched: Mapping[str, str]
    select: str
    of_scopes: Mapping[str, str] = field(default_factory=dict)
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    totals: tuple[str, ...] = ()
    first: str = ""
    chart: LineChart | None = None
    group: str = ""

    def __post_init__(self) -> None:
        """Hold the declaration to the table's own columns."""
        known = {column.name for column in self.columns}
        drawn = {self.chart.by, *self.chart.lines} if self.chart else set()
        unknown = sorted({*self.key, *self.totals, *drawn} - known | {*self.scope} - {*self.key})
        if unknown or not self.scope or not self.touched:
            found = ", ".join(map(repr, unknown)) or "none"
            raise SetupError(
                f"derived table {self.name!r}: columns of its own for key, totals and chart, "
                f"columns of its key for scope, and a feed were needed; found {found}"
            )
