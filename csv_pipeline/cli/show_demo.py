"""Show what the demo imported."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from csv_pipeline.cli.show import identity_of, outcome_of, rows_of
from csv_pipeline.cli.terminal import command, out, plain, print_under, table
from csv_pipeline.errors import UndecidableError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.model import Counts, ImportReport, Outcome
from csv_pipeline.settings import Settings

if TYPE_CHECKING:  # the demo brings Dagster, which takes a second
    from csv_pipeline.demo.run import DemoResult
    from csv_pipeline.demo.topics import Found


def demo(result: "DemoResult", settings: Settings) -> None:
    """Print what became of the demo's files, an account at a time, and where to look next."""
    by_account = sorted(result.told, key=lambda one: one.delivery.account)
    for account, told in groupby(by_account, lambda one: one.delivery.account):
        made = table("import", "feed", "file", "outcome", "rows")
        total = Counts()
        for one in told:
            report = one.report
            file = Text.assemble(plain(one.delivery.name), "\n", (one.delivery.shows, "dim"))
            if report is None:
                why = plain(one.problem, 400)
                made.add_row("", one.delivery.feed, file, Text(one.status, "magenta"), why)
                continue
            made.add_row(
                str(report.import_id), report.feed, file, outcome_of(report), rows_of(report)
            )
            if report.outcome is Outcome.IMPORTED:
                total += report.counts
        made.add_section()
        made.add_row("", "", "all that was imported", "", identity_of(total))
        print_under(f"Account {account}", made)
    for found in result.found:
        _print_found(found)
    for account, written in result.worklists.items():
        what = f"Worklist of {account}: {written.rows} purchase orders remain"
        out.print(f"{what}, in {written.location}\n", soft_wrap=True)
    _print_feeds(result, settings)
    if not result.runs:
        out.print("Nothing new this time: every file was imported or refused before.\n")
    _print_next_steps([one.report for one in result.told if one.report], settings)


def _print_found(found: "Found") -> None:
    titles = [name.replace("_", " ") for name in found.columns]
    cells = [cell for row in found.rows for cell in zip(titles, row, strict=True)]
    made = table(*titles, right=[name for name, cell in cells if isinstance(cell, int | Decimal)])
    for row in found.rows:
        made.add_row(*(plain(_shown(cell)) for cell in row))
    name = (f"data.{found.topic.table}", "bold")
    print_under(Text.assemble(name, f"  {found.topic.shows}"), made)


def _shown(cell: object) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "no"
        case int() | Decimal():
            return f"{cell:,}"
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M}"
        case _:
            return str(cell)


def _print_feeds(result: "DemoResult", settings: Settings) -> None:
    brought = {one.report.feed for one in result.told if one.report and one.report.counts.inserted}
    shipped = [feed.name for feed in FEEDS if feed.name in brought]
    own = ", ".join(sorted(brought - set(shipped)))
    folder = settings.feed_folders[0]
    out.print(Text("Feeds shown", style="bold"))
    out.print(f"  {len(shipped)} of {len(FEEDS)} shipped ones: {', '.join(shipped)}")
    out.print(f"  declared in {folder}: {own}\n", soft_wrap=True)


def _print_next_steps(reports: Sequence[ImportReport], settings: Settings) -> None:
    call, most = command(), max(reports, key=lambda report: report.counts.rejected)
    steps = {
        "every fault of a file": f"{call} rejects {most.import_id}",
        "all imports": f"{call} imports",
        "the same in Dagster": f"{call} dev",
        "your own files": f"meanwhile, drop them into {settings.landing_folder}/ACCOUNT/FEED/",
        "a feed for them": f"{call} feeds propose FILE --out {settings.feed_folders[0]}/NAME.yaml",
        "the work that remains": f"{call} worklist coupa_purchase_orders --account elgin",
    }
    if undecided := [report for report in reports if report.problem_code == UndecidableError.code]:
        lane = f"--account {undecided[0].account} --feed {undecided[0].feed}"
        folder = settings.landing_folder / undecided[0].account / undecided[0].feed
        steps["settle the dates"] = (
            f"{call} account {undecided[0].account} --date-order day-first, and then "
            f"{call} import {folder / undecided[0].name} {lane}"
        )
    out.print(Text("Where to look next", style="bold"))
    for what, where in steps.items():
        out.print(f"  {what:<22} {where}", soft_wrap=True)
