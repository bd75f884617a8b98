"""Show feeds and their columns."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from csv_pipeline.cli.terminal import command, out, plain, print_under, table
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.header import title

if TYPE_CHECKING:
    from csv_pipeline.storage.differences import Change


def feeds(all_feeds: Iterable[Feed]) -> None:
    """Print the feeds, a line each."""
    made = table("feed", "what it holds", "table", "key within an account", "on conflict")
    for one in all_feeds:
        policy = type(one.conflict).__name__
        counted = f"{', '.join(one.counted) or 'what the row holds'}, counted in its file"
        key = ", ".join(one.key) or counted
        made.add_row(one.name, one.description, f"data.{one.name}", key, _in_words(policy))
    out.print(made)
    out.print(f"The columns of one: {command()} feeds NAME")


def feed(one: Feed) -> None:
    """Print the columns of a feed: what they hold, what is needed, their names in headers."""
    made = table("column", "kind", "a value is", "needed in", "protected", "names in headers")
    for column in one.columns:
        if not column.derived:
            made.add_row(
                column.name,
                column.kind.value,
                column.asked,
                _needed(column, one),
                "yes" if column.protected else "",
                ", ".join(column.aliases) or column.name,
            )
    print_under(one.name, made)
    out.print(
        "Needed in the header: a file without the column is refused. Needed in each row: so is it, "
        "and a row without a value is rejected.",
        soft_wrap=True,
    )
    if len(one.layouts) > 1:
        titles = {column.name: title(column) for column in one.columns}
        out.print("In brackets the layout of the file, which its header tells:")
        for layout in one.layouts:
            marks = [titles[c.name] for c in one.columns if c.name in layout.marks]
            known_by = f"it has {' or '.join(marks)}" if marks else "any other"
            out.print(f"  {layout.name}: {known_by}")


def _needed(column: Column, feed: Feed) -> str:
    if not column.nullable and column.substitute is None:
        return "each row"
    named = " ({})" if len(feed.layouts) > 1 else ""
    filled = [x.name for x in feed.layouts if column.name in x.filled]
    required = [x.name for x in feed.layouts if column.name in x.required - x.filled]
    said = (("header", required), ("each row", filled))
    return ", ".join(what + named.format(", ".join(where)) for what, where in said if where)


def changes(one: Feed, found: "Sequence[Change]") -> None:
    """Print what differs between a feed and its stored rows."""
    if not found:
        out.print(f"The stored rows are what feed {one.name} declares.")
        return
    made = table("what", "stored", "declared", "rows", "do not fit", right=("rows", "do not fit"))
    for its in found:
        shown = f"{its.unfit:,}" + (f": {', '.join(its.examples)}" if its.examples else "")
        made.add_row(
            its.column or "key",
            its.before or "not there",
            (its.after or "no more: kept as it is, new rows have none") + _meanwhile(its),
            f"{its.rows:,}",
            plain(shown) if its.unfit else "",
        )
    print_under(one.name, made)
    out.print(f"To make the tables so: {command()} feeds apply {one.name}")


def _meanwhile(its: "Change") -> str:
    """Return what becomes of stored rows whose column is read in another way."""
    if not its.reading:
        return ""
    if its.read_again:
        return " (stored rows are read again)"
    if its.identifies:
        return " (what stored rows would be is not known)"
    return " (stored rows keep what they have)"


def applied(one: Feed, found: "Sequence[Change]", *, fresh: bool) -> None:
    """Print what was changed."""
    if fresh:
        out.print(
            f"The tables of {one.name} were put away as data.{one.name}_before_…, and are empty "
            f"now. {command()} import FILE --again brings files back."
        )
        return
    for its in found:
        out.print(f"{its.column or 'key'}: {its.before or 'not there'} → {its.after or 'kept'}")
    out.print(f"The tables are what feed {one.name} declares.")


def _in_words(name: str) -> str:
    """Return a class name as words.

    >>> _in_words("NewestWins")
    'newest wins'
    """
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
