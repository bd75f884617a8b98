"""Put together what is known of an import so far, and say in the log how it ended."""

from dataclasses import replace

import structlog

from csv_pipeline.account import Account
from csv_pipeline.engine.findings import (
    MAY_BE_DECLARED,
    NonData,
    count_rejects,
    count_rows,
    non_data_in,
    settings_at_fault,
)
from csv_pipeline.engine.workspace import Workspace
from csv_pipeline.handover import TextFile
from csv_pipeline.model import Claim, Counts, HeaderDrift, ImportReport, Outcome

log = structlog.get_logger()


def report_so_far(
    claim: Claim, account: Account, workspace: Workspace, feed_version: str
) -> ImportReport:
    """Return what is known so far; all but the counts of the rows loaded."""
    plain = workspace.plain
    text = workspace.text_to_import
    replay = workspace.replay
    typed = workspace.typed
    valid = workspace.valid
    ending = workspace.ending
    if ending and ending.outcome is Outcome.DUPLICATE:
        text = typed = valid = None  # they were looked at only to see that nothing changes
    report = ImportReport.of(
        claim,
        Outcome.DRY_RUN if claim.dry_run else Outcome.IMPORTED,
        evidence=tuple(e for facts in (plain, text, typed) if facts for e in facts.evidence),
        warnings=tuple(w for facts in (text, typed, valid) if facts for w in facts.warnings),
        stage_seconds=workspace.stage_seconds,
        feed_version=feed_version,
    )
    if text:
        counts = Counts(read=text.records, blank=text.lines.blank, non_data=text.non_data_count)
        report = replace(
            report,
            counts=counts,
            lines=text.lines,
            non_data_lines=non_data_of(workspace, text).first,
            header=text.header,
            delimiter=text.delimiter,
            quote=text.quote,
            escape=text.escape,
            repairs=replay.import_id if replay else None,
            drift=workspace.drift or HeaderDrift(),
        )
    if typed:
        report = replace(report, layout=typed.layout, styles=typed.styles, facts=typed.facts)
    if text and valid and (text.malformed or valid.rejected or workspace.late.numbers):
        by_rule, by_column = count_rejects(workspace.faults(text, valid))
        report = replace(report, rejects_by_rule=by_rule, rejects_by_column=by_column)
    if text and valid and ending and ending.outcome is Outcome.REFUSED:
        rejected = count_rows(workspace.faults(text, valid))
        report = replace(report, counts=replace(report.counts, rejected=rejected))
    if ending:
        report = replace(
            report,
            outcome=ending.outcome,
            problem=ending.problem,
            problem_code=ending.problem_code,
            same_as=ending.same_as,
        )
    if report.problem and report.problem_code in MAY_BE_DECLARED:
        report = replace(report, problem=report.problem + settings_at_fault(account, report))
    return report


def non_data_of(workspace: Workspace, text: TextFile) -> NonData:
    """Return what the lines of a file show that are no data, looked up once."""
    if not text.non_data_count:
        return NonData()
    return Workspace.non_data.once(workspace, lambda: non_data_in(text))


def log_finished(report: ImportReport) -> None:
    """Say in the log how an import ended."""
    log.info(
        "import finished",
        import_id=report.import_id,
        account=report.account,
        feed=report.feed,
        name=report.name,
        outcome=report.outcome.value,
        rows_read=report.counts.read,
        rejected=report.counts.rejected,
    )
