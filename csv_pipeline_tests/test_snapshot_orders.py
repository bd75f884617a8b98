"""Snapshots, undos and undos of undos in any order: the table is as in a model."""

import random
from dataclasses import dataclass, field

import pytest

from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.storage import imports
from csv_pipeline_tests.conftest import Desk, one_of_many

HEADER = "SKU,Warehouse,Units\n"


@dataclass(frozen=True)
class Version:
    """What an import left of a row: its values, or that a snapshot lacked it."""

    warehouse: str
    units: int
    missing: bool = False


Rows = dict[str, Version]


@dataclass
class Model:
    """What the docs promise, by the plainest means: each import's versions, in their order."""

    deletes: bool
    by_warehouse: bool
    written: dict[int, Rows] = field(default_factory=dict)
    undone: set[int] = field(default_factory=set)

    def last(self) -> Rows:
        rows: Rows = {}
        for number, versions in self.written.items():
            if number not in self.undone:
                rows |= versions
        return rows

    def rows(self) -> Rows:
        """Return the rows as they are stored."""
        return {sku: v for sku, v in self.last().items() if not (self.deletes and v.missing)}

    def bring(self, number: int, file: Rows) -> int:
        """Return how many stored rows the file lacks."""
        stored, scope = self.rows(), {row.warehouse for row in file.values()}
        new = {sku: row for sku, row in file.items() if stored.get(sku) != row}
        lacks = {
            sku: Version(row.warehouse, row.units, missing=True)
            for sku, row in stored.items()
            if sku not in file
            and not row.missing
            and (row.warehouse in scope or not self.by_warehouse)
        }
        self.written[number] = new | lacks
        return len(lacks)


class Player:
    """Plays at random, and compares the table and each report with the model."""

    def __init__(self, desk: Desk, feed: str, seed: int) -> None:
        self.desk, self.feed = desk, feed
        self.random = random.Random(seed)  # noqa: S311  # the same sequence every time
        self.model = Model(feed.endswith("deleted"), feed.startswith("warehouse"))
        self.undos: dict[int, int] = {}
        self.log: list[str] = []

    def step(self) -> None:
        standing = [number for number in self.model.written if number not in self.model.undone]
        chance = self.random.random()
        if chance < 0.5 or not standing:
            self.bring()
        elif chance < 0.75 or not self.undos:
            self.undo(self.random.choice(standing))
        else:
            self.redo(self.random.choice(list(self.undos)))

    def bring(self) -> None:
        skus = self.random.sample("abcde", self.random.randint(0, 5))
        rows = {sku: Version(self.random.choice("NS"), self.random.randint(1, 2)) for sku in skus}
        text = "".join(f"{sku},{row.warehouse},{row.units}\n" for sku, row in rows.items())
        # A column that only this file has, so that no two are the same to the last byte.
        note = f"SKU,Warehouse,Units,Note {len(self.log)}\n"
        lines = text.replace("\n", ",\n")
        report = self.desk.bring(note + lines, self.feed)
        missing = self.model.bring(report.import_id, rows)
        assert report.outcome is Outcome.IMPORTED, report.problem
        self.compare(f"import {report.import_id} {rows}")
        scope, said = report.scope, "\n".join(self.log)
        assert report.counts.balance, said
        assert report.counts.missing == missing, said
        assert scope is not None, said
        assert scope.balance, said
        written = self.model.written[report.import_id]
        assert report.counts.inserted + report.counts.updated + missing == len(written), said

    def undo(self, number: int) -> None:
        report = self.desk.pipeline.undo(number)
        self.undos[number] = report.import_id
        self.model.undone.add(number)
        self.compare(f"undo {number}")
        self.hold(number, report)

    def redo(self, number: int) -> None:
        report = self.desk.pipeline.undo(self.undos.pop(number))
        self.model.undone.discard(number)
        self.compare(f"redo {number}")
        self.hold(number, report)

    def hold(self, number: int, report: ImportReport) -> None:
        """Hold an undo to what the import wrote: each version is reversed or lies under another."""
        undo, said = report.undo, "\n".join(self.log)
        assert undo is not None, said
        assert undo.gone == 0, said
        assert undo.reversed + sum(undo.kept.values()) == len(self.model.written[number]), said

    def compare(self, step: str) -> None:
        self.log.append(step)
        flag = "NULL" if self.model.deletes else "_missing_since"
        found = {
            row.sku: Version(row.warehouse, row.units, missing=row.flag is not None)
            for row in self.desk.rows(self.feed, f"sku, warehouse, units, {flag} AS flag")
        }
        assert found == self.model.rows(), "\n".join(self.log)
        with self.desk.pipeline.database.begin() as connection:
            stored = imports.rows_stored(connection, self.desk.account, self.feed)
        assert stored == len(found), "\n".join(self.log)


@pytest.mark.parametrize(
    ("feed", "seed"),
    one_of_many(["stock_flagged", "stock_deleted", "warehouse_flagged", "warehouse_deleted"]),
)
def test_tables_and_reports_are_as_in_a_model_whatever_the_order(
    desk: Desk, feed: str, seed: int
) -> None:
    player = Player(desk, feed, seed)
    for _ in range(16):
        player.step()
    left = [number for number in player.model.written if number not in player.model.undone]
    player.random.shuffle(left)
    for number in left:
        player.undo(number)
    assert desk.rows(feed) == []
