"""Name columns, stored facts and a rule in the words of the glossary."""

from alembic import op

revision = "0015"
down_revision = "0014"

_CHANGES = """
ALTER TABLE csv_pipeline.arrival RENAME COLUMN rehearsed_as TO status_before_dry_run;
ALTER TABLE csv_pipeline.arrival RENAME COLUMN placed_at TO moved_at;
ALTER INDEX csv_pipeline.arrival_to_place RENAME TO arrival_to_move;

UPDATE csv_pipeline.import
    SET report = (report - 'ways') || jsonb_build_object('styles', report -> 'ways')
    WHERE report ? 'ways';

UPDATE csv_pipeline.reject SET rule = 'row.not_corrected' WHERE rule = 'row.not_mended';
UPDATE csv_pipeline.import
    SET report = jsonb_set(
        report #- '{rejects_by_rule,row.not_mended}',
        '{rejects_by_rule,row.not_corrected}',
        report #> '{rejects_by_rule,row.not_mended}'
    )
    WHERE report -> 'rejects_by_rule' ? 'row.not_mended';
"""


def upgrade() -> None:
    """Rename them, and the keys of stored reports."""
    op.execute(_CHANGES)
