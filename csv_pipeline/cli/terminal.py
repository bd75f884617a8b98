"""What every command prints with: results on stdout, notes about the work on stderr.

Whatever comes out of a file is shown by `plain`: a cell may hold terminal escapes or markup.
"""

import getpass
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDTH_OF_FILES = 160

out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
notes = Console(
    highlight=False, stderr=True, width=None if sys.stderr.isatty() else _WIDTH_OF_FILES
)


def command() -> str:
    """Return how this person calls the command: by name if the shell finds it, else by its path."""
    if shutil.which("csv-pipeline"):
        return "csv-pipeline"
    path = Path(sys.executable).with_name("csv-pipeline")
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def as_json(facts: Any) -> None:
    """Print JSON to stdout."""
    sys.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def note(text: str) -> None:
    """Print a line about the work going on to stderr."""
    notes.print(Text(text, style="dim"))


def plain(value: object, limit: int = 80) -> Text:
    """Return a value out of a file without control characters and markup, and not too long."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
    return Text(text if len(text) <= limit else f"{text[: limit - 1]}…")


def labelled(label: str, text: Text) -> Text:
    """Return text after a label in bold."""
    return Text.assemble((f"{label}: ", "bold"), text)


def table(*columns: str, right: Sequence[str] = ("import", "row", "line")) -> Table:
    """Return an empty table; the columns in `right` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD)
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def print_under(title: str | Text, made: Table) -> None:
    """Print a table under a title; the table's own title would be as narrow as the table."""
    out.print(title if isinstance(title, Text) else Text(title, style="bold"))
    out.print(made)


def who() -> str:
    """Return the name of the user; "" if none is known, as of the user of a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
