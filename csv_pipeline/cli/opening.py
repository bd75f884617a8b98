"""Open the pipeline for a command, by the settings of the environment."""

from typing import TYPE_CHECKING

from csv_pipeline.cli.group import log_warnings_only
from csv_pipeline.errors import SetupError

if TYPE_CHECKING:
    from csv_pipeline.engine.pipeline import Pipeline
    from csv_pipeline.settings import Settings


def pipeline() -> "Pipeline":
    """Return the pipeline, open, with all feeds there are."""
    from csv_pipeline.engine.pipeline import open_pipeline
    from csv_pipeline.feeds.sources import all_feeds

    log_warnings_only()
    found = settings()
    _note_new_home(found)
    return open_pipeline(found, all_feeds(found))


def _note_new_home(settings: "Settings") -> None:
    """Say so if a database is made here: it may be another folder's that was meant."""
    if settings.database_url is None and not settings.postgres_area.exists():
        from csv_pipeline.cli.terminal import note

        note(
            f"A new, empty database is made in {settings.postgres_area}. "
            "CSV_PIPELINE_HOME names the folder to work in, wherever you are."
        )


def settings() -> "Settings":
    """Return the settings of the environment.

    Raises:
        SetupError: One is wrong.
    """
    from pydantic import ValidationError

    from csv_pipeline.settings import settings

    try:
        return settings()
    except ValidationError as error:
        faults = "; ".join(
            f"CSV_PIPELINE_{'_'.join(map(str, fault['loc'])).upper() or '…'}: {fault['msg']}"
            for fault in error.errors(include_input=False)
        )
        raise SetupError(f"settings: {faults}") from error
