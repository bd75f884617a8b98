"""Every exception of the pipeline, grouped by what the catcher does about it.

PipelineError
├── FileRefusedError            the file is refused and the ledger says why; the run goes on
│   ├── UnreadableFileError     the bytes are no text, or an archive that gives none
│   ├── EmptyFileError          there is not even a header
│   ├── LimitExceededError      larger, wider or longer than the settings allow, or a bomb
│   ├── MissingColumnError      the header lacks columns the feed needs
│   ├── WrongFeedError          the header is that of another feed
│   ├── FileNameError           the file is not named as the feed's files are
│   │   └── WrongAccountError   its name tells another account than the one it came for
│   ├── UndecidableError        a date order or decimal mark that no value settles
│   ├── ContradictionError      the file contradicts itself, or what the account declares
│   ├── MixedCurrenciesError    a column has amounts in several currencies and none says which
│   ├── ThresholdExceededError  more rows broke a rule than the feed allows
│   ├── NoGoodRowError          many lines below the header and not one row that can be stored
│   ├── TableRefusesError       the table refuses so many rows that no more are looked for
│   ├── TooManyMissingError     a snapshot lacks more stored rows than the feed allows
│   ├── MissingRefusedError     the table does not let a row that a snapshot lacks be marked
│   ├── ReplayError             rejected rows sent back in a way that fits no import
│   └── SourceChangedError      the file is not the one that arrived, or is gone
├── SetupError                  a feed, a setting or a name is wrong; a person must correct it
│   ├── UnknownFeedError
│   ├── InvalidAccountError
│   ├── UnknownAccountError
│   ├── UnknownImportError
│   ├── UndoError
│   ├── UnsupportedDatabaseError
│   └── StoreDeniedError        an object store that does not let us in; its files wait
├── UnavailableError            what does not answer now may answer later; try again
│   ├── DatabaseUnavailableError
│   └── StoreUnavailableError   the object store that files lie in
├── LostClaimError              another worker has the file by now; drop the work
└── AccountingError             the counts do not add up; nothing may become visible

A bad row is not an exception: it is a `Reject`. Texts read *where: what was needed; what was
found*, and never hold a secret.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches


class PipelineError(Exception):
    """The root of the tree."""


class FileRefusedError(PipelineError):
    """Refuse a whole file; `code` is the stable short name of why."""

    code = "refused"

    def __init__(self, name: str, needed: str, found: str) -> None:
        self.name, self.needed, self.found = name, needed, found
        super().__init__(f"{name}: {needed}; {found}")


class UnreadableFileError(FileRefusedError):
    """The bytes are no text in any encoding the evidence allows, or an archive that gives none."""

    code = "unreadable"


class EmptyFileError(FileRefusedError):
    """There is not even a header."""

    code = "empty"


class LimitExceededError(FileRefusedError):
    """The file is larger, wider or longer than the settings allow."""

    code = "limit"


class MissingColumnError(FileRefusedError):
    """The header lacks columns the feed needs."""

    code = "missing_column"

    def __init__(  # noqa: PLR0913, PLR0917  # what was found, and the way out
        self,
        name: str,
        feed: str,
        missing: Sequence[tuple[str, Sequence[str]]],
        header: Sequence[str],
        likely: Mapping[str, str],
        settle: str = "",
    ) -> None:
        self.feed, self.missing, self.header = feed, tuple(missing), tuple(header)
        self.likely = dict(likely)
        wanted = ", ".join(_with_aliases(column, aliases) for column, aliases in missing)
        plural = "columns" if len(missing) > 1 else "column"
        super().__init__(
            name,
            f"feed {feed!r} needs the {plural} {wanted}",
            f"the header has {_listed(header)}{_likely(likely)}{settle}"
            if header
            else "no line of it looks like a header",
        )


class WrongFeedError(FileRefusedError):
    """The header is that of another feed."""

    code = "wrong_feed"


class FileNameError(FileRefusedError):
    """The file is not named as the feed's files are."""

    code = "file_name"


class WrongAccountError(FileNameError):
    """The file's name tells another account than the one that it came for."""

    code = "wrong_account"

    def __init__(self, name: str, account: str, named: str) -> None:
        self.account, self.named = account, named
        super().__init__(
            name,
            f"a file of account {account!r}, for which it came, was needed",
            f"its name tells account {named!r}; if it is that one's, put it into the folder of "
            "that account",
        )


class UndecidableError(FileRefusedError):
    """A header, a section, a date order or a decimal mark that nothing in the file settles."""

    code = "undecidable"


class ContradictionError(FileRefusedError):
    """The file contradicts itself, or what the account declares."""

    code = "contradiction"


class MixedCurrenciesError(FileRefusedError):
    """Amounts of one column are in several currencies, and no column says in which."""

    code = "mixed_currencies"

    def __init__(  # what was found, and the way out
        self, name: str, feed: str, column: str, found: str, settle: str = ""
    ) -> None:
        self.feed, self.column = feed, column
        super().__init__(
            name,
            f"column {column!r} needs amounts in one currency, as feed {feed!r} has no column "
            "that says in which they are",
            f"they state {found}{settle}",
        )


class ThresholdExceededError(FileRefusedError):
    """More rows of the file broke a rule than the feed allows."""

    code = "threshold"

    def __init__(  # noqa: PLR0913  # the limit, and what was found
        self, name: str, feed: str, limit: str, rejected: int, read: int, *, so_far: bool = False
    ) -> None:
        self.feed, self.limit, self.rejected, self.read = feed, limit, rejected, read
        super().__init__(
            name,
            f"feed {feed!r} allows at most {limit}",
            f"{'at least ' if so_far else ''}{rejected:,} of {read:,} rows "
            f"({rejected / max(read, 1):.1%}) were, so no row of the file is stored",
        )


class NoGoodRowError(FileRefusedError):
    """The file has many lines below its header, and not one of them is a row that can be stored."""

    code = "no_good_row"


class TableRefusesError(FileRefusedError):
    """The table refuses so many rows of the file that no more are looked for."""

    code = "table"

    def __init__(self, name: str, table: str, refused: int, rule: str) -> None:
        self.table, self.refused, self.rule = table, refused, rule
        super().__init__(
            name,
            f"rows that table {table} takes were needed",
            f"it refused {refused:,} that were tried one by one, most often by {rule}, so no row "
            "of the file is stored",
        )


class TooManyMissingError(FileRefusedError):
    """A snapshot lacks more stored rows of its scope than the feed allows."""

    code = "too_many_missing"

    def __init__(self, name: str, feed: str, limit: str, absent: int, stored: int) -> None:
        self.feed, self.limit, self.absent, self.stored = feed, limit, absent, stored
        super().__init__(
            name,
            f"feed {feed!r} allows a snapshot to lack at most {limit} stored in its scope",
            f"it lacks {absent:,} of {stored:,} rows ({absent / max(stored, 1):.1%}), so nothing "
            "of the file is stored; if it is whole, import it and allow these by --max-missing "
            f"{absent} (in a run's config max_missing: {absent})",
        )


class MissingRefusedError(FileRefusedError):
    """The table does not let stored rows that a snapshot lacks be flagged or deleted."""

    code = "missing_refused"

    def __init__(self, name: str, table: str, absent: int, by: str) -> None:
        self.table, self.absent = table, absent
        super().__init__(
            name,
            f"a table {table} that lets {absent:,} stored rows be marked as missing was needed",
            f"{by} refuses it, so nothing of the file is stored",
        )


class ReplayError(FileRefusedError):
    """Rejected rows were sent back in a way that fits no import."""

    code = "replay"


class SourceChangedError(FileRefusedError):
    """The file is not the one that arrived, or it is gone."""

    code = "source_changed"


class SetupError(PipelineError):
    """A feed, a setting or a name is wrong; a person must correct it."""


class UnknownFeedError(SetupError):
    """No feed has this name."""

    def __init__(self, name: str, feeds: Sequence[str]) -> None:
        self.name, self.feeds = name, tuple(feeds)
        super().__init__(
            f"feed {name!r}: one of {_listed(feeds)} was needed; no feed has this name"
            f"{_alike(name, feeds)}"
        )


class BrokenFeedError(SetupError):
    """The file that declares the feed is wrong, or its stored table differs; other feeds go on."""

    def __init__(self, name: str, why: str, *, differs: bool = False) -> None:
        self.name, self.why, self.differs = name, why, differs
        needed = "a file without faults was needed to declare it"
        if differs:
            needed = "stored rows that are as it declares were needed"
        super().__init__(f"feed {name!r}: {needed}; {why}")


class InvalidAccountError(SetupError):
    """The account is not a slug."""

    def __init__(self, account: str) -> None:
        self.account = account
        super().__init__(
            f"account {account!r}: small letters, digits, '_' and '-' were needed, "
            "beginning with a letter or digit"
        )


class UnknownAccountError(SetupError):
    """No account has this name."""

    def __init__(self, name: str, accounts: Sequence[str]) -> None:
        self.name = name
        super().__init__(
            f"account {name!r}: an account that exists was needed; none has this name"
            f"{_alike(name, accounts)}"
        )


class UnknownImportError(SetupError):
    """No import has this id."""

    def __init__(self, import_id: int) -> None:
        self.import_id = import_id
        super().__init__(
            f"import {import_id}: the ledger has no import of this id; a dry run leaves none"
        )


class UndoError(SetupError):
    """The import cannot be undone."""

    def __init__(self, import_id: int, needed: str, found: str) -> None:
        self.import_id, self.needed, self.found = import_id, needed, found
        super().__init__(f"undo of import {import_id}: {needed} was needed; {found}")


class UnsupportedDatabaseError(SetupError):
    """The server or its database is not one the pipeline can work on: old, not UTF-8, read-only."""


class StoreDeniedError(SetupError):
    """An object store does not let us do what was asked; its files wait until a person lets it.

    `of_all`: of no file of the store, as far as is known.
    """

    def __init__(
        self, location: str, store: str, asked: str, found: str, *, of_all: bool = True
    ) -> None:
        self.location, self.store, self.asked, self.found = location, store, asked, found
        self.of_all = of_all
        super().__init__(f"{location}: credentials that allow {asked} were needed; {found}")


class UnavailableError(PipelineError):
    """Something outside does not answer; the same call may succeed later."""


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer; the same call may succeed later."""


class StoreUnavailableError(UnavailableError):
    """The object store does not answer; the same call may succeed later."""

    def __init__(self, location: str, store: str, found: str) -> None:
        self.location, self.store, self.found = location, store, found
        super().__init__(f"{location}: an answer of {store} was needed; {found}")


class LostClaimError(PipelineError):
    """Another worker has the file by now; what was done here must be dropped."""

    def __init__(self, arrival_id: int, attempt: int) -> None:
        self.arrival_id, self.attempt = arrival_id, attempt
        super().__init__(
            f"arrival {arrival_id}: attempt {attempt} was to be the current claim; "
            "another worker has claimed or settled it since"
        )


class AccountingError(PipelineError):
    """The counts of an import do not add up, so nothing of it may become visible."""


def _listed(names: Sequence[str], limit: int = 40) -> str:
    shown = ", ".join(repr(name) for name in names[:limit]) or "nothing"
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _alike(name: str, known: Sequence[str]) -> str:
    alike = get_close_matches(name, known, n=3)
    return f" (did you mean {' or '.join(map(repr, alike))}?)" if alike else ""


def _likely(names: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{name!r} may be {column!r}" for column, name in names.items())
    return f"; {pairs}" if pairs else ""


_ALIASES = re.compile(
    r""" \(also known as (?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|, | and \d+ more)*\)"""
)


def without_aliases(message: str) -> str:
    """Return what an error says without the other names of columns, for where there is no room.

    >>> without_aliases("it needs 'ID' (also known as 'No (1)', 'no'); it has 'x'")
    "it needs 'ID'; it has 'x'"
    """
    return _ALIASES.sub("", message)


def _with_aliases(column: str, aliases: Sequence[str]) -> str:
    return f"{column!r} (also known as {_listed(aliases, 8)})" if aliases else repr(column)
