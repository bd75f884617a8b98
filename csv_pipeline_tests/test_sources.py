"""Feeds of one's own reach commands, sensor and assets, whatever names them."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

from csv_pipeline.cli import commands, opening
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds import FEEDS, sources
from csv_pipeline.feeds.sources import all_feeds
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import parted

SHOPS = "fields: [{name: shop}, {name: city}]\nprimaryKey: shop\n"
MODULE = '''
from pathlib import Path
from csv_pipeline.spec.contract import Contract, column
from csv_pipeline.spec.feed import Feed

class Town(Contract):
    """One town."""
    town: str = column("Town")

def feed(name):
    return Feed(name=name, description="Towns.", contract=Town, key=("town",))

ONE, SEVERAL = feed("shops"), [feed("shops"), feed("towns")]
FOLDER, NONE, NO_FEEDS = Path(__file__).with_name("declared"), 5, ["shops"]
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of feeds, and a folder of them, in the directory that commands are called in."""
    (tmp_path / "own_feeds.py").write_text(MODULE)
    (tmp_path / "declared").mkdir()
    (tmp_path / "declared" / "shops.yaml").write_text(SHOPS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("own_feeds", None)


def named(settings: Settings) -> list[str]:
    return [feed.name for feed in all_feeds(settings)[len(FEEDS) :]]


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("own_feeds:ONE", ["shops"]),
        ("own_feeds:SEVERAL", ["shops", "towns"]),
        ("own_feeds:FOLDER", ["shops"]),
        ("declared", ["shops"]),
        ("own_feeds:ONE, own_feeds:SEVERAL", None),
        ("own_feeds:ONE, declared", None),
    ],
)
def test_a_setting_names_feeds_in_python_and_folders(
    package: Path, monkeypatch: pytest.MonkeyPatch, setting: str, found: list[str] | None
) -> None:
    monkeypatch.setenv("CSV_PIPELINE_FEEDS", setting)
    if found is not None:
        assert named(Settings(home=package)) == found
        return
    with pytest.raises(SetupError, match=r"feed 'shops': a name of its own .* both have it"):
        all_feeds(Settings(home=package))


@pytest.mark.parametrize("name", ["ONE", "SEVERAL", "FOLDER"])
def test_an_entry_point_has_feeds_for_commands_sensor_and_assets(
    package: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    entry = EntryPoint("own", f"own_feeds:{name}", sources.GROUP)
    monkeypatch.setattr(sources, "entry_points", lambda group: [entry] * (group == sources.GROUP))
    settings = Settings(home=package)
    monkeypatch.setattr(opening, "settings", lambda: settings)
    assert "shop" in CliRunner().invoke(commands.app, ["feeds", "shops"]).stdout
    defs = assemble(parted(all_feeds(settings))[0], Engine(lambda: pytest.fail("not opened")))
    keys = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    assert keys >= {"ebay_orders", "shops", "shops_files", "shops_rejects"}


def test_a_folder_that_is_named_twice_is_read_once(package: Path) -> None:
    (package / "declared").rename(package / "feeds.d")
    assert named(Settings(home=package, feeds=("feeds.d",))) == ["shops"]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("own_feeds:NONE", "CSV_PIPELINE_FEEDS own_feeds:NONE: feeds, or their folder, were neede"),
        ("own_feeds:NO_FEEDS", "own_feeds:NO_FEEDS: feeds, or their folder, .* found 'shops'"),
        ("own_feeds:FEEDS", "own_feeds:FEEDS: feeds were needed; .*'FEEDS'"),
        ("their_feeds:FEEDS", "their_feeds:FEEDS: feeds were needed; No module named"),
        ("nowhere", "nowhere"),
    ],
)
def test_a_setting_that_names_no_feeds_is_refused(package: Path, setting: str, told: str) -> None:
    with pytest.raises(SetupError, match=told):
        all_feeds(Settings(home=package, feeds=(setting,)))
