"""The commands about what needs a person: show it, and say of an import that it needs nobody."""

from typing import Annotated

import typer

from csv_pipeline.cli.options import Json, OnlyAccount

_MOST = 1_000


def status(
    account: OnlyAccount = None,
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if something needs a person.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what needs a person now, account by account, and the command that helps."""
    from csv_pipeline.cli import opening, show_status, terminal
    from csv_pipeline.errors import UnknownAccountError
    from csv_pipeline.storage import accounts, attention

    with opening.pipeline().database.begin() as connection:
        found = attention.needs(connection, account, _MOST)
        known = accounts.names(connection)
    if account is not None and not found and account not in known:
        raise UnknownAccountError(account, known)
    found.sort(key=lambda need: need.account)  # of each account the newest first, as before
    if as_json:
        terminal.as_json([show_status.need_facts(need) for need in found])
    else:
        show_status.needs(found, more=len(found) == _MOST)
    raise typer.Exit(int(strict and bool(found)))


def dismiss(
    import_id: Annotated[int, typer.Argument(help="The number that `status` shows.")],
) -> None:
    """Say that a refused or failed file, or rejected rows, need nobody; they stay as they are."""
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.storage import attention

    with opening.pipeline().database.begin() as connection:
        attention.dismiss(connection, import_id)
    terminal.out.print(f"Import {import_id} needs nobody any more.")
