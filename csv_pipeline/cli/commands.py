"""The commands and their options; each imports what it needs when it is called."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from csv_pipeline.account import Declaration
from csv_pipeline.cli.feed_commands import feeds
from csv_pipeline.cli.group import Commands
from csv_pipeline.errors import SetupError

if TYPE_CHECKING:
    from csv_pipeline.engine.pipeline import Pipeline
    from csv_pipeline.settings import Settings

AccountOption = Annotated[str, typer.Option("--account", "-a", help="Whose file it is.")]
FeedOption = Annotated[str, typer.Option("--feed", "-f", help="What it holds; see `feeds`.")]
OnlyAccount = Annotated[str | None, typer.Option("--account", "-a", help="Only of this account.")]
OnlyFeed = Annotated[str | None, typer.Option("--feed", "-f", help="Only of this feed.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of tables.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; store nothing.")]
Again = Annotated[
    bool, typer.Option("--again", help="Import it though its bytes were imported, as the newest.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with 1 also if the import has a warning.")
]
MaxMissing = Annotated[
    int | None, typer.Option(min=0, help="Let a snapshot lack so many stored rows, this once.")
]

app = typer.Typer(
    cls=Commands,
    help="CSV imports you can trust, account by account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(feeds, name="feeds")


@app.command()
def demo() -> None:
    """Import sixteen files of three accounts and show what became of every row."""
    from dagster import DagsterInstance

    from csv_pipeline.cli import show_demo, terminal
    from csv_pipeline.cli.dev import dagster_home
    from csv_pipeline.demo.run import run_demo

    pipeline = _pipeline()
    with DagsterInstance.from_config(str(dagster_home(pipeline.settings))) as instance:
        result = run_demo(pipeline, instance, on_step=terminal.note)
    show_demo.demo(result, pipeline.settings)


@app.command()
def dev(
    host: Annotated[str, typer.Option(help="The address the web page listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port it listens on.")] = 3000,
    *,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what Dagster is doing.")] = False,
) -> None:
    """Start the database, Dagster's web page and its daemon; stop them with Ctrl-C."""
    from csv_pipeline.cli.dev import serve

    raise typer.Exit(serve(_pipeline(), host, port, verbose=verbose))


@app.command("import")
def import_(  # noqa: PLR0913  # an option for each question
    file: Annotated[
        str,
        typer.Argument(
            help="The CSV file, a path or s3://…, or where it lay before it was archived."
        ),
    ],
    account: AccountOption,
    feed: FeedOption,
    *,
    dry_run: DryRun = False,
    again: Again = False,
    max_missing: Annotated[
        int | None, typer.Option(min=0, help="Let a snapshot lack so many stored rows, this once.")
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Import one file, wherever it lies, and show what became of every row."""
    from csv_pipeline.cli import importing, show, terminal
    from csv_pipeline.location import location_of

    pipeline = _pipeline()
    imported = importing.import_file(
        pipeline,
        location_of(file),
        account,
        feed,
        dry_run=dry_run,
        again=again,
        max_missing=max_missing,
    )
    if as_json:
        terminal.as_json(imported.facts())
    else:
        show.imported(imported, pipeline.feed(feed))
    raise typer.Exit(imported.exit_code(strict=strict))


@app.command()
def inspect(  # noqa: PLR0913  # an option for each question
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Any CSV file.")],
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write all whole records there: UTF-8, commas, LF."),
    ] = None,
    feed: Annotated[
        str | None, typer.Option("--feed", "-f", help="Read it as an import for this feed would.")
    ] = None,
    member: Annotated[str | None, typer.Option(help="Which file of an archive of several.")] = None,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Read all of a large file, not its beginning.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show how a file is written, its first rows and faults, and the feeds it fits."""
    from csv_pipeline.cli import show_inspection, terminal
    from csv_pipeline.engine import inspection
    from csv_pipeline.feeds.sources import all_feeds

    settings = _settings()
    found = inspection.inspect_file(
        file, settings, all_feeds(settings), feed=feed, member=member, full=full, out=out
    )
    if as_json:
        terminal.as_json(found.facts())
    else:
        show_inspection.inspected(found)
    if found.out is not None:
        show_inspection.note_written(found)


@app.command()
def imports(
    account: OnlyAccount = None,
    feed: OnlyFeed = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    *,
    as_json: Json = False,
) -> None:
    """List the newest imports."""
    from csv_pipeline.cli import show, terminal
    from csv_pipeline.engine import views
    from csv_pipeline.errors import UnknownAccountError
    from csv_pipeline.storage import accounts, arrivals, imports

    pipeline = _pipeline()
    with pipeline.database.begin() as connection:
        found = imports.newest(connection, account=account, feed=feed, limit=limit)
        locations = arrivals.locations(connection, [report.arrival_id for report, _ in found])
        known = [one.account for one in accounts.every(connection)]
    if not found and feed is not None:
        pipeline.feed(feed)  # which may be no feed at all
    if not found and account is not None and account not in known:
        raise UnknownAccountError(account, known)
    if as_json:
        terminal.as_json(
            [
                views.import_facts(
                    report,
                    at,
                    moved_to=locations.get(report.arrival_id),
                    results=pipeline.results_of(report),
                )
                for report, at in found
            ]
        )
    else:
        show.imports(found, locations, pipeline.settings)


@app.command()
def rejects(  # noqa: PLR0913  # what to show, how much of it, and where to
    import_id: Annotated[int, typer.Argument(help="The number that `imports` shows.")],
    limit: Annotated[int, typer.Option(min=1, help="How many faults at most.")] = 200,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write whole rows to this CSV file, to be corrected."),
    ] = None,
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over a file that is there.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="For machines: leave cells that look like formulas.")
    ] = False,
    repaired: Annotated[
        bool, typer.Option("--all", help="Write the rows that were repaired since, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the rejected rows of an import with every fault, or write them to a file to correct.

    The corrected file goes back by `replay`, or by being dropped where its file came from.
    """
    from csv_pipeline.cli import show, terminal
    from csv_pipeline.engine import views
    from csv_pipeline.storage import imports, quarantine

    pipeline = _pipeline()
    if out is not None:
        if out.exists() and not overwrite:
            raise SetupError(
                f"{out}: a new file to write to was needed; there is one: name another, or add "
                "--overwrite"
            )
        try:
            written = pipeline.write_rejects(import_id, out, verbatim=raw, repaired=repaired)
        except OSError as error:
            raise SetupError(f"{out}: a file to write to was needed; {error.strerror}") from error
        with pipeline.database.begin() as connection:
            show.sent_out(written, imports.report_of(connection, import_id), out)
        return
    with pipeline.database.begin() as connection:
        report = imports.report_of(connection, import_id)
        faults = quarantine.faults_of(connection, import_id, limit=limit)
        superseded = quarantine.superseded(connection, import_id, limit=limit)
    masked = views.masked(faults, pipeline.feeds.get(report.feed))
    if as_json:
        terminal.as_json(views.reject_facts(report, masked, superseded))
    else:
        show.rejects(report, masked, superseded)


@app.command()
def replay(  # noqa: PLR0913  # an option for each question
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The corrected rows.")],
    import_id: Annotated[
        int | None, typer.Option("--import", help="Whose rejected rows they are; the file says it.")
    ] = None,
    *,
    dry_run: DryRun = False,
    again: Again = False,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Import rejected rows that were written by `rejects --out` and corrected since."""
    from csv_pipeline.cli import importing, show, terminal

    pipeline = _pipeline()
    imported = importing.replay(pipeline, file, import_id, dry_run=dry_run, again=again)
    if as_json:
        terminal.as_json(imported.facts())
    else:
        show.imported(imported, pipeline.feed(imported.report.feed))
    raise typer.Exit(imported.exit_code(strict=strict))


@app.command()
def undo(
    import_id: Annotated[int, typer.Argument(help="The number that `imports` shows.")],
    *,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take back all that one import wrote; undo the undo to have it back."""
    from csv_pipeline.cli import show, terminal
    from csv_pipeline.engine import views

    report = _pipeline().undo(import_id, dry_run=dry_run)
    if as_json:
        terminal.as_json(views.import_facts(report))
    else:
        show.undone(report, import_id, dry_run=dry_run)


@app.command()
def accounts() -> None:
    """List the accounts, what they declared, who may read them, and how many files wait."""
    from csv_pipeline.cli import show_feeds
    from csv_pipeline.storage import accounts, arrivals, isolation

    with _pipeline().database.begin() as connection:
        show_feeds.accounts(
            accounts.every(connection),
            arrivals.backlog(connection, with_failed=True),
            isolation.readers(connection),
        )


@app.command()
def account(  # noqa: PLR0913, PLR0917  # an option for each fact
    name: Annotated[str, typer.Argument(help="The account; it is made if it is new.")],
    seller_id: Annotated[
        str | None, typer.Option(help="Refuse files that name another seller.")
    ] = None,
    date_order: Annotated[
        Literal["day-first", "month-first"] | None, typer.Option(help="What 03/04/2025 means.")
    ] = None,
    decimal_mark: Annotated[
        Literal["point", "comma"] | None, typer.Option(help="What 1.234 means.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of files that are not Unicode, such as cp1252.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="What $ or kr means, by ISO 4217, such as USD or SEK.")
    ] = None,
    null_word: Annotated[
        list[str] | None,
        typer.Option(help="Stands for no value where a column is not text; may be repeated."),
    ] = None,
    max_file_bytes: Annotated[
        int | None, typer.Option(min=1, help="How large a file may be, decompressed.")
    ] = None,
    max_compressed_bytes: Annotated[
        int | None, typer.Option(min=1, help="How large a compressed file may be.")
    ] = None,
    forget: Annotated[
        list[Declaration] | None,
        typer.Option(help="Let the files decide this again; may be repeated."),
    ] = None,
    reader: Annotated[
        str | None, typer.Option(help="Let this login role read the account in the database.")
    ] = None,
    no_reader: Annotated[str | None, typer.Option(help="Let it read the account no more.")] = None,
) -> None:
    """Declare what overrules the evidence in an account's files, and who may read its rows."""
    from csv_pipeline.cli import show_feeds, terminal
    from csv_pipeline.engine.accounts import bind_reader, declare, unbind_reader
    from csv_pipeline.storage import arrivals, confine, isolation

    changes = {
        "seller_id": seller_id,
        "date_order": date_order,
        "decimal_mark": decimal_mark,
        "encoding": encoding,
        "currency": currency,
        "null_words": tuple(null_word) if null_word else None,
        "max_file_bytes": max_file_bytes,
        "max_compressed_bytes": max_compressed_bytes,
    }
    pipeline = _pipeline()
    declared = declare(pipeline, name, changes, forget or [])
    for role, change in ((reader, bind_reader), (no_reader, unbind_reader)):
        if role is not None and (needed := change(pipeline, role, name)) is not None:
            terminal.note(f"For an administrator of the database: {needed}")
    with pipeline.database.begin() as connection:
        for needed in confine.left_open(connection) if reader is not None else ():
            terminal.note(f"For an administrator, so that no reader holds up others: {needed}")
        waiting = arrivals.backlog(connection, with_failed=True)
        show_feeds.accounts([declared], waiting, isolation.readers(connection))


def _pipeline() -> "Pipeline":
    from csv_pipeline.cli import opening

    return opening.pipeline()


def _settings() -> "Settings":
    from csv_pipeline.cli import opening

    return opening.settings_found()
