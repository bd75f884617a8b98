"""Say what helps against what needs a person: a command, or what to do."""

from csv_pipeline.account import account_command
from csv_pipeline.storage import attention, overdue, webhooks
from csv_pipeline.storage.attention import Need

COMMAND = "csv-pipeline"


def help_against(need: Need, its: str = COMMAND) -> str:  # noqa: PLR0911  # one a state
    """Return what helps; `its` is how the command is called."""
    number = need.number
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
            scope = account_command(need.account, need.feed or "").removeprefix(COMMAND)
            return f"ask for the file; or {its}{scope} --expected-every {overdue.NEVER}, or 7d"
        case attention.SILENT:
            at = f"at {need.next_attempt_at:%H:%M:%S} UTC" if need.next_attempt_at else "by itself"
            return f"it is asked again {at}, and its files are imported once it answers"
        case attention.BROKEN:
            return "correct what declares it; its files are imported then"
        case "misplaced":
            return "put it, as a plain file, into a folder ACCOUNT/FEED of the landing area"
        case "waiting":
            by_itself = f"it is tried again by itself; {its} doctor looks at the stores"
            by_hand = f"look at the sensor `landing` and its runs; {its} dev starts both"
            return by_itself if need.problem else by_hand
        case webhooks.UNTOLD:
            return f"{its} alerts test {number}; then {its} alerts again {number}, or remove"
        case _:
            return "look at it on the import page"
