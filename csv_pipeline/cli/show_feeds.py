"""Show feeds and their columns."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from csv_pipeline.account import delimiter_name
from csv_pipeline.cli.terminal import command, out, plain, print_under, table
from csv_pipeline.spec.conflict import ConflictPolicy
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.dialect import TableDialect
from csv_pipeline.spec.duplicates import DuplicatePolicy
from csv_pipeline.spec.feed import BrokenFeed, Feed, parted
from csv_pipeline.spec.header import title
from csv_pipeline.spec.names import MISSING_SINCE
from csv_pipeline.spec.snapshot import Missing, Snapshot

if TYPE_CHECKING:
    from csv_pipeline.storage.differences import Change


def feeds(all_feeds: Iterable[Feed | BrokenFeed]) -> None:
    """Print the feeds, a line each, and what is wrong in the files of those that are broken."""
    whole, broken = parted(all_feeds)
    made = table("feed", "what it holds", "table", "key within an account", "on conflict")
    for one in whole:
        policy = type(one.conflict).__name__
        made.add_row(one.name, one.description, f"data.{one.name}", _key(one), _in_words(policy))
    out.print(made)
    out.print(f"The columns of one: {command()} feeds NAME")
    for its in broken:
        out.print(f"Left out, and its files wait: feed {its.name!r}", style="bold red")
        for line in its.why.splitlines():
            out.print(plain(line, 1_000), soft_wrap=True)


def feed(one: Feed) -> None:
    """Print a feed: its columns, with what is needed and their names in headers, and its rules."""
    made = table("column", "kind", "a value is", "needed in", "protected", "names in headers")
    by_name = one.file_name.columns if one.file_name else frozenset[str]()
    for column in one.columns:
        source = "(the file's name)" if column.name in by_name else "(the feed's rules)"
        made.add_row(
            column.name,
            column.kind.value,
            column.asked,
            "" if column.derived else _needed(column, one),
            "yes" if column.protected else "",
            source if column.derived else ", ".join(column.aliases) or column.name,
        )
    print_under(one.name, made)
    rules = table("rule", "is")
    for name, what in _rules(one):
        rules.add_row(name, plain(what, 1_000))
    out.print(rules)
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


def _rules(one: Feed) -> Iterator[tuple[str, str]]:
    """Give what the feed declares of its rows and files, by name."""
    yield "key within an account", _key(one)
    yield "on conflict", _policy(one.conflict)
    for policy in dict.fromkeys(one.column_conflicts.values()):
        names = (name for name, its in one.column_conflicts.items() if its == policy)
        yield f"  {_policy(policy)}", ", ".join(names)
    yield "repeated keys of a file", _policy(one.duplicates)
    if one.snapshot is not None:
        yield "snapshot", _snapshot(one.snapshot)
    rows, share = one.max_rejected_rows, one.max_rejected_share
    yield "refused with", _limits("rejected", rows, share, " of the rows")
    if one.needs_good_row:
        yield "refused without", "a row that can be stored"
    if one.confidential:
        yield "confidential", "no cell of its files is shown outside of the database"
    if one.file_name is not None:
        yield "file name", one.file_name.shown
    if one.dialect is not None:
        which = "with" if one.dialect.header else "without"
        yield f"files {which} a header", _written(one.dialect)
    yield "encoding, if not Unicode", ", ".join(one.encodings)
    if one.time_zone is not None:
        yield "time zone, if none is stated", one.time_zone
    if one.worklist is not None:
        yield "worklist", one.worklist.description
    if one.relations:
        yield "derived from it", ", ".join(f"data.{name}" for name in one.relations)


def _key(one: Feed) -> str:
    counted = f"{', '.join(one.counted) or 'what the row holds'}, counted in its file"
    return ", ".join(one.key) or counted


def _policy(policy: ConflictPolicy | DuplicatePolicy) -> str:
    """Return a policy in words, with what it looks at."""
    of = (getattr(policy, its.name) for its in fields(policy))
    told = ", ".join(", ".join(its) if isinstance(its, tuple) else str(its) for its in of)
    return _in_words(type(policy).__name__) + (f" ({told})" if told else "")


def _snapshot(its: Snapshot) -> str:
    of = f"the rows that have a {' and '.join(its.scope)} of the file" if its.scope else "all rows"
    becomes = {Missing.KEEP: "kept", Missing.FLAG: "flagged", Missing.DELETE: "deleted"}
    said = f"a file brings {of}; stored ones that it lacks are {becomes[its.missing]}"
    if not its.marks:
        return said
    limits = _limits("missing", its.max_missing_rows, its.max_missing_share, " of those stored")
    return f"{said}; refused with {limits}"


def _written(its: TableDialect) -> str:
    """Return how files are written, as far as it is declared."""
    said = [f"cells by {delimiter_name(its.delimiter)}"] if its.delimiter else []
    if its.quote is not None or not its.header:
        said.append(f"quote {its.quote or 'none'}")
    return ", ".join([*said, *([its.encoding] if its.encoding else [])])


def _limits(what: str, rows: int | None, share: float | None, of: str) -> str:
    most = [f"more than {rows:,}"] if rows is not None else []
    most += [f"more than {100 * share:.4g}%{of}"] if share is not None else []
    return f"{' or '.join(most)} {what}" if most else f"any number {what}: no limit"


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
            its.after + _meanwhile(its),
            f"{its.rows:,}",
            plain(shown) if its.unfit else "",
        )
    print_under(one.name, made)
    out.print(f"To make the tables so: {command()} feeds apply {one.name}")
    if any(its.unfit for its in found):
        out.print("It refuses what does not fit, and says by which options it takes it.")


def _meanwhile(its: "Change") -> str:
    """Return what becomes of stored rows whose column is left out or read in another way."""
    if its.column == MISSING_SINCE:
        return "no more: cleared"
    if not its.after:
        return "no more: kept as it is, new rows have none"
    if its.from_extra:
        return " (cells that fit are moved, the others stay there)"
    return _read_anew(its) if its.reading else ""


def _read_anew(its: "Change") -> str:
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
        what = f"{its.column or 'key'}: {its.before or 'not there'} → {its.after or 'kept'}"
        if its.from_extra:
            what += f"; {its.rows - its.unfit:,} cells moved"
            shown = f": {', '.join(its.examples)}" if its.examples else ""
            what += f", {its.unfit:,} stay in _extra{shown}" if its.unfit else ""
        out.print(plain(what, 1_000), soft_wrap=True)
    out.print(f"The tables are what feed {one.name} declares.")


def _in_words(name: str) -> str:
    """Return a class name as words.

    >>> _in_words("NewestWins")
    'newest wins'
    """
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
