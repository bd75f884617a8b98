"""Draw what the pipeline knows: tables for people on stdout, JSON for scripts, notes on stderr.

Whatever comes out of a file is shown by `plain`: a cell may hold terminal escapes or markup. Values
of protected columns are masked before they get here, by `masked`.
"""

import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from csv_pipeline.model import Account, Counts, Feed, ImportReport, Outcome, Reject
from csv_pipeline.settings import Settings
from csv_pipeline.storage.ledger import Backlog
from csv_pipeline.storage.rejects import MASK

if TYPE_CHECKING:
    from csv_pipeline.cli.importing import Imported
    from csv_pipeline.demo.run import DemoResult

OUTCOMES = ("inserted", "updated", "unchanged", "kept", "superseded", "rejected")
_COLORS = {
    Outcome.IMPORTED: "green",
    Outcome.DRY_RUN: "cyan",
    Outcome.DUPLICATE: "yellow",
    Outcome.REFUSED: "red",
    Outcome.FAILED: "bold red",
}
_WIDE = 160
_REPORT = TypeAdapter(ImportReport)

out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
notes = Console(highlight=False, stderr=True, width=None if sys.stderr.isatty() else _WIDE)


def as_json(facts: Any) -> None:
    """Print JSON to stdout."""
    sys.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def note(text: str) -> None:
    """Print a line about the work going on to stderr."""
    notes.print(Text(text, style="dim"))


def plain(value: object, limit: int = 80) -> Text:
    """Return a value out of a file for a terminal: no control characters, no markup, not too long."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))
    return Text(text if len(text) <= limit else f"{text[: limit - 1]}…")


def import_facts(report: ImportReport, finished_at: datetime | None = None) -> dict[str, Any]:
    """Return a report as JSON types."""
    facts: dict[str, Any] = _REPORT.dump_python(report, mode="json")
    return facts if finished_at is None else facts | {"finished_at": finished_at.isoformat()}


def masked(faults: Iterable[Reject], feed: Feed | None) -> list[Reject]:
    """Return faults with the values of protected columns masked; of an unknown feed all are."""
    protected = {c.name for c in feed.columns if c.protected} if feed else None
    return [
        replace(fault, value=MASK)
        if fault.value is not None and (protected is None or fault.column in protected)
        else fault
        for fault in faults
    ]


def reject_facts(
    report: ImportReport, faults: Iterable[Reject], superseded: Iterable[tuple[int, int]]
) -> dict[str, Any]:
    """Return what `rejects --json` prints; raw rows stay out, they may hold protected values."""
    places = [{k: v for k, v in asdict(fault).items() if k != "raw"} for fault in faults]
    return {
        "import_id": report.import_id,
        "account": report.account,
        "feed": report.feed,
        "name": report.name,
        "outcome": report.outcome.value,
        "problem": report.problem,
        "rejects": places,
        "superseded": [{"row_number": row, "by_row_number": by} for row, by in superseded],
    }


def imported(done: "Imported", feed: Feed) -> None:
    """Print what became of one file: the numbers, the decisions, the first faults."""
    report = done.report
    out.print(_headline(done))
    if report.problem:
        out.print(Text.assemble(("Why: ", "bold"), plain(_last_line(report.problem), 2_000)))
    if report.counts.read or report.outcome in {Outcome.IMPORTED, Outcome.DRY_RUN}:
        out.print(_accounting(report.counts))
    _print_evidence(report)
    if report.rejects_by_rule:
        rules = ", ".join(f"{rule} {count:,}" for rule, count in report.rejects_by_rule.items())
        out.print(Text.assemble(("Faults by rule: ", "bold"), plain(rules, 2_000)))
    if done.first_rejects:
        shown = masked(done.first_rejects, feed)
        out.print(
            _faults(shown, f"The first {len(shown)} faults" if len(shown) > 1 else "The fault")
        )
    if report.outcome is Outcome.IMPORTED:
        if report.rejects_by_rule or report.counts.superseded:
            out.print(f"Every fault and superseded row: csv-pipeline rejects {report.import_id}")
        out.print(f"The rows: table data.{report.feed}, where account = '{report.account}'")


def imports(found: Sequence[tuple[ImportReport, datetime]], settings: Settings) -> None:
    """Print imports, a line each."""
    if not found:
        out.print(
            "No imports yet. Drop a file into ACCOUNT/FEED/ of the landing area "
            f"{settings.landing_area} while csv-pipeline dev runs, or call csv-pipeline import."
        )
        return
    table = _table("import", "finished (UTC)", "account", "feed", "file", "outcome", "rows")
    for report, at in found:
        table.add_row(
            str(report.import_id),
            f"{at:%Y-%m-%d %H:%M:%S}",
            report.account,
            report.feed,
            plain(report.name),
            _outcome(report),
            rows_of(report),
        )
    out.print(table)


def rejects(
    report: ImportReport, faults: Sequence[Reject], superseded: Sequence[tuple[int, int]]
) -> None:
    """Print the faults of an import's rows and the rows that came again."""
    out.print(Text.assemble(f"Import {report.import_id}: ", plain(report.name, 200)))
    if report.problem:
        out.print(Text.assemble(("Why: ", "bold"), plain(report.problem, 4_000)))
    if faults:
        out.print(_faults(faults, "Rejected rows"))
        total = sum(report.rejects_by_rule.values())
        if total > len(faults):
            out.print(f"{total - len(faults):,} more faults: see them with --limit {total}")
    if superseded:
        table = _table("row", "superseded by row", title="Rows whose key comes again later")
        for row, by in superseded:
            table.add_row(f"{row:,}", f"{by:,}")
        out.print(table)
        if report.counts.superseded > len(superseded):
            out.print(f"{report.counts.superseded - len(superseded):,} more superseded rows")
    if not (faults or superseded or report.problem):
        out.print("No row was rejected, none superseded.")


def feeds(all_feeds: Iterable[Feed]) -> None:
    """Print the feeds, a line each."""
    table = _table("feed", "what it holds", "table", "key within an account", "on conflict")
    for one in all_feeds:
        policy = type(one.conflict).__name__
        table.add_row(
            one.name, one.description, f"data.{one.name}", ", ".join(one.key), _words(policy)
        )
    out.print(table)
    out.print("The columns of one: csv-pipeline feeds NAME")


def feed(one: Feed) -> None:
    """Print the columns of a feed with their names in headers."""
    table = _table(
        "column", "kind", "needs a value", "protected", "names in headers", title=one.name
    )
    for column in one.columns:
        if not column.derived:
            table.add_row(
                column.name,
                column.kind.value,
                "" if column.nullable or column.substitute is not None else "yes",
                "yes" if column.protected else "",
                ", ".join(column.aliases) or column.name,
            )
    out.print(table)


def accounts(declared: Sequence[Account], waiting: Sequence[Backlog]) -> None:
    """Print the accounts with what they declared."""
    if not declared:
        out.print(
            "No accounts yet. One is made by its first file, or by csv-pipeline account NAME."
        )
        return
    table = _table("account", "seller id", "date order", "decimal mark", "encoding", "waiting")
    for one in declared:
        files = sum(len(lane.arrival_ids) for lane in waiting if lane.account == one.account)
        known = (one.seller_id, one.date_order, one.decimal_mark, one.encoding)
        table.add_row(one.account, *(plain(fact or "") for fact in known), f"{files or ''}")
    out.print(table)


def demo(result: "DemoResult", settings: Settings) -> None:
    """Print what became of the demo's files, an account at a time, and where to look next."""
    for account, told in groupby(
        sorted(result.told, key=lambda one: one.delivery.account), lambda one: one.delivery.account
    ):
        table = _table("import", "feed", "file", "outcome", "rows", title=f"Account {account}")
        total = Counts()
        for one in told:
            file = Text.assemble(plain(one.delivery.name), "\n", (one.delivery.shows, "dim"))
            if one.report is None:
                table.add_row("", one.delivery.feed, file, "misplaced", plain(one.problem, 400))
                continue
            number = str(one.report.import_id)
            table.add_row(number, one.report.feed, file, _outcome(one.report), rows_of(one.report))
            if one.report.outcome is Outcome.IMPORTED:
                total += one.report.counts
        table.add_section()
        table.add_row("", "", "all that was imported", "", _identity(total))
        out.print(table)
    _print_next_steps(result, settings)


def rows_of(report: ImportReport) -> Text:
    """Return what became of a file's rows in one line, or why it has none."""
    if report.outcome not in {Outcome.IMPORTED, Outcome.DRY_RUN}:
        return plain(_last_line(report.problem or ""), 400)
    return _identity(report.counts)


def _identity(counts: Counts) -> Text:
    parts = [(name, getattr(counts, name)) for name in OUTCOMES]
    text = Text(f"{counts.read:,} read")
    for place, (name, count) in enumerate(part for part in parts if part[1]):
        text.append(" + " if place else " = ")
        text.append(f"{count:,} {name}", style="red" if name == "rejected" else "")
    return text


def _headline(done: "Imported") -> Text:
    report = done.report
    name, lane = plain(report.name, 200), f" of {report.account}, {report.feed}: "
    if done.before:
        when = f"imported before, as import {report.import_id}; nothing to do"
        return Text.assemble(name, lane, (when, "yellow"))
    number = "" if report.outcome is Outcome.DRY_RUN else f" (import {report.import_id})"
    return Text.assemble(name, lane, _outcome(report), number)


def _outcome(report: ImportReport) -> Text:
    return Text(report.outcome.value, style=_COLORS[report.outcome])


def _accounting(counts: Counts) -> Table:
    columns = [field.name for field in fields(Counts)]
    table = _table(*columns, right=columns, title="What became of every row")
    table.add_row(*(f"{getattr(counts, name):,}" for name in columns))
    table.caption = (
        "read = inserted + updated + unchanged + kept + superseded + rejected; "
        "blank and furniture lines are no rows"
    )
    table.caption_justify = "left"
    return table


def _print_evidence(report: ImportReport) -> None:
    if report.evidence:
        table = _table("about", "decided", "because", title="What the file shows of itself")
        for one in report.evidence:
            table.add_row(plain(one.subject), plain(one.decision), plain(one.because, 200))
        out.print(table)
    if report.drift.added:
        out.print(Text.assemble(("Columns not used: ", "bold"), _names(report.drift.added)))
    if report.drift.missing:
        out.print(Text.assemble(("Columns it lacks: ", "bold"), _names(report.drift.missing)))


def _names(names: Sequence[str]) -> Text:
    return Text(", ").join(plain(name) for name in names)


def _faults(faults: Iterable[Reject], title: str) -> Table:
    table = _table("row", "line", "column", "rule", "value", "message", title=title)
    for fault in faults:
        table.add_row(
            f"{fault.row_number:,}",
            f"{fault.line_number:,}",
            fault.column or "(record)",
            fault.rule,
            plain("" if fault.value is None else fault.value, 40),
            plain(fault.message, 200),
        )
    return table


def _table(
    *columns: str, right: Sequence[str] = ("import", "row", "line"), title: str = ""
) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold"
    )
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def _last_line(problem: str) -> str:
    """Return a problem's text; of a traceback its last line, which says what it was."""
    return problem.strip().rpartition("\n")[2] if problem.startswith("Traceback") else problem


def _words(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _print_next_steps(result: "DemoResult", settings: Settings) -> None:
    reports = [one.report for one in result.told if one.report]
    most = max(reports, key=lambda report: report.counts.rejected)
    if not result.runs:
        out.print("Nothing new: every file was imported or turned away before, so no run was asked for.")
    out.print(
        f"Every fault of a file:   csv-pipeline rejects {most.import_id}",
        "The numbers of a file:   csv-pipeline imports --account acorn",
        "The same in Dagster:     make dev, or csv-pipeline dev",
        f"Your own files:          drop them into {settings.landing_area}/ACCOUNT/FEED/ meanwhile",
        "In SQL, revenue once:    SELECT * FROM data.ebay_order_totals WHERE account = 'acorn'",
        sep="\n",
    )
