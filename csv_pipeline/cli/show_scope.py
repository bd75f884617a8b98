"""Print what a snapshot means for the stored rows of its scope."""

from rich.text import Text

from csv_pipeline.cli.terminal import labelled, out, plain
from csv_pipeline.scope import Missing, ScopeCounts


def print_scope(scope: ScopeCounts) -> None:
    """Print what a snapshot means for the rows of its scope, whose sum is checked as well."""
    whose = "the account" if not scope.columns else f"each {' + '.join(scope.columns)} of the file"
    out.print(Text(f"Rows stored of {whose}", style="bold"))
    gone = "deleted" if scope.policy is Missing.DELETE else "flagged"
    for sign, name, rows in (
        (" ", "before", scope.before),
        ("+", "entered", scope.entered),
        ("-", "left", scope.left),
        ("-", f"missing, {gone}", scope.missing),
        ("=", "after", scope.after),
    ):
        if rows or sign in " =":
            out.print(f"  {sign} {name:<16}{rows:>6,}")
    if scope.absent > scope.missing:
        out.print(f"  {scope.absent:,} of them are not in the file, and stay as they are")
    if scope.first_absent:
        keys = ", ".join(scope.first_absent) + (
            ", …" if scope.absent > len(scope.first_absent) else ""
        )
        out.print(labelled("Not in the file", plain(keys, 1_000)))
