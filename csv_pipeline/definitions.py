"""What `dagster dev` loads: all feeds and their one engine."""

import logging

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.outages import say_in_one_line
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.live_progress import watched
from csv_pipeline.engine.logs import is_said, write_log
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.feeds.sources import all_feeds
from csv_pipeline.settings import settings
from csv_pipeline.spec.feed import parted

_FEEDS = all_feeds(settings())


def _opened() -> Pipeline:
    """Open the pipeline, and let its log say a line for each file, not one for each stage."""
    if not is_said():
        write_log(logging.INFO, settings().log_format)
        say_in_one_line()
    return watched(open_pipeline(settings(), _FEEDS))


defs = assemble(parted(_FEEDS)[0], Engine(_opened))
