"""Print what became of files and rows as tables."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from csv_pipeline.cli.show_scope import print_scope
from csv_pipeline.cli.terminal import command, labelled, out, plain, print_under, table
from csv_pipeline.engine.views import masked
from csv_pipeline.engine.worklist import Written
from csv_pipeline.model import (
    Counts,
    Evidence,
    HeaderDrift,
    ImportReport,
    NonDataLine,
    Outcome,
    Reject,
    ReportWarning,
    Undo,
)
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed

if TYPE_CHECKING:
    from csv_pipeline.cli.importing import Imported

_OUTCOMES = ("inserted", "updated", "unchanged", "kept", "superseded", "rejected")
_COLORS = {
    Outcome.IMPORTED: "green",
    Outcome.UNPACKED: "cyan",
    Outcome.DRY_RUN: "cyan",
    Outcome.DUPLICATE: "yellow",
    Outcome.UNDO: "magenta",
    Outcome.REFUSED: "red",
    Outcome.FAILED: "bold red",
}
_WIDE = 120
_LINES_NAMED = 10
_NON_DATA_SHOWN = 10
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:: .*)?$", re.MULTILINE)


def imported(done: "Imported", feed: Feed) -> None:
    """Print what became of one file: the numbers, the decisions, the first faults."""
    report = done.report
    out.print(_headline(done))
    if report.problem:
        out.print(labelled("Why", plain(_why(report), 2_000)))
    if report.repairs is not None:
        some = "" if _repairs_any(report) else "none of the "
        out.print(labelled("Repairs", Text(f"{some}rejected rows of import {report.repairs}")))
    if report.settings_version:
        see = f"see {command()} account {report.account} --history"
        out.print(labelled("Settings", Text(f"version {report.settings_version}, {see}")))
    if report.outcome in {Outcome.IMPORTED, Outcome.DRY_RUN}:
        _print_accounting(report)
    print_warnings(report.warnings)
    print_non_data(report.non_data_lines, report.lines.non_data)
    print_evidence("What the file shows of itself", report.evidence)
    _print_drift(report.drift)
    print_rules(sorted(report.rejects_by_rule.items(), key=lambda item: (-item[1], item[0])))
    if report.differences:
        made = table("row", "key", "column", "stored", "would be")
        for one in report.differences:
            before, after = (plain(value or "", 60) for value in (one.before, one.after))
            made.add_row(f"{one.row_number:,}", plain(one.key, 60), one.column, before, after)
        print_under("The first values that would change", made)
    if done.first_rejects:
        shown = masked(done.first_rejects, feed)
        print_under(
            f"The first {len(shown)} faults" if len(shown) > 1 else "Its fault", _faults(shown)
        )
    if done.stored:
        _print_where_to_look(report)
    _print_locations(done)
    for member in done.members:
        out.print()
        imported(member, feed)


def _print_locations(done: "Imported") -> None:
    if done.results:
        out.print(f"What became of each row: {done.results}", soft_wrap=True)
    if done.moved_to:
        out.print(Text.assemble("The file is now ", plain(done.moved_to, 1_000)), soft_wrap=True)


def imports(
    found: Sequence[tuple[ImportReport, datetime]],
    locations: Mapping[int, str],
    settings: Settings,
    *,
    narrowed: bool = False,
    waiting: int = 0,
) -> None:
    """Print imports, a line each, and under the name of a file where it is now."""
    if not found and narrowed:
        out.print("No such import.")
        return
    if not found and waiting:
        out.print(
            f"No imports yet; waiting files: {waiting:,}. They are imported while "
            f"{command()} dev runs, or by {command()} import.",
            soft_wrap=True,
        )
        return
    if not found:
        out.print(
            "No imports yet. Drop a file into ACCOUNT/FEED/ of the landing area "
            f"{' or '.join(map(str, settings.landing_areas))} while {command()} dev runs, or call "
            f"{command()} import.",
            soft_wrap=True,
        )
        return
    made = table("import", "finished (UTC)", "account", "feed", "file", "outcome", "rows")
    for report, at in found:
        made.add_row(
            str(report.import_id),
            f"{at:%Y-%m-%d %H:%M:%S}",
            report.account,
            report.feed,
            _name_and_location(report, locations, settings),
            _outcome_and_settings(report),
            rows_of(report),
        )
    out.print(made)


def _outcome_and_settings(report: ImportReport) -> Text:
    version = report.settings_version
    return outcome_of(report).append(f", settings {version}" if version else "")


def _name_and_location(
    report: ImportReport, locations: Mapping[int, str], settings: Settings
) -> Text:
    if (location := locations.get(report.arrival_id)) is None:
        return plain(report.name)
    shown = plain(location.removeprefix(f"{settings.home.absolute()}/"), 300)
    return Text.assemble(plain(report.name), "\n", (shown.plain, "dim"))


def rejects(
    report: ImportReport, faults: Sequence[Reject], superseded: Sequence[tuple[int, int]]
) -> None:
    """Print the faults of an import's rows and the rows that came again."""
    out.print(labelled(f"Import {report.import_id}", plain(report.name, 200)))
    if report.problem:
        lines = (plain(line, 400) for line in report.problem.splitlines())
        out.print(labelled("Why", Text("\n").join(lines)))
    if faults:
        print_under("Rejected rows", _faults(faults))
        total = sum(report.rejects_by_rule.values())
        if total > len(faults):
            out.print(f"{total - len(faults):,} more faults: see them with --limit {total}")
    if superseded:
        made = table("row", "superseded by row")
        for row, by in superseded:
            made.add_row(f"{row:,}", f"{by:,}")
        print_under("Rows whose key comes again later in the file", made)
        if report.counts.superseded > len(superseded):
            out.print(f"{report.counts.superseded - len(superseded):,} more superseded rows")
    if not (faults or superseded or report.problem):
        out.print("No row was rejected, none superseded.")


def undone(report: ImportReport, import_id: int, *, dry_run: bool) -> None:
    """Print what became of the rows of an import that was undone, or whose undo was."""
    undo = report.undo
    if undo is None:
        return
    done = "would be" if dry_run else "is"
    number = "" if dry_run else f" (import {report.import_id})"
    again = f"; so import {undo.import_id} is in effect again" if undo.redone else ""
    out.print(f"Import {import_id} {done} undone{number}{again}: {_undo_in_words(undo)}")
    for by, rows in sorted(undo.kept.items()):
        out.print(f"  {rows:,} rows stay as import {by} left them, which changed them since")
    print_warnings(report.warnings)
    if not dry_run and not undo.redone:
        out.print(f"To have it back: {command()} undo {report.import_id}")


def worklist(written: Written) -> None:
    """Say how much work remains, and where it is listed."""
    rows = "1 row remains" if written.rows == 1 else f"{written.rows:,} rows remain"
    said = f"{rows}: {written.location}" + ("" if written.changed else ", which says so already")
    kept = f" The earlier list: {written.backup}" if written.backup else ""
    out.print(f"{said}.{kept}", soft_wrap=True)


def sent_out(written: int, report: ImportReport, path: Path) -> None:
    """Say where rejected rows are and how they come back."""
    import_id = report.import_id
    if not written:
        out.print(
            f"Nothing to correct: no row of import {import_id} is rejected and not repaired since. "
            f"{path} is not written; --all would write repaired rows, too."
        )
        return
    rows = "1 row" if written == 1 else f"{written:,} rows"
    if report.outcome is not Outcome.IMPORTED:
        out.print(
            f"{rows} in {path}, to see what to correct. Import {import_id} was {report.outcome}: "
            f"correct its whole file, {report.name}, and import that.",
            soft_wrap=True,
        )
        return
    out.print(
        f"{rows} to correct in {path}. Correct the cells, delete rows to leave out, then: "
        f"{command()} replay {path}",
        soft_wrap=True,
    )


def _undo_in_words(undo: Undo) -> str:
    parts = {
        "deleted": undo.deleted,
        "inserted again": undo.inserted,
        "as they were before" if not undo.redone else "as it had left them": undo.restored,
        "kept": sum(undo.kept.values()),
        "gone meanwhile": undo.gone,
    }
    return ", ".join(f"{rows:,} {what}" for what, rows in parts.items() if rows) or "it had no rows"


def rows_of(report: ImportReport) -> Text:
    """Return what became of a file's rows in one line, or why it has none."""
    if report.undo is not None:
        return Text(f"rows of import {report.undo.import_id}: {_undo_in_words(report.undo)}")
    if report.outcome in {Outcome.IMPORTED, Outcome.DRY_RUN}:
        return identity_of(report.counts)
    return plain(_why(report), 240)


def identity_of(counts: Counts) -> Text:
    """Return the sum of all outcomes, as it is checked."""
    text = Text(f"{counts.read:,} read" if counts.read else "no rows")
    parts = [(name, getattr(counts, name)) for name in _OUTCOMES]
    for location, (name, count) in enumerate(part for part in parts if part[1]):
        text.append(" + " if location else " = ")
        text.append(f"{count:,} {name}", style="red" if name == "rejected" else "")
    if counts.missing:
        text.append(f"; {counts.missing:,} missing", style="yellow")
    return text


def _headline(done: "Imported") -> Text:
    report = done.report
    name, lane = plain(report.name, 200), f" of {report.account}, {report.feed}: "
    if done.before:
        done_then = "unpacked" if report.outcome is Outcome.UNPACKED else "imported"
        when = f"{done_then} before, as import {report.import_id}; "
        when += "nothing to do" if done.is_current else "rows were changed or undone since"
        when += "; --again imports it anew"
        return Text.assemble(name, lane, (when, "yellow"))
    number = f" (import {report.import_id})" if done.stored else "; nothing of it is stored"
    if not done.stored and report.outcome is not Outcome.DRY_RUN:
        lane += "would be "
    return Text.assemble(name, lane, outcome_of(report), number)


def outcome_of(report: ImportReport) -> Text:
    """Return how an import ended, and of which other one it is the repair or the undo."""
    said = Text(report.outcome.value, style=_COLORS[report.outcome])
    if report.repairs is not None:
        repaired = "" if _repairs_any(report) else "no row of "
        said.append(f", repairs {repaired}{report.repairs}")
    if report.undo is not None:
        said.append(" of the undo" if report.undo.redone else "")
        said.append(f" of {report.undo.import_id}")
    if report.warnings:
        said.append(f", {_counted(len(report.warnings), 'warning')}", style="yellow")
    if report.undone_by is not None:
        said.append(f", undone by {report.undone_by}", style="yellow")
    return said


def _repairs_any(report: ImportReport) -> bool:
    return report.counts.read > report.counts.rejected


def _print_accounting(report: ImportReport) -> None:
    counts, lines = report.counts, report.lines
    out.print(Text("What became of every row", style="bold"))
    for sign, name in zip(" =+++++", ("read", *_OUTCOMES), strict=True):
        out.print(f"  {sign} {name:<11}{getattr(counts, name):>11,}")
    if (scope := report.scope) is not None:
        print_scope(scope)
    locations = (
        f"{lines.header:,} of the header, {lines.records:,} of records, {lines.blank:,} blank"
    )
    out.print(
        Text(f"    {lines.total:,} lines: {locations}, {lines.non_data:,} no data", style="dim")
    )


def print_warnings(warnings: Sequence[ReportWarning]) -> None:
    """Print what a person should look at, a line each."""
    for one in warnings:
        lines = one.line_numbers[:_LINES_NAMED]
        where = ", ".join(f"{line:,}" for line in lines) + (", …" if one.count > len(lines) else "")
        location = f" ({'line' if one.count == 1 else 'lines'} {where})" if lines else ""
        said = f"{one.message}{location} [{one.code}]"
        out.print(Text.assemble(("Warning: ", "bold yellow"), plain(said, 1_000)), soft_wrap=True)


def print_non_data(lines: Sequence[NonDataLine], total: int) -> None:
    """Print the first lines that are no data, so that a person sees what is not stored."""
    if not lines:
        return
    made = table("line", "taken for", "text")
    for one in lines[:_NON_DATA_SHOWN]:
        made.add_row(f"{one.line_number:,}", plain(one.reason), plain(one.text, 100))
    print_under("Lines that are no data", made)
    if total > _NON_DATA_SHOWN:
        out.print(f"{total - _NON_DATA_SHOWN:,} more; the result file has all of them")


def print_evidence(title: str, evidence: Sequence[Evidence]) -> None:
    """Print what was decided of a file, and why."""
    if not evidence:
        return
    made = table("about", "decided", "because")
    for one in evidence:
        made.add_row(plain(one.subject), plain(one.told), plain(one.because, 200))
    print_under(title, made)


def print_rules(counts: Sequence[tuple[str, int]]) -> None:
    """Print how many faults each rule has found."""
    if counts:
        rules = ", ".join(f"{rule} {count:,}" for rule, count in counts)
        out.print(labelled("Faults by rule", plain(rules, 2_000)))


def _print_drift(drift: HeaderDrift) -> None:
    renamed = Text(", ").join(
        Text.assemble(plain(added), " may be ", plain(missing)) for missing, added in drift.renamed
    )
    for label, names in (
        ("Columns that the feed does not know", _names(drift.added)),
        ("Columns that the feed needs and the file lacks", _names(drift.missing)),
        ("Columns that the file before had and this one lacks", _names(drift.gone)),
        ("Columns that may have a new name", renamed),
        ("Columns that stand elsewhere than in the file before", _names(drift.reordered)),
    ):
        if names:
            out.print(labelled(label, names))


def _names(names: Sequence[str]) -> Text:
    return Text(", ").join(plain(name) for name in names)


def _faults(faults: Iterable[Reject]) -> Table:
    """Return a table of faults; a narrow one leaves out what the message says anyway."""
    wide, faults = out.width >= _WIDE, list(faults)
    repaired = any(fault.repaired_by_import_id for fault in faults)
    details = ("column", "rule", "value") if wide else ()
    made = table("row", "line", *details, "message", *(("repaired by",) if repaired else ()))
    for fault in faults:
        location = f"row {fault.row_number} (line {fault.line_number})"
        value = plain("" if fault.value is None else fault.value, 40)
        made.add_row(
            f"{fault.row_number:,}",
            f"{fault.line_number:,}",
            *((fault.column or "(record)", fault.rule, value) if wide else ()),
            plain(fault.message.removeprefix(location).lstrip(",: "), 240),
            *((_import(fault.repaired_by_import_id),) if repaired else ()),
        )
    return made


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _import(import_id: int | None) -> str:
    return "" if import_id is None else f"import {import_id}"


def _print_where_to_look(report: ImportReport) -> None:
    if report.outcome is Outcome.FAILED:
        out.print(f"The traceback: {command()} rejects {report.import_id}")
    elif report.outcome is Outcome.REFUSED and report.counts.rejected:
        out.print(f"Every fault: {command()} rejects {report.import_id}")
    elif report.outcome is Outcome.IMPORTED:
        if report.rejects_by_rule or report.counts.superseded:
            out.print(f"Every fault and superseded row: {command()} rejects {report.import_id}")
        if report.counts.rejected:
            out.print(f"To correct the rows: {command()} rejects {report.import_id} --out FILE")
        where = f"table data.{report.feed}, where account = '{report.account}'"
        out.print(f"The rows: {where}; `{command()} dev` says how to reach the database")


def _why(report: ImportReport) -> str:
    """Return the problem without the file's name; of a traceback its last exception."""
    problem = report.problem or ""
    if problem.startswith("Traceback"):
        return str(_EXCEPTION.findall(problem)[-1])
    return problem.removeprefix(f"{report.name}: ")
