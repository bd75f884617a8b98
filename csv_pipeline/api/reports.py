"""The report behind a number: that of an import, or what a check of an upload told."""

import sqlalchemy as sa

from csv_pipeline.api.problems import ProblemError
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.storage import browse, imports, uploads
from csv_pipeline.storage.browse import Entry, ImportState


def report_at(connection: sa.Connection, number: int) -> ImportReport:
    """Return the report of a file, under the number that its rejects are stored by.

    Raises:
        UnknownImportError: The number leads to nothing.
        ProblemError: There is no report yet.
    """
    entry = browse.find(connection, number)
    if entry.outcome is not None and entry.import_id is not None:
        return imports.report_of(connection, entry.import_id)
    if entry.upload_id is not None:
        told = uploads.find(connection, entry.upload_id).report
        if told is not None:
            return imports.report_in(told, entry.upload_id)
    raise wrong_state(entry, "one that was imported, refused or checked")


def repairable_at(connection: sa.Connection, number: int) -> int:
    """Return the number of an import whose rejected rows can be corrected and sent back.

    Raises:
        UnknownImportError: The number leads to nothing.
        ProblemError: It stored no rows, or they were taken back.
    """
    entry = browse.find(connection, number)
    stored = entry.outcome is Outcome.IMPORTED and entry.state is ImportState.IMPORTED
    if not stored or entry.import_id is None:
        raise wrong_state(entry, "an import that stored rows")
    return entry.import_id


def wrong_state(entry: Entry, needed: str) -> ProblemError:
    """Return the refusal of what cannot be done in the state that a file is in."""
    code = "import_running" if entry.state is ImportState.RUNNING else "wrong_state"
    number = "" if entry.number is None else f" {entry.number}"
    return ProblemError(
        code, f"import{number}: {needed} was needed; it is {entry.state}", state=entry.state.value
    )
