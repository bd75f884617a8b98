"""The feeds of a folder as one Dagster component, for projects that `dg` loads."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.live_progress import watched
from csv_pipeline.engine.pipeline import open_pipeline
from csv_pipeline.settings import settings
from csv_pipeline.spec.declared import read_folder

_EXAMPLE = """\
# docs: csv-pipeline feeds propose FILE writes such a file for files that you have
description: What the files hold.
fields:
  - name: id
    title: ID
  - name: amount
    type: number
    csv_pipeline: {precision: 18, scale: 2}
primaryKey: id
"""


class FeedsScaffolder(dg.Scaffolder[dg.Model]):
    """Write the component and a folder with an example of a feed."""

    def scaffold(self, request: dg.ScaffoldRequest[dg.Model]) -> None:
        """Write them."""
        dg.scaffold_component(request, {"folder": "feeds"})
        folder = request.target_path / "feeds"
        folder.mkdir()
        (folder / "example.yaml").write_text(_EXAMPLE)


@dg.scaffold_with(FeedsScaffolder)
@dataclass
class FeedsComponent(dg.Component, dg.Resolvable):
    """CSV files of many accounts as tables: an asset and its rejects for each feed of a folder.

    A project has one: it brings the sensor, the schedule and the jobs of all its feeds.
    """

    folder: str = "feeds"
    """Where the YAML feeds are, beside the component's file."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the assets, checks, jobs and sensors of the feeds."""
        feeds = [feed for _, feed in read_folder(Path(context.path) / self.folder)]
        return assemble(feeds, Engine(lambda: watched(open_pipeline(settings(), feeds))))
