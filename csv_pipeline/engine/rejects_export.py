"""Write the rejected rows of an import as a file that a person can correct."""

from pathlib import Path

from csv_pipeline.handover import PARTIAL
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

    If there are none, no file is written and one that is there stays. Rows that another import
    repaired are left out unless `repaired`; `verbatim` is for machines: no cell is kept from
    being a formula. Only the owner may read the file, which holds whole rows.

    Raises:
        UnknownImportError: The ledger has no such import.
    """
    partial = path.with_name(f"{path.name}{PARTIAL}")
    with database.begin() as connection:
        report = imports.report_of(connection, import_id)
        split = Grammar(report.delimiter, report.quote, report.escape).cells
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch(mode=0o600)
        try:
            with partial.open(
                "w", encoding="utf-8" if verbatim else "utf-8-sig", newline=""
            ) as out:
                written = write_rejects(
                    out,
                    report.header,
                    quarantine.rejected_rows(connection, report, split, repaired=repaired),
                    delimiter=report.delimiter,
                    split=split if report.repairs is None else lambda _: (),
                    verbatim=verbatim,
                )
        except BaseException:
            if not partial.is_dir():
                partial.unlink()
            raise
    if written:
        partial.replace(path)
    else:
        partial.unlink()
    return written


def leave_rejects(settings: Settings, database: Database, import_id: int) -> Path | None:
    """Write an import's open rejects, if it has any, to where people find them; say where.

    Raises:
        UnknownImportError: The ledger has no such import.
    """
    with database.begin() as connection:
        report = imports.report_of(connection, import_id)
    path = settings.rejects_area / report.account / report.feed / f"import-{import_id}.csv"
    return path if export_rejects(database, import_id, path) else None
