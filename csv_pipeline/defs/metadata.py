"""Say in Dagster's metadata what became of the rows; tables stop at 20 lines and say so.

Every value here is kept by Dagster for ever and shown to whoever may see its pages, so nothing
goes in but numbers, names and the messages of the report.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import dagster as dg

from csv_pipeline.defs.chart import line_chart, outcome_chart
from csv_pipeline.engine.help import help_against
from csv_pipeline.engine.workspace import Progress, Stage
from csv_pipeline.model import Counts, ImportReport, Outcome, Reject
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.derived import DerivedTable
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage.attention import Need
from csv_pipeline.storage.derived import Contents
from csv_pipeline.storage.recompute import Recomputed
from csv_pipeline.storage.targets import SCHEMA

Metadata = Mapping[str, Any]
Line = Mapping[str, str | int | float]
MOST_LINES = 20
_TAGGED = 3
_WIDEST = 30
LOADED = frozenset({Outcome.IMPORTED, Outcome.DRY_RUN})
_ALWAYS = frozenset({"read", "inserted", "rejected"})
_PER_FILE = ("read", "inserted", "updated", "unchanged", "kept", "superseded", "rejected")
_OF_SCOPE = ("before", "entered", "left", "absent", "missing", "after")
TROUBLE_FIRST = (
    Outcome.FAILED,
    Outcome.REFUSED,
    Outcome.DUPLICATE,
    Outcome.UNPACKED,
    Outcome.DRY_RUN,
    Outcome.IMPORTED,
    Outcome.UNDO,
)


def table_definition(feed: Feed) -> Metadata:
    """Return what is known of a feed's table before any file arrives."""
    return {
        "dagster/table_name": f"{SCHEMA}.{feed.name}",
        "dagster/column_schema": dg.TableSchema(columns=[_column(c, feed) for c in feed.columns]),
    }


def derived_definition(table: DerivedTable) -> Metadata:
    """Return what is known of a derived table before it is computed."""
    columns = [
        dg.TableColumn(
            column.name,
            type=column.type,
            description=column.description,
            constraints=dg.TableColumnConstraints(
                nullable=column.name not in table.key,
                other=["key"] if column.name in table.key else [],
            ),
        )
        for column in table.columns
    ]
    return {
        "dagster/table_name": f"{SCHEMA}.{table.name}",
        "dagster/column_schema": dg.TableSchema(columns=columns),
    }


def derived_metadata(derived: DerivedTable, done: Recomputed, has: Contents) -> Metadata:
    """Return what was recomputed of a derived table, and what it has of the account."""
    chart = derived.chart
    drawn = line_chart(derived.name, chart.lines, has.points) if chart else ""
    return {
        **({"by " + chart.by: dg.MetadataValue.md(drawn)} if chart else {}),
        "dagster/partition_row_count": has.rows,
        **has.totals,
        "imports since the last time": done.imports,
        "scopes recomputed": done.scopes,
        "rows recomputed": done.rows,
        "rows before": done.rows_before,
        "everything": done.everything,
        **table("first rows", ({n: _cell(v) for n, v in row.items()} for row in has.first)),
    }


def files_tag(names: Sequence[str]) -> str:
    """Return the first files of a run in few words."""
    shown = ", ".join(name[:60] for name in names[:_TAGGED])
    more = len(names) - _TAGGED
    return f"{shown} and {more:,} more" if more > 0 else shown


def progress_metadata(done: Sequence[Progress]) -> Metadata:
    """Return what one stage did for the files of a run."""
    return {
        "files": len(done),
        "rows": sum(progress.rows for progress in done),
        "rejects": sum(progress.rejects for progress in done),
        "seconds": round(sum(progress.seconds for progress in done), 3),
        **table("per file", (_progress_line(progress) for progress in done)),
    }


def table_metadata(
    reports: Sequence[ImportReport], rows_stored: int, files: Sequence[tuple[str, str, str]] = ()
) -> Metadata:
    """Return what the run did to the account's rows of the feed's table.

    `files` has the name of each file, where it was moved to, and where the outcomes of its rows
    are; an empty text means nowhere.
    """
    counts = total(reports)
    reports = sorted(reports, key=lambda report: TROUBLE_FIRST.index(report.outcome))
    return {
        "outcomes": dg.MetadataValue.md(outcome_chart(counts)),
        **table("problems", _problem_lines(reports)),
        **table("per file", _report_lines(reports)),
        "dagster/partition_row_count": rows_stored,
        "files": len(reports),
        **asdict(counts),
        **table("where they are", ({"file": f, "is now": at} for f, at, _ in files if at)),
        **table("each row's outcome", ({"file": f, "is in": at} for f, _, at in files if at)),
        "warnings": sum(len(report.warnings) for report in reports),
        **table("what to look at", _warning_lines(reports)),
        **table("lines that are no data", _non_data_lines(reports)),
        **table("snapshots", _snapshot_lines(reports)),
        **table("would change", _difference_lines(reports)),
        **table("stage seconds", _stage_lines(reports)),
        **table("evidence", _evidence_lines(reports)),
        **_reject_tables(reports),
    }


def undo_metadata(report: ImportReport) -> Metadata:
    """Return what became of the rows of an import that was undone."""
    if report.undo is None:
        return {}
    undo = report.undo
    return {
        **({"import": report.import_id} if report.import_id else {}),
        "rows of import": undo.import_id,
        "reversed": undo.reversed,
        "deleted": undo.deleted,
        "inserted": undo.inserted,
        "restored": undo.restored,
        "kept": sum(undo.kept.values()),
        "gone": undo.gone,
        "rows more": undo.added,
        **table("kept", ({"changed by import": by, "rows": n} for by, n in undo.kept.items())),
        **table("what to look at", _warning_lines([report])),
    }


def rejects_metadata(
    reports: Sequence[ImportReport],
    rejects: Sequence[tuple[str, Reject]],
    rows_open: int,
    to_correct: Sequence[Need],
) -> Metadata:
    """Return which rows the run refused and why, and which of the account's are open.

    `rejects` come with the names of their files; `to_correct` are all files with open rows,
    whichever run had them.
    """
    return {
        **open_metadata(rows_open, to_correct),
        "rejected": total(reports).rejected,
        **_reject_tables(reports),
        **table(
            "first rejects", ({"file": name, "reject": reject.message} for name, reject in rejects)
        ),
    }


def open_metadata(rows_open: int, to_correct: Sequence[Need]) -> Metadata:
    """Return how many rejected rows of an account are open, and the command for each file."""
    return {
        "dagster/partition_row_count": rows_open,
        **table("to correct", _correction_lines(to_correct)),
    }


def table(name: str, lines: Iterable[Line]) -> Metadata:
    """Return the first lines as a table under `name`, and how many more there are.

    Nothing if there is none.
    """
    rest = iter(lines)
    shown = [dict(line) for line in islice(rest, MOST_LINES)]
    if more := sum(1 for _ in rest):
        first, *others = shown[0]
        shown.append({first: f"… {more:,} more", **dict.fromkeys(others, "")})
    records = [dg.TableRecord(line) for line in shown]
    return {name: dg.MetadataValue.table(records)} if records else {}


def total(reports: Iterable[ImportReport]) -> Counts:
    """Return the sum of what became of all rows; files that were refused do not count."""
    return sum((report.counts for report in reports if report.outcome in LOADED), Counts())


def in_short(problem: str | None, name: str) -> str:
    """Return the line of a problem that says the most, without the file's name.

    Of a traceback that is the last one.
    """
    lines = (problem or "").strip().splitlines()
    return lines[-1].removeprefix(f"{name}: ")[:1_000] if lines else ""


def _cell(value: object) -> str | int | float:
    if value is None:
        return ""
    return value if isinstance(value, int) else str(value)


def _column(column: Column, feed: Feed) -> dg.TableColumn:
    needed = column.name in feed.key or not column.nullable
    other = ["key"] if column.name in feed.key else []
    other += ["protected"] if column.protected else []
    return dg.TableColumn(
        column.name,
        type=column.kind.value,
        description="; ".join(filter(None, (column.description, column.asked))) or None,
        constraints=dg.TableColumnConstraints(nullable=not needed, other=other),
    )


def _progress_line(progress: Progress) -> Line:
    return {
        "file": progress.name,
        "rows": progress.rows,
        "rejects": progress.rejects,
        "seconds": progress.seconds,
        "problem": in_short(progress.problem, progress.name),
    }


def _report_lines(reports: Sequence[ImportReport]) -> Iterable[Line]:
    """Give a line for each file; counts that are 0 in all of them would make it too wide."""
    counts = [asdict(report.counts) for report in reports]
    seen = [name for name in _PER_FILE if name in _ALWAYS or any(file[name] for file in counts)]
    for report, file in zip(reports, counts, strict=True):
        yield {
            "file": report.name,
            "import": report.import_id,
            "outcome": report.outcome.value,
            **{name: file[name] for name in seen},
        }


def _correction_lines(to_correct: Iterable[Need]) -> Iterable[Line]:
    for one in to_correct:
        rows = f"{one.rows:,}{one.or_more}"
        yield {"file": one.name, "rows": rows, "what helps": help_against(one)}


def _problem_lines(reports: Iterable[ImportReport]) -> Iterable[Line]:
    for report in reports:
        if report.problem:
            yield {"file": report.name, "problem": in_short(report.problem, report.name)}


def _snapshot_lines(reports: Iterable[ImportReport]) -> Iterable[Line]:
    for report in reports:
        if (scope := report.scope) is not None and report.outcome in LOADED:
            line = {name: getattr(scope, name) for name in _OF_SCOPE}
            yield {"file": report.name, "not in the file": f"{scope.policy}", **line}


def _difference_lines(reports: Iterable[ImportReport]) -> Iterable[Line]:
    for report in reports:
        for one in report.differences:
            yield {
                "file": report.name,
                "row": one.row_number,
                "key": one.key,
                "column": one.column,
                "stored": one.before or "",
                "would be": one.after or "",
            }


def _warning_lines(reports: Iterable[ImportReport]) -> Iterable[Line]:
    for report in reports:
        for one in report.warnings:
            where = ", ".join(map(str, one.line_numbers))
            yield {
                "file": report.name,
                "warning": one.code,
                "message": one.message,
                "count": one.count,
                "lines": where,
            }


def _non_data_lines(reports: Iterable[ImportReport]) -> Iterable[Line]:
    """Give the lines; the text of one that may be somebody's row stays out."""
    for report in reports:
        for one in report.non_data_lines:
            shown = one.declared or one.cells < 2
            yield {
                "file": report.name,
                "line": one.line_number,
                "taken for": one.reason,
                "text": _narrow(one.text[:200]) if shown else f"{one.cells} cells",
            }


def _narrow(text: str) -> str:
    """Return a text whose words have at most 30 letters: a page breaks lines between words only.

    A line of 40 commas would make all tables of its page wider than the page is.
    """
    return " ".join(w if len(w) <= _WIDEST else f"{w[: _WIDEST - 1]}…" for w in text.split())


def _stage_lines(reports: Sequence[ImportReport]) -> Iterable[Line]:
    for stage in Stage:
        seconds = [report.stage_seconds.get(stage.value, 0.0) for report in reports]
        if any(seconds):
            yield {
                "stage": stage.value,
                "seconds": round(sum(seconds), 3),
                "slowest file": round(max(seconds), 3),
            }


def _evidence_lines(reports: Sequence[ImportReport]) -> Iterable[Line]:
    for report in reports:
        for evidence in report.evidence:
            yield {"file": report.name, **asdict(evidence), "decision": evidence.told}


def _reject_tables(reports: Sequence[ImportReport]) -> Metadata:
    by_rule = _summed(report.rejects_by_rule for report in reports)
    by_column = _summed(report.rejects_by_column for report in reports)
    return {
        **table("rejects by rule", ({"rule": rule, "faults": n} for rule, n in by_rule)),
        **table("rejects by column", ({"column": column, "faults": n} for column, n in by_column)),
    }


def _summed(tallies: Iterable[Mapping[str, int]]) -> list[tuple[str, int]]:
    """Return the sums of the tallies, the greatest first."""
    sums: Counter[str] = Counter()
    for tally in tallies:
        sums.update(tally)
    return sums.most_common()
