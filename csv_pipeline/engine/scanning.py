"""Look at the landing areas, and enter what is new into the ledger.

One that is silent is left out until it is time to ask it again; the others go on.
"""

import json
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Required, TypedDict, Unpack

import structlog

from csv_pipeline.engine import archive, silence
from csv_pipeline.files.landing import ScanResult, scan_landing
from csv_pipeline.location import Location, is_below
from csv_pipeline.settings import Settings
from csv_pipeline.storage import accounts, arrivals, folders, silent_stores
from csv_pipeline.storage.database import Database


class Look(TypedDict, total=False):
    """For how long to look, and at what.

    Of one `account` only its folders are looked at; or only at files known to be `complete`. Each
    area has an equal part of the `seconds`; `start_at` is the `stopped_at` of an earlier look.
    """

    seconds: Required[float]
    start_at: str | None
    account: str | None
    complete: Collection[Location] | None


@dataclass(frozen=True, slots=True)
class Feeds:
    """The names of the feeds there are, and of those whose files wait."""

    usable: Collection[str]
    broken: Collection[str]


_NOTHING = ScanResult(found=(), misplaced=(), growing=0)
log = structlog.get_logger()


def scan(database: Database, settings: Settings, feeds: Feeds, **how: Unpack[Look]) -> ScanResult:
    """Look at the landing areas, enter what is new into the ledger and return it."""
    deadline, complete = time.monotonic() + how["seconds"], how.get("complete")
    everything = how.get("account") is None and complete is None
    again = silence.ask_again(database, settings) if everything else {}
    with database.begin() as connection:
        silent = {one.store: one.problem for one in silent_stores.find(connection) if one.listing}
    # Those that may keep us waiting come last.
    areas = [area for area in settings.landing_areas if str(area) not in silent]
    areas += [area for area in settings.landing_areas if str(area) in again]
    before, stopped_at = _positions(how.get("start_at")), dict[str, str]()
    seen = replace(
        _NOTHING, silent={name: why for name, why in silent.items() if name not in again}
    )
    for number, area in enumerate(areas):
        now, name = time.monotonic(), str(area)
        these = None if complete is None else [one for one in complete if is_below(one, area)]
        if these == []:
            continue
        bounds = {
            "deadline": now + max(0.0, deadline - now) / (len(areas) - number),
            "start_at": before.get(name),
            "account": how.get("account"),
            "complete": these,
        }
        try:
            its = _scan_folders(database, settings, feeds, area, bounds)
        except (*silence.SILENT, OSError) as error:
            log.warning("landing area is silent", area=name, because=str(error))
            seen = replace(seen, silent={**seen.silent, name: str(error)})
            with database.begin() as connection:
                silent_stores.note(connection, name, str(error), listing=True, asked=name in again)
            continue
        if name in again:
            with database.begin() as connection:
                silent_stores.answered(connection, [name])
        if its.stopped_at is not None:
            stopped_at[name] = its.stopped_at
        seen = replace(
            seen,
            found=(*seen.found, *its.found),
            misplaced=(*seen.misplaced, *its.misplaced),
            growing=seen.growing + its.growing,
            held=seen.held + its.held,
        )
    return replace(seen, stopped_at=json.dumps(stopped_at) if stopped_at else None)


def _scan_folders(
    database: Database, settings: Settings, feeds: Feeds, area: Location, bounds: dict[str, Any]
) -> ScanResult:
    """Look at all of an area, or at the folders of one account."""
    account = bounds["account"]
    if account is None:
        return _scan(database, settings, feeds, area, bounds)
    with database.begin() as connection:
        named = folders.find(connection)
    # A folder of its name may be another account's by now.
    its = [account] if named.get(account, account) == account else []
    its += [name for name, whose in named.items() if whose == account != name]
    seen = _NOTHING
    for name in its:
        one = _scan(database, settings, feeds, area, {**bounds, "account": name})
        seen = replace(
            one,
            found=(*seen.found, *one.found),
            misplaced=(*seen.misplaced, *one.misplaced),
            growing=seen.growing + one.growing,
            held=seen.held + one.held,
        )
    return seen


def _scan(
    database: Database, settings: Settings, feeds: Feeds, area: Location, bounds: dict[str, Any]
) -> ScanResult:
    folder = bounds["account"]
    under = f"{area / folder if folder else area}/"
    with database.begin() as connection:
        known = arrivals.known_files(connection, under)
        astray = arrivals.misplaced_files(connection, under)
        named, others = folders.find(connection), accounts.names(connection)
    seen = scan_landing(
        area,
        feeds.usable,
        known=known,
        settle_seconds=settings.settle_seconds,
        broken=feeds.broken,
        folders=named,
        accounts=others,
        **bounds,
    )
    with database.begin() as connection:
        archive.let_returned_wait(connection, seen.found)
        arrivals.register(connection, seen.found, seen.misplaced)
        if bounds["complete"] is None and seen.stopped_at is None:
            arrivals.forget_misplaced(connection, astray, (file for file, _ in seen.misplaced))
    return seen


def _positions(start_at: str | None) -> Mapping[str, str]:
    """Return where to go on in each area; what another release wrote says nothing."""
    with suppress(ValueError):
        found = json.loads(start_at or "")
        if isinstance(found, dict):
            return {str(name): str(at) for name, at in found.items()}
    return {}
