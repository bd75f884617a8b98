"""Show what a dry run would change: values before and after, of the first rows that differ."""

import sqlalchemy as sa

from csv_pipeline.model import Difference
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.stages.load.resolution import Resolution

_MOST_ROWS = 20


def first_differences(connection: sa.Connection, resolution: Resolution) -> tuple[Difference, ...]:
    """Return the values that the first rows to be updated would change, in the file's order."""
    open_ = {column.name for column in resolution.feed.columns if not column.protected}
    if not resolution.feed.confidential:
        open_.add(EXTRA)
    names = (*resolution.values, EXTRA)
    first_cell, last_cell = len(resolution.key), len(resolution.key) + len(names)
    differences = []
    for number, *values in connection.execute(resolution.updates().limit(_MOST_ROWS)):
        shown = [
            value if name in open_ else MASK
            for name, value in zip(resolution.key, values, strict=False)
        ]
        before, after = values[first_cell:last_cell], values[last_cell:]
        for name, was, becomes in zip(names, before, after, strict=True):
            if was != becomes:
                masked = name not in open_
                differences.append(
                    Difference(
                        row_number=number,
                        key=" + ".join(part for part in shown if part),
                        column=name,
                        before=MASK if masked and was is not None else was,
                        after=MASK if masked and becomes is not None else becomes,
                    )
                )
    return tuple(differences)
