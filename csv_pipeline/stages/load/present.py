"""Find the keys that a file has, those of rejected rows among them, and which cannot be read."""

from collections.abc import Iterator, Sequence

import polars as pl

from csv_pipeline.handover import TYPED_ORIGIN
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.load.incoming import Incoming

_ROW = TYPED_ORIGIN[0]


class PresentKeys:
    """The keys of a file that goes alone.

    The key of a rejected row can be read if its record has the file's shape and no column of the
    key has a fault. It cannot where a transform makes the key, maybe of the very cells that are
    wrong, nor where a row is known by all that it holds. A key that the file's name tells is good.
    """

    def __init__(self, incoming: Incoming) -> None:
        self._incoming, self._feed = incoming, incoming.feed
        self._rejects, self._typed = incoming.valid[0].rejects, incoming.typed.rows

    def unreadable(self) -> int:
        """Return how many records of the file have a key that cannot be read."""
        rejected = sum(text.malformed for text in self._incoming.files.texts)
        return rejected + sum(self._faulty(number).len() for number in self._rejects.numbers)

    def frames(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Give these columns and the row number of each row whose key can be read.

        Of rejected rows there is only the key: no other value of them says anything.
        """
        for rows in self._incoming.rows():
            yield rows.select(*names, _ROW)
        for number in self._rejects.numbers:
            faults = self._rejects.read(number, ["row_number"])
            readable = (
                faults["row_number"]
                .unique()
                .filter(~faults["row_number"].unique().is_in(self._faulty(number).implode()))
            )
            if readable.len() and self._feed.key:
                rows = self._typed.read(number, [*self._feed.key, _ROW])
                yield rows.filter(pl.col(_ROW).is_in(readable.implode())).select(
                    *(pl.col(n) if n in self._feed.key else pl.lit(None).alias(n) for n in names),
                    pl.lit(None, pl.Int64).alias(_ROW),
                )

    def _faulty(self, number: int) -> pl.Series:
        """Return the numbers of a batch's rejected rows whose key cannot be read."""
        faults = self._rejects.read(number, ["row_number", "column"])
        if _is_made_of_others(self._feed):
            return faults["row_number"].unique()
        of_key = faults.filter(pl.col("column").is_in(self._feed.key))
        return of_key["row_number"].unique()


def _is_made_of_others(feed: Feed) -> bool:
    derived = {column.name for column in feed.columns if column.derived}
    by_name = feed.file_name.columns if feed.file_name else frozenset[str]()
    return not feed.key or bool(derived & set(feed.key) - by_name)
