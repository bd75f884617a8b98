"""Apply what a check or an import suggests: the settings that `engine.suggest` gives."""

from enum import StrEnum

from csv_pipeline.account import Account, DateOrder, DecimalMark, Declared, Setting
from csv_pipeline.engine.accounts import Decided, declare
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError

_KINDS: dict[str, type[StrEnum] | type[int] | type[float]] = {
    "date_order": DateOrder,
    "decimal_mark": DecimalMark,
    "max_file_bytes": int,
    "max_compressed_bytes": int,
    "max_columns": int,
    "max_records": int,
    "max_rejected_rows": int,
    "max_rejected_share": float,
    "max_missing_rows": int,
    "max_missing_share": float,
    "priority": int,
}


def apply(pipeline: Pipeline, account: str, suggested: Setting, *, by: str) -> Declared:
    """Declare a suggested setting, for this account and no other.

    Raises:
        SetupError: It is of another account, or has no such value.
    """
    if suggested.account != account or suggested.value is None:
        raise SetupError(f"{suggested}: a setting of account {account!r} was needed")
    scope = Account(account=account, feed=suggested.feed, header=suggested.header)
    changes = {suggested.name: as_told(suggested.name, suggested.value)}
    return declare(pipeline, scope, changes, decided=Decided(by=by))


def as_told(fact: str, value: str) -> object:
    """Return a value as `engine.accounts.declare` takes it: some settings have several.

    Raises:
        SetupError: The setting has no such value.
    """
    if fact in {"null_words", "aliases", "maps"}:
        return (value,)
    if (kind := _KINDS.get(fact)) is None:
        return value
    try:
        kind(value.replace("-", " "))
    except ValueError as error:
        raise SetupError(f"{fact.replace('_', ' ')}: it cannot be {value!r}") from error
    return value if issubclass(kind, StrEnum) else kind(value)
