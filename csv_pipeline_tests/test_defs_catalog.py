"""A feed tells Dagster whose its assets are, what they are called, and when they run."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.storage.defs_state import base

from csv_pipeline.definitions import defs
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.checks import CHECKS
from csv_pipeline.defs.keys import asset_keys, derived_key
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.schedules import schedules_of
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB, LANE
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.spec.catalog import Catalog
from csv_pipeline.spec.declared import read_feed
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.feeds import TEST_FEEDS

OURS = Catalog(
    owners=("team:finance", "ann@example.org"),
    tags={"domain": "sales"},
    key_prefix=("shop", "north"),
    automation="30 6 * * 1-5",
)
VISITS = next(feed for feed in TEST_FEEDS if feed.name == "visits")
PREFIXED = replace(VISITS, catalog=OURS)


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> Iterator[None]:
    """Let definitions be loaded without the Dagster instance that another test has left behind."""
    with base.set_defs_state_storage(None):
        yield


def never() -> Pipeline:
    raise AssertionError("definitions open nothing")


def test_each_asset_of_a_feed_has_its_owners_tags_and_prefix() -> None:
    specs = assemble([PREFIXED], Engine(never)).resolve_all_asset_specs()
    ours = {s.key.to_user_string(): s for s in specs if s.key.path[0] == "shop"}
    names = ("visits", "visits_rejects", "visits_by_day", "visits_files")
    assert set(names) <= {name.removeprefix("shop/north/") for name in ours}
    for its in ours.values():
        assert its.owners == ["team:finance", "ann@example.org"]
        assert its.tags["domain"] == "sales"
        assert its.tags["csv_pipeline/feed"] == "visits"


def test_a_run_of_a_feed_with_a_prefix_imports_and_recomputes(
    pipeline: Pipeline, desk: Desk
) -> None:
    ours = replace(pipeline, feeds={**pipeline.feeds, "visits": PREFIXED})
    folder = pipeline.settings.landing_folder / desk.account / "visits"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("Visit,Day,Spent\na,2026-05-01,5\n")
    job = assemble([PREFIXED], Engine(lambda: ours)).resolve_job_def(JOB)
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(ACCOUNTS, [desk.account])
        result = job.execute_in_process(
            instance=instance, partition_key=desk.account, asset_selection=asset_keys(PREFIXED)
        )
    made = {
        e.asset_key.to_user_string()
        for e in result.get_asset_materialization_events()
        if e.asset_key
    }
    assert made >= {f"shop/north/{name}" for name in ("visits", "visits_rejects", "visits_by_day")}
    assert {check.check_name for check in result.get_asset_check_evaluations()} == set(CHECKS)
    assert len(desk.rows("visits")) == 1
    by_day = derived_key([PREFIXED], "visits_by_day")
    assert by_day == dg.AssetKey(["shop", "north", "visits_by_day"])


def test_a_feed_that_is_eager_has_the_sensor_for_it() -> None:
    eager = replace(VISITS, catalog=Catalog(automation="eager"))
    sensors = {s.name: s for s in assemble([eager], Engine(never)).sensors or ()}
    assert sensors["automation"].default_status is dg.DefaultSensorStatus.RUNNING
    plain = {s.name for s in assemble([VISITS, PREFIXED], Engine(never)).sensors or ()}
    assert "automation" not in plain


def test_a_cron_asks_for_runs_where_files_wait_or_failed_and_of_no_other_account(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = replace(desk.pipeline.feed("people"), catalog=Catalog(automation="30 6 * * 1-5"))
    (schedule,) = schedules_of([people, VISITS])
    assert (schedule.name, schedule.cron_schedule) == ("people_automation", "30 6 * * 1-5")

    with dg.instance_for_test() as instance:

        def requested() -> list[str]:
            context = dg.build_schedule_context(
                instance=instance, resources={"engine": Engine(lambda: desk.pipeline)}
            )
            told = cast("Iterator[dg.RunRequest | dg.SkipReason]", schedule(context))
            requests = [one for one in told if isinstance(one, dg.RunRequest)]
            return [one.tags[LANE] for one in requests if one.partition_key == desk.account]

        desk.bring("Colour,Size\nred,3\n")
        assert requested() == []  # a refused file is never tried again by itself
        with monkeypatch.context() as broken:
            broken.setattr("csv_pipeline.engine.group.transform", _broken)
            desk.bring("ID,Name\n1,Ann\n")
        lane = f"{desk.account}/people"
        assert requested() == [lane]
        job = assemble([people], Engine(never)).resolve_job_def(JOB)
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={LANE: lane})
        assert requested() == []


def _broken(*_: object) -> None:
    raise ZeroDivisionError


def test_yaml_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "orders.yaml"
    path.write_text(
        "fields: [{name: number}]\ncsv_pipeline:\n  catalog:\n"
        "    owners: ['team:finance', ann@example.org]\n    tags: {domain: sales}\n"
        "    key_prefix: [shop, north]\n    automation: '30 6 * * 1-5'\n"
    )
    assert read_feed(path).catalog == OURS
    path.write_text("fields: [{name: number}]\n")
    assert read_feed(path).catalog == Catalog()


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ({"owners": ("finance",)}, "an owner as team:NAME or an e-mail address was needed"),
        ({"tags": {"csv_pipeline/feed": "x"}}, "a tag of letters"),
        ({"tags": {"domain": "a b"}}, "a tag of letters"),
        ({"key_prefix": ("a/b",)}, "a key_prefix of letters"),
        ({"key_prefix": ("",)}, "a key_prefix of letters"),
        ({"automation": "hourly"}, "automation of eager, or of a cron expression"),
        ({"automation": "60 * * * *"}, "automation of eager"),
        ({"automation": "* * 0 * *"}, "automation of eager"),
        ({"automation": "5-1 * * * *"}, "automation of eager"),
        ({"automation": "* * * *"}, "automation of eager"),
    ],
)
def test_what_dagster_would_not_take_is_refused_with_the_feed(
    said: dict[str, Any], needed: str
) -> None:
    with pytest.raises(SetupError, match=f"feed 'visits': {needed}"):
        replace(VISITS, catalog=Catalog(**said))


@pytest.mark.parametrize(
    "catalog",
    [
        Catalog(automation="eager"),
        Catalog(automation="*/5 0-6,22 1 1,12 7", tags={"a/b.c": ""}, owners=("team:a-b_c",)),
        Catalog(owners=(), key_prefix=("A_1",)),
    ],
)
def test_dagster_takes_what_is_not_refused(catalog: Catalog) -> None:
    made = assemble([replace(VISITS, catalog=catalog)], Engine(never))
    dg.Definitions.validate_loadable(made)


def test_the_engine_is_a_resource_with_limits_of_its_own(pipeline: Pipeline) -> None:
    opened: list[Pipeline] = []

    def open_() -> Pipeline:
        opened.append(pipeline)
        return pipeline

    @dg.asset
    def ours(engine: Engine) -> int:
        return engine.pipeline().settings.files_per_run

    def value(engine: Engine, config: dict[str, Any] | None = None) -> int:
        run_config = {"resources": {"engine": {"config": config}}} if config else {}
        result = dg.materialize([ours], resources={"engine": engine}, run_config=run_config)
        found = result.output_for_node("ours")
        assert isinstance(found, int)
        return found

    engine = Engine(open_)
    assert value(engine) == value(engine) == pipeline.settings.files_per_run
    assert value(Engine(open_, files_per_run=7)) == 7
    assert value(engine, {"files_per_run": 9}) == 9
    assert len(opened) == 2
    assert pipeline.settings.files_per_run != 9


def test_our_definitions_have_the_engine_as_a_resource() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine = (defs.resources or {})["engine"]
    assert isinstance(engine, dg.ConfigurableResource)
    assert "database" not in str(engine)
