"""Accounts, and what each declares of its files."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.account import Account
from csv_pipeline.api.callers import Admin, Reader
from csv_pipeline.api.examples import example, refusals
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.engine import accounts as engine
from csv_pipeline.engine.views import settings_facts
from csv_pipeline.storage import accounts

router = APIRouter(prefix="/accounts", tags=["accounts"])
_Word = Annotated[str, Field(max_length=1_000)]
_Count = Annotated[int, Field(ge=0, le=2**62)]
_Share = Annotated[float, Field(ge=0, le=1)]
Scope = Annotated[str, Query(description="Only for files of this feed.")]
Header = Annotated[
    str, Query(description="Only for its files with this header, by the fingerprint of it.")
]

_SETTINGS: dict[str, Any] = {
    "account": "acme",
    "feed": None,
    "settings": [
        {
            "name": "time-zone",
            "value": "Europe/Berlin",
            "feed": None,
            "header": None,
            "version": 1,
            "declared_at": "2026-11-26T22:00:00+00:00",
            "declared_by": "the shop's ERP",
        }
    ],
}


class Settings(BaseModel):
    """Settings of an account, by the names that `csv-pipeline account` has."""

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
        validate_by_alias=True,
    )

    seller_id: Annotated[str | None, Field(max_length=200)] = None
    date_order: Literal["day-first", "month-first", "year-first"] | None = None
    decimal_mark: Literal["point", "comma"] | None = None
    time_zone: Annotated[str | None, Field(max_length=100, examples=["Europe/Berlin"])] = None
    encoding: Annotated[str | None, Field(max_length=40, examples=["windows-1252"])] = None
    delimiter: Annotated[str | None, Field(max_length=10, examples=["semicolon"])] = None
    currency: Annotated[str | None, Field(max_length=3, examples=["EUR"])] = None
    null_words: list[_Word] = []
    aliases: Annotated[list[_Word], Field(examples=[["Artikel Nr=sku"]])] = []
    maps: Annotated[list[_Word], Field(examples=[["order_status:Versendet=shipped"]])] = []
    max_file_bytes: _Count | None = None
    max_compressed_bytes: _Count | None = None
    max_columns: _Count | None = None
    max_records: _Count | None = None
    max_rejected_rows: _Count | None = None
    max_rejected_share: _Share | None = None
    max_missing_rows: _Count | None = None
    max_missing_share: _Share | None = None
    expected_every: Annotated[str | None, Field(max_length=10, examples=["24h"])] = None
    priority: Annotated[int | None, Field(ge=-100, le=100)] = None
    import_at: Annotated[str | None, Field(max_length=100, examples=["0 22 * * *"])] = None


class Changes(BaseModel):
    """Settings to declare and those to forget."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"settings": {"time-zone": "Europe/Berlin"}, "forget": ["delimiter"]}]
        }
    )

    settings: Settings = Settings()
    forget: Annotated[list[_Word], Field(examples=[["delimiter"]])] = []
    accept_reading: Annotated[
        bool, Field(description="Also where rows that come again may be stored a second time.")
    ] = False


@router.get("", responses=example(["acme", "seller-one"]))
def listed(caller: Reader, service: ServiceOf) -> list[str]:
    """Return the accounts that your token is for."""
    with service.reading(caller) as connection:
        return accounts.names(connection)


@router.get(
    "/{account}/settings",
    responses=example(_SETTINGS | {"history": []}) | refusals("unknown_account", "unknown_feed"),
)
def settings(account: str, caller: Reader, service: ServiceOf, feed: Scope = "") -> dict[str, Any]:
    """Return what an account declares of its files, or of those of a feed, and every change."""
    caller.hold_to_account(account)
    if feed:
        service.pipeline.feed(feed)
    with service.reading(caller) as connection:
        if account not in accounts.names(connection):
            raise ProblemError("unknown_account", f"account {account!r}: there is none")
        declared = accounts.declared(connection, account, feed)
        history = accounts.history(connection, account)
    return settings_facts(account, feed, declared.held if feed else declared.settings, history)


@router.patch(
    "/{account}/settings",
    responses=example(_SETTINGS)
    | refusals("unknown_account", "unknown_feed", "invalid_account", "not_accepted"),
)
def declare(  # noqa: PLR0913, PLR0917  # for which files, and what
    account: str,
    changes: Changes,
    caller: Admin,
    service: ServiceOf,
    feed: Scope = "",
    header: Header = "",
) -> dict[str, Any]:
    """Declare settings of files, or forget some; later imports are read by them."""
    caller.hold_to_account(account)
    given = changes.settings.model_dump(exclude_unset=True)
    caller.hold_to_settings({*given, *changes.forget})
    declared = engine.declare(
        service.pipeline,
        Account(account=account, feed=feed, header=header),
        {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()},
        changes.forget,
        engine.Decided(by=caller.who, accept_reading=changes.accept_reading),
    )
    service.note(
        caller,
        "settings changed",
        f"account {account}",
        account,
        settings=sorted(given),
        forgotten=changes.forget,
    )
    return settings_facts(account, feed, declared.held if feed else declared.settings)
