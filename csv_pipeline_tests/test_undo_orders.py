"""Imports, undos and undos of undos in any order: the newest import that is not undone decides."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from csv_pipeline.errors import AccountingError
from csv_pipeline.model import ImportReport, Outcome, Undo
from csv_pipeline_tests.conftest import Desk

HEADER = "Key,Value,Version\n"
FEED = "overwritten"


def bring(desk: Desk, rows: str) -> ImportReport:
    report = desk.bring(HEADER + rows.replace(" ", "\n"), FEED)
    assert report.outcome is Outcome.IMPORTED
    return report


def undo(desk: Desk, report: ImportReport) -> ImportReport:
    return desk.pipeline.undo(report.import_id)


def what_became(report: ImportReport) -> Undo:
    assert report.undo is not None
    return report.undo


def values(desk: Desk) -> dict[str, str]:
    return {row.key: row.value for row in desk.rows(FEED, "key, value")}


def test_the_first_of_two_undone_imports_can_be_had_back(desk: Desk) -> None:
    one, two = bring(desk, "a,v1,1"), bring(desk, "a,v2,2")
    first_undo = undo(desk, one)
    undo(desk, two)
    redo = what_became(undo(desk, first_undo))
    assert values(desk) == {"a": "v1"}
    assert redo == Undo(import_id=one.import_id, redone=True, inserted=1)


def test_the_second_of_two_undone_imports_can_be_had_back(desk: Desk) -> None:
    one, two = bring(desk, "a,v1,1"), bring(desk, "a,v2,2")
    second_undo = undo(desk, two)
    undo(desk, one)
    redo = what_became(undo(desk, second_undo))
    assert values(desk) == {"a": "v2"}
    assert redo == Undo(import_id=two.import_id, redone=True, inserted=1)


def test_an_import_had_back_goes_over_an_earlier_one(desk: Desk) -> None:
    _, two, three = (bring(desk, f"a,v{n},{n} b,v{n},{n}") for n in (1, 2, 3))
    second_undo = undo(desk, two)
    undo(desk, three)
    redo = what_became(undo(desk, second_undo))
    assert values(desk) == {"a": "v2", "b": "v2"}
    assert redo == Undo(import_id=two.import_id, redone=True, restored=2)


def test_an_import_had_back_beneath_a_later_one_comes_to_light_when_that_is_undone(
    desk: Desk,
) -> None:
    one, two = bring(desk, "a,v1,1"), bring(desk, "a,v2,2")
    undo(desk, one)
    second_undo = undo(desk, two)
    three = bring(desk, "a,v3,3")
    redo = what_became(undo(desk, second_undo))
    assert values(desk) == {"a": "v3"}
    assert redo == Undo(import_id=two.import_id, redone=True, kept={three.import_id: 1})
    assert what_became(undo(desk, three)) == Undo(import_id=three.import_id, restored=1)
    assert values(desk) == {"a": "v2"}


def test_imports_had_back_in_another_order_lie_as_they_were_stored(desk: Desk) -> None:
    bring(desk, "a,v0,0")
    one = bring(desk, "a,v1,1")
    first_undo = undo(desk, one)
    two = bring(desk, "a,v2,2")
    second_undo = undo(desk, two)
    three = bring(desk, "a,v3,3")
    undo(desk, first_undo)
    undo(desk, second_undo)
    shown = []
    for report in (three, two, one):
        undo(desk, report)
        shown.append(values(desk)["a"])
    assert shown == ["v2", "v1", "v0"]


def test_a_row_deleted_by_hand_is_not_had_back_by_an_undo_of_an_undo(desk: Desk) -> None:
    bring(desk, "a,v1,1 b,v1,1")
    two = bring(desk, "a,v2,2 b,v2,2")
    taken = undo(desk, two)
    delete(desk, "a")
    redo = what_became(undo(desk, taken))
    assert values(desk) == {"b": "v2"}
    assert (redo.restored, redo.gone) == (1, 1)


def test_versions_of_a_row_deleted_by_hand_do_not_come_back_when_a_later_import_is_undone(
    desk: Desk,
) -> None:
    one = bring(desk, "a,v1,1")
    bring(desk, "a,v2,2")
    delete(desk, "a")
    three = bring(desk, "a,v3,3")
    first = undo(desk, one)
    assert what_became(first).gone == 1
    undo(desk, first)
    undo(desk, three)
    assert values(desk) == {}


def test_values_changed_by_hand_meanwhile_are_had_back_by_another_undo(desk: Desk) -> None:
    bring(desk, "a,v1,1")
    two = bring(desk, "a,v2,2")
    taken = undo(desk, two)
    execute(desk, f"UPDATE data.{FEED} SET value = 'mine' WHERE account = :account")  # noqa: S608
    redo = undo(desk, taken)
    assert values(desk) == {"a": "v2"}
    undo(desk, redo)
    assert values(desk) == {"a": "mine"}


def test_an_undo_whose_rows_do_not_add_up_changes_nothing(desk: Desk) -> None:
    bring(desk, "a,v1,1 b,v1,1")
    two = bring(desk, "a,v2,2 b,v2,2")
    execute(desk, f"DELETE FROM data.{FEED}_history WHERE account = :account AND key = 'a'")  # noqa: S608
    with pytest.raises(AccountingError, match=r"2 rows of it were to be .* 1 could be"):
        undo(desk, two)
    assert values(desk) == {"a": "v2", "b": "v2"}


def test_an_undo_of_an_undo_that_finds_too_many_rows_changes_nothing(desk: Desk) -> None:
    one = bring(desk, "a,v1,1")
    taken = undo(desk, one)
    execute(
        desk,
        f"INSERT INTO data.{FEED}_history (_replaced_by_import_id, account, key, _import_id, "  # noqa: S608
        "_created_import_id, _row_number, _updated_at) "
        f"VALUES ({taken.import_id}, :account, 'b', {one.import_id}, 0, 1, now())",
    )
    with pytest.raises(AccountingError, match="1 rows that it wrote were to be"):
        undo(desk, taken)
    assert values(desk) == {}


def delete(desk: Desk, key: str) -> None:
    execute(desk, f"DELETE FROM data.{FEED} WHERE account = :account AND key = '{key}'")  # noqa: S608


def execute(desk: Desk, statement: str) -> None:
    with desk.pipeline.database.begin() as connection:
        connection.execute(sa.text(statement), {"account": desk.account})


@dataclass
class Model:
    """What should be stored: by import, in the order they came, the rows that it wrote."""

    written: dict[int, dict[str, str]] = field(default_factory=dict)
    undone: set[int] = field(default_factory=set)
    repairs: dict[int, int] = field(default_factory=dict)

    @property
    def standing(self) -> list[int]:
        return [number for number in self.written if number not in self.undone]

    @property
    def values(self) -> dict[str, str]:
        return {key: row for number in self.standing for key, row in self.written[number].items()}

    def writer(self, key: str) -> int | None:
        """Return the newest import, not undone, that wrote a key."""
        return next((n for n in reversed(self.standing) if key in self.written[n]), None)

    def bring(self, number: int, rows: dict[str, str], repairs: int | None = None) -> None:
        """Write the rows that are not stored so; rows that repair others lose against later."""
        stored = self.values
        for_ = number if repairs is None else repairs
        wins = {key for key in rows if self._stands_for(self.writer(key)) <= for_}
        self.written[number] = {k: v for k, v in rows.items() if stored.get(k) != v and k in wins}
        if repairs is not None:
            self.repairs[number] = repairs

    def _stands_for(self, number: int | None) -> int:
        return 0 if number is None else self.repairs.get(number, number)

    def undo(self, number: int) -> Undo:
        mine = {key: self.writer(key) for key in self.written[number]}
        self.undone.add(number)
        left = [self.writer(key) for key, writer in mine.items() if writer == number]
        return Undo(
            import_id=number,
            deleted=left.count(None),
            restored=len(left) - left.count(None),
            kept=Counter(writer for writer in mine.values() if writer not in {None, number}),
        )

    def redo(self, number: int) -> Undo:
        before = self.values
        self.undone.remove(number)
        mine = {key: self.writer(key) for key in self.written[number]}
        shown = [key for key, writer in mine.items() if writer == number]
        return Undo(
            import_id=number,
            redone=True,
            inserted=sum(key not in before for key in shown),
            restored=sum(key in before for key in shown),
            kept=Counter(writer for writer in mine.values() if writer not in {None, number}),
        )


class Player:
    """Does the same to the pipeline and to the model, and compares them after every step."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.model = desk, Model()
        self.random = random.Random(seed)  # noqa: S311  # the same sequence every time
        self.log: list[str] = []
        self.undos: dict[int, ImportReport] = {}  # the undo by which an import is undone
        self.redos: dict[int, ImportReport] = {}  # the undo of it by which another stands
        self.rejects: dict[int, tuple[str, str]] = {}  # rows yet to be corrected

    def step(self) -> None:
        open_ = [number for number in self.rejects if number in self.model.standing]
        chance = self.random.random()
        if chance < 0.45 or not self.model.standing:
            self.bring()
        elif chance < 0.55 and open_:
            self.replay(self.random.choice(open_))
        elif chance < 0.75 or not self.undos:
            self.undo(self.random.choice(self.model.standing))
        else:
            self.redo(self.random.choice(list(self.undos)))

    def bring(self) -> None:
        keys = self.random.sample("abcd", self.random.randint(1, 3))
        rows = {key: self.random.choice("xyz") for key in keys} | {f"own{len(self.log)}": "x"}
        bad = next((key for key in "abcd" if key not in rows), None)
        text = "".join(f"{key},{value},1\n" for key, value in rows.items())
        with_reject = bad is not None and self.random.random() < 0.3
        report = self.desk.bring(HEADER + text + (f"{bad},w,?\n" if with_reject else ""), FEED)
        if with_reject and bad is not None:
            self.rejects[report.import_id] = (bad, "w")
        self.model.bring(report.import_id, rows)
        self.compare(f"import {report.import_id} {rows}", report)

    def replay(self, number: int) -> None:
        key, value = self.rejects.pop(number)
        out = self.desk.folder / f"import-{number}.csv"
        self.desk.pipeline.write_rejects(number, out)
        report = self.desk.bring(out.read_text("utf-8-sig").replace(",?,", ",1,"), FEED)
        assert report.repairs == number
        self.model.bring(report.import_id, {key: value}, repairs=number)
        self.compare(f"replay {report.import_id} of {number} {key}", report)

    def undo(self, number: int) -> None:
        named = self.redos.pop(number, None) if self.random.random() < 0.5 else None
        by = number if named is None else named.import_id
        self.undos[number] = report = self.desk.pipeline.undo(by)
        self.redos.pop(number, None)
        self.compare(f"undo {by}", report, self.model.undo(number))

    def redo(self, number: int) -> None:
        self.redos[number] = report = undo(self.desk, self.undos.pop(number))
        self.compare(f"redo of {number}", report, self.model.redo(number))

    def compare(self, step: str, report: ImportReport, became: Undo | None = None) -> None:
        self.log.append(step)
        said = "\n".join(self.log)
        assert report.undo == became, said
        if became is None:
            written = len(self.model.written[report.import_id])
            assert report.counts.inserted + report.counts.updated == written, said
        assert values(self.desk) == self.model.values, said


@pytest.mark.parametrize(
    "seed", [*range(2), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 40))]
)
def test_tables_and_reports_are_as_in_a_model_whatever_the_order(desk: Desk, seed: int) -> None:
    play(Player(desk, seed))


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))]
)
def test_they_are_so_whatever_the_clock_of_the_server_said(desk: Desk, seed: int) -> None:
    player = Player(desk, seed)
    play(player, lambda: set_clocks(desk, player.random))


def set_clocks(desk: Desk, chance: random.Random) -> None:
    """Let each import have been stored at any time, as by a clock that was set."""
    query = sa.text(
        "UPDATE csv_pipeline.import SET finished_at = now() + make_interval(secs => :seconds + "
        "import_id * :seconds % 7919) WHERE account = :account"
    )
    with desk.pipeline.database.begin() as connection:
        facts = {"account": desk.account, "seconds": chance.randint(-9999, 9999)}
        connection.execute(query, facts)


def play(player: "Player", between: Callable[[], None] = lambda: None) -> None:
    desk = player.desk
    for _ in range(16):
        player.step()
        between()
    left = player.model.standing
    player.random.shuffle(left)
    for number in left:
        player.undo(number)
    assert values(desk) == {}
