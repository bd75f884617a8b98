"""Write the beginning of a package with feeds of its own: a feed, a sample, a test, a component."""

from pathlib import Path

from csv_pipeline.errors import SetupError

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["csv-pipeline"]

[project.entry-points."csv_pipeline.feeds"]
{name} = "{name}:FEEDS"

[tool.setuptools]
packages = ["{name}"]

[tool.setuptools.package-data]
{name} = ["feeds.d/*.yaml", "defs/*/*.yaml"]

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{name}"
"""
_PACKAGE = '''\
"""Feeds of our own: each file in `feeds.d` is one."""

from pathlib import Path

FEEDS = Path(__file__).with_name("feeds.d")
'''
_DEFINITIONS = '''\
"""What Dagster loads: the components in the folder `defs`."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the components."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
'''
_COMPONENT = """\
type: csv_pipeline.FeedsComponent
attributes:
  folder: ../../feeds.d
"""
_FEED = """\
description: What we sold.
fields:
  - name: receipt
    title: Receipt
  - name: sold_on
    title: Date
    type: date
    constraints: {required: true}
    csv_pipeline: {past: true}
  - name: article
    title: Article
  - name: amount
    title: Amount
    type: number
    constraints: {minimum: 0}
    csv_pipeline: {precision: 18, scale: 2}
primaryKey: receipt
"""
_SAMPLE = """\
Receipt,Date,Article,Amount
R-1,2025-01-31,Coffee,4.50
R-2,2025-01-31,Tea,3.00
"""
_TEST = """\
from pathlib import Path

from csv_pipeline.engine.proposing import rejects_of
from csv_pipeline.spec.declared import read_feed
from {name} import FEEDS

SAMPLES = Path(__file__).parents[1] / "samples"


def test_the_sample_has_no_rejects() -> None:
    assert rejects_of(SAMPLES / "sales.csv", read_feed(FEEDS / "sales.yaml")) == {{}}
"""


def new_project(folder: Path) -> list[Path]:
    """Write the files of a package into a new folder, which has its name, and return them.

    Raises:
        SetupError: The name is none of a package, or the folder is there.
    """
    name = folder.name
    if not (name.isidentifier() and name.islower()):
        raise SetupError(f"{name!r}: small letters, digits and '_' were needed for a package")
    if folder.exists():
        raise SetupError(f"{folder}: a new folder was needed; there is one")
    files = {
        "pyproject.toml": _PYPROJECT.format(name=name),
        f"{name}/__init__.py": _PACKAGE,
        f"{name}/feeds.d/sales.yaml": _FEED,
        f"{name}/definitions.py": _DEFINITIONS,
        f"{name}/defs/imports/defs.yaml": _COMPONENT,
        "samples/sales.csv": _SAMPLE,
        "tests/test_sales.py": _TEST.format(name=name),
    }
    for place, text in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [folder / place for place in files]
