"""The commands below `alerts`: who is told by e-mail or chat, and what did not get there."""

import sys
from typing import Annotated

import typer

from csv_pipeline.cli.options import Json, OnlyAccount

alerts = typer.Typer(
    help="Tell people of what needs them, by e-mail, chat and more.", no_args_is_help=True
)
Number = Annotated[int, typer.Argument(help="The number that `list` shows.")]


@alerts.command()
def add(
    url: Annotated[
        str,
        typer.Argument(
            help="Where to, as apprise has it: mailtos://USER:PASSWORD@HOST?to=NAME@HOST, "
            "slack://A/B/C; `-` reads it from stdin, which keeps passwords out of the shell."
        ),
    ],
    account: OnlyAccount = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Of what; all that needs a person if not named.")
    ] = None,
    quiet: Annotated[
        float, typer.Option(min=0, help="Seconds without anything new, after which it is sent.")
    ] = 60.0,
) -> None:
    """Add an alert: what comes until nothing came for a while is one message."""
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.engine import delivery

    with opening.database() as database:
        made = delivery.add_alert(
            database,
            account=account,
            url=sys.stdin.readline().strip() if url == "-" else url,
            kinds=kind,
            quiet_seconds=quiet,
        )
    terminal.out.print(
        f"Alert {made.webhook_id} is sent to {made.url}; "
        f"{terminal.command()} alerts test {made.webhook_id} tries it.",
        markup=False,
    )


@alerts.command("list")
def list_(account: OnlyAccount = None, *, as_json: Json = False) -> None:
    """List alerts and webhooks, without their secrets."""
    from csv_pipeline.cli import opening, show_settings, terminal
    from csv_pipeline.engine.views import webhook_facts
    from csv_pipeline.storage import webhooks

    with opening.database() as database, database.begin() as connection:
        found = [webhook_facts(one) for one in webhooks.listed(connection, account)]
    if as_json:
        terminal.as_json(found)
    else:
        show_settings.webhooks(found)


@alerts.command()
def test(number: Number) -> None:
    """Send a message that says it is a test; exit with 1 if it was not taken."""
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.engine import delivery

    with opening.database() as database:
        problem = delivery.test(database, number)
    terminal.out.print(problem or "It was taken.", markup=False)
    raise typer.Exit(int(problem is not None))


@alerts.command()
def again(number: Number) -> None:
    """Send what was set aside because no attempt brought it there."""
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.engine import delivery

    page = opening.settings_found().page_url
    with opening.database() as database:
        taken, problem = delivery.send_again(database, number, page_url=page)
    terminal.out.print(f"{taken:,} messages were taken. {problem}".strip(), markup=False)
    raise typer.Exit(int(bool(problem)))


@alerts.command()
def remove(number: Number) -> None:
    """Remove an alert or a webhook; what it was not told yet, it is never told."""
    from csv_pipeline.cli import opening, terminal
    from csv_pipeline.storage import webhooks

    with opening.database() as database, database.begin() as connection:
        webhooks.remove(connection, number, None)
    terminal.note(f"Alert {number} is removed.")
