"""Record what became of imports: in one statement, within the transaction that stores their rows.

With an import's entry its claim ends, and the outbox says so to whoever must be told. The outbox
holds no value of a row.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from csv_pipeline.errors import LostClaimError
from csv_pipeline.model import Claim, ImportReport, Outcome

_REPORT = TypeAdapter(ImportReport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of an import, and what its report does not say.

    The `claim` ends with it; an undo has none, but `undoes` an import. `fingerprint` is that of the
    bytes, if they were read; `moving_to` is where the file will be. `deaths` counts the workers
    that died over the file, if it is set aside for that; `run_id` is the Dagster run of an undo.
    """

    report: ImportReport
    claim: Claim | None = None
    run_id: str | None = None
    fingerprint: str | None = None
    moving_to: str | None = None
    undoes: int | None = None
    deaths: int = 0


def record_imports(
    connection: sa.Connection, records: Sequence[Record], max_failures: int | None = None
) -> None:
    """Enter imports of one account and feed into the ledger, and end their claims.

    The lane of those that changed rows must be locked. Of a file that failed for the last time the
    arrival says that it is not tried any more.

    Raises:
        LostClaimError: One of the claims is no longer the current one.
    """
    if not records:
        return
    lane = records[0].report
    facts = {
        "account": lane.account,
        "feed": lane.feed,
        "max_failures": max_failures,
        "records": json.dumps([_facts(record) for record in records]),
    }
    ended = set(connection.scalars(_RECORD, facts))
    for claim in _claims(records):
        if claim.arrival_id not in ended:
            raise LostClaimError(claim.arrival_id, claim.attempt)


def _claims(records: Iterable[Record]) -> Iterable[Claim]:
    return (record.claim for record in records if record.claim is not None)


def _facts(record: Record) -> dict[str, Any]:
    report, claim, undo = record.report, record.claim, record.report.undo
    deleted = report.scope.deleted if report.scope else 0
    added = undo.added if undo else report.counts.inserted - deleted
    return {
        "import_id": report.import_id,
        "arrival_id": report.arrival_id,
        "attempt": claim.attempt if claim else None,
        "position": claim.position if claim else None,
        "run_id": claim.run_id if claim else record.run_id,
        "name": report.name,
        "outcome": report.outcome,
        "changes": report.outcome in {Outcome.IMPORTED, Outcome.UNDO},
        "added": added,
        "deaths": record.deaths,
        "fingerprint": record.fingerprint,
        "moving_to": record.moving_to,
        "problem": report.problem,
        "problem_code": report.problem_code,
        "same_as": report.same_as,
        "repairs_import_id": report.repairs,
        "undoes_import_id": record.undoes,
        "report": _REPORT.dump_python(report, mode="json"),
        **asdict(report.counts),
    }


# All parts see the ledger as it was before the statement: an arrival that ends here is still
# claimed to the part that forgets confirmed rows, and is left out there.
_RECORD = sa.text("""
WITH record AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(CAST(:records AS jsonb)) AS r (
        import_id bigint, arrival_id bigint, attempt integer, position bigint, run_id text,
        name text, outcome text, changes boolean, added bigint, deaths integer, fingerprint text,
        moving_to text,
        problem text, problem_code text, same_as bigint, repairs_import_id bigint,
        undoes_import_id bigint, report jsonb, read bigint, inserted bigint, updated bigint,
        unchanged bigint, kept bigint, superseded bigint, rejected bigint, blank bigint,
        non_data bigint, missing bigint
    )
),
failing AS (
    SELECT a.arrival_id, greatest(a.failures + 1, record.deaths) AS failures
    FROM record JOIN csv_pipeline.arrival a USING (arrival_id)
    WHERE record.outcome = 'failed'
),
ended AS (
    UPDATE csv_pipeline.arrival a
    SET status = record.outcome,
        lease_expires_at = NULL,
        worker = NULL,
        failures = coalesce(failing.failures, 0),
        deaths = record.deaths,
        postponed = 0,
        not_before = NULL,
        moved_at = NULL,
        moving_to = coalesce(a.moving_to, record.moving_to),
        again = a.again AND record.deaths > 0,
        problem = CASE
            WHEN record.deaths = 0 AND failing.failures >= :max_failures THEN concat(
                record.name, ': failed ', failing.failures, ' times, so it is no longer tried by ',
                'itself; name it, in a run''s config or to csv-pipeline import, to try it again',
                chr(10), record.problem
            )
            WHEN record.outcome <> 'imported' THEN record.problem
        END
    FROM record LEFT JOIN failing USING (arrival_id)
    WHERE a.arrival_id = record.arrival_id AND a.attempt = record.attempt AND a.status = 'claimed'
    RETURNING a.arrival_id
),
-- What changes rows has a number of its own, higher than all before whatever a clock says, and how
-- many rows the lane has since.
stored AS (
    SELECT coalesce(max(last.turn), 0) AS turn, coalesce(max(last.rows_stored), 0) AS rows_stored
    FROM (
        SELECT turn, rows_stored FROM csv_pipeline.import
        WHERE account = :account AND feed = :feed AND turn IS NOT NULL
        ORDER BY turn DESC, import_id DESC
        LIMIT 1
    ) AS last
),
entered AS (
    INSERT INTO csv_pipeline.import (
        import_id, arrival_id, account, feed, name, outcome, fingerprint, run_id, finished_at,
        read, inserted, updated, unchanged, kept, superseded, rejected, blank, non_data, missing,
        problem, problem_code, same_as, repairs_import_id, undoes_import_id, position, report,
        turn, rows_stored
    )
    SELECT
        import_id, arrival_id, :account, :feed, name, outcome, fingerprint, run_id,
        clock_timestamp(),  -- now() is when the transaction began
        read, inserted, updated, unchanged, kept, superseded, rejected, blank, non_data, missing,
        problem, problem_code, same_as, repairs_import_id, undoes_import_id,
        CASE WHEN repairs_import_id IS NULL THEN record.position ELSE (
            SELECT repaired.position FROM csv_pipeline.import repaired
            WHERE repaired.import_id = record.repairs_import_id
        ) END,
        report,
        CASE WHEN changes THEN stored.turn + count(*) FILTER (WHERE changes) OVER so_far END,
        CASE WHEN changes THEN
            stored.rows_stored + sum(added) FILTER (WHERE changes) OVER so_far
        END
    FROM record, stored
    WINDOW so_far AS (ORDER BY import_id)
),
told AS (
    INSERT INTO csv_pipeline.outbox (import_id, kind, payload)
    SELECT import_id, told.kind, jsonb_build_object(
        'account', CAST(:account AS text), 'feed', CAST(:feed AS text), 'name', name,
        'run_id', run_id, 'problem_code', problem_code, 'same_as', same_as,
        'repairs', repairs_import_id, 'undoes', undoes_import_id, 'read', read,
        'inserted', inserted, 'updated', updated, 'unchanged', unchanged, 'kept', kept,
        'superseded', superseded, 'rejected', rejected, 'missing', missing
    )
    FROM record
    CROSS JOIN LATERAL (
        SELECT outcome AS kind
        UNION ALL
        SELECT 'poison' FROM failing
        WHERE failing.arrival_id = record.arrival_id AND failing.failures >= :max_failures
    ) AS told
),
-- Which rows were confirmed is asked only as long as a file that arrived before is yet to come.
forgotten AS (
    DELETE FROM csv_pipeline.confirmed_row c
    USING csv_pipeline.import i
    WHERE c.account = :account AND c.feed = :feed AND i.import_id = c.import_id
        AND NOT EXISTS (
            SELECT FROM csv_pipeline.arrival a
            WHERE a.account = :account AND a.feed = :feed
                AND a.status IN ('waiting', 'claimed', 'failed') AND a.position < i.position
                AND NOT EXISTS (
                    SELECT FROM record
                    WHERE record.arrival_id = a.arrival_id AND record.outcome <> 'failed'
                )
        )
)
SELECT arrival_id FROM ended
""")
