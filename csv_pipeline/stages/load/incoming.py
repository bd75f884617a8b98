"""What is brought into a table at once: the judged rows of files of one account and feed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from csv_pipeline.batches import Batches, batches, scan
from csv_pipeline.handover import (
    OWN,
    SUPERSEDED,
    TYPED_ORIGIN,
    WHOLE,
    Part,
    Replay,
    TypedFile,
    ValidFile,
)
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

    def waves(self) -> "list[Incoming]":
        """Return the files in their order, those together of which no two have a row of one key."""
        waves = [[0]]
        for position, valid in enumerate(self.valid[1:], 1):
            if valid.meets > self.files.parts[waves[-1][0]].rows_up:
                waves.append([])
            waves[-1].append(position)
        if len(waves) == 1:
            return [self]
        of = [number for number, wave in enumerate(waves) for _ in wave]
        files, typed, first = self.files, self.typed, self.valid[0]
        split = partial(_split, parts=files.parts, of=of)
        pieces = zip(
            split(files.rows),
            split(files.rejects),
            split(typed.rows, row=TYPED_ORIGIN[0]),
            split(first.rows, row=TYPED_ORIGIN[0]),
            split(first.rejects),
            split(first.superseded_rows),
            split(first.occurrences, row=TYPED_ORIGIN[0]),
            strict=True,
        )
        return [
            replace(
                self,
                claims=tuple(self.claims[at] for at in wave),
                files=replace(files.only(wave), rows=rows, rejects=malformed),
                typed=replace(typed, rows=its_typed),
                valid=tuple(
                    replace(
                        self.valid[at],
                        rows=good,
                        rejects=rejects,
                        superseded_rows=superseded,
                        occurrences=occurrences,
                    )
                    for at in wave
                ),
                work=self.work / f"{wave[0]}-{len(wave)}",
                any_stored=self.any_stored or number > 0,
            )
            for number, (
                wave,
                (rows, malformed, its_typed, good, rejects, superseded, occurrences),
            ) in enumerate(zip(waves, pieces, strict=True))
        ]

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


def _split(
    some: Batches, parts: Sequence[Part], of: Sequence[int], row: str = "row_number"
) -> list[Batches]:
    """Return the rows of each wave; `of` says which one those of a part are of."""
    held: list[dict[int, pl.DataFrame]] = [{} for _ in range(of[-1] + 1)]
    for number in some.numbers:
        batch = some.read(number)
        wave = pl.Series("_wave", of).gather(parts_of(batch[row], parts))
        pieces = batch.with_columns(wave).partition_by("_wave", as_dict=True, include_key=False)
        for at, its in enumerate(held):
            its[number] = pieces.get((at,), batch.clear())
    return [Batches(some.directory, its) for its in held]
