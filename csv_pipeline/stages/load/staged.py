"""The tables that a load works with: what it brings, what is stored, and how they meet."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.schema import CreateTable

from csv_pipeline.errors import AccountingError
from csv_pipeline.handover import OWN
from csv_pipeline.model import Claim
from csv_pipeline.spec.conflict import Values
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.spec.row_hash import CONTENT, HASH, OCCURRENCE
from csv_pipeline.stages.load.incoming import Incoming
from csv_pipeline.storage.targets import history_table, key_columns, target_table

Conditions = tuple[sa.ColumnElement[bool], ...]
OUTCOME = "outcome"
PLAN = {"jit": "off", "from_collapse_limit": "1", "random_page_cost": "1.1"}
"""How the server is to plan. A wide INSERT takes longer to compile than to run. Of a key of several
columns it expects one match, so that it would look through all rows of a class for each. And what
is stored of an account lies in memory or on a disk without arms, so that an index pays sooner."""

LINEAGE = ("_import_id", "_row_number", "_updated_at")
_DIALECT = pg.dialect()  # type: ignore[no-untyped-call]
WHOLE_ROW = "_whole"


class Staged:
    """Four temporary tables, made when they are needed, beside those of the feed.

    `extras` are the columns of the file that the feed does not know, whose cells are in `EXTRA`.
    `staging` holds the incoming rows, `matched` the outcome of those whose key is stored or that
    the database refuses, and whether they replace the stored one as a whole, `refused` why it does,
    and `repaired` which rejected row each one repairs.
    """

    def __init__(self, incoming: Incoming) -> None:
        present, self.extras = incoming.typed.columns, incoming.typed.extras
        feed, claim, replay = incoming.feed, incoming.claim, incoming.replay
        self.incoming, self.feed, self.claim, self.replay = incoming, feed, claim, replay
        self.target, self.history = target_table(feed), history_table(feed)
        self.key = key_columns(feed)
        self.sent = (*present, *(() if feed.key else (CONTENT, OCCURRENCE)), EXTRA, *HASH)
        self.staging = _staging(feed, (*(OWN if incoming.moved else ()), *self.sent))
        self.matched, self.refused, self.repaired = _MATCHED, _REFUSED, _REPAIRED
        self.values = tuple(name for name in present if name not in self.key)
        self.scope = feed.snapshot.scope if feed.snapshot else ()

    @property
    def preparation(self) -> str:
        """The statements that come before all others: how to plan, and two tables.

        A row is refused where it is written, and not at the end.
        """
        plan = (f"SET LOCAL {name} = {value}" for name, value in PLAN.items())
        tables_ = (CreateTable(table) for table in (self.staging, self.matched))
        made = (str(table.compile(dialect=_DIALECT)) for table in tables_)
        return ";".join([*plan, "SET CONSTRAINTS ALL IMMEDIATE", *made])

    def row(self, table: sa.FromClause) -> Values:
        """Return the columns of the contract in a table, null where it lacks one."""
        return {
            column.name: table.c[column.name]
            if column.name in table.c
            else sa.cast(sa.null(), self.target.c[column.name].type)
            for column in self.feed.columns
        }

    def of_account(self) -> sa.ColumnElement[bool]:
        """Return the condition for stored rows of the account."""
        return self.target.c.account == self.claim.account

    def same_key(self, rows: sa.FromClause) -> Conditions:
        """Return the conditions for a stored row with the key of a staged one."""
        same = (self.target.c[name] == rows.c[name] for name in self.key)
        return (self.of_account(), *same)

    def classed(self, outcome: str, *block: sa.ColumnElement[bool]) -> sa.FromClause:
        """Return the staged rows of a class; `PLAN` keeps them one side of a join."""
        same = self.matched.c._row_number == self.staging.c._row_number
        columns = self.staging, self.matched.c[WHOLE_ROW]
        query = sa.select(*columns).where(same, self.matched.c[OUTCOME] == outcome, *block)
        return query.subquery("classed")

    def import_id(self, rows: sa.FromClause) -> sa.ColumnElement[Any]:
        """Return the import that a staged row is of."""
        return rows.c[OWN[0]] if self.incoming.moved else sa.literal(self.claim.import_id)


def check(claim: Claim, what: str, needed: int, found: int) -> None:
    """Hold two counts of the same together.

    Raises:
        AccountingError: They differ.
    """
    if needed != found:
        raise AccountingError(
            f"{claim.name}, import {claim.import_id}: {needed:,} {what} were needed; {found:,} "
            "were counted, so nothing of it is stored"
        )


@cache  # as its statements are compiled once, if the table is the same
def _staging(feed: Feed, names: tuple[str, ...]) -> sa.Table:
    target = target_table(feed)
    types = {name: sa.BigInteger() if name in OWN else target.columns[name].type for name in names}
    return temporary("staging", {"_row_number": sa.BigInteger()} | types)


def temporary(name: str, columns: dict[str, Any]) -> sa.Table:
    """Return a table of the load, which ends with the transaction."""
    return sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(column, kind) for column, kind in columns.items()),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


_MATCHED = temporary(
    "matched", {"_row_number": sa.BigInteger(), OUTCOME: sa.Text(), WHOLE_ROW: sa.Boolean()}
)
_REFUSED = temporary(
    "refused",
    {"_row_number": sa.BigInteger()}
    | dict.fromkeys(("column", "rule", "value", "message"), sa.Text()),
)
_REPAIRED = temporary(
    "repaired", {"row_number": sa.BigInteger(), "repairs_row_number": sa.BigInteger()}
)
