"""Say of each name of a header which column it is, how surely, and why."""

from csv_pipeline.account import Account, entry_of
from csv_pipeline.model import ImportReport
from csv_pipeline.spec.contract import Column, heading
from csv_pipeline.spec.feed import Feed, as_declared
from csv_pipeline.spec.header import drift, gathered_in, sources_in, title

CERTAIN, LIKELY, UNKNOWN = "certain", "likely", "unknown"


def mapping_of(report: ImportReport, feed: Feed, account: Account) -> list[dict[str, object]]:
    """Return the names of a file's header in their order, each with the column it is taken for.

    A name of which there is only a guess is not taken for the column; the guess is said.
    """
    own = as_declared(feed, account)
    sources, others = sources_in(report.header, own)
    columns = {column.name: column for column in own.columns}
    guesses = {name: known for known, name in drift(report.header, own).renamed}
    by_title = {title(column): column.name for column in own.columns}
    told = {heading(alias[0]): alias for alias in account.aliases}
    used = {at: columns[name] for name, at in sources.items()}
    spare = {at: name for name, places in others.items() for at in places}
    gathered = {
        at: column
        for column in own.columns
        if column.gathers
        for at in gathered_in(report.header, column.gathers)
    }
    found = []
    for at, name in enumerate(report.header):
        column = used.get(at) or gathered.get(at)
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
                "kind": None if column is None else column.kind.value,
                "key": column is not None and column.name in own.key,
                "guess": guess if column is None else None,
                "confidence": confidence,
                "because": because,
            }
        )
    return found


def _why(name: str, column: Column) -> str:
    if column.gathers:
        return "the name is one of those that the column gathers"
    return "the name of the column" if heading(name) == heading(column.name) else "a known name"
