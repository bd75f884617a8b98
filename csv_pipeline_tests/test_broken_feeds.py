"""A file that declares no feed that can be stops its own feed, and no other."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from csv_pipeline.cli.commands import app
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.sensors import landing
from csv_pipeline.engine import fitting
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.errors import BrokenFeedError, SetupError, UnknownFeedError
from csv_pipeline.feeds.sources import all_feeds
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.settings import Settings, settings
from csv_pipeline.spec.declared import read_folder
from csv_pipeline.spec.derived import DerivedColumn, DerivedTable
from csv_pipeline.spec.feed import BrokenFeed, Feed, parted
from csv_pipeline.storage import arrivals
from csv_pipeline.storage.database import Database
from csv_pipeline_tests.conftest import ingest, own_settings
from csv_pipeline_tests.feeds import TEST_FEEDS

SHOPS = "fields: [{name: shop}, {name: city}]\nprimaryKey: shop\n"
BILLS = "fields:\n  - {name: bill}\n  - {name: paid, tipe: boolean}\nprimaryKey: bill\n"
WHY = "bills.yaml, line 3, column 18: one of"


@pytest.fixture(scope="module")
def home() -> Iterator[Settings]:
    """Settings with two feeds of their own, one of them broken."""
    with own_settings(settle_seconds=0) as own:
        folder = own.home / "feeds.d"
        folder.mkdir()
        (folder / "shops.yaml").write_text(SHOPS)
        (folder / "bills.yaml").write_text(BILLS)
        yield own


@pytest.fixture(scope="module")
def opened(home: Settings) -> Iterator[Pipeline]:
    pipeline = open_pipeline(home, all_feeds(home))
    yield pipeline
    pipeline.close()


@pytest.fixture
def say(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    monkeypatch.setenv("CSV_PIPELINE_HOME", str(home.home))
    monkeypatch.setenv("COLUMNS", "400")
    if home.database_url is not None:
        monkeypatch.setenv("CSV_PIPELINE_DATABASE_URL", home.database_url.get_secret_value())
    settings.cache_clear()

    def call(*words: str | Path) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    yield call
    settings.cache_clear()


def dropped(pipeline: Pipeline, account: str, feed: str, text: str) -> Path:
    path = pipeline.settings.landing_folder / account / feed / "a.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_other_feeds_of_the_folder_are_read(home: Settings) -> None:
    found = {path.name: feed for path, feed in read_folder(home.home / "feeds.d")}
    assert isinstance(found["shops.yaml"], Feed)
    broken = found["bills.yaml"]
    assert isinstance(broken, BrokenFeed)
    assert broken.name == "bills"
    assert WHY in broken.why
    assert "did you mean type?" in broken.why


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("name: sales\nfields: [{nam: x}]\n", "sales", id="its name in the standard"),
        pytest.param(
            "fields: [{nam: x}]\nname: a\ncsv_pipeline: {name: sales}\n", "sales", id="its own name"
        ),
        pytest.param("name: [sales]\n", "file", id="a name that is none"),
        pytest.param("fields: [{name: a}\n", "file", id="no YAML"),
        pytest.param("name: sales\nfields: [", "sales", id="no YAML, with its name"),
        pytest.param("fields:\n  - name: a\n name: b\nname: 'sales' # x\n", "sales", id="below"),
        pytest.param(
            "name: a\ncsv_pipeline:\n  layouts:\n    - name: b\n  name: sales\nfields: [",
            "sales",
            id="no YAML, with its own name",
        ),
        pytest.param(
            "csv_pipeline: {group: x, name: sales, layouts: [{name: b}]}\nfields: [",
            "sales",
            id="in braces",
        ),
        pytest.param(
            '{\n  "name": "sales",\n  "fields": [\n    {"name": "a"}\n', "sales", id="JSON"
        ),
        pytest.param("- sales\n", "file", id="a list"),
        pytest.param("\udcff", "file", id="no text"),
    ],
)
def test_a_broken_feed_has_the_name_that_its_file_says_or_the_file_s(
    tmp_path: Path, text: str, name: str
) -> None:
    (tmp_path / "file.yaml").write_bytes(text.encode(errors="surrogateescape"))
    ((_, found),) = read_folder(tmp_path)
    assert isinstance(found, BrokenFeed)
    assert found.name == name


def test_a_feed_that_is_no_yaml_is_told_by_its_name_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("name: sales\nfields:\n  - {name: a\nprimaryKey: a\n")
    ((_, found),) = read_folder(tmp_path)
    assert isinstance(found, BrokenFeed)
    assert found.name == "sales"
    assert re.search(r"file\.yaml, line \d, column \d+: YAML was needed", found.why)


def test_its_files_wait_and_are_imported_once_it_is_corrected(
    opened: Pipeline, account: str
) -> None:
    shop = dropped(opened, account, "shops", "shop,city\n1,Rome\n")
    bill = dropped(opened, account, "bills", "bill,paid\n1,yes\n")
    seen = opened.scan(seconds=10, account=account)
    assert ([file.location for file in seen.found], seen.misplaced, seen.held) == (
        [str(shop)],
        (),
        1,
    )
    (claim,) = opened.claim(account, "shops")
    assert ingest(opened, claim).counts.inserted == 1
    assert bill.exists()
    folder = opened.settings.home / "corrected"
    folder.mkdir()
    (folder / "bills.yaml").write_text(BILLS.replace("tipe", "type"))
    corrected = open_pipeline(opened.settings, [feed for _, feed in read_folder(folder)])
    assert corrected.scan(seconds=10, account=account).held == 0
    (claim,) = corrected.claim(account, "bills")
    assert ingest(corrected, claim).counts.inserted == 1
    corrected.close()


def test_who_names_it_is_told_what_is_wrong(opened: Pipeline) -> None:
    with pytest.raises(BrokenFeedError, match=WHY):
        opened.feed("bills")
    with pytest.raises(UnknownFeedError, match="no feed has this name"):
        opened.feed("bill")


def test_the_sensor_logs_it_and_goes_on(
    opened: Pipeline, account: str, capfd: pytest.CaptureFixture[str]
) -> None:
    dropped(opened, account, "shops", "shop,city\n2,Rome\n")
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance, resources={"engine": Engine(lambda: opened)}
        )
        result = landing(context)
    assert isinstance(result, dg.SensorResult)
    assert [run.tags["csv_pipeline/lane"] for run in result.run_requests or []] == [
        f"{account}/shops"
    ]
    logged = capfd.readouterr().err
    assert "Feed bills is left out" in logged
    assert WHY in logged


def test_a_pipeline_that_opens_logs_it(home: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    open_pipeline(home, all_feeds(home)).close()
    told = capfd.readouterr()
    assert "feed left out" in told.out + told.err
    assert WHY in told.out + told.err


def test_definitions_have_the_other_feeds(home: Settings, opened: Pipeline) -> None:
    whole, broken = parted(all_feeds(home))
    defs = assemble(whole, Engine(lambda: opened))
    keys = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    assert {"shops", "customers"} <= keys
    assert "bills" not in keys
    assert [one.name for one in broken] == ["bills"]


def test_a_feed_that_derives_a_table_from_it_is_left_out_as_well() -> None:
    table = DerivedTable(
        name="bills_by_name",
        description="Bills.",
        columns=(DerivedColumn(name="name", type="text", description="The name."),),
        key=("name",),
        scope=("name",),
        touched={"people": "SELECT name FROM {touched}", "bills": "SELECT name FROM {touched}"},
        select="SELECT name FROM {people}",
    )
    people = next(feed for feed in TEST_FEEDS if feed.name == "people")
    deriving = replace(people, derived=(table,))
    whole, broken = parted([deriving, BrokenFeed(name="bills", why="no YAML")])
    assert whole == ()
    assert [one.name for one in broken] == ["bills", "people"]
    assert broken[1].why == "feed 'bills' was needed to derive a table from; no YAML"


def test_feeds_lists_it_with_what_is_wrong(say: Callable[..., Result]) -> None:
    said = say("feeds")
    assert said.exit_code == 0
    assert "shops" in said.stdout
    assert "Left out, and its files wait: feed 'bills'" in said.stdout
    assert WHY in said.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("feeds", "bills"),
        ("feeds", "bills", "--as", "odcs"),
        ("feeds", "diff", "bills"),
        ("inspect", "FILE", "--feed", "bills"),
        ("import", "FILE", "--account", "acme", "--feed", "bills"),
        ("account", "acme", "--feed", "bills", "--delimiter", ";"),
    ],
)
def test_a_command_that_names_it_fails_with_what_is_wrong(
    opened: Pipeline, say: Callable[..., Result], tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("bill,paid\n1,yes\n")
    said = say(*(file if word == "FILE" else word for word in words))
    assert said.exit_code == 2
    assert WHY in said.stderr
    assert "did you mean type?" in said.stderr


def test_a_command_that_names_another_does_what_it_does(
    opened: Pipeline, say: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("shop,city\n1,Rome\n")
    said = say("import", file, "--account", "other", "--feed", "shops", "--json")
    assert said.exit_code == 0
    assert json.loads(said.stdout)
    assert WHY in said.stderr


def test_a_feed_that_differs_from_its_table_is_held_back_and_no_other() -> None:
    with own_settings(settle_seconds=0) as own:
        folder = own.home / "feeds.d"
        folder.mkdir()
        (folder / "shops.yaml").write_text(SHOPS)
        (folder / "sums.yaml").write_text("fields: [{name: sum}, {name: n}]\nprimaryKey: sum\n")
        opened = open_pipeline(own, all_feeds(own))
        file = own.home / "sums.csv"
        file.write_text("sum,n\na,1\n")
        with opened.database.begin() as connection:
            arrivals.register(connection, [found_file(location_of(file), "acme", "sums")])
        (claim,) = opened.claim("acme", "sums")
        assert ingest(opened, claim).counts.inserted == 1
        opened.close()
        (folder / "sums.yaml").write_text(
            "fields: [{name: sum}, {name: n, type: integer}]\nprimaryKey: sum\n"
        )
        opened = open_pipeline(own, all_feeds(own))
        assert "shops" in opened.feeds
        with pytest.raises(BrokenFeedError) as told:
            opened.feed("sums")
        assert str(told.value) == (
            "feed 'sums': stored rows that are as it declares were needed; table data.sums, column "
            "n: type bigint was needed, as the contract declares; the stored rows have text: see "
            "`csv-pipeline feeds diff sums`, then `csv-pipeline feeds apply sums`"
        )
        opened.close()


def test_if_no_feed_fits_its_table_the_first_says_so_and_none_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def refusing(_: object, feeds: Sequence[Feed]) -> None:
        asked.append([feed.name for feed in feeds])
        raise SetupError(f"feed {feeds[-1].name}")

    monkeypatch.setattr(fitting, "ensure_targets", refusing)
    with pytest.raises(SetupError, match=f"feed {TEST_FEEDS[0].name}"):
        fitting.with_tables(cast("Database", None), TEST_FEEDS[:2])
    assert len(asked) == 3
