"""The commands below `feeds`; `feeds NAME` shows a feed, whatever else a word there means."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from csv_pipeline.errors import SetupError


class Form(StrEnum):
    """How a feed can be written."""

    TABLE_SCHEMA = "table-schema"
    ODCS = "odcs"
    MARKDOWN = "markdown"


class _ByName(TyperGroup):
    """Take the name of a feed for the command that shows it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


feeds = typer.Typer(
    cls=_ByName,
    help="List the feeds, show one by `feeds NAME`, write a new one, or apply a changed one.",
)


@feeds.callback(invoke_without_command=True)
def every(ctx: typer.Context) -> None:
    """List the feeds; `feeds NAME` shows the columns of one with their names in headers."""
    if ctx.invoked_subcommand is None:
        from csv_pipeline.cli import opening, show_feeds
        from csv_pipeline.feeds.sources import all_feeds

        show_feeds.feeds(all_feeds(opening.settings_found()))


@feeds.command()
def show(
    name: Annotated[str, typer.Argument(help="The feed.")],
    form: Annotated[Form | None, typer.Option("--as", help="Write it in this form.")] = None,
) -> None:
    """Show the columns of a feed, or write it as a Table Schema, an ODCS contract or a page."""
    from csv_pipeline.cli import opening, show_feeds

    feed = opening.feed(name)
    if form is None:
        show_feeds.feed(feed)
        return
    from csv_pipeline.spec.declared.forms import written

    sys.stdout.write(written(feed, form))


@feeds.command()
def schema() -> None:
    """Print the JSON Schema of YAML feeds, for editors."""
    from csv_pipeline.spec.declared.words import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")


@feeds.command()
def propose(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="CSV files.")],
    name: Annotated[
        str | None, typer.Option(help="The feed's name; else that of --out, or the first file's.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write it to this file, such as feeds.d/x.yaml."),
    ] = None,
) -> None:
    """Write a first YAML feed for files, by all of their values, with the evidence as comments."""
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.engine.proposing import propose as proposed
    from csv_pipeline.engine.proposing import to_decide

    text = proposed(files, opening.settings_found(), name or (out.stem if out else None))
    if out is None:
        sys.stdout.write(text)
        return
    if out.exists():
        raise SetupError(f"{out}: a new file to write to was needed; there is one: name another")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    terminal.out.print(f"Written to {out}")
    for line in to_decide(text):
        terminal.out.print(line, markup=False, soft_wrap=True)


@feeds.command()
def diff(name: Annotated[str, typer.Argument(help="The feed.")]) -> None:
    """Show what a changed declaration of a feed does to its stored rows."""
    from csv_pipeline.cli import opening, show_feeds
    from csv_pipeline.engine import feed_changes

    feed = opening.feed(name)
    with opening.database() as database:
        show_feeds.changes(feed, feed_changes.diff(database, feed))


@feeds.command("apply")
def apply_(
    name: Annotated[str, typer.Argument(help="The feed.")],
    *,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Keep values that do not fit in _extra.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Put the tables away, and begin with empty ones.")
    ] = False,
    accept_reading: Annotated[
        list[str] | None,
        typer.Option(help="Leave the rows as they are, known by this column; may be repeated."),
    ] = None,
) -> None:
    """Make the tables of a feed what it declares; all of it, or nothing is changed."""
    from csv_pipeline.cli import opening, show_feeds, terminal
    from csv_pipeline.engine import feed_changes

    feed = opening.feed(name)
    with opening.database() as database:
        found = feed_changes.apply(
            database,
            feed,
            set_aside=set_aside,
            fresh=fresh,
            readings=tuple(accept_reading or ()),
            by=terminal.who(),
        )
    show_feeds.applied(feed, found, fresh=fresh)
