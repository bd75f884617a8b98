"""The commands and their options; each imports what it needs when it is called."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from csv_pipeline.cli import attention_commands, declaring, doctor, reprocessing, retaining
from csv_pipeline.cli.alert_commands import alerts
from csv_pipeline.cli.feed_commands import feeds
from csv_pipeline.cli.group import Commands, OneValue
from csv_pipeline.cli.options import AccountOption, Again, DryRun, FeedOption, Json, Strict
from csv_pipeline.cli.token_commands import token
from csv_pipeline.errors import SetupError

if TYPE_CHECKING:
    from csv_pipeline.engine.pipeline import Pipeline
    from csv_pipeline.settings import Settings

app = typer.Typer(
    cls=Commands,
    help="CSV imports you can trust, account by account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"csv-pipeline {version('csv-pipeline')}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """CSV imports you can trust, account by account."""


app.add_typer(feeds, name="feeds")
app.add_typer(token, name="token")
app.add_typer(alerts, name="alerts")


@app.command()
def demo() -> None:
    """Import 30 files of 6 accounts, of every shipped feed, and show what became of each row."""
    from dagster import DagsterInstance

    from csv_pipeline.cli import show_demo, terminal
    from csv_pipeline.cli.dev import dagster_home
    from csv_pipeline.demo.run import run_demo
    from csv_pipeline.demo.story import declare_feed

    declare_feed(_settings())
    pipeline = _pipeline()
    with DagsterInstance.from_config(str(dagster_home(pipeline.settings))) as instance:
        result = run_demo(pipeline, instance, on_step=terminal.note)
    show_demo.demo(result, pipeline.settings)


@app.command()
def dev(
    host: Annotated[str, typer.Option(help="The address the web page listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port it listens on.")] = 3000,
    page_port: Annotated[int, typer.Option(help="The port of the import page.")] = 8000,
    *,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what Dagster is doing.")] = False,
) -> None:
    """Start the database, Dagster and the import page; stop them with Ctrl-C."""
    from csv_pipeline.cli import dev

    page = page_port if _has_api() else None
    raise typer.Exit(dev.serve(_pipeline(), host, port, page_port=page, verbose=verbose))


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address it listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port it listens on.")] = 8000,
    *,
    alone: Annotated[
        bool, typer.Option("--alone", help="Dagster is elsewhere: CSV_PIPELINE_DAGSTER_URL.")
    ] = False,
) -> None:
    """Serve the import page and the HTTP API, and start Dagster if it is not there yet."""
    if not _has_api():
        raise SetupError(
            "serve: the extra 'api' was needed; it is not installed "
            "(pip install 'csv-pipeline[api]')"
        )
    from csv_pipeline.cli import dev, opening, serving

    pipeline = opening.pipeline(serving.CONNECTIONS)
    there = urlsplit(pipeline.settings.dagster_url)
    its_host, its_port = there.hostname or "127.0.0.1", there.port or 80
    if alone or dev.answers(its_host, its_port):
        serving.serve(pipeline, host, port)
        return
    serving.hold_to_tokens(pipeline, host)
    raise typer.Exit(dev.serve(pipeline, its_host, its_port, page_host=host, page_port=port))


def _has_api() -> bool:
    return all(find_spec(name) for name in ("fastapi", "uvicorn"))


@app.command("import")
def import_(  # noqa: PLR0913  # an option for each question
    file: Annotated[
        str,
        typer.Argument(
            help="The CSV file, a path or a URL such as s3://…, or where it lay before it was "
            "archived."
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
        quarantine.hold_to_kept(connection, import_id)
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
def worklist(
    feed: Annotated[str, typer.Argument(help="A feed that declares what work is.")],
    account: AccountOption,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write it there, not where the settings say."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Write the work that remains to a CSV file; the earlier file is kept beside it."""
    from csv_pipeline.cli import show, terminal

    try:
        written = _pipeline().write_worklist(account, feed, out)
    except OSError as error:
        raise SetupError(f"{out}: a file to write to was needed; {error.strerror}") from error
    if as_json:
        terminal.as_json(written.facts())
    else:
        show.worklist(written)


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
def new(
    folder: Annotated[Path, typer.Argument(help="The package's folder, which has its name.")],
) -> None:
    """Begin a package with feeds of your own: one feed, a sample and a test."""
    from csv_pipeline.cli import terminal
    from csv_pipeline.engine.new_project import new_project

    for path in new_project(folder):
        terminal.out.print(str(path))


app.command()(reprocessing.reprocess)
app.command()(attention_commands.imports)
app.command()(attention_commands.status)
app.command()(attention_commands.dismiss)
app.command()(declaring.accounts)
app.command(cls=OneValue)(declaring.account)
app.command()(declaring.suggest)
app.command()(doctor.doctor)
app.command()(retaining.retention)


def _pipeline() -> "Pipeline":
    from csv_pipeline.cli import opening

    return opening.pipeline()


def _settings() -> "Settings":
    from csv_pipeline.cli import opening

    return opening.settings_found()
