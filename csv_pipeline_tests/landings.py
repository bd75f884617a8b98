"""A landing area of a test's own, in any store, and files to drop there."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from csv_pipeline.account import Account
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.location import Location
from csv_pipeline.model import ImportReport
from csv_pipeline.storage import accounts, arrivals, tables
from csv_pipeline_tests.conftest import advance, ingest
from csv_pipeline_tests.file_stores import Own

GOOD = "ID,Name\n1,Ann\n"
OTHER = "ID,Name\n2,Bob\n"
WRONG = "Colour,Size\nred,3\n"


class _Today:
    """The day that it is when it is written into a name, as tests may run over midnight."""

    def __str__(self) -> str:
        return f"{datetime.now(UTC):%Y-%m-%d}"


TODAY = _Today()


class Landing:
    """A landing area in the test's own part of a store, and where files go from there."""

    def __init__(self, pipeline: Pipeline, account: str, own: Own, **how: Any) -> None:
        areas = ("landing", "archive_folder", "refused_folder", "results_folder", "rejects_folder")
        there = {area: own.location(f"in/{area.removesuffix('_folder')}") for area in areas}
        landing = {"landing": (there["landing"],)}
        settings = pipeline.settings.model_copy(update=there | landing | how)
        self.pipeline, self.account = replace(pipeline, settings=settings), account
        self.own, self.lane = own, f"{account}/people"

    def keeping(self, **how: Any) -> "Landing":
        return Landing(self.pipeline, self.account, self.own, **how)

    def drop(self, name: str, content: str = GOOD, age: float = 60) -> Location:
        self.own.put(self.key(name), content, age)
        return self.own.location(self.key(name))

    def key(self, name: str, kind: str = "landing") -> str:
        return f"in/{kind}/{self.lane}/{name}"

    def zip(self, name: str, **members: str) -> Location:
        self.own.put_zip(self.key(name), **members)
        return self.own.location(self.key(name))

    def claimed(self, *arrival_ids: int) -> list[Import]:
        self.pipeline.scan(seconds=10)
        named = {"arrival_ids": arrival_ids} if arrival_ids else {}
        claims = self.pipeline.claim(self.account, "people", **named)  # type: ignore[arg-type]
        return [Import(self.pipeline, claim) for claim in claims]

    def bring(self, *arrival_ids: int) -> list[ImportReport]:
        return [ingest(self.pipeline, one.claim) for one in self.claimed(*arrival_ids)]

    def declare(self, **facts: Any) -> None:
        with self.pipeline.database.begin() as connection:
            accounts.declare(connection, Account(account=self.account, **facts))

    def killed_after_commit(self) -> None:
        for import_ in self.claimed():
            advance(import_, Stage.LOAD)

    def arrivals(self) -> dict[str, Any]:
        with self.pipeline.database.begin() as connection:
            return {row.name: row for row in arrivals.find(connection, account=self.account)}

    def moves(self) -> list[tuple[str, str | None]]:
        table = tables.file_move
        query = sa.select(table).where(table.c.account == self.account)
        with self.pipeline.database.begin() as connection:
            rows = connection.execute(query.order_by(table.c.file_move_id)).all()
        return [(row.source, row.target) for row in rows]

    def row(self, name: str) -> Any:
        """Return the arrival that was found under a name in the landing area."""
        location = str(self.own.location(self.key(name)))
        with self.pipeline.database.begin() as connection:
            (found,) = arrivals.find(connection, account=self.account, named=[location])
        return found

    def set(self, *arrival_ids: int, **values: Any) -> None:
        table = tables.arrival
        mine = table.c.arrival_id.in_(arrival_ids) if arrival_ids else sa.true()
        with self.pipeline.database.begin() as connection:
            connection.execute(
                sa.update(table).where(table.c.account == self.account, mine).values(values)
            )

    def let_time_pass(self) -> None:
        """Let it be time to ask every silent store again, and to try every file."""
        self.set(not_before=None)
        due = sa.update(tables.silent_store).values(next_attempt_at=sa.func.now())
        with self.pipeline.database.begin() as connection:
            connection.execute(due)

    def lying(self, kind: str) -> list[str]:
        prefix = self.key("", kind)
        return [key.removeprefix(prefix) for key in self.own.keys(prefix)]

    def kept(self, name: str, kind: str = "archive") -> str:
        return self.own.get(self.key(name, kind))
