"""Print what needs a person, each with what helps."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from csv_pipeline.account import account_command
from csv_pipeline.cli.terminal import command, out, plain, table
from csv_pipeline.storage import attention, overdue
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
            Text.assemble((need.state, "red"), ": ", plain(_why(need), 240)),
            plain(_help(need), 200),
        )
    out.print(made)
    if more:
        out.print("There may be more; --account shows those of one account.")


def need_facts(need: Need) -> dict[str, Any]:
    """Return a need as JSON has it."""
    return {
        "account": need.account,
        "feed": need.feed,
        "file": need.name,
        "state": need.state,
        "number": need.number,
        "since": need.at.isoformat(),
        "rows": need.rows,
        "problem": need.problem,
        "next_attempt_at": need.next_attempt_at and need.next_attempt_at.isoformat(),
        "help": _help(need),
    }


def _why(need: Need) -> str:
    if need.state == "to correct":
        more = " or more" if need.rows >= attention.COUNTED else ""
        return f"{need.rows:,} rows{more} were not imported"
    lines = (need.problem or "").strip().splitlines()
    return lines[-1].removeprefix(f"{need.name}: ") if lines else "it does not go on"


def _help(need: Need) -> str:
    its, number = command(), need.number
    dismiss = f"or {its} dismiss {number}"
    if need.dismissible:
        return {
            "to correct": f"{its} rejects {number} --out FILE; {dismiss}",
            "refused": f"{its} suggest {number}; or correct the file; {dismiss}",
            "failed": f"{its} rejects {number}; then import it again; {dismiss}",
            attention.POISON: f"find out why (its run's log); then {its} import it; {dismiss}",
        }[need.state]
    match need.state:
        case overdue.KIND:
            scope = account_command(need.account, need.feed or "").removeprefix("csv-pipeline")
            return f"ask for the file; or {its}{scope} --expected-every {overdue.NEVER}, or 7d"
        case attention.SILENT:
            at = f"{need.next_attempt_at:%H:%M:%S}"
            return f"it is asked again at {at} UTC, and its files are imported once it answers"
        case "misplaced":
            return "move it into a folder ACCOUNT/FEED of the landing area"
        case "waiting":
            by_itself = f"it is tried again by itself; {its} doctor looks at the stores"
            return (
                by_itself
                if need.problem
                else f"look at the sensor `landing` and its runs; {its} dev starts both"
            )
        case _:
            return "look at it on the import page"
