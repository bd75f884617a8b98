"""A folder of YAML feeds is a Dagster component that `dg` finds, scaffolds and loads."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.defs_state import base
from dagster.components.testing import create_defs_folder_sandbox

import csv_pipeline
from csv_pipeline.defs.component import FeedsComponent, FeedsScaffolder
from csv_pipeline.engine.new_project import new_project
from csv_pipeline.errors import SetupError
from csv_pipeline_tests.test_house import ROOT

pytestmark = [  # both of what Dagster itself does to load a component
    pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated"),
    pytest.mark.filterwarnings("ignore:.* is currently in beta"),
]

TYPE = "csv_pipeline.FeedsComponent"
SHOPS = "description: Shops.\nfields: [{name: shop}, {name: city}]\nprimaryKey: shop\n"


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> Iterator[None]:
    """Let definitions be loaded without the Dagster instance that another test has left behind."""
    with base.set_defs_state_storage(None):
        yield


@contextmanager
def loaded(feeds: dict[str, str], **attributes: str) -> Iterator[dg.Definitions]:
    """Give the definitions of a component with these files in its folder."""
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            FeedsComponent, defs_yaml_contents={"type": TYPE, "attributes": attributes}
        )
        (path / "feeds" / "example.yaml").unlink()
        for name, text in feeds.items():
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_text(text)
        with sandbox.load_component_and_build_defs(path) as (component, defs):
            assert isinstance(component, FeedsComponent)
            yield defs


def test_a_scaffolded_component_has_a_feed_to_begin_with() -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(FeedsComponent)
        assert "folder: feeds" in (path / "defs.yaml").read_text()
        with sandbox.load_component_and_build_defs(path) as (_, defs):
            keys = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    assert keys >= {"example", "example_rejects"}


def test_each_feed_of_the_folder_is_an_asset_with_its_checks_jobs_and_sensor() -> None:
    with loaded({"feeds/shops.yaml": SHOPS, "feeds/.hidden.yaml": "x"}) as defs:
        dg.Definitions.validate_loadable(defs)
        specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
        assert specs.keys() >= {"shops", "shops_rejects"}
        assert not any("hidden" in key for key in specs)
        assert specs["shops"].description == "Shops."
        assert {sensor.name for sensor in defs.sensors or ()} >= {"landing"}


def test_the_folder_can_be_another() -> None:
    with loaded({"here/shops.yaml": SHOPS}, folder="here") as defs:
        assert defs.resolve_assets_def("shops")


def test_the_feeds_of_several_components_share_one_sensor_and_one_engine() -> None:
    with create_defs_folder_sandbox() as sandbox:
        for name in ("first", "second"):
            path = sandbox.scaffold_component(FeedsComponent, defs_path=name)
            (path / "feeds" / "example.yaml").rename(path / "feeds" / f"{name}.yaml")
        with sandbox.build_all_defs() as defs:
            dg.Definitions.validate_loadable(defs)
            keys = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
            assert keys >= {"first", "first_rejects", "second", "second_rejects"}
            assert [its.name for its in defs.sensors or ()].count("landing") == 1


def test_this_package_itself_takes_no_component() -> None:
    inside = ROOT / "csv_pipeline" / "defs" / "imports"
    request = dg.ScaffoldRequest(TYPE, inside, "yaml", None, dg.Model())
    with pytest.raises(SetupError, match="a project of your own was needed"):
        FeedsScaffolder().scaffold(request)
    assert not inside.exists()


@pytest.mark.slow
def test_dg_lists_scaffolds_and_checks_the_components_of_a_new_project(tmp_path: Path) -> None:
    new_project(tmp_path / "my_shop")

    def say(*words: str) -> str:
        return subprocess.run(  # noqa: S603  # it is this environment's own
            [Path(sys.executable).with_name("dg"), *words],
            cwd=tmp_path / "my_shop",
            env=os.environ | {"PYTHONPATH": ".", "CSV_PIPELINE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert TYPE in say("list", "components")
    say("scaffold", "defs", TYPE, "more")
    assert "All definitions loaded successfully." in say("check", "defs")
    listed = say("list", "defs")
    assert "sales_rejects" in listed
    assert "example_rejects" in listed


def test_a_broken_feed_is_left_out_and_the_others_of_the_folder_load() -> None:
    shops = {"feeds/shops.yaml": SHOPS, "feeds/towns.yaml": SHOPS + "grup: x\n"}
    with loaded(shops) as defs:
        keys = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    assert "shops" in keys
    assert "towns" not in keys


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(Exception) as caught, loaded({}, folder="nowhere"):  # noqa: PT011
        pass
    causes = (caught.value, caught.value.__cause__)
    (told,) = (str(one) for one in causes if isinstance(one, SetupError))
    assert "nowhere: a folder of feeds was needed" in told


def test_dg_is_told_where_the_component_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    modules = project["entry-points"]["dagster_dg_cli.registry_modules"]
    assert modules == {"csv_pipeline": "csv_pipeline"}
    assert "FeedsComponent" in dir(csv_pipeline)
    assert csv_pipeline.FeedsComponent is FeedsComponent
    with pytest.raises(AttributeError, match="has no attribute 'Feeds'"):
        _ = csv_pipeline.Feeds
