"""Files polluted in every way known to us, each beside what a careful person would read in it.

`corpus/cases/NAME.csv` holds the bytes; `corpus/cases/NAME.json` says why the file is there, which
column names are known of its feed (null: none, the file stands alone) and what is expected of it.
What is honestly undecidable for a file is left out of its expectation; where several answers are
equal in effect, such as the names of two encodings that decode its bytes alike, they are listed.
"""

import codecs
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from csv_pipeline.batches import batches, scan
from csv_pipeline.errors import FileRefusedError
from csv_pipeline.handover import REJECTS, TextFile
from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.read.grammar import Grammar

CASES = Path(__file__).parent / "corpus" / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.json"))
FACTS = {"delimiter", "quote", "escape", "header_line", "blank", "non_data", "repaired"}
EXPECTATIONS = FACTS | {"encoding", "header", "rows", "lines", "rejects"}


def _case(name: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((CASES / f"{name}.json").read_bytes())
    return case


def _hints(case: dict[str, Any]) -> ReadHints:
    return ReadHints(name="file.csv", headings=frozenset(map(heading, case["headings"] or ())))


def _seen(text: TextFile) -> dict[str, Any]:
    """Return what the reader found, in the words of an expectation."""
    positions = [str(position) for position in range(len(text.header))]
    schema = pl.Schema({**dict.fromkeys(positions, pl.String()), "line_number": pl.Int64()})
    rows = scan(text.rows, schema).collect()
    rejects = scan(text.rejects, REJECTS).select("line_number", "rule").collect()
    return {
        "encoding": codecs.lookup(text.encoding).name,
        "delimiter": text.delimiter,
        "quote": text.quote,
        "escape": text.escape,
        "header_line": text.header_line,
        "header": list(text.header),
        "rows": [list(row) for row in rows.select(positions).rows()],
        "lines": rows["line_number"].to_list(),
        "rejects": sorted(list(reject) for reject in rejects.rows()),
        "blank": text.blank,
        "non_data": text.non_data_count,
        "repaired": text.repaired,
    }


def _settled(seen: dict[str, Any], expect: dict[str, Any]) -> dict[str, Any]:
    """Return the expectation with each list of equal answers narrowed to the one that was given."""
    wanted = dict(expect)
    if "encoding" in expect:
        names = [codecs.lookup(name).name for name in expect["encoding"]]
        wanted["encoding"] = seen["encoding"] if seen["encoding"] in names else names
    if "rejects" in expect:
        found = dict(map(tuple, seen["rejects"]))
        wanted["rejects"] = [
            [line, found[line] if found.get(line) in rules.split("|") else rules]
            for line, rules in expect["rejects"]
        ]
    return wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_polluted_file_gives_what_a_careful_person_reads(name: str, tmp_path: Path) -> None:
    case = _case(name)
    expect = case["expect"]
    if "refused" in expect:
        with pytest.raises(FileRefusedError) as refusal:
            read(CASES / f"{name}.csv", tmp_path, _hints(case))
        assert refusal.value.code in expect["refused"].split("|"), case["why"]
        return
    text = read(CASES / f"{name}.csv", tmp_path, _hints(case))
    seen = _seen(text)
    assert {key: seen[key] for key in expect} == _settled(seen, expect), case["why"]
    assert text.records == len(seen["rows"]) + len(seen["rejects"])
    assert text.malformed == len(seen["rejects"])


@pytest.mark.parametrize("name", NAMES)
def test_a_record_gives_its_cells_again_as_they_were_read(name: str, tmp_path: Path) -> None:
    """So that a reject needs no more than its record to be sent out, in dialects like that."""
    try:
        text = read(CASES / f"{name}.csv", tmp_path, _hints(_case(name)))
    except FileRefusedError:
        return
    if not text.is_plain:
        return
    grammar = Grammar(text.delimiter, text.quote, text.escape)
    content = text.text.read_bytes()
    for batch in batches(text.rows):
        for *cells, offset, length in batch.select(
            *(str(position) for position in range(len(text.header))), "offset", "length"
        ).iter_rows():
            record = content[offset : offset + length].decode()
            if "\n" in record:
                continue
            again = grammar.cells(record)[: len(text.header)]
            assert [cell or "" for cell in again] == [cell or "" for cell in cells]


def test_the_corpus_is_whole() -> None:
    assert len(NAMES) >= 130
    assert {path.stem for path in CASES.glob("*.csv")} == set(NAMES)


def test_every_case_is_written_as_agreed() -> None:
    for name in NAMES:
        case = _case(name)
        assert set(case) == {"why", "headings", "expect"}, name
        assert set(case["expect"]) in ({"refused"}, EXPECTATIONS & set(case["expect"])), name
        header, rows = case["expect"].get("header"), case["expect"].get("rows", [])
        assert header is None or all(len(row) == len(header) for row in rows), name
