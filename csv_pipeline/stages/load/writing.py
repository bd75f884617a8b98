"""Write what staged rows change, and find the rows that the database itself refuses.

A table may hold rows to more than the contract does: checks, foreign keys, unique columns and
triggers of its owner. All rows are written at once; only if the database refuses that, they are
written by halves. A half that is one row is tried once more after the others, because what it
conflicted with may be another value by then, and becomes a reject.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from csv_pipeline.errors import FileRefusedError, TableRefusesError
from csv_pipeline.stages.load.resolution import Resolution
from csv_pipeline.stages.load.staged import OUTCOME
from csv_pipeline.storage.database import affected

MOST_REFUSED = 2_000
"""So many rows may a table refuse of a file, if its feed names no number of rejects: to find each
takes milliseconds."""

_OF_A_ROW = ("22", "23", "44", "54", "P0001")


class RowRefusedError(Exception):
    """The table refuses a row of a load that is not careful: nothing of it is stored."""


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows statements touched."""

    inserted: int = 0
    saved: int = 0
    updated: int = 0
    refused: int = 0

    @property
    def taken(self) -> int:
        """The rows that the table took."""
        return self.inserted + self.updated

    def __add__(self, other: "Written") -> "Written":
        return Written(
            self.inserted + other.inserted,
            self.saved + other.saved,
            self.updated + other.updated,
            self.refused + other.refused,
        )


def write(
    connection: sa.Connection, resolution: Resolution, hold: Callable[[int], None], *, updates: bool
) -> Written:
    """Save history, update and insert, and return how many rows that were.

    A row that the database refuses is in `matched` as rejected, and in `refused` with the reason.
    `hold` is told how many those are so far, and raises if that is too many for the feed.

    Raises:
        FileRefusedError: The table refuses too many; the others are not looked for.
    """
    try:
        if not resolution.incoming.careful:
            return _at_once(connection, resolution, (), updates=updates)
        return _write(connection, resolution, (), updates=updates)
    except sa.exc.DBAPIError as error:
        if not is_of_a_row(error):
            raise
        if not resolution.incoming.careful:
            raise RowRefusedError from error
    connection.execute(CreateTable(resolution.refused, if_not_exists=True))
    for name in (resolution.staging.name, resolution.matched.name):
        connection.execute(sa.text(f"CREATE INDEX ON {name} (_row_number)"))
    rows = resolution.staging.c._row_number
    first, last = connection.execute(sa.select(sa.func.min(rows), sa.func.max(rows))).one()
    return _by_halves(connection, resolution, hold, (first, last), updates=updates)


def is_of_a_row(error: sa.exc.DBAPIError | psycopg.Error) -> bool:
    """Return whether it is a row that the server refuses; PostgreSQL's Appendix A.

    Classes 22 (data), 23 (integrity), 44 (view's check), 54 (a limit, as of an index) and an
    exception that a trigger raised.
    """
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return (getattr(cause, "sqlstate", None) or "").startswith(_OF_A_ROW)


def _write(
    connection: sa.Connection,
    resolution: Resolution,
    block: tuple[sa.ColumnElement[bool], ...],
    *,
    updates: bool,
) -> Written:
    with connection.begin_nested():
        return _at_once(connection, resolution, block, updates=updates)


def _at_once(
    connection: sa.Connection,
    resolution: Resolution,
    block: tuple[sa.ColumnElement[bool], ...],
    *,
    updates: bool,
) -> Written:
    saved = updated = 0
    if updates:
        saved = affected(connection, resolution.save_history(*block))
        updated = affected(connection, resolution.update(*block))
    return Written(affected(connection, resolution.insert(*block)), saved, updated)


def _by_halves(
    connection: sa.Connection,
    resolution: Resolution,
    hold: Callable[[int], None],
    block: tuple[int, int],
    *,
    updates: bool,
) -> Written:
    """Write rows with numbers from the first to the last of a block."""
    blocks, written = [block], Written()
    again: list[tuple[int, Any, int]] = []
    while blocks:
        first, last = blocks.pop()
        try:
            written += _write(
                connection, resolution, resolution.block(first, last), updates=updates
            )
        except sa.exc.DBAPIError as error:
            if not is_of_a_row(error):
                raise
            if first == last:
                again.append((first, error.orig, written.taken))
            else:
                middle = (first + last) // 2
                blocks += [(middle + 1, last), (first, middle)]
        if again and (not blocks or _is_too_many(written.refused + len(again), resolution, hold)):
            for row_number, refusal, taken in again:
                if taken == written.taken:  # nothing has changed since
                    written += _refuse(connection, resolution, row_number, refusal)
                else:
                    written += _once_more(connection, resolution, row_number, updates=updates)
            again.clear()
            if blocks:
                hold(written.refused)
                _hold_to_bound(connection, resolution, written.refused)
    return written


def _once_more(
    connection: sa.Connection, resolution: Resolution, row_number: int, *, updates: bool
) -> Written:
    block = resolution.block(row_number, row_number)
    try:
        return _write(connection, resolution, block, updates=updates)
    except sa.exc.DBAPIError as error:
        if not is_of_a_row(error):
            raise
        return _refuse(connection, resolution, row_number, error.orig)


def _is_too_many(refused: int, resolution: Resolution, hold: Callable[[int], None]) -> bool:
    try:
        hold(refused)
    except FileRefusedError:
        return True
    return resolution.feed.max_rejected_rows is None and refused > MOST_REFUSED


def _hold_to_bound(connection: sa.Connection, resolution: Resolution, refused: int) -> None:
    if resolution.feed.max_rejected_rows is None and refused > MOST_REFUSED:
        rule = resolution.refused.c.rule
        often = sa.select(rule).where(rule.startswith("database.")).group_by(rule)
        often = often.order_by(sa.func.count().desc(), rule).limit(1)
        table, name = resolution.target.fullname, resolution.claim.name
        raise TableRefusesError(name, table, refused, str(connection.scalar(often)))


def _refuse(
    connection: sa.Connection, resolution: Resolution, row_number: int, refusal: Any
) -> Written:
    """Record why the database refuses a row.

    What else it says quotes the row, and so may the words of a trigger: where a feed has protected
    columns, these are left out.
    """
    matched, said = resolution.matched, refusal.diag
    what = said.constraint_name or said.column_name or refusal.sqlstate
    own_words = refusal.sqlstate[:2] in {"23", "44", "54"} and bool(said.table_name)
    tells = own_words or not any(column.protected for column in resolution.feed.columns)
    tells = tells and refusal.sqlstate[:2] != "22"
    primary = f"; found: {said.message_primary}" if tells else ""
    connection.execute(sa.delete(matched).where(matched.c._row_number == row_number))
    connection.execute(sa.insert(matched).values({"_row_number": row_number, OUTCOME: "rejected"}))
    connection.execute(
        sa.insert(resolution.refused).values(
            _row_number=row_number,
            column=said.column_name,
            rule=f"database.{what}",
            message=f"a row that the table takes was needed{primary}",
        )
    )
    return Written(refused=1)
