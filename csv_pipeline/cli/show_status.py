"""Print what needs a person, each with what helps."""

from collections.abc import Sequence

from rich.text import Text

from csv_pipeline.cli.terminal import command, out, plain, table
from csv_pipeline.engine.help import help_against
from csv_pipeline.storage.attention import Need


def needs(found: Sequence[Need], *, more: bool) -> None:
    """Print a line for each need."""
    if not found:
        out.print("Nothing needs you.")
        return
    made = table("account", "feed", "file", "since (UTC)", "what", "what helps")
    for need in found:
        made.add_row(
            plain(need.account),
            plain(need.feed or ""),
            plain(need.name),
            f"{need.at:%Y-%m-%d %H:%M}",
            Text.assemble((need.state, "red"), ": ", plain(_why(need), 400)),
            plain(help_against(need, command()), 200),
        )
    out.print(made)
    if more:
        out.print("There may be more; --account shows those of one account.")


def _why(need: Need) -> str:
    if need.state == "to correct":
        if need.rows == 1:
            return "1 row was not imported"
        return f"{need.rows:,} rows{need.or_more} were not imported"
    problem, its = (need.problem or "").strip(), f"{need.name}: "
    if need.state == "misplaced":  # the location is said first
        return problem.partition(its)[2] or problem
    lines = problem.removeprefix(its).splitlines()
    return lines[-1].removeprefix(its) if lines else "it does not go on"
