"""Count what became of rows, and write it down for the report and the result file."""

from collections.abc import Sequence

import polars as pl
import sqlalchemy as sa

from csv_pipeline.batches import BatchWriter, batches, scan
from csv_pipeline.handover import OUTCOMES, SUPERSEDED
from csv_pipeline.model import Counts
from csv_pipeline.parts import by_part
from csv_pipeline.stages.load.copying import copy
from csv_pipeline.stages.load.incoming import Incoming
from csv_pipeline.stages.load.resolution import Resolution
from csv_pipeline.stages.load.staged import OUTCOME
from csv_pipeline.storage import tables

_SOME = 100_000


def counts_of(
    incoming: Incoming, outcomes: BatchWriter, late: BatchWriter, rejected: Sequence[int]
) -> list[Counts]:
    """Return what became of the rows of each file; what nothing is noted of was inserted."""
    parts = incoming.files.parts
    noted: list[dict[str, int]] = [{} for _ in parts]
    for batch in batches(outcomes.batches):
        for at, some in by_part(batch, parts):
            for outcome, rows in some[OUTCOME].value_counts().iter_rows():
                noted[at][outcome] = noted[at].get(outcome, 0) + rows
    refused = [0] * len(parts)
    for batch in batches(late.batches):
        for at, some in by_part(batch.select(pl.col("row_number").unique()), parts):
            refused[at] += some.height
    return [
        Counts(
            read=text.records,
            inserted=valid.valid - valid.superseded - sum(its.values()) - no,
            superseded=valid.superseded,
            rejected=rejects,
            blank=text.lines.blank,
            non_data=text.non_data_count,
            **its,
        )
        for text, valid, its, no, rejects in zip(
            incoming.files.texts, incoming.valid, noted, refused, rejected, strict=True
        )
    ]


def write_outcomes(
    connection: sa.Connection, resolution: Resolution, outcomes: BatchWriter
) -> None:
    """Note what became of the staged rows that met a stored one."""
    matched = resolution.matched
    query = sa.select(*(matched.c[n] for n in ("_row_number", OUTCOME))).where(
        matched.c[OUTCOME] != "rejected"
    )
    found = connection.execute(query, execution_options={"yield_per": _SOME})
    for number, some in enumerate(found.partitions(_SOME), outcomes.count):
        frame = pl.DataFrame([tuple(row) for row in some], schema=OUTCOMES, orient="row")
        outcomes.write(frame, number)


def copy_superseded(connection: sa.Connection, incoming: Incoming) -> int:
    """Store which rows another row of their file won against, and return how many those are."""
    if not any(valid.superseded for valid in incoming.valid):
        return 0
    names = [column.name for column in tables.superseded.columns]
    pairs = scan(incoming.valid[0].superseded_rows, SUPERSEDED).collect()
    frames = (
        some.select(
            pl.lit(incoming.claims[at].import_id).alias("import_id"),
            pl.col(list(SUPERSEDED)) - incoming.files.parts[at].rows_up,
        ).select(names)
        for at, some in by_part(pairs, incoming.files.parts)
    )
    return copy(connection, tables.superseded, names, frames)
