"""A file to fill: the header that a feed's files may have, and two rows that show how to write.

It is a file of the feed as it stands: every shipped feed's can be imported unchanged.
"""

import csv
import io
from collections import Counter

from csv_pipeline.account import DecimalMark
from csv_pipeline.spec.contract import Column, heading
from csv_pipeline.spec.dialect import TableDialect
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind

_ROWS = range(2)
_EXAMPLES = {
    Kind.INTEGER: ("1", "2"),
    Kind.DECIMAL: ("12.30", "1234.00"),
    Kind.DATE: ("2025-01-31", "2025-07-01"),
    Kind.TIMESTAMP: ("2025-01-31T09:30:00Z", "2025-07-01T17:00:00Z"),
    Kind.TIME: ("09:30", "17:00"),
    Kind.CURRENCY: ("EUR", "USD"),
    Kind.JSON: ('{"a": 1}', '{"a": 2}'),
    Kind.UUID: ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"),
    Kind.PERCENT: ("12.5%", "100%"),
}
_SINCE_1970 = (1738315800, 1751389200)
"""The timestamps above in seconds."""
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}


def template_name(feed: Feed) -> str:
    """Return a name of the file which the feed accepts."""
    named = feed.file_name.example if feed.file_name else ""
    return named or f"{feed.name}-template.csv"


def template_file(feed: Feed) -> bytes:
    """Return the file: header, unless files have none, and two rows, written as is declared."""
    dialect = feed.dialect or TableDialect(header=True)
    delimiter = dialect.delimiter or ","
    out = io.StringIO(newline="")
    rows = [example_row(feed, at) for at in _ROWS]
    lines = [list(rows[0])] if dialect.header else []
    lines += [list(row.values()) for row in rows]
    if dialect.quote or (dialect.header and dialect.quote is None):
        csv.writer(out, delimiter=delimiter, quotechar=dialect.quote or '"').writerows(lines)
    else:
        out.writelines(f"{delimiter.join(line)}\r\n" for line in lines)
    usual = "utf-8-sig" if dialect.header else "utf-8"  # its mark tells spreadsheets which it is
    return out.getvalue().encode(dialect.encoding or usual)


def example_row(feed: Feed, at: int) -> dict[str, str]:
    """Return the text of each name in a header: of the first row for 0, of the second for 1."""
    row: dict[str, str] = {}
    for column, names in template_header(feed):
        row |= dict.fromkeys(names, _example(column, at))
    return row


def template_header(feed: Feed) -> list[tuple[Column, tuple[str, ...]]]:
    """Return the columns of a feed, each with the names by which a header has it, no name twice.

    A column that is read from the cells of another one is left out; one that gathers others has
    their names.
    """
    columns = [column for column in feed.columns if not column.derived]
    claimed = Counter(name for column in columns for name in column.headings)
    named: set[str] = set()
    header: list[tuple[Column, tuple[str, ...]]] = []
    for column in columns:
        names = column.aliases or (column.name,)
        own = [name for name in names if claimed[heading(name)] == 1]
        chosen = names if column.gathers else (*own, *names)[:1]
        if named.isdisjoint(map(heading, chosen)):
            header.append((column, chosen))
            named.update(map(heading, chosen))
    return header


def _example(column: Column, at: int) -> str:
    """Return how a value of a column may be written; "" where only a person can know one."""
    if column.examples:
        return column.examples[at % len(column.examples)]
    known = _words(column) or _EXAMPLES.get(Kind.DECIMAL if column.gathers else column.kind)
    if known is None:
        name = column.aliases[0] if column.aliases else column.name
        return "" if column.asked and column.nullable else f"{name} {at + 1}"
    if column.unit:
        return str(_SINCE_1970[at] * _PER_SECOND[column.unit])
    text = known[at % len(known)]
    return text.replace(".", ",") if column.style is DecimalMark.COMMA else text


def _words(column: Column) -> tuple[str, ...]:
    """Return the words of a column that has some, each as it is stored where that is accepted."""
    known = column.choices
    if column.kind is Kind.BOOLEAN:
        words = list(known)
        return tuple(next(w for w in words if known[w] == its) for its in ("true", "false"))
    return tuple(
        dict.fromkeys(its if its.casefold() in known else word for word, its in known.items())
    )
