"""Files whose rows go through the stages as one: a single file, or several small ones.

What a stage costs beside its rows, some queries and statements, is the same for a hundred rows as
for a hundred thousand. So small files under the same header go as one. Each keeps its own evidence,
faults and counts; the number of a row says which file it is of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from csv_pipeline.batches import Batches, BatchWriter, batches, scan
from csv_pipeline.handover import WHOLE, Part, Replay, TextFile
from csv_pipeline.model import FileFacts
from csv_pipeline.spec.file_name import FromName


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Files of one account and feed under one header whose rows go through the stages as one.

    They are one file of any size, or several small ones, and what a stage gives it gives for each.
    `rows` and `rejects` are as in `TextFile`, but for the numbers of the rows, which `parts` tell.
    `from_names` is what the name of each tells. Where rows come back corrected, `styles` and
    `facts` are those of the file that they are from.
    """

    work: Path
    names: tuple[str, ...]
    texts: tuple[TextFile, ...]
    parts: tuple[Part, ...]
    rows: Batches
    rejects: Batches
    from_names: tuple[FromName | None, ...] = (None,)
    replay: Replay | None = None
    styles: Mapping[str, str | None] = field(default_factory=dict)
    facts: FileFacts | None = None

    @property
    def header(self) -> tuple[str, ...]:
        """The names that all of them have."""
        return self.texts[0].header

    def only(self, positions: Sequence[int]) -> "Files":
        """Return the same without the other files; their rows are those of no part."""
        return replace(
            self,
            names=tuple(self.names[position] for position in positions),
            texts=tuple(self.texts[position] for position in positions),
            parts=tuple(self.parts[position] for position in positions),
            from_names=tuple(self.from_names[position] for position in positions),
        )


def together(
    texts: Sequence[TextFile],
    names: Sequence[str],
    work: Path,
    from_names: Sequence[FromName | None] = (),
) -> Files:
    """Return files as one; of several the rows are copied to `work`, which must be few.

    All have the same header.
    """
    told = tuple(from_names) or (None,) * len(names)
    if len(texts) == 1:
        text = texts[0]
        return Files(
            work=work,
            names=tuple(names),
            texts=(text,),
            parts=(WHOLE,),
            rows=text.rows,
            rejects=text.rejects,
            from_names=told,
        )
    rows, rejects = BatchWriter(work / "text"), BatchWriter(work / "rejects-read")
    parts: list[Part] = []
    found: tuple[list[pl.DataFrame], list[pl.DataFrame]] = ([], [])
    up = 0
    for text in texts:
        last = up
        for frames, of in zip(found, (text.rows, text.rejects), strict=True):
            for batch in batches(of):
                moved = batch.with_columns(batch["row_number"] + up) if up else batch
                frames.append(moved)
                last = max([last, *moved["row_number"].tail(1)])
        parts.append(Part(rows_up=up, last=last))
        up = last
    for writer, frames in zip((rows, rejects), found, strict=True):
        if frames:
            writer.write(pl.concat(frames), 0)
    return Files(
        work=work,
        names=tuple(names),
        texts=tuple(texts),
        parts=tuple(parts),
        rows=rows.batches,
        rejects=rejects.batches,
        from_names=told,
    )


def parts_of(row_numbers: pl.Series, parts: Sequence[Part]) -> pl.Series:
    """Return for each row the position of its part among some in order; null if it is of none."""
    ups = pl.Series([part.rows_up for part in parts], dtype=pl.Int64)
    position = ups.search_sorted(row_numbers, side="left").cast(pl.Int64) - 1
    lasts = pl.Series([part.last for part in parts], dtype=pl.Int64)
    inside = (position >= 0) & (row_numbers <= lasts.gather(position.clip(lower_bound=0)))
    return position.set(~inside, None)


def by_part(
    frame: pl.DataFrame, parts: Sequence[Part], row: str = "row_number"
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Give each part's rows of a frame, those parts that have any; `row` has their numbers."""
    if len(parts) == 1 and parts[0] == WHOLE:
        if frame.height:
            yield 0, frame
        return
    position = parts_of(frame[row], parts).alias("_part")
    mine = frame.with_columns(position).drop_nulls("_part")
    for (number,), some in mine.group_by("_part", maintain_order=True):
        yield int(str(number)), some.drop("_part")


def scan_part(of: Batches, part: Part, schema: pl.Schema) -> pl.LazyFrame:
    """Return the rows of one part of batches, numbered as in the file."""
    rows = scan(of, schema)
    if part == WHOLE:
        return rows
    number = pl.col("row_number")
    mine = rows.filter(number.is_between(part.rows_up + 1, part.last))
    return mine.with_columns(number - part.rows_up)
