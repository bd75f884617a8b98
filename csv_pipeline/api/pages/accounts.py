"""Accounts: what each declares of its files, what was decided and remembered, and every change."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from csv_pipeline.account import Account, Declaration, Declared, Version, entry_of
from csv_pipeline.api.callers import Caller, Corrector, Reader
from csv_pipeline.api.pages.alerts import alerts_of
from csv_pipeline.api.pages.forms import OwnForm
from csv_pipeline.api.pages.home import names
from csv_pipeline.api.pages.page import answer, leads_to
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.engine import remedies, views
from csv_pipeline.engine.accounts import Decided, declare
from csv_pipeline.errors import UnknownAccountError
from csv_pipeline.storage import accounts

router = APIRouter()
_LISTS = {"null_words": "null-word", "aliases": "alias", "maps": "map"}


@router.get("/accounts")
@router.get("/accounts.json")
def listed(request: Request, caller: Reader, service: ServiceOf) -> Response:
    """Show the accounts."""
    with service.reading(caller) as connection:
        known = names(connection, caller)
    facts = {"accounts": known, **alerts_of(service, caller, None)}
    return answer(request, "accounts.html", facts)


@router.get("/accounts/{name}")
@router.get("/accounts/{name}.json")
def one(request: Request, name: str, caller: Reader, service: ServiceOf) -> Response:
    """Show one account."""
    _hold_to(service, caller, name)
    with service.reading(caller) as connection:
        declared = Declared(account=name, versions=accounts.latest(connection, name))
        history = accounts.history(connection, name)
    facts = views.settings_facts(name, "", declared.settings, history)
    facts |= alerts_of(service, caller, name)
    shown = {
        "entries": list(_entries(declared)),
        "choices": [(one.fact, one.fact.replace("_", " ")) for one in Declaration],
        "feeds": list(service.pipeline.feeds),
    }
    return answer(request, "account.html", facts, shown)


@router.post("/accounts/{name}", dependencies=[OwnForm])
def settle(  # noqa: PLR0913, PLR0917  # what a form says
    name: str,
    caller: Corrector,
    service: ServiceOf,
    setting: Annotated[str, Form()],
    value: Annotated[str, Form()],
    feed: Annotated[str, Form()] = "",
) -> Response:
    """Declare a setting."""
    _hold_to(service, caller, name)
    caller.hold_to_settings([setting])
    changes = {setting: remedies.as_told(setting, value)}
    scope = Account(account=name, feed=feed)
    declare(service.pipeline, scope, changes, decided=Decided(by=caller.who))
    service.note(caller, "declare", f"account {name}", name, setting=setting, value=value)
    return leads_to(f"/accounts/{name}?said=It+holds+from+the+next+file+on.")


@router.post("/accounts/{name}/forget", dependencies=[OwnForm])
def forget(  # noqa: PLR0913, PLR0917  # what a form says
    name: str,
    caller: Corrector,
    service: ServiceOf,
    forget: Annotated[str, Form()],
    feed: Annotated[str, Form()] = "",
    header: Annotated[str, Form()] = "",
) -> Response:
    """Let the files decide again."""
    _hold_to(service, caller, name)
    caller.hold_to_settings([forget])
    scope = Account(account=name, feed=feed, header=header)
    declare(service.pipeline, scope, {}, [forget], Decided(by=caller.who))
    service.note(caller, "forget", f"account {name}", name, setting=forget)
    return leads_to(f"/accounts/{name}?said=It+is+forgotten.+The+files+decide+again.")


def _hold_to(service: Service, caller: Caller, name: str) -> None:
    """Let only a caller of the account go on, and only to one that there is."""
    caller.hold_to_account(name)
    with service.pipeline.database.begin() as connection:
        known = accounts.names(connection)
    if name not in known:
        raise UnknownAccountError(name, [one for one in known if caller.sees(one)])


def _entries(declared: Declared) -> Iterator[dict[str, Any]]:
    """Give each setting, and of lists each entry, with how it is forgotten."""
    for version, name, value in declared.settings:
        if name in _LISTS:
            for one in value:
                shown = one if isinstance(one, str) else f"{': '.join(one[:-1])} = {one[-1]}"
                yield _entry(version, name, shown, f"{_LISTS[name]}:{entry_of(one)}")
        else:
            yield _entry(version, name, str(value), name.replace("_", "-"))


def _entry(version: Version, name: str, shown: str, forget: str) -> dict[str, Any]:
    facts = version.facts
    scope = f"files of {facts.feed}" if facts.feed else "all files"
    return views.version_facts(version) | {
        "word": name.replace("_", " "),
        "shown": shown,
        "scope": f"{scope} with header {facts.header}" if facts.header else scope,
        "forget": forget,
    }
