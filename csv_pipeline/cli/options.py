"""Options that several commands have."""

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
