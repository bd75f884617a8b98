"""Apply what a check or an import suggests: the commands that `engine.suggest` gives."""

import shlex
from enum import StrEnum

from csv_pipeline.account import Account, DateOrder, DecimalMark, Declaration, Declared
from csv_pipeline.engine.accounts import Decided, declare
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError

_KINDS: dict[str, type[StrEnum] | type[int] | type[float]] = {
    "date_order": DateOrder,
    "decimal_mark": DecimalMark,
    "max_file_bytes": int,
    "max_compressed_bytes": int,
    "max_rejected_rows": int,
    "max_rejected_share": float,
}
_OPTIONS = {"--null-word": "null_words", "--alias": "aliases", "--map": "maps"} | {
    f"--{one}": one.fact for one in Declaration
}


def apply(pipeline: Pipeline, account: str, command: str, *, by: str) -> Declared:
    """Declare what a suggested command would, for this account and no other.

    >>> _parsed("acme", "csv-pipeline account acme --feed people --alias 'Artikel Nr=id'")
    (Account(account='acme', feed='people'), {'aliases': ('Artikel Nr=id',)})

    Raises:
        SetupError: It is a command of another kind, or of another account.
    """
    scope, changes = _parsed(account, command)
    return declare(pipeline, scope, changes, decided=Decided(by=by))


def _parsed(account: str, command: str) -> tuple[Account, dict[str, object]]:
    words = shlex.split(command)
    if words[:3] != ["csv-pipeline", "account", account] or len(words) % 2 == 0:
        raise SetupError(f"{command!r}: a setting of account {account!r} was needed")
    told = list(zip(words[3::2], words[4::2], strict=True))
    scope = {name.removeprefix("--"): its for name, its in told if name in {"--feed", "--header"}}
    changes: dict[str, object] = {}
    for name, value in told:
        if name in {"--feed", "--header"}:
            continue
        if name not in _OPTIONS:
            raise SetupError(f"{command!r}: a setting of an account was needed; found {name}")
        fact = _OPTIONS[name]
        changes[fact] = as_told(fact, value, changes.get(fact))
    narrow = Account(account=account, feed=scope.get("feed", ""), header=scope.get("header", ""))
    return narrow, changes


def as_told(fact: str, value: str, before: object = None) -> object:
    """Return a value as `engine.accounts.declare` takes it: some settings have several.

    Raises:
        SetupError: The setting has no such value.
    """
    if fact in {"null_words", "aliases", "maps"}:
        return (*before, value) if isinstance(before, tuple) else (value,)
    if (kind := _KINDS.get(fact)) is None:
        return value
    try:
        kind(value.replace("-", " "))
    except ValueError as error:
        raise SetupError(f"{fact.replace('_', ' ')}: it cannot be {value!r}") from error
    return value if issubclass(kind, StrEnum) else kind(value)
