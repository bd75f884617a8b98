"""The commands below `token`: make, list and revoke what lets others use the API."""

from datetime import timedelta
from typing import Annotated

import typer

from csv_pipeline.access import Scope
from csv_pipeline.cli.options import Json, OnlyAccount
from csv_pipeline.errors import SetupError

token = typer.Typer(
    help="Make, list and revoke tokens for the API and its page.", no_args_is_help=True
)


@token.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose it is, as the audit log is to say it.")],
    account: OnlyAccount = None,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it allows; all but `admin` if not named.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0, help="How long it is valid.")] = 90.0,
    *,
    all_accounts: Annotated[
        bool, typer.Option("--all-accounts", help="For every account, those to come among them.")
    ] = False,
) -> None:
    """Make a token and print it; it is shown this once."""
    from csv_pipeline.account import account_slug
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.storage import accounts, tokens

    if (account is None) is not all_accounts:
        raise SetupError("token: either --account or --all-accounts was needed")
    with opening.database() as database, database.begin() as connection:
        if account is not None:
            accounts.add(connection, account_slug(account))
        text, made = tokens.make(
            connection,
            name,
            account=account,
            scopes=scope or [one for one in Scope if one is not Scope.ADMIN],
            lasts=None if days is None else timedelta(days=days),
        )
    until = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "for ever"
    terminal.note(f"Token {made.token_id} is valid {until}; it is shown this once:")
    terminal.out.print(text, soft_wrap=True)


@token.command("list")
def list_(account: OnlyAccount = None, *, as_json: Json = False) -> None:
    """List the tokens, without their texts."""
    from csv_pipeline.cli import opening, show_settings, terminal
    from csv_pipeline.engine.views import token_facts
    from csv_pipeline.storage import tokens

    with opening.database() as database, database.begin() as connection:
        found = [token_facts(one) for one in tokens.listed(connection, account)]
    if as_json:
        terminal.as_json(found)
    else:
        show_settings.tokens(found)


@token.command()
def revoke(token_id: Annotated[int, typer.Argument(help="The number that `list` shows.")]) -> None:
    """End a token and the sessions of the page that it made."""
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.storage import tokens

    with opening.database() as database, database.begin() as connection:
        tokens.revoke(connection, token_id)
    terminal.note(f"Token {token_id} is valid no longer.")
