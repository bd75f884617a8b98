"""Options that several commands have, and how a moment is given."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

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
_AGO = re.compile(r"(\d{1,6})\s*([mhdw])")
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_of(text: str) -> datetime:
    """Return the moment that is so long ago, as `2d`, or a date or time; UTC if it has no zone."""
    try:
        if ago := _AGO.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"2d, 6h, 30m, or a date was needed; found {text!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def end_of(text: str) -> datetime:
    """Return the moment at which what is meant is over: of a date, that is the next midnight."""
    moment = moment_of(text)
    return moment + timedelta(days=1) if _DATE.fullmatch(text) else moment
