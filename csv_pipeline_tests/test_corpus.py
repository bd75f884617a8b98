"""Files polluted in every way known to us, each beside what a careful person would read in it.

`corpus/cases/NAME.csv` holds the bytes; `corpus/cases/NAME.json` says why the file is there, which
column names are known of its feed (null: none, the file stands alone) and what is expected of it.
What is honestly undecidable for a file is left out of its expectation; where several answers are
equal in effect, such as the names of two encodings that decode its bytes alike, they are listed.
"""

import codecs
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from csv_pipeline.batches import batches, scan
from csv_pipeline.errors import FileRefusedError
from csv_pipeline.feeds.customers import CUSTOMERS
from csv_pipeline.handover import NON_DATA, REJECTS, TextFile
from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.read.grammar import Grammar

CASES = Path(__file__).parent / "corpus" / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.json"))
FILES = sorted([*CASES.glob("*.csv"), *(CASES.parent / "kinds").glob("*/*.csv")])
Outcome = TextFile | FileRefusedError
FACTS = {"delimiter", "quote", "escape", "header_line", "blank", "non_data", "repaired"}
EXPECTATIONS = FACTS | {"encoding", "header", "rows", "lines", "rejects"}


def _case(name: str) -> dict[str, Any]:
    case: dict[str, Any] = json.loads((CASES / f"{name}.json").read_bytes())
    return case


def _headings(case: dict[str, Any]) -> frozenset[str]:
    return frozenset(map(heading, case["headings"] or ()))


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


def _outcome(path: Path, folder: Path, **hints: Any) -> Outcome:
    known = _headings(_case(path.stem)) if path.parent == CASES else CUSTOMERS.headings
    try:
        return read(path, folder, ReadHints(name="file.csv", headings=known, **hints))
    except FileRefusedError as refusal:
        return refusal


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Outcome]:
    """What is read of a file; read once, whichever tests ask."""
    folder = tmp_path_factory.mktemp("corpus")
    return cache(lambda path: _outcome(path, folder / f"{path.parent.name}-{path.stem}"))


@pytest.mark.parametrize("name", NAMES)
def test_a_polluted_file_gives_what_a_careful_person_reads(
    name: str, outcome: Callable[[Path], Outcome]
) -> None:
    case = _case(name)
    expect = case["expect"]
    text = outcome(CASES / f"{name}.csv")
    if isinstance(text, FileRefusedError):
        assert text.code in expect.get("refused", "").split("|"), case["why"]
        return
    assert "refused" not in expect, case["why"]
    seen = _seen(text)
    assert {key: seen[key] for key in expect} == _settled(seen, expect), case["why"]
    assert text.records == len(seen["rows"]) + len(seen["rejects"])
    assert text.malformed == len(seen["rejects"])


@pytest.mark.parametrize("name", NAMES)
def test_a_record_gives_its_cells_again_as_they_were_read(
    name: str, outcome: Callable[[Path], Outcome]
) -> None:
    """So that a reject needs no more than its record to be sent out, in dialects like that."""
    text = outcome(CASES / f"{name}.csv")
    if isinstance(text, FileRefusedError) or not text.is_plain:
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


@pytest.mark.parametrize(
    "path",
    [
        path if at % 3 == 0 else pytest.param(path, marks=pytest.mark.slow)
        for at, path in enumerate(FILES)
    ],
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_the_block_size_never_changes_what_a_file_gives(
    path: Path, outcome: Callable[[Path], Outcome], tmp_path: Path
) -> None:
    block = max(61, path.stat().st_size // 40)
    assert _given(_outcome(path, tmp_path, block_bytes=block)) == _given(outcome(path))


def _given(text: Outcome) -> object:
    if isinstance(text, FileRefusedError):
        return text.code
    assert text.non_data_lines is not None
    non_data = scan(text.non_data_lines, NON_DATA).select("line_number", "reason").collect().rows()
    facts = (text.header, text.records, text.blank, text.non_data_count, text.repaired, text.lines)
    rejects = scan(text.rejects, REJECTS).collect().rows()
    return facts, scan(text.rows).collect().rows(), rejects, sorted(non_data)


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
