"""What can be done with a file that was sent or imported: undo, cancel, retry, again, dismiss.

Each asks Dagster for a run, or tells one to end; only the ledger knows that one needs nobody.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum

import sqlalchemy as sa

from csv_pipeline.access import Scope
from csv_pipeline.api.callers import Caller
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.reports import wrong_state
from csv_pipeline.api.service import Service
from csv_pipeline.api.taking import forget
from csv_pipeline.engine.import_requests import ImportRequest
from csv_pipeline.storage import arrivals, attention, browse, claims, undo_records, uploads
from csv_pipeline.storage.browse import Entry, ImportState


class Action(StrEnum):
    """What can be done with a file."""

    UNDO = "undo"
    CANCEL = "cancel"
    RETRY = "retry"
    AGAIN = "again"
    DISMISS = "dismiss"


SCOPES: Mapping[Action, Scope] = {
    Action.UNDO: Scope.UNDO,
    Action.CANCEL: Scope.UPLOAD,
    Action.RETRY: Scope.UPLOAD,
    Action.AGAIN: Scope.UPLOAD,
    Action.DISMISS: Scope.CORRECT,
}
_STORED = {ImportState.IMPORTED, ImportState.DUPLICATE}
_NOT_STORED = {
    *(ImportState.FAILED, ImportState.REFUSED, ImportState.CANCELED),
    *(ImportState.UNDONE, ImportState.DUPLICATE),
}
_ON_ITS_WAY = {ImportState.ARRIVED, ImportState.QUEUED, ImportState.RUNNING}


def act(service: Service, caller: Caller, number: int, action: Action) -> str | None:
    """Do something with a file and return the Dagster run that was asked for, if any.

    Raises:
        UnknownImportError: The number leads to nothing that the caller sees.
        UndoError: It cannot be undone.
        ProblemError: The token does not allow it, the file is not in a state for it, or Dagster
            does not answer.
    """
    caller.hold_to(SCOPES[action])
    with service.reading(caller) as connection:
        entry = browse.find(connection, number)
    run_id = _ACTIONS[action](service, entry)
    service.note(caller, action, f"import {number}", entry.account, run_id=run_id)
    return run_id


def _undo(service: Service, entry: Entry) -> str | None:
    if entry.import_id is None or entry.outcome is None:
        raise wrong_state(entry, "one that was imported")
    with service.pipeline.database.begin() as connection:
        undo_records.undoable(connection, entry.import_id)
    return service.runs.undo(entry.account, entry.import_id)


def _cancel(service: Service, entry: Entry) -> str | None:
    if entry.arrival_id is not None and entry.state in _ON_ITS_WAY:
        return _withdraw(service, entry, entry.arrival_id)
    if entry.upload_id is None or entry.arrival_id is not None or entry.state.is_final:
        raise wrong_state(entry, "one that is running, or an upload that is not imported yet")
    with service.pipeline.database.begin() as connection:
        upload = uploads.find(connection, entry.upload_id)
    forget(service, upload)
    return None


def _withdraw(service: Service, entry: Entry, arrival_id: int) -> str | None:
    """Cancel a file that lies in the landing area; end its run if that has no other file."""
    with service.pipeline.database.begin() as connection:
        if not claims.cancel(connection, arrival_id):
            raise wrong_state(entry, "one that is not settled yet")
        run_id = entry.run_id
        if run_id is None or claims.others_of_run(connection, run_id, arrival_id):
            return None
    with suppress(ProblemError):  # without an answer it ends by itself: it has lost the claim
        service.runs.end(run_id)
    return run_id


def _retry(service: Service, entry: Entry) -> str | None:
    """Import once more what is not stored; a person named it, so that refused files go, too."""
    return _import(service, entry, _NOT_STORED, "one that failed or was refused", again=False)


def _again(service: Service, entry: Entry) -> str | None:
    return _import(service, entry, _STORED | _NOT_STORED, "one that is settled", again=True)


def _dismiss(service: Service, entry: Entry) -> str | None:
    if entry.import_id is None:
        raise wrong_state(entry, "one that was refused or failed, or that rejected rows")
    with service.pipeline.database.begin() as connection:
        attention.dismiss(connection, entry.import_id)
    return None


def _import(
    service: Service, entry: Entry, states: set[ImportState], needed: str, *, again: bool
) -> str | None:
    if entry.state not in states or entry.arrival_id is None or entry.undoes is not None:
        raise wrong_state(entry, needed)
    if entry.feed is None:
        raise wrong_state(entry, "one of a feed")
    with service.pipeline.database.begin() as connection:
        _hold_to_newest(connection, entry)
    return service.runs.import_files(
        ImportRequest(
            account=entry.account,
            feed=service.pipeline.feed(entry.feed),
            arrival_ids=[entry.arrival_id],
            again=again,
        )
    )


def _hold_to_newest(connection: sa.Connection, entry: Entry) -> None:
    """Let only the last import of a file go on: what came of an earlier one is settled."""
    (found,) = arrivals.find(connection, arrival_ids=[entry.arrival_id or 0])
    if entry.state is ImportState.CANCELED:
        return
    if found.import_id != entry.import_id:
        raise ProblemError(
            "wrong_state",
            f"import {entry.number}: the last import of its file was needed; that is "
            f"{found.import_id}",
        )


_ACTIONS: Mapping[Action, Callable[[Service, Entry], str | None]] = {
    Action.UNDO: _undo,
    Action.CANCEL: _cancel,
    Action.RETRY: _retry,
    Action.AGAIN: _again,
    Action.DISMISS: _dismiss,
}
