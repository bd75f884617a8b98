"""The feeds of a folder as one Dagster component, for projects that `dg` loads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import BaseModel

import csv_pipeline
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.pipeline import open_pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.settings import settings
from csv_pipeline.spec.declared import read_folder
from csv_pipeline.spec.feed import parted

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
        """Write them.

        Raises:
            SetupError: It would be in this package, whose own definitions are no components.
        """
        if csv_pipeline.__path__[0] in map(str, request.target_path.parents):
            raise SetupError("a project of your own was needed; csv-pipeline new NAME makes one")
        dg.scaffold_component(request, {"folder": "feeds"})
        folder = request.target_path / "feeds"
        folder.mkdir()
        (folder / "example.yaml").write_text(_EXAMPLE)


@dg.scaffold_with(FeedsScaffolder)
@dataclass
class FeedsComponent(dg.Component, dg.Resolvable):
    """CSV files of many accounts as tables: an asset and its rejects for each feed of a folder.

    The first of a project's components makes the definitions of all of them, since their feeds
    share one engine, one sensor, one schedule and the jobs.
    """

    folder: str = "feeds"
    """Where the YAML feeds are, beside the component's file."""

    path = Path()

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Return the component of a file, which knows where the file is."""
        made = super().load(attributes, context)
        made.path = Path(context.path)
        return made

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the assets, checks, jobs and sensors of the feeds."""
        several = context.component_tree.get_all_components(FeedsComponent)
        if self is not several[0]:
            return dg.Definitions()
        feeds = [feed for one in several for _, feed in read_folder(one.path / one.folder)]
        return assemble(parted(feeds)[0], Engine(lambda: open_pipeline(settings(), feeds)))
