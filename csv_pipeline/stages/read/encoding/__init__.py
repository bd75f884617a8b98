"""Decide the encoding over all bytes and give the file as UTF-8 text."""

from pathlib import Path

from csv_pipeline.model import Evidence
from csv_pipeline.stages.read.dialect import ReadHints, Text
from csv_pipeline.stages.read.encoding.decide import decided, marked
from csv_pipeline.stages.read.encoding.line_ends import line_ends, with_line_feeds
from csv_pipeline.stages.read.encoding.not_csv import (
    refuse_binary,
    refuse_document,
    refuse_mistaken,
    refuse_torn,
)
from csv_pipeline.stages.read.encoding.survey import survey
from csv_pipeline.stages.read.encoding.transcode import UNDECODABLE, Decision, transcode
from csv_pipeline.stages.read.encoding.wide import wide

__all__ = ["UNDECODABLE", "as_utf8"]

_HEAD_BYTES = 64 * 1024


def as_utf8(source: Path, target: Path, hints: ReadHints) -> tuple[Text, Evidence]:
    """Return the file as UTF-8 text with LF, written to `target` unless it is that already.

    Raises:
        ContradictionError: Its bytes prove another encoding than the account declares.
        UnreadableFileError: It is no CSV, or none of the likely encodings decodes it.
    """
    with source.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    proof = marked(head) or _by_zero_bytes(head)
    refuse_binary(head, hints.name, is_wide=proof is not None and proof.name != "utf-8")
    skip, likely = (proof.skip, proof.name) if proof else (0, "utf-8")
    refuse_document(head[skip:].decode(likely, errors="replace"), hints.name)
    seen = survey(source, skip)
    if seen.zero_bytes:
        refuse_torn(source, hints.name, hints.max_record_bytes)
    encoding = decided(source, head, seen, proof, hints)
    because = encoding.because
    path, start = source, encoding.skip
    if encoding.name != "utf-8" or not seen.is_utf8:
        path, start = target, 0
        if undecodable := transcode(source, target, encoding, hints.name):
            because += f"; {undecodable:,} lines do not decode by it and are rejects"
    ends = line_ends(path) if seen.bare_returns else "\n"
    if ends != "\n":
        alone = ends == "\r"
        path, start = with_line_feeds(path, target.with_suffix(".lf"), start, alone=alone), 0
    refuse_mistaken(path, start, hints.name)
    text = Text(path=path, start=start, encoding=encoding.name, returns_only=ends == "\r")
    return text, Evidence(
        subject="encoding", decision=encoding.name, because=because, proven=encoding.proven
    )


def _by_zero_bytes(head: bytes) -> Decision | None:
    name, because = wide(head), "its zero bytes stand where those of such characters do"
    return Decision(name=name, because=because) if name is not None else None
