"""What `dagster dev` loads: the feeds of this package and their one engine."""

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.feeds import FEEDS
from csv_pipeline.pipeline import open_pipeline
from csv_pipeline.settings import settings

defs = assemble(FEEDS, Engine(lambda: open_pipeline(settings(), FEEDS)))
