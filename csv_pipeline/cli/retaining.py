"""The command that removes what is kept no longer, or shows what that would be."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from csv_pipeline.cli.options import Json

if TYPE_CHECKING:
    from csv_pipeline.engine.pipeline import Pipeline
    from csv_pipeline.engine.retention import Going

_SECONDS = 3_600.0


def retention(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; remove nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove what the settings keep no longer: histories, rejects, files, logs, Dagster's runs."""
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.engine import retention as engine

    pipeline = opening.pipeline()
    found = engine.look(pipeline)
    if not dry_run:
        with _remover(pipeline, found) as remove_run:
            found = engine.apply(pipeline, _SECONDS, remove_run)
    if as_json:
        terminal.as_json([asdict(one) for one in found])
    else:
        _show(pipeline, found, dry_run=dry_run)


@contextmanager
def _remover(
    pipeline: "Pipeline", found: "Sequence[Going]"
) -> "Iterator[Callable[[str], None] | None]":
    """Give what removes a run of Dagster, which takes seconds to load, if there is one to go."""
    if not any(one.items for one in found if one.setting == "keep_runs_days"):
        yield None
        return
    from dagster import DagsterInstance

    from csv_pipeline.cli.dev import dagster_home
    from csv_pipeline.defs.growth import remove_run

    with DagsterInstance.from_config(str(dagster_home(pipeline.settings))) as instance:
        yield lambda run_id: remove_run(instance, run_id)


def _show(pipeline: "Pipeline", found: "Sequence[Going]", *, dry_run: bool) -> None:
    from csv_pipeline.cli.terminal import out, plain, table

    made = table("what", "setting", "kept", "goes" if dry_run else "went", "bytes", "then")
    for one in found:
        days = getattr(pipeline.settings, one.setting)
        kept = "for ever" if days is None else f"{days:,} days"
        if one.setting == "keep_days" and pipeline.settings.keep_files is not None:
            kept += f", {pipeline.settings.keep_files:,} files"
        amounts = f"{one.items:,}", f"{one.size_bytes:,}"
        made.add_row(
            one.kind, f"CSV_PIPELINE_{one.setting.upper()}", kept, *amounts, plain(one.then, 300)
        )
    out.print(made)
