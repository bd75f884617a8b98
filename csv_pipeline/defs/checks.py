"""The asset checks of what a run imported, account by account.

Those of the ledger, which are of no run, are in `csv_pipeline.defs.attention`.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import dagster as dg

from csv_pipeline.defs.keys import asset_key
from csv_pipeline.defs.metadata import LOADED, Line, Metadata, in_short, table, total
from csv_pipeline.defs.partitions import account_partitions
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.feed import Feed

CHECKS = {
    "accounting_balances": "Every row read has exactly one outcome.",
    "lines_accounted": "Every line with cells is a row, the header, or declared by the feed.",
    "reject_rate": "No file lost more rows to the contract than the feed finds usual.",
    "header_drift": "The headers hold the columns the feed knows, no others, in their usual order.",
    "nothing_to_look_at": "No file of the last import shows what a person should look at.",
}
"""Each check with what it promises; only the first stops what is downstream."""


def check_specs(feed: Feed) -> list[dg.AssetCheckSpec]:
    """Return the declarations of a feed's checks."""
    with warnings.catch_warnings():
        # Partitioned checks are a preview; without them one account's result hides the others'.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name,
                asset=asset_key(feed, feed.name),
                description=promise,
                blocking=is_blocking(name),
                partitions_def=account_partitions,
            )
            for name, promise in CHECKS.items()
        ]


def is_blocking(name: str) -> bool:
    """Return whether nothing downstream is made if a check fails."""
    return name == "accounting_balances"


def check_results(feed: Feed, reports: Sequence[ImportReport]) -> list[dg.AssetCheckResult]:
    """Return the result of each check for a run's reports."""
    return [
        accounting_balances(feed, reports),
        lines_accounted(feed, reports),
        reject_rate(feed, reports),
        header_drift(feed, reports),
        nothing_to_look_at(feed, reports),
    ]


def accounting_balances(feed: Feed, reports: Sequence[ImportReport]) -> dg.AssetCheckResult:
    """Fail if the counts of any file do not add up; nothing of such a file became visible."""
    counts = total(reports)
    out_of_balance = [report.name for report in reports if not _balances(report)]
    return dg.AssetCheckResult(
        asset_key=asset_key(feed, feed.name),
        check_name="accounting_balances",
        passed=not out_of_balance,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "read": counts.read,
            "settled": counts.settled,
            **table("out of balance", ({"file": name} for name in out_of_balance)),
        },
    )


def lines_accounted(feed: Feed, reports: Sequence[ImportReport]) -> dg.AssetCheckResult:
    """Warn of lines with two cells or more that are no rows, and that the feed does not declare."""
    found = [(r, w) for r in reports for w in r.warnings if w.code == "lines.undeclared"]
    lines: Iterator[Line] = (
        {"file": r.name, "count": w.count, "lines": ", ".join(map(str, w.line_numbers))}
        for r, w in found
    )
    counts = Counter[str]()
    for report in reports:
        counts.update(asdict(report.lines))
    return _warning(feed, "lines_accounted", not found, {**counts, **table("undeclared", lines)})


def reject_rate(feed: Feed, reports: Sequence[ImportReport]) -> dg.AssetCheckResult:
    """Warn of files with a greater share of rejected rows than the feed's limit."""
    limit = feed.reject_rate_warning
    loaded = [report for report in reports if report.outcome in LOADED]
    over = [report for report in loaded if _rate(report) > limit]
    lines: Iterator[Line] = (
        {"file": r.name, "rejected": r.counts.rejected, "read": r.counts.read, "rate": _rate(r)}
        for r in over
    )
    return _warning(feed, "reject_rate", not over, {"limit": limit, **table("over limit", lines)})


def header_drift(feed: Feed, reports: Sequence[ImportReport]) -> dg.AssetCheckResult:
    """Warn of headers that are not as the feed, or the file before, has them."""
    drifted = [report for report in reports if report.drift]
    lines = (
        {
            "file": report.name,
            "unknown": ", ".join(report.drift.added),
            "missing": ", ".join(report.drift.missing),
            "gone": ", ".join(report.drift.gone),
            "renamed": ", ".join(f"{old} → {new}?" for old, new in report.drift.renamed),
            "reordered": ", ".join(report.drift.reordered),
        }
        for report in drifted
    )
    return _warning(feed, "header_drift", not drifted, table("headers", lines))


def nothing_to_look_at(feed: Feed, reports: Sequence[ImportReport]) -> dg.AssetCheckResult:
    """Warn of files that were refused or failed, and of those with any other warning."""
    away: Iterator[Line] = (
        {
            "file": r.name,
            "warning": r.outcome.value,
            "message": in_short(r.problem, r.name),
            "count": 1,
        }
        for r in reports
        if r.outcome in {Outcome.REFUSED, Outcome.FAILED}
    )
    warned: Iterator[Line] = (
        {"file": r.name, "warning": w.code, "message": w.message, "count": w.count}
        for r in reports
        for w in r.warnings
        if w.code != "lines.undeclared"
    )
    lines = [*away, *warned]
    return _warning(feed, "nothing_to_look_at", not lines, table("warnings", lines))


def _warning(feed: Feed, name: str, passed: bool, metadata: Metadata) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset_key(feed, feed.name),
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def _balances(report: ImportReport) -> bool:
    if report.outcome in LOADED:
        return report.counts.balance
    return report.problem_code != "AccountingError"


def _rate(report: ImportReport) -> float:
    return round(report.counts.rejected / max(report.counts.read, 1), 4)
