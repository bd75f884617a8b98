"""Folders in capitals, with blanks or of an earlier name are an account's once that is declared."""

import os
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from csv_pipeline.cli import commands, opening
from csv_pipeline.defs.batch import first_batch
from csv_pipeline.engine import run
from csv_pipeline.engine.folders import set_folders
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.location import location_of
from csv_pipeline.model import ArrivalStatus, Outcome
from csv_pipeline.storage import accounts, arrivals, tables

GOOD = "ID,Name\n1,Ann\n"


class Shop:
    """An account, and folders of its name in other spellings."""

    def __init__(self, pipeline: Pipeline, account: str) -> None:
        self.pipeline, self.account = pipeline, account
        self.capitals, self.blanks = account.upper(), account.replace("-", " ").title()
        with pipeline.database.begin() as connection:
            accounts.add(connection, account)

    def drop(self, folder: str, name: str = "a.csv", content: str = GOOD) -> Path:
        path = self.pipeline.settings.landing_folder / folder / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (time.time() - 60,) * 2)
        return path

    def bring(self) -> list[Outcome]:
        claims = self.pipeline.claim(self.account, "people")
        return [report.outcome for report in run.run(self.pipeline, claims)]

    def misplaced(self) -> list[str]:
        file = tables.arrival.c
        query = sa.select(file.problem).where(
            file.status == ArrivalStatus.MISPLACED,
            file.account.in_([self.account, self.capitals, self.blanks]),
        )
        with self.pipeline.database.begin() as connection:
            return list(connection.scalars(query.order_by(file.location)))


@pytest.fixture
def shop(pipeline: Pipeline, account: str) -> Shop:
    return Shop(pipeline, account)


def account_command(shop: Shop, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setattr(opening, "pipeline", lambda: shop.pipeline)
    return CliRunner().invoke(commands.app, ["account", shop.account, *words])


def test_a_folder_in_capitals_or_with_blanks_names_the_account_that_may_be_meant(
    shop: Shop,
) -> None:
    shop.drop(shop.capitals)
    shop.drop(shop.blanks)
    shop.pipeline.scan(seconds=10)
    capitals, blanks = sorted(shop.misplaced(), key=lambda why: shop.blanks in why)
    command = f"csv-pipeline account {shop.account} --folder"
    assert f"(did you mean {shop.account!r}? {command} {shop.capitals} takes" in capitals
    assert f"(did you mean {shop.account!r}? {command} '{shop.blanks}' takes" in blanks


def test_files_of_a_declared_folder_are_imported_for_its_account(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop.drop(shop.blanks)
    shop.pipeline.scan(seconds=10)
    said = account_command(shop, monkeypatch, "--folder", shop.blanks)
    assert (said.exit_code, repr(shop.blanks) in said.stdout) == (0, True)
    assert shop.pipeline.find(location_of(path), shop.account, "people").account == shop.account
    batch = first_batch(shop.pipeline, shop.account, "people", "a run")  # which looks there, too
    assert (len(batch), shop.misplaced()) == (1, [])
    assert shop.bring() == [Outcome.IMPORTED]
    (kept,) = (shop.pipeline.settings.home / "archive" / shop.account).rglob("*.csv")
    assert (kept.read_text(), path.exists()) == (GOOD, False)
    shop.drop(shop.account, content="ID,Name\n2,Bob\n")
    shop.pipeline.scan(seconds=10)
    assert shop.bring() == [Outcome.IMPORTED]


def test_files_of_a_renamed_account_are_imported_for_the_one_it_was(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = f"{shop.account}-inc"
    account_command(shop, monkeypatch, "--folder", now)
    path = shop.drop(now)
    shop.pipeline.scan(seconds=10)
    assert shop.bring() == [Outcome.IMPORTED]
    assert not path.exists()
    with shop.pipeline.database.begin() as connection:
        assert arrivals.find(connection, account=now) == []
    assert account_command(shop, monkeypatch, "--no-folder", now).exit_code == 0
    shop.drop(now, content="ID,Name\n2,Bob\n")
    shop.pipeline.scan(seconds=10)
    assert shop.bring() == []
    with shop.pipeline.database.begin() as connection:
        assert len(arrivals.find(connection, account=now)) == 1


def test_what_is_no_folder_or_is_anothers_is_refused(shop: Shop) -> None:
    for folder in ("", "a/b", ".hidden"):
        with pytest.raises(SetupError, match="the name of a folder was needed"):
            set_folders(shop.pipeline, shop.account, [folder], [], "")
    set_folders(shop.pipeline, shop.account, [shop.capitals], [], "")
    with pytest.raises(SetupError, match=f"it is of '{shop.account}'"):
        set_folders(shop.pipeline, "another", [shop.capitals], [], "")
    with pytest.raises(SetupError, match="a folder of 'another' was needed"):
        set_folders(shop.pipeline, "another", [], [shop.capitals], "")
