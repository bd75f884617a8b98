"""The command `doctor`: what is not as imports need it, and what repairs it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from csv_pipeline.cli.options import Json
from csv_pipeline.errors import SetupError

if TYPE_CHECKING:
    from csv_pipeline.engine.health import Check


def doctor(*, as_json: Json = False) -> None:
    """Look at all that imports need: a line for each check, and what repairs what is wrong.

    Exits with 1 if a check fails; nothing is changed.
    """
    from csv_pipeline.cli import terminal
    from csv_pipeline.engine.health import Verdict

    found = _checks()
    if as_json:
        terminal.as_json([asdict(check) for check in found])
    else:
        for check in found:
            _print(check)
    raise typer.Exit(int(any(check.verdict is Verdict.FAIL for check in found)))


def _checks() -> "list[Check]":
    from csv_pipeline.cli import opening
    from csv_pipeline.engine.health import Check, examine
    from csv_pipeline.feeds.sources import all_feeds

    try:
        settings = opening.settings_found()
        feeds = all_feeds(settings)
    except SetupError as error:
        needed, repair = "settings and feeds that can be read", "correct what is named"
        return [Check.failed("settings", needed, str(error), repair)]
    read = Check.passed("settings", "settings and feeds that can be read", f"home {settings.home}")
    return [read, *examine(settings, feeds)]


def _print(check: "Check") -> None:
    from csv_pipeline.cli.terminal import out, plain
    from csv_pipeline.engine.health import Verdict

    styles = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
    found = check.found
    if check.verdict is not Verdict.OK:
        found = f"{check.needed} was needed; found {check.found}; {check.repair}"
    line = plain(f"{check.verdict:<5} {check.name:<17} {' '.join(found.split())}", 2_000)
    line.stylize(styles[check.verdict], 0, len(check.verdict))
    out.print(line, soft_wrap=True)
