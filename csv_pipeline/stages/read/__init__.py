"""From bytes to text rows: nothing interpreted, nothing padded, nothing cut, nothing lost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from os import SEEK_END
from pathlib import Path

from csv_pipeline.batches import BatchWriter, in_order
from csv_pipeline.errors import LimitExceededError
from csv_pipeline.handover import TextFile
from csv_pipeline.model import Evidence, LineCounts, ReportWarning
from csv_pipeline.stages.read.declared import declared_dialect, hold_to_records
from csv_pipeline.stages.read.dialect import ReadHints, Text, find_dialect
from csv_pipeline.stages.read.encoding import as_utf8
from csv_pipeline.stages.read.parsing import Parsed
from csv_pipeline.stages.read.sections import NewColumnsError
from csv_pipeline.stages.read.structure import Structure
from csv_pipeline.stages.read.tally import Tally
from csv_pipeline.stages.read.wrappings import without_wrappings

__all__ = ["ReadHints", "as_utf8", "read", "sample"]

_ONE_LINE_BYTES = 128 * 1024


def read(source: Path, work: Path, hints: ReadHints) -> TextFile:
    """Write the file's well-formed records to `work` as text columns and return where and how many.

    Nothing is trimmed and nothing converted. Quoting follows RFC 4180, section 2; a quote inside an
    unquoted cell stays in the cell. A record that has not as many fields as the header is a reject
    with its line number, and so is one whose quotes do not close; the records after it go on.

    Args:
        source: The file, decompressed.
        work: The import's work directory; `text`, `rejects` and the decoded text are written there.
        hints: What is known of the file beforehand.

    Raises:
        UnreadableFileError: The bytes are not text in any encoding the evidence allows.
        EmptyFileError: There is no header.
        LimitExceededError: The file is larger or wider than the limits in `hints`.
    """
    size = source.stat().st_size
    if size > hints.max_bytes:
        raise LimitExceededError(
            hints.name, f"at most {hints.max_bytes:,} bytes were allowed", f"the file has {size:,}"
        )
    return _read(source, work, hints)


def sample(source: Path, work: Path, hints: ReadHints, size: int) -> TextFile:
    """Read the first `size` bytes of a larger file as `read` reads all of it.

    The encoding is decided over these, the records are those of their first quarter: a record that
    is cut in two at the end is not among them.
    """
    work.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as file:
        head = file.read(size)
    end = head.rfind(b"\n") + 1
    if not end:  # all of it is one line to whoever weighs encodings line by line
        head = head[:_ONE_LINE_BYTES]
        end = (head.rfind(b"\r") + 1) or len(head)
    if b"\0" in head[:4096]:
        end += -end % 4  # characters of two or four bytes
    (work / "head").write_bytes(head[:end])
    return _read(work / "head", work, replace(hints, block_bytes=max(1, end // 4)), blocks=1)


def _read(source: Path, work: Path, hints: ReadHints, blocks: int | None = None) -> TextFile:
    text, encoding = as_utf8(source, work / "text.csv", hints)
    wrappings: tuple[Evidence, ...] = ()
    if hints.dialect is not None and not hints.dialect.header:
        dialect = declared_dialect(text, hints.dialect, hints)
    else:
        text, wrappings = without_wrappings(text, work / "text.csv", hints)
        dialect = find_dialect(text, hints)
    if len(dialect.header) > hints.max_columns:
        raise LimitExceededError(
            hints.name,
            f"at most {hints.max_columns:,} columns were allowed",
            f"the header on line {dialect.header_line} has {len(dialect.header):,}",
        )
    columns = dialect.header
    while True:
        structure = Structure(
            text, dialect, hints, columns, Tally(dialect, hints, work / "non-data")
        )
        try:
            found = _rows(structure, work, blocks)
        except NewColumnsError as more:
            columns = (*columns, *more.names)
        else:
            return replace(
                found,
                evidence=(encoding, *wrappings, *found.evidence),
                warnings=(
                    *_unproven(encoding, hints),
                    *(_without_end(text) if dialect.is_declared and blocks is None else ()),
                    *found.warnings,
                ),
            )


def _unproven(encoding: Evidence, hints: ReadHints) -> Iterator[ReportWarning]:
    """Give that other letters may have been meant, unless the encoding is declared."""
    if not (encoding.proven or hints.declared("encoding")):
        settle = hints.account.setting("encoding").declare(encoding.decision)
        yield ReportWarning(
            code="encoding.not_proven",
            message=f"read as {encoding.decision}, the likeliest encoding, not a proven one: "
            f"{encoding.because}; look at letters beyond ASCII in the rows; to declare it, or the "
            f"right one in its place: {settle}",
        )


def _without_end(text: Text) -> Iterator[ReportWarning]:
    """Give that the text may be cut off, which its last cell does not show where it may be empty.

    Of a file with a header nobody asks it: many programs write none after the last line.
    """
    with text.path.open("rb") as file:
        file.seek(-1, SEEK_END)
        if file.read() != b"\n":
            yield ReportWarning(
                code="lines.no_end",
                message="the last line has no line end: if the file was cut off, a value of that "
                "line, or all below it, is lost",
            )


def _rows(structure: Structure, work: Path, blocks: int | None) -> TextFile:
    """Write the rows below the header, the cells of each in the order of the columns."""
    rows, rejects = BatchWriter(work / "text", main=True), BatchWriter(work / "rejects-read")
    text, dialect, tally = structure.text, structure.dialect, structure.tally

    def parse(block: tuple[int, Callable[[], Parsed]]) -> None:
        number, parsed = block[0], block[1]()
        rows.write(parsed.rows, number)
        rejects.write(parsed.rejects, number)

    for _ in in_order(parse, enumerate(islice(structure.scan(), blocks))):
        pass
    if blocks is None:
        tally.check()
    hold_to_records(text, dialect, structure.hints, rows.rows, rows.rows + rejects.rows)
    return TextFile(
        text=text.path,
        rows=rows.batches,
        rejects=rejects.batches,
        encoding=text.encoding,
        delimiter=dialect.grammar.delimiter,
        quote=dialect.grammar.quote,
        escape=dialect.grammar.escape,
        header=structure.columns,
        header_line=dialect.header_line,
        records=rows.rows + rejects.rows,
        malformed=rejects.rows,
        repaired=structure.repaired,
        blank=tally.blank,
        non_data=tuple(tally.declared),
        non_data_count=tally.non_data,
        evidence=(*dialect.evidence, *_sections(structure.sections)),
        lines=tally.lines if blocks is None else LineCounts(),
        non_data_lines=tally.batches,
        sections=1 + len(structure.sections),
        warnings=tally.warnings,
    )


def _sections(lines: Sequence[int]) -> Iterator[Evidence]:
    for line in lines:
        because = "it has names of the header; the rows below it are read under these names"
        yield Evidence(subject="header again", decision=f"line {line}", because=because)
