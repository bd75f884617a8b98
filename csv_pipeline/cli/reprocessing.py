"""The command that imports stored files once more."""

import signal
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csv_pipeline.cli.options import Json, end, moment
from csv_pipeline.model import ImportReport, Outcome

if TYPE_CHECKING:
    from csv_pipeline.engine.reprocess import Chosen


def reprocess(  # noqa: PLR0913  # which files, and how
    account: Annotated[
        list[str] | None, typer.Option("--account", "-a", help="Only of it; may be repeated.")
    ] = None,
    feed: Annotated[
        list[str] | None, typer.Option("--feed", "-f", help="Only of it; may be repeated.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="WHEN", help="That arrived not before: 2d, a date."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(parser=end, metavar="WHEN", help="That arrived not later.")
    ] = None,
    *,
    changed: Annotated[
        bool,
        typer.Option(
            "--changed", help="Only if their feed or settings changed since, or may have."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be imported; import nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Import stored files once more, where they arrived, by what is declared now."""
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.engine import reprocess as engine
    from csv_pipeline.engine import views
    from csv_pipeline.storage.stored_files import Which

    pipeline = opening.pipeline()
    which = Which(accounts=account or (), feeds=feed or (), since=since, until=until)
    choice = engine.choose(pipeline, which, changed=changed)
    for fault in choice.unknown:
        typer.echo(f"csv-pipeline: {fault}", err=True)
    if dry_run:
        if as_json:
            terminal.as_json([_facts(one) for one in choice.files])
        else:
            _show(choice.files)
        raise typer.Exit(2 if choice.unknown else int(any(one.fault for one in choice.files)))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # give claims back on that, too
    reports: list[ImportReport] = []
    well = True
    for done in engine.reprocess(pipeline, choice.files):
        for fault in done.faults:
            typer.echo(f"csv-pipeline: {done.account}/{done.feed}: {fault}", err=True)
        reports += done.reports
        well &= not done.faults
        well &= all(report.outcome is Outcome.IMPORTED for report in done.reports)
        if not as_json:
            terminal.note(f"{done.account}/{done.feed}: {len(done.reports):,} files imported")
    if as_json:
        terminal.as_json([views.import_facts(report) for report in reports])
    else:
        _show_done(reports)
    raise typer.Exit(2 if choice.unknown else int(not well))


def _show(files: "Sequence[Chosen]") -> None:
    """List files to be imported once more, in their order."""
    from csv_pipeline.cli.terminal import out, plain, table

    if not files:
        out.print("No file would be imported.")
        return
    made = table("account", "feed", "file", "import", "arrived (UTC)", "why", "what hinders")
    for one in files:
        its = one.file
        made.add_row(
            *(plain(value) for value in (its.account, its.feed, its.name, its.import_id)),
            f"{its.seen_at:%Y-%m-%d %H:%M:%S}",
            one.why or "asked for",
            plain(one.fault or "", 300),
        )
    out.print(made)
    well = sum(one.fault is None for one in files)
    out.print(f"{well:,} of {len(files):,} files would be imported.")


def _facts(one: "Chosen") -> dict[str, Any]:
    its = one.file
    return {
        "account": its.account,
        "feed": its.feed,
        "file": its.name,
        "import_id": its.import_id,
        "arrived_at": its.seen_at.isoformat(),
        "why": one.why or None,
        "fault": one.fault,
    }


def _show_done(reports: Sequence[ImportReport]) -> None:
    """Say what became of each file whose rows changed or are not as they were, and of how many."""
    from csv_pipeline.cli.show import outcome_of, rows_of
    from csv_pipeline.cli.terminal import out, plain, table

    as_it_was = [
        report
        for report in reports
        if report.outcome is Outcome.IMPORTED
        and not (report.counts.inserted or report.counts.updated or report.counts.missing)
    ]
    made = table("import", "account", "feed", "file", "outcome", "rows")
    for report in reports:
        if report not in as_it_was:
            made.add_row(
                *(plain(v) for v in (report.import_id, report.account, report.feed, report.name)),
                outcome_of(report),
                rows_of(report),
            )
    if made.row_count:
        out.print(made)
    out.print(f"{len(reports):,} files were imported once more; {len(as_it_was):,} changed no row.")
