"""Write the rejected rows of an import as a file that a person can correct."""

from pathlib import Path

from csv_pipeline.files.stores import written_to
from csv_pipeline.location import Location
from csv_pipeline.rejects.rejects_file import write_rejects
from csv_pipeline.settings import Settings
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.storage import imports, quarantine
from csv_pipeline.storage.database import Database


def export_rejects(
    database: Database,
    import_id: int,
    path: Path,
    *,
    verbatim: bool = False,
    repaired: bool = False,
) -> int:
    """Write the rejected rows of an import for a person to correct and return their number.

    If there are none, no file is left. Rows that another import repaired are left out unless
    `repaired`; `verbatim` is for machines: no cell is kept from being a formula.

    Raises:
        UnknownImportError: The ledger has no such import.
    """
    with database.begin() as connection:
        report = imports.report_of(connection, import_id)
        split = Grammar(report.delimiter, report.quote, report.escape).cells
        with path.open("w", encoding="utf-8" if verbatim else "utf-8-sig", newline="") as out:
            written = write_rejects(
                out,
                report.header,
                quarantine.rejected_rows(connection, report, split, repaired=repaired),
                delimiter=report.delimiter,
                split=split if report.repairs is None else lambda _: (),
                verbatim=verbatim,
            )
    if not written:
        path.unlink()
    return written


def leave_rejects(settings: Settings, database: Database, import_id: int) -> Location | None:
    """Write an import's open rejects, if it has any, to where people find them; say where.

    Raises:
        UnknownImportError: The ledger has no such import.
    """
    with database.begin() as connection:
        report = imports.report_of(connection, import_id)
    target = settings.rejects_file(report.account, report.feed, import_id)
    with written_to(target, settings.work_area) as path:
        return target if export_rejects(database, import_id, path) else None
