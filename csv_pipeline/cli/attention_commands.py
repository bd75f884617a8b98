"""The commands about what became of files: list imports, show what needs a person, dismiss it."""

from datetime import datetime
from typing import Annotated

import typer

from csv_pipeline.cli.options import Json, OnlyAccount, OnlyFeed, moment
from csv_pipeline.model import Outcome

_MOST = 1_000


def imports(  # noqa: PLR0913  # what to show, and how much of it
    account: OnlyAccount = None,
    feed: OnlyFeed = None,
    outcome: Annotated[
        Outcome | None, typer.Option(help="Only with this outcome, as `refused`.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="WHEN", help="Not before: 2d, 6h, 2026-11-02."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    *,
    as_json: Json = False,
) -> None:
    """List the newest imports."""
    from csv_pipeline.cli import opening, show, terminal
    from csv_pipeline.engine import views
    from csv_pipeline.errors import UnknownAccountError
    from csv_pipeline.storage import accounts, arrivals
    from csv_pipeline.storage import imports as ledger

    pipeline = opening.pipeline()
    only = ledger.Only(outcome=outcome, since=since)
    with pipeline.database.begin() as connection:
        found = ledger.newest(connection, account=account, feed=feed, only=only, limit=limit)
        locations = arrivals.locations(connection, [report.arrival_id for report, _ in found])
        known = accounts.names(connection)
        lanes = [] if found else arrivals.backlog(connection)
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
        its = (one for one in lanes if account in {None, one.account} and feed in {None, one.feed})
        show.imports(
            found,
            locations,
            pipeline.settings,
            narrowed=only != ledger.Only(),
            waiting=sum(len(one.arrival_ids) for one in its),
        )


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
    from csv_pipeline.engine import views
    from csv_pipeline.errors import UnknownAccountError
    from csv_pipeline.storage import accounts, attention, webhooks

    pipeline = opening.pipeline()
    with pipeline.database.begin() as connection:
        untold = webhooks.untold(connection, account)
        found = attention.needs(
            connection, account, _MOST, pipeline.settings.max_failures, pipeline.broken
        )
        known = accounts.names(connection)
    if account is not None and not found and account not in known:
        raise UnknownAccountError(account, known)
    found += untold
    found.sort(key=lambda need: need.account)  # of each account the newest first, as before
    if as_json:
        terminal.as_json([views.need_facts(need, terminal.command()) for need in found])
    else:
        show_status.needs(found, more=len(found) - len(untold) == _MOST)
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
