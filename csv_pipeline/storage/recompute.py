"""Recompute of a derived table what imports and undos changed since the last time.

All of it happens in one transaction that sees one state of the database: which imports came since,
which rows they touched, and the rows that are computed. It notes the last turn it has seen, so that
the next one begins there; one that was killed has noted nothing.

A row is touched if it changed in between. The row as it is now has the number of a new import, or
it was put back by an undo, whose history has its key. The row as it was lies in the history of a
new import or undo. When an undo is undone, the rows that come back have their first number again,
so that their import counts as new. Rows that somebody changed in the database are not seen.
"""
# ruff: noqa: S608  # the statements are made of declared ones and of names; all values are bound

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.errors import DatabaseUnavailableError
from csv_pipeline.spec.derived import DerivedTable
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.names import MISSING_SINCE
from csv_pipeline.storage import tables
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.derived import derived_table, scope_table
from csv_pipeline.storage.session import sqlstate
from csv_pipeline.storage.targets import FEW_ROWS, SCHEMA, key_columns, target_table

_TRIES = 5
_CHANGED_MEANWHILE = "40001"
_PATIENCE = "60s"  # with another process that recomputes the same
_READ_ONCE = "SET LOCAL enable_nestloop = off"
"""Of many rows that came just now the server knows no numbers yet, and takes them for a few."""
_PLAN = {"jit": "off", "random_page_cost": "1.1", "lock_timeout": _PATIENCE}
_BY_BLOCKS = "SET LOCAL enable_seqscan = off"
"""The server takes an index by blocks for useless where values that lie together have no order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """What was recomputed of an account's rows of a derived table.

    `everything` says that it was all of them; else the `scopes` that `imports` touched.
    """

    derived: str
    account: str
    imports: int = 0
    scopes: int = 0
    rows_before: int = 0
    rows: int = 0
    everything: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Since:
    """The imports and undos of a feed since the last time, as `_IMPORTS_SINCE` gives them."""

    turn: int
    imports: int
    few: Sequence[int]
    many: Sequence[int]
    undos: Sequence[int]
    pruned: bool

    @property
    def replaced_by(self) -> list[int]:
        return [*self.few, *self.many, *self.undos]


def recompute(
    database: Database,
    derived: DerivedTable,
    feeds: Sequence[Feed],
    account: str,
    *,
    everything: bool = False,
) -> Recomputed:
    """Recompute what changed of an account, or `everything`; `feeds` are those it is derived from.

    It is everything the first time, and where the history of what changed is dropped.

    Raises:
        DatabaseUnavailableError: The server does not answer, or another process that recomputes
            the same does not end.
    """
    for last in (*[False] * (_TRIES - 1), True):
        try:
            with database.begin() as connection:
                return _Recompute(connection, derived, feeds, account).done(everything=everything)
        except DatabaseUnavailableError as error:
            cause = error.__cause__
            came_later = isinstance(cause, sa.exc.DBAPIError) and (
                sqlstate(cause) == _CHANGED_MEANWHILE
            )
            if last or not came_later:
                raise
    raise AssertionError


def behind(connection: sa.Connection, every: Iterable[DerivedTable]) -> list[tuple[str, str, int]]:
    """Return which derived tables lack what was imported, each with the account and last turn."""
    reads = [(derived.name, feed) for derived in every for feed in derived.touched]
    if not reads:
        return []
    facts = {"derived": [name for name, _ in reads], "feeds": [feed for _, feed in reads]}
    return [tuple(row) for row in connection.execute(_BEHIND, facts)]


class _Recompute:
    """The statements of one transaction."""

    def __init__(
        self, connection: sa.Connection, derived: DerivedTable, feeds: Sequence[Feed], account: str
    ) -> None:
        self._connection, self._derived, self._feeds = connection, derived, feeds
        self._table = derived_table(derived)
        self._account = account

    def done(self, *, everything: bool) -> Recomputed:
        """Recompute what is due and note that it is done."""
        # The first statement of all, before anything of the database is seen.
        self._connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        plan = (sa.func.set_config(name, value, True) for name, value in _PLAN.items())
        self._connection.execute(sa.select(*plan))
        noted = self._locked()
        since = {feed.name: self._since(feed, noted.get(feed.name)) for feed in self._feeds}
        everything |= any(noted.get(name) is None or its.pruned for name, its in since.items())
        imports = sum(its.imports for its in since.values())
        told = Recomputed(
            derived=self._derived.name,
            account=self._account,
            imports=imports,
            everything=everything,
        )
        if not everything and not imports:
            return told
        if everything or any(its.many for its in since.values()):
            self._connection.execute(sa.text(_READ_ONCE))
        indexes = [index for of in self._derived.indexes.values() for index in of]
        if not everything and any(index.startswith("USING brin") for index in indexes):
            self._connection.execute(sa.text(_BY_BLOCKS))
        at_once = everything and "{scope}" not in self._derived.select
        if not at_once:
            self._find_scopes(None if everything else since)
        before = self._delete(everything=everything)
        rows = self._insert(at_once=at_once)
        scopes = self._count_scopes(at_once=at_once)
        self._note(since)
        return Recomputed(
            derived=told.derived,
            account=told.account,
            imports=imports,
            scopes=scopes,
            rows_before=before,
            rows=rows,
            everything=everything,
        )

    def _locked(self) -> dict[str, int]:
        """Return the turns noted, and keep others from recomputing the same meanwhile.

        A turn of -1, of a feed that is new to it, is none.
        """
        done = tables.recomputed
        names = sorted(feed.name for feed in self._feeds)
        facts = {"derived": self._derived.name, "account": self._account, "turn": -1}
        rows = [{**facts, "feed": name} for name in names]
        self._connection.execute(insert(done).values(rows).on_conflict_do_nothing())
        query = (
            sa.select(done.c.feed, done.c.turn)
            .where(done.c.derived == self._derived.name, done.c.account == self._account)
            .order_by(done.c.feed)
            .with_for_update()
        )
        return {row.feed: row.turn for row in self._connection.execute(query) if row.turn >= 0}

    def _since(self, feed: Feed, turn: int | None) -> _Since:
        few = FEW_ROWS - 1  # lines: rows without a header were once numbered from 2
        facts = {"account": self._account, "feed": feed.name, "turn": turn or 0, "few": few}
        row = self._connection.execute(_IMPORTS_SINCE, facts).one()
        return _Since(**row._mapping)

    def _find_scopes(self, since: dict[str, _Since] | None) -> None:
        """Make the table `scope`."""
        names = ", ".join(f'"{name}"' for name in self._derived.scope)
        found: list[str] = []
        facts: dict[str, Any] = {}
        for number, feed in enumerate(self._feeds):
            touched, its = self._touched(feed, number, since[feed.name] if since else None)
            facts |= its
            query = self._of_account(self._derived.touched[feed.name])
            found.append(query.replace("{touched}", f"({touched})"))
        scope_table(self._derived).create(self._connection)
        self._execute(
            f"INSERT INTO scope ({names}) "
            + " UNION ".join(f"SELECT DISTINCT {names} FROM ({query}) AS found" for query in found),
            **facts,
        )
        self._execute("ANALYZE scope")

    def _count_scopes(self, *, at_once: bool) -> int:
        """Return how many scopes were computed; all at once, those that have rows."""
        names = ", ".join(f'"{name}"' for name in self._derived.scope)
        found = f'{SCHEMA}."{self._table.name}" WHERE account = :account' if at_once else "scope"
        query = sa.text(f"SELECT count(*) FROM (SELECT DISTINCT {names} FROM {found}) AS scopes")
        wanted = {"account": self._account} if at_once else {}
        return self._connection.scalar(query, wanted) or 0

    def _touched(
        self, feed: Feed, number: int, since: _Since | None
    ) -> tuple[str, dict[str, Sequence[int]]]:
        """Return a SELECT of the rows of a feed that changed, before and after; or of all rows."""
        columns = [f'"{column.name}"' for column in feed.columns]
        names = ", ".join(columns)
        table, history = f'{SCHEMA}."{feed.name}"', f'{SCHEMA}."{feed.name}_history"'
        if since is None:
            return f"SELECT {names} FROM {table} WHERE account = :account", {}
        of_now = ", ".join(f"now.{name}" for name in columns)
        key = " AND ".join(f'now."{name}" = before."{name}"' for name in key_columns(feed))
        facts = {
            f"few_{number}": since.few,
            f"many_{number}": since.many,
            f"undos_{number}": since.undos,
            f"replaced_by_{number}": since.replaced_by,
        }
        new = f"SELECT {names} FROM {table} WHERE account = :account AND _import_id = ANY"
        parts = {
            f"few_{number}": f"{new}(:few_{number}) AND _row_number <= {FEW_ROWS}",
            f"many_{number}": f"{new}(:many_{number})",
            f"replaced_by_{number}": f"SELECT {names} FROM {history} WHERE account = :account "
            f"AND _replaced_by_import_id = ANY(:replaced_by_{number})",
            f"undos_{number}": f"SELECT {of_now} FROM {history} AS before JOIN {table} AS now "
            f"ON now.account = before.account AND {key} WHERE before.account = :account "
            f"AND before._replaced_by_import_id = ANY(:undos_{number})",
        }
        due = {name: facts[name] for name in parts if facts[name]}
        if not due:
            return f"SELECT {names} FROM {table} WHERE false", {}
        return " UNION ALL ".join(parts[name] for name in due), due

    def _delete(self, *, everything: bool) -> int:
        table = f'{SCHEMA}."{self._table.name}"'
        statement = f"DELETE FROM {table} AS old"
        if everything:
            return self._execute(f"{statement} WHERE old.account = :account")
        same = " AND ".join(f'old."{name}" = scope."{name}"' for name in self._derived.scope)
        return self._execute(f"{statement} USING scope WHERE old.account = :account AND {same}")

    def _insert(self, *, at_once: bool) -> int:
        """Compute the scopes found, or all there are at once."""
        names = ", ".join(f'"{column.name}"' for column in self._derived.columns)
        query = self._derived.select
        for feed, rows in self._derived.of_scopes.items():
            needed = f"{{{feed}}}" if at_once else f"({rows})"
            query = query.replace(f"{{{feed}_of_scopes}}", needed)
        query = self._of_account(query).replace("{scope}", "scope")
        scope = ", ".join(f'"{name}"' for name in self._derived.scope)
        of_scopes = "" if at_once else f"JOIN scope USING ({scope})"
        return self._execute(
            f'INSERT INTO {SCHEMA}."{self._table.name}" (account, {names}) '
            f"SELECT :account, {names} FROM ({query}) AS made {of_scopes}"
        )

    def _note(self, since: dict[str, _Since]) -> None:
        done = tables.recomputed
        for feed, its in since.items():
            self._connection.execute(
                sa.update(done)
                .where(
                    done.c.derived == self._derived.name,
                    done.c.account == self._account,
                    done.c.feed == feed,
                )
                .values(turn=its.turn, recomputed_at=sa.func.now())
            )

    def _of_account(self, query: str) -> str:
        """Let a declared statement see the rows of one account that no snapshot has flagged."""
        for feed in self._feeds:
            there = f" AND {MISSING_SINCE} IS NULL" if MISSING_SINCE in target_table(feed).c else ""
            rows = f'(SELECT * FROM {SCHEMA}."{feed.name}" WHERE account = :account{there})'
            query = query.replace(f"{{{feed.name}}}", rows)
        return query

    def _execute(self, statement: str, **facts: Any) -> int:
        clause = sa.text(statement)
        known = {"account": self._account, **facts}
        wanted = {name: value for name, value in known.items() if name in clause._bindparams}  # noqa: SLF001
        typed = [
            sa.bindparam(name, type_=sa.ARRAY(sa.BigInteger) if name != "account" else sa.Text())
            for name in wanted
        ]
        return self._connection.execute(clause.bindparams(*typed), wanted).rowcount


# What an undo of an undo brought back has the number of the first import. A `turn` orders what
# changed the rows of a feed and account.
_IMPORTS_SINCE = sa.text("""
    WITH new AS (
        SELECT
            i.turn,
            i.import_id,
            CASE WHEN i.outcome = 'undo' AND (i.report #>> '{undo,redone}')::boolean
                THEN (i.report #>> '{undo,import_id}')::bigint END AS brought_back,
            i.outcome = 'undo' AS is_undo,
            i.history_pruned_at IS NOT NULL AS pruned
        FROM csv_pipeline.import i
        WHERE i.account = :account AND i.feed = :feed AND i.turn > :turn AND i.turn IS NOT NULL
    ),
    own AS (
        SELECT import_id FROM new WHERE NOT is_undo
        UNION SELECT brought_back FROM new WHERE brought_back IS NOT NULL
    ),
    sized AS (
        SELECT own.import_id, i.history_pruned_at IS NOT NULL AS pruned,
            coalesce((i.report #>> '{lines,total}')::bigint BETWEEN 1 AND :few, false) AS is_small
        FROM own JOIN csv_pipeline.import i USING (import_id)
    )
    SELECT
        coalesce((SELECT max(turn) FROM new), :turn) AS turn,
        (SELECT count(*) FROM new) AS imports,
        ARRAY(SELECT import_id FROM sized WHERE is_small ORDER BY 1) AS few,
        ARRAY(SELECT import_id FROM sized WHERE NOT is_small ORDER BY 1) AS many,
        ARRAY(SELECT import_id FROM new WHERE is_undo ORDER BY 1) AS undos,
        EXISTS (SELECT FROM new WHERE pruned) OR EXISTS (SELECT FROM sized WHERE pruned) AS pruned
""")

_BEHIND = sa.text("""
    SELECT reads.derived, lane.account, max(last.turn)
    FROM csv_pipeline.lane
    JOIN unnest(CAST(:derived AS text[]), CAST(:feeds AS text[])) AS reads (derived, feed)
        USING (feed)
    LEFT JOIN csv_pipeline.recomputed done
        ON done.derived = reads.derived AND done.account = lane.account AND done.feed = lane.feed
    CROSS JOIN LATERAL (
        SELECT turn FROM csv_pipeline.import i
        WHERE i.account = lane.account AND i.feed = lane.feed AND turn IS NOT NULL
        ORDER BY turn DESC LIMIT 1
    ) AS last
    WHERE done.turn IS NULL OR done.turn < last.turn
    GROUP BY 1, 2
    ORDER BY 2, 1
""")
