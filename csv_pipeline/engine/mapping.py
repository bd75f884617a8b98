"""Say of each name of a header which column it is, how surely, and why."""

from collections.abc import Iterable

from csv_pipeline.account import Account, entry_of
from csv_pipeline.model import ImportReport
from csv_pipeline.spec.contract import Column, heading
from csv_pipeline.spec.feed import Feed, as_declared
from csv_pipeline.spec.header import drift, gathered_in, sources_in, title

CERTAIN, LIKELY, UNKNOWN = "certain", "likely", "unknown"


def mapping_of(report: ImportReport, feed: Feed, account: Account) -> list[dict[str, object]]:
    """Return the names of a file's header in their order, each with the column it is taken for.

    A name of which there is only a guess is not taken for the column; the guess is said. Where a
    name fills several columns, such as an amount and its currency, `also` has all but the first.
    """
    own = as_declared(feed, account)
    _, others = sources_in(report.header, own)
    guesses = {name: known for known, name in drift(report.header, own).renamed}
    by_title = {title(column): column.name for column in own.columns}
    told = {heading(alias[0]): alias for alias in account.aliases}
    used = _columns_at(report.header, own)
    spare = {at: name for name, places in others.items() for at in places}
    found = []
    for at, name in enumerate(report.header):
        column = used[at][0] if at in used else None
        guess = by_title.get(guesses.get(name, ""))
        confidence, because = CERTAIN, ""
        if column is not None:
            alias = told.get(heading(name), ("", ""))
            if alias[1] == column.name:
                because = account.setting("aliases", entry_of(alias)).evidence
            else:
                because = _why(name, column)
        elif at in spare:
            confidence, because = UNKNOWN, f"{spare[at]} is taken from another name of the header"
        elif guess is not None:
            confidence, because = LIKELY, f"the name is like {guesses[name]!r}"
        else:
            confidence, because = UNKNOWN, f"feed {feed.name!r} knows no such name"
        found.append(
            {
                "position": at + 1,
                "name": name,
                "column": None if column is None else column.name,
                "also": [one.name for one in used.get(at, ())[1:]],
                "kind": None if column is None else column.kind.value,
                "key": column is not None and column.name in own.key,
                "guess": guess if column is None else None,
                "confidence": confidence,
                "because": because,
            }
        )
    return found


def places_of(report: ImportReport, feed: Feed, account: Account) -> dict[str, int]:
    """Return the place in a file's header of each column that it fills."""
    used = _columns_at(report.header, as_declared(feed, account))
    return {column.name: at for at, columns in used.items() for column in columns}


def _columns_at(header: tuple[str, ...], own: Feed) -> dict[int, list[Column]]:
    """Return the columns that each place of a header fills, in the order of the contract."""
    sources, _ = sources_in(header, own)
    found: dict[int, list[Column]] = {}
    for column in own.columns:
        places: Iterable[int] = {sources[column.name]} if column.name in sources else ()
        for at in gathered_in(header, column.gathers) if column.gathers else places:
            found.setdefault(at, []).append(column)
    return found


def _why(name: str, column: Column) -> str:
    if column.gathers:
        return "the name is one of those that the column gathers"
    return "the name of the column" if heading(name) == heading(column.name) else "a known name"
