"""Options that several commands have, and how a moment is given."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

from csv_pipeline.engine.moments import end_of, moment_of

AccountOption = Annotated[str, typer.Option("--account", "-a", help="Whose file it is.")]
FeedOption = Annotated[str, typer.Option("--feed", "-f", help="What it holds; see `feeds`.")]
OnlyAccount = Annotated[str | None, typer.Option("--account", "-a", help="Only of this account.")]
OnlyFeed = Annotated[str | None, typer.Option("--feed", "-f", help="Only of this feed.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of tables.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; store nothing.")]
Again = Annotated[
    bool, typer.Option("--again", help="Import it though its bytes were imported, as the newest.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with 1 also if the import has a warning.")
]
MaxMissing = Annotated[
    int | None, typer.Option(min=0, help="Let a snapshot lack so many stored rows, this once.")
]


def moment(text: str) -> datetime:
    """Return the moment that an option says."""
    return _parsed(moment_of, text)


def end(text: str) -> datetime:
    """Return the moment at which what an option says is over."""
    return _parsed(end_of, text)


def _parsed(parse: Callable[[str], datetime], text: str) -> datetime:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
