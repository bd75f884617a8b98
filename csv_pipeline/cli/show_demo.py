"""Show what the demo imported."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from csv_pipeline.cli.show import identity_of, outcome_of, rows_of
from csv_pipeline.cli.terminal import command, out, plain, print_under, table
from csv_pipeline.errors import UndecidableError
from csv_pipeline.model import Counts, ImportReport, Outcome
from csv_pipeline.settings import Settings

if TYPE_CHECKING:  # the demo brings Dagster, which takes a second
    from csv_pipeline.demo.run import DemoResult, Revenue


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
    _print_revenue(result.revenue)
    if not result.runs:
        out.print("Nothing new this time: every file was imported or refused before.\n")
    _print_next_steps([one.report for one in result.told if one.report], settings)


def _print_revenue(revenue: Iterable["Revenue"]) -> None:
    numbers = ("orders", "unpaid", "revenue", "with summary rows added")
    made = table("account", "currency", *numbers, right=numbers)
    for one in revenue:
        wrong = one.revenue + (one.counted_twice or 0)
        amounts = (f"{one.revenue:,.2f}", Text(f"{wrong:,.2f}", style="dim"))
        made.add_row(one.account, one.currency, f"{one.orders:,}", f"{one.unpaid:,}", *amounts)
    print_under("Revenue, each order once: data.ebay_order_totals", made)


def _print_next_steps(reports: Sequence[ImportReport], settings: Settings) -> None:
    call, most = command(), max(reports, key=lambda report: report.counts.rejected)
    steps = {
        "every fault of a file": f"{call} rejects {most.import_id}",
        "all imports": f"{call} imports",
        "the same in Dagster": f"{call} dev",
        "your own files": f"meanwhile, drop them into {settings.landing_folder}/ACCOUNT/FEED/",
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
