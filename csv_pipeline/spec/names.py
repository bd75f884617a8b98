"""Hold the names of a feed, its columns and its views to what can carry them, when it is declared.

They become tables, columns and views in PostgreSQL, folders, Dagster assets and ops. The pipeline's
own columns begin with `_` everywhere, so that no name which is allowed here can meet one of them.
"""

import inspect
import keyword
import re
from collections.abc import Iterable

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.contract import Contract, columns_of

_SLUG = re.compile(r"[a-z][a-z0-9_]*")
_MOST_BYTES = 63  # NAMEDATALEN - 1; PostgreSQL cuts longer names off
_SUFFIXES = (
    "_history",
    "_by_import",
    "_by_block",
    "_history_by_import",
    "_history_by_writer",
    "_history_deleted",
    "_key",
    "_rejects",
    "_worklist",
    "_files",
    "_files_checks",
)
"""What tables, indexes, assets and ops of a feed are called behind its name."""

_TAKEN = frozenset({"account", "ctid", "cmax", "cmin", "tableoid", "xmax", "xmin"})
"""`account` is the first column of every table; the others are PostgreSQL's system columns."""

OF_DAGSTER = frozenset(
    {"arg_dict", "bool", "conf", "config", "context", "dict", "float", "input", "input_arg_dict"}
    | {"int", "meta", "output", "output_arg_dict", "str", "type", *keyword.kwlist}
    | {
        "check",
        "check_upload",
        "claim",
        "import_files",
        "import_once_more",
        "landing_area",
        "landing_area_checks",
        "load",
        "read",
        "remove_expired",
        "report",
        "reprocess_accounts",
        "retention",
        "transform",
        "undo",
        "undo_import",
        "export_rejects",
        "rejects",
    }
    | {"validate"}
)
"""A feed is a graph in Dagster: these words it does not allow, and those are our ops and jobs."""

_SLUG_WORDS = "a small letter first, then small letters, digits and `_`"


def hold_names(
    feed: str, contract: type[Contract], views: Iterable[str], derived: Iterable[str] = ()
) -> None:
    """Check the names that a feed declares.

    Raises:
        SetupError: One is no slug, too long, taken, or has two meanings.
    """
    _hold(f"feed {feed!r}: a name", feed, _MOST_BYTES - max(map(len, _SUFFIXES)))
    if feed in OF_DAGSTER:
        raise SetupError(
            f"feed {feed!r}: another name was needed; Dagster, or the pipeline in it, has this one"
        )
    for table in derived:
        _hold(f"feed {feed!r}: a derived table", table, _MOST_BYTES)
        if table in OF_DAGSTER:
            raise SetupError(
                f"feed {feed!r}: another name of its derived table was needed; Dagster, or the "
                f"pipeline in it, has {table!r}"
            )
    for view in views:
        _hold(f"feed {feed!r}: a view", view, _MOST_BYTES)
    columns = {column.name for column in columns_of(contract)}
    for column in sorted(columns | _left_out(contract)):
        what = f"feed {feed!r}: a column"
        _hold(what, column, _MOST_BYTES)
        if column in _TAKEN:
            taken = ", ".join(sorted(_TAKEN))
            raise SetupError(f"{what} of another name than {taken} was needed; found {column!r}")


def hold_apart(feeds: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Check that feeds which are used together share no name; each comes with those of its views.

    Raises:
        SetupError: Two tables, indexes, views or assets would have the same.
    """
    owners: dict[str, str] = {}
    for feed, views in feeds:
        for name in (feed, *(f"{feed}{suffix}" for suffix in _SUFFIXES), *views):
            if name in owners:
                raise SetupError(
                    f"feeds {owners[name]!r} and {feed!r}: tables, views and assets of names of "
                    f"their own were needed; both have {name!r}"
                )
            owners[name] = feed


def _hold(what: str, name: str, most: int) -> None:
    if not _SLUG.fullmatch(name):
        raise SetupError(f"{what} of {_SLUG_WORDS} was needed; found {name!r}")
    if len(name) > most:
        raise SetupError(f"{what} of at most {most} characters was needed; found {name!r}")


def _left_out(contract: type[Contract]) -> set[str]:
    """Return names that are declared with a type and that Pandera makes no column of."""
    declared: set[str] = set()
    for base in contract.__mro__:
        if base is not Contract and issubclass(base, Contract):
            declared |= set(inspect.get_annotations(base))
    return declared - {column.name for column in columns_of(contract)}


EXTRA = "_extra"
"""The column of a row's cells that the feed does not know, as one JSON object."""

MISSING_SINCE = "_missing_since"
"""When a snapshot flagged a row that is not in it, in tables of feeds that flag them."""
