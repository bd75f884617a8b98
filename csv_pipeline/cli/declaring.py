"""The commands about accounts: what they declare of their files, and who may read their rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from csv_pipeline.cli.options import Json

if TYPE_CHECKING:
    from csv_pipeline.engine.pipeline import Pipeline


def accounts() -> None:
    """List the accounts, what they declared, who may read them, and how many files wait."""
    from csv_pipeline.cli import opening, show_settings
    from csv_pipeline.storage import accounts, arrivals, isolation

    with opening.pipeline().database.begin() as connection:
        show_settings.accounts(
            accounts.names(connection),
            accounts.latest(connection),
            arrivals.backlog(connection, with_failed=True),
            isolation.readers(connection),
        )


def account(  # noqa: PLR0913, PLR0917  # an option for each setting
    name: Annotated[str, typer.Argument(help="The account; declaring anything makes a new one.")],
    feed: Annotated[
        str, typer.Option("--feed", "-f", help="Only for its files of this feed.")
    ] = "",
    header: Annotated[
        str, typer.Option(help="Only for those with this header, as a message names it.")
    ] = "",
    seller_id: Annotated[
        str | None, typer.Option(help="Refuse files that name another seller; several as a,b.")
    ] = None,
    date_order: Annotated[
        Literal["day-first", "month-first", "year-first"] | None,
        typer.Option(help="What 03/04/05 means."),
    ] = None,
    decimal_mark: Annotated[
        Literal["point", "comma"] | None, typer.Option(help="What 1.234 means.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Of timestamps that state none, such as Europe/Berlin.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of files that are not Unicode, such as cp1252.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="comma, semicolon, tab, pipe, or the sign itself.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="What $ or kr means, by ISO 4217, such as USD or SEK.")
    ] = None,
    null_word: Annotated[
        list[str] | None,
        typer.Option(help="Stands for no value where a column is not text; may be repeated."),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(help="A name in headers and its column: 'Artikel Nr=sku'; may be repeated."),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="'order_status:Versendet=shipped'; may be repeated."),
    ] = None,
    max_file_bytes: Annotated[
        int | None, typer.Option(min=1, help="How large a file may be, decompressed.")
    ] = None,
    max_compressed_bytes: Annotated[
        int | None, typer.Option(min=1, help="How large a compressed file may be.")
    ] = None,
    max_columns: Annotated[
        int | None, typer.Option(min=1, help="How many columns a header may have.")
    ] = None,
    max_records: Annotated[
        int | None, typer.Option(min=1, help="How many records a file may have.")
    ] = None,
    max_rejected_rows: Annotated[
        int | None, typer.Option(min=0, help="Refuse files with more rejected rows.")
    ] = None,
    max_rejected_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Refuse files with a greater share of them.")
    ] = None,
    max_missing_rows: Annotated[
        int | None, typer.Option(min=0, help="Refuse snapshots that lack more stored rows.")
    ] = None,
    max_missing_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Refuse those that lack a greater share.")
    ] = None,
    expected_every: Annotated[
        str | None,
        typer.Option(help="How often a file is to come, as 24h or 7d; never: it is not missed."),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(min=-100, max=100, help="Runs over its files go before those of a lower one."),
    ] = None,
    import_at: Annotated[
        str | None,
        typer.Option(help="When its files in the landing area are taken: a cron in UTC."),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            help="Let the files decide this again, such as date-order, or drop one entry, such as "
            "'alias:Artikel Nr', 'map:order_status:Versendet', 'null-word:?'; may be repeated."
        ),
    ] = None,
    folder: Annotated[
        list[str] | None,
        typer.Option(help="A folder of landing areas that is its, too, as 'My Shop'; repeated."),
    ] = None,
    no_folder: Annotated[
        list[str] | None, typer.Option(help="Let a folder be its no more; may be repeated.")
    ] = None,
    reader: Annotated[
        str | None, typer.Option(help="Let this login role read the account in the database.")
    ] = None,
    no_reader: Annotated[str | None, typer.Option(help="Let it read the account no more.")] = None,
    *,
    accept_reading: Annotated[
        bool,
        typer.Option("--accept-reading", help="Though rows that come again may be stored twice."),
    ] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Show every change, by whom and when.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Declare what overrules the evidence in an account's files, and who may read its rows."""
    from csv_pipeline.account import Account, Declared
    from csv_pipeline.cli import opening, show_settings, terminal
    from csv_pipeline.engine import views
    from csv_pipeline.engine.accounts import Decided, declare
    from csv_pipeline.engine.folders import set_folders
    from csv_pipeline.errors import UnknownAccountError
    from csv_pipeline.storage import accounts, readings

    changes = {
        "seller_id": seller_id,
        "date_order": date_order,
        "decimal_mark": decimal_mark,
        "time_zone": time_zone,
        "encoding": encoding,
        "delimiter": delimiter,
        "currency": currency,
        "null_words": tuple(null_word or ()),
        "aliases": tuple(alias or ()),
        "maps": tuple(map_ or ()),
        "max_file_bytes": max_file_bytes,
        "max_compressed_bytes": max_compressed_bytes,
        "max_columns": max_columns,
        "max_records": max_records,
        "max_rejected_rows": max_rejected_rows,
        "max_rejected_share": max_rejected_share,
        "max_missing_rows": max_missing_rows,
        "max_missing_share": max_missing_share,
        "expected_every": expected_every,
        "priority": priority,
        "import_at": import_at,
    }
    pipeline = opening.pipeline()
    scope = Account(account=name, feed=feed, header=header)
    declared = declare(
        pipeline,
        scope,
        changes,
        forget or (),
        Decided(by=terminal.who(), accept_reading=accept_reading),
    )
    own = set_folders(pipeline, name, folder or (), no_folder or (), terminal.who())
    with pipeline.database.begin() as connection:
        known = accounts.names(connection)
        if name not in known and reader is None:
            raise UnknownAccountError(name, known)
        versions = accounts.history(connection, name) if history else []
        if not feed:
            declared = Declared(account=name, versions=accounts.latest(connection, name))
        held_back = readings.rows_with_extra(connection, feed, name, _titles(alias or ()))
    for title, many in held_back.items():
        terminal.note(
            f"{many:,} stored rows have {title!r} in _extra; to fill their column, import their "
            f"files again: csv-pipeline reprocess -a {name} -f {feed} --changed"
        )
    held = declared.held if feed else declared.settings
    if as_json:
        terminal.as_json(views.settings_facts(name, feed, held, versions if history else None))
        return
    show_settings.settings(f"Settings of {name}" + (f" for {feed}" if feed else ""), held)
    if own:
        show_settings.folders(own)
    if history:
        show_settings.history("Every change", versions)
    if reader is not None or no_reader is not None:
        _bind(pipeline, name, reader, no_reader)


def _titles(aliases: Sequence[str]) -> list[str]:
    return [told.rpartition("=")[0] for told in aliases]


def suggest(
    import_id: Annotated[int, typer.Argument(help="The number that `imports` shows.")],
    *,
    as_json: Json = False,
) -> None:
    """Suggest settings by what an import rejected, or why it was refused; apply none."""
    from csv_pipeline.cli import opening, show_settings, terminal
    from csv_pipeline.engine import views
    from csv_pipeline.engine.suggest import suggest

    found = suggest(opening.pipeline(), import_id)
    if as_json:
        terminal.as_json(views.suggestion_facts(found))
    else:
        show_settings.suggestions(found)


def _bind(pipeline: "Pipeline", name: str, reader: str | None, no_reader: str | None) -> None:
    """Let a role read the account, or no more, and say who else may."""
    from csv_pipeline.cli import show_settings, terminal
    from csv_pipeline.engine.accounts import bind_reader, unbind_reader
    from csv_pipeline.storage import confine, isolation

    for role, change in ((reader, bind_reader), (no_reader, unbind_reader)):
        if role is not None and (needed := change(pipeline, role, name)) is not None:
            terminal.note(f"For an administrator of the database: {needed}")
    with pipeline.database.begin() as connection:
        for needed in confine.left_open(connection) if reader is not None else ():
            terminal.note(f"For an administrator, so that no reader holds up others: {needed}")
        show_settings.readers(isolation.readers(connection).get(name, ()))
