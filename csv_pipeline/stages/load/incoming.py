"""What is brought into a table at once: the judged rows of files of one account and feed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from csv_pipeline.batches import batches, scan
from csv_pipeline.handover import OWN, SUPERSEDED, TYPED_ORIGIN, WHOLE, Replay, TypedFile, ValidFile
from csv_pipeline.model import Claim
from csv_pipeline.parts import Files, parts_of
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.row_hash import OCCURRENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Judged files, each with its claim, and where the load leaves what it finds.

    `typed` is that of any of them: what differs between them is settled by now. `any_stored` says
    whether the account has any row, `is_awaited` whether a file that arrived earlier is yet to be
    imported, and `behind` is the position of a file that goes alone, if rows of later arrivals are
    stored, see `csv_pipeline.storage.order`. Only a `careful` load goes on, and finds the row, if
    the table refuses one; it takes two statements more.
    """

    feed: Feed
    claims: tuple[Claim, ...]
    files: Files
    typed: TypedFile
    valid: tuple[ValidFile, ...]
    work: Path
    any_stored: bool = True
    is_awaited: bool = False
    behind: int | None = None
    careful: bool = True

    @property
    def claim(self) -> Claim:
        """The first claim, which tells account and feed of all."""
        return self.claims[0]

    @property
    def replay(self) -> Replay | None:
        """Which rejected rows these are, if they are; then it is one file."""
        return self.files.replay

    @property
    def moved(self) -> bool:
        """Whether rows are not numbered as in their files, so that each says `OWN` as well."""
        return self.files.parts != (WHOLE,)

    @property
    def expected(self) -> int:
        """The number of rows to be stored."""
        return sum(valid.valid - valid.superseded for valid in self.valid)

    def only(self, positions: Sequence[int]) -> "Incoming":
        """Return the same without the other files."""
        if len(positions) == len(self.claims):
            return self
        return replace(
            self,
            claims=tuple(self.claims[position] for position in positions),
            files=self.files.only(positions),
            valid=tuple(self.valid[position] for position in positions),
            work=self.work / f"{positions[0]}-{len(positions)}",
        )

    def waves(self) -> Iterator["Incoming"]:
        """Give the files in their order, those together of which no two have a row of one key."""
        wave = [0]
        for position, valid in enumerate(self.valid[1:], 1):
            if valid.meets > self.files.parts[wave[0]].rows_up:
                yield self.only(wave)
                wave = []
            wave.append(position)
        yield self.only(wave)

    def rows(self) -> Iterator[pl.DataFrame]:
        """Give the rows to be stored, batch by batch; with `OWN` if they are `moved`."""
        directories = self.valid[0]
        losers = scan(directories.superseded_rows, SUPERSEDED).select(_row_number="row_number")
        beaten = losers.collect()
        counted = scan(directories.occurrences)
        repeated = counted.collect() if counted.collect_schema() else None
        for batch in batches(directories.rows):
            rows = self._own(batch)
            if beaten.height:
                rows = rows.join(beaten, on="_row_number", how="anti", maintain_order="left")
            if repeated is not None:
                rows = rows.join(repeated, on="_row_number", how="left", maintain_order="left")
                rows = rows.with_columns(pl.col(OCCURRENCE).fill_null(1))
            yield rows

    def _own(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of these files; those of others may be among them."""
        if not self.moved:
            return batch
        parts, number = self.files.parts, batch[TYPED_ORIGIN[0]]
        position = parts_of(number, parts)
        import_ids = pl.Series(OWN[0], [claim.import_id for claim in self.claims])
        ups = pl.Series([part.rows_up for part in parts])
        own = (import_ids.gather(position), (number - ups.gather(position)).alias(OWN[1]))
        return batch.with_columns(own).filter(position.is_not_null())
