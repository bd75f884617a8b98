"""Any table in any dialect comes back exactly, and no bytes at all break the reader."""

import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from csv_pipeline.batches import scan
from csv_pipeline.errors import FileRefusedError, UndecidableError
from csv_pipeline.handover import REJECTS, TextFile
from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline_tests.conftest import declares
from csv_pipeline_tests.test_read_misplaced import has_rows

CASES = Path(__file__).parent / "corpus" / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.json"))
HEADER = ("id", "name", "note", "city", "amount")
_MOST_BLOCKS = 200  # each takes a millisecond, and ten where Hypothesis traces it
EXAMPLE_SECONDS = 10  # a file of a few hundred bytes takes some milliseconds
Row = tuple[str | None, ...]
ORIGIN = pl.Schema(dict.fromkeys(("row_number", "line_number", "offset", "length"), pl.Int64()))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail what takes longer, so that a hang is a failure and not a test run that never ends."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"the reader took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def reading(content: bytes, **hints: Any) -> Iterator[TextFile]:
    with tempfile.TemporaryDirectory() as folder, within(EXAMPLE_SECONDS):
        source, work = Path(folder) / "source.csv", Path(folder) / "work"
        source.write_bytes(content)
        work.mkdir()
        yield read(source, work, ReadHints(name="source.csv", **hints))


def rows(text: TextFile) -> pl.DataFrame:
    cells = {str(position): pl.String() for position in range(len(text.header))}
    schema = pl.Schema({**cells, **ORIGIN})
    return scan(text.rows, schema).select(schema.names()).collect()


def rejects(text: TextFile) -> pl.DataFrame:
    return scan(text.rejects, REJECTS).collect()


def cells(text: TextFile) -> list[Row]:
    return rows(text).drop(ORIGIN.names()).rows()


# ---- any table in any dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    delimiter: str
    quote: str
    backslash: bool
    line_end: str
    encoding: str
    mark: bytes
    declared: bool
    ended: bool
    preamble: tuple[str, ...]

    def cell(self, cell: str | None, *, quoted: bool) -> str:
        """Write a cell: an absent one as nothing, one that has to be or is to be in quotes."""
        if cell is None:
            return ""
        if not self.quote or not (quoted or self.needs_quotes(cell)):
            return cell
        if self.backslash:
            inner = cell.replace("\\", "\\\\").replace(self.quote, f"\\{self.quote}")
        else:
            inner = cell.replace(self.quote, 2 * self.quote)
        return f"{self.quote}{inner}{self.quote}"

    def needs_quotes(self, cell: str) -> bool:
        """Say if a cell would be read as something else without quotes.

        Beyond RFC 4180: a cell with any quote is quoted, because in a file most lines of which
        have an `'a'` nothing tells whether they quote; and so is one with any part of the
        delimiter, because `a|` before `||` can be cut in two ways.
        """
        special = {*self.delimiter, '"', "'", "\r", "\n", *("\\" if self.backslash else "")}
        return not cell or not special.isdisjoint(cell)

    def written(self, header: tuple[str, ...], table: list[tuple[Row, bool]]) -> bytes:
        """Write the table; the header's names show that apostrophes quote, where they do."""
        lines = list(self.preamble)
        for row, quoted in [(header, self.quote == "'"), *table]:
            lines.append(self.delimiter.join(self.cell(cell, quoted=quoted) for cell in row))
        text = self.line_end.join(lines) + (self.line_end if self.ended else "")
        return self.mark + text.encode(self.encoding)

    def may_be_another(self, table: list[tuple[Row, bool]]) -> bool:
        """Say if a colon or blank parts the rows, and something else might part most as well."""
        texts = ["".join(filter(None, row)) for row, _ in table]
        most = any(2 * sum(mark in text for text in texts) > len(texts) for mark in ",;\t|~^")
        return self.delimiter in {":", " "} and most

    def has_full_banner(self, width: int) -> bool:
        """Say if a line above the header has as many cells as it, and so may be a row."""
        return any(line.count(self.delimiter) + 1 >= width for line in self.preamble)


# Text in these is declared by the account, because a handful of random letters is no evidence of
# a legacy encoding: what real text suggests is tested on sentences, below and in the corpus.
LEGACY = ("cp1252", "cp1251", "koi8_r", "mac_roman", "shift_jis", "gb18030", "big5", "euc_kr")
UNICODE = {
    "utf-8": (b"", b"\xef\xbb\xbf"),
    "utf-16-le": (b"", b"\xff\xfe"),
    "utf-16-be": (b"", b"\xfe\xff"),
    "utf-32-le": (b"\xff\xfe\0\0",),
    "utf-32-be": (b"\0\0\xfe\xff",),
}
ENCODINGS = [
    *((name, mark, False) for name, marks in UNICODE.items() for mark in marks),
    *((name, b"", True) for name in LEGACY),
]
DELIMITERS = [",", ";", "\t", "|", "~", ":", "^", " ", ", ", "||", "::", "|~|"]
BANNERS = ["Report of 2026", "", 'Pipes 5" and more', "Today's sales: all, by day; by town", "  "]
LETTERS = "ab01 .-\\#\"'\r\n,;\t|~:^=éßЖ表ソ能中許한€\u2028😀e\u0301"


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    encoding, mark, declared = draw(st.sampled_from(ENCODINGS))
    quote = draw(st.sampled_from(['"', '"', '"', "'", ""]))
    return Dialect(
        delimiter=draw(st.sampled_from(DELIMITERS)),
        quote=quote,
        backslash=bool(quote) and draw(st.integers(0, 3)) == 0,
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        encoding=encoding,
        mark=mark,
        declared=declared,
        ended=draw(st.booleans()),
        preamble=tuple(draw(st.lists(st.sampled_from(BANNERS), max_size=3))),
    )


def _fits(letter: str, encoding: str) -> bool:
    """Say if a letter comes back from its bytes; Shift JIS has letters that do not."""
    return letter.encode(encoding, "ignore").decode(encoding, "ignore") == letter


@st.composite
def tables(draw: st.DrawFn, dialect: Dialect, width: int) -> list[tuple[Row, bool]]:
    """Draw rows, each with whether all of its cells are quoted.

    Every row begins with a key, because a row of nothing is padding, not data. A file without
    quoting cannot hold what only quotes can hold. Backslashes escape quotes only if a cell proves
    it, so such a file begins with one that does.
    """
    letters = [letter for letter in LETTERS if _fits(letter, dialect.encoding)]
    if not dialect.quote:
        letters = [letter for letter in letters if not dialect.needs_quotes(letter)]
    if dialect.line_end == "\r":
        # That LF does not end lines is told by there being more CR; the corpus has such files.
        letters = [letter for letter in letters if letter != "\n"]
    text = st.text(st.sampled_from(letters), min_size=0 if dialect.quote else 1, max_size=7)
    cell = st.one_of(st.none(), text)
    row = st.tuples(st.tuples(*[cell] * (width - 1)), st.booleans())
    drawn = draw(st.lists(row, max_size=8))
    table = [((f"k{index}", *others), quoted) for index, (others, quoted) in enumerate(drawn)]
    if dialect.backslash:
        proof = f"say {dialect.quote}no{dialect.quote}{dialect.delimiter} and go"
        table.insert(0, (("k", *[proof] * (width - 1)), True))
    return [(_on_one_line(row, dialect), quoted) for row, quoted in table]


def _on_one_line(row: Row, dialect: Dialect) -> Row:
    """Return a row without line ends if lines of its cells may be rows: then nobody could tell."""
    text = dialect.delimiter.join(dialect.cell(cell, quoted=False) for cell in row)
    if not has_rows(text.replace("\r", "\n"), dialect.delimiter, len(row)):
        return row
    return tuple(cell and cell.replace("\r", " ").replace("\n", " ") for cell in row)


Written = tuple[Dialect, int, list[tuple[Row, bool]]]


@st.composite
def written_tables(draw: st.DrawFn) -> Written:
    dialect, width = draw(dialects()), draw(st.integers(2, 5))
    return dialect, width, draw(tables(dialect, width))


IN_APOSTROPHES = Dialect(
    delimiter=",",
    quote="'",
    backslash=False,
    line_end="\n",
    encoding="utf-8",
    mark=b"",
    declared=False,
    ended=True,
    preamble=(),
)
IN_ANY_DIALECT = given(
    written=written_tables(), block=st.one_of(st.integers(24, 400), st.just(8 * 1024**2))
)


# A backslash before a doubled apostrophe escapes nothing.
@example(written=(IN_APOSTROPHES, 2, [((f"k{n}", "\\'"), False) for n in range(2)]), block=400)
@settings(max_examples=80, deadline=None)
@IN_ANY_DIALECT
def test_any_table_in_any_dialect_comes_back_exactly(written: Written, block: int) -> None:
    _comes_back(*written, block)


@pytest.mark.slow
@settings(max_examples=3_000, deadline=None)
@IN_ANY_DIALECT
def test_many_tables_in_any_dialect_come_back_exactly(written: Written, block: int) -> None:
    _comes_back(*written, block)


def _comes_back(dialect: Dialect, width: int, table: list[tuple[Row, bool]], block: int) -> None:
    header = HEADER[:width]
    hints = {"account": declares(dialect.encoding)} if dialect.declared else {}
    content = dialect.written(header, table)
    known = frozenset(map(heading, HEADER))
    try:
        with reading(content, headings=known, block_bytes=block, **hints) as text:
            assert text.header == header
            # Without rows nothing tells ", " from "," and a blank that is trimmed off each name.
            assert text.delimiter == dialect.delimiter or not table
            assert cells(text) == [row for row, _ in table]
            assert (text.malformed, text.repaired) == (0, 0)
            assert text.header_line == len(dialect.preamble) + 1
    except UndecidableError:
        # Without rows below it a header is no more of one than the lines above it.
        banner = dialect.has_full_banner(width) or not table
        assert banner or dialect.may_be_another(table)


SPOKEN = ["cp1250", "cp1251", "cp1252", "cp1253", "koi8_r", "shift_jis", "gb18030", "euc_kr"]


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    encoding=st.sampled_from(SPOKEN),
    delimiter=st.sampled_from(DELIMITERS),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_sentences_in_a_legacy_encoding_come_back_undeclared(
    data: st.DataObject, encoding: str, delimiter: str, line_end: str
) -> None:
    expect = json.loads((CASES / f"encoding_{encoding}.json").read_bytes())["expect"]
    table = data.draw(st.permutations(expect["rows"]))[: data.draw(st.integers(12, 16))]
    header = tuple(expect["header"])
    dialect = Dialect(
        delimiter=delimiter,
        quote='"',
        backslash=False,
        line_end=line_end,
        encoding=encoding,
        mark=b"",
        declared=False,
        ended=True,
        preamble=(),
    )
    content = dialect.written(header, [(tuple(row), False) for row in table])
    with reading(content, headings=frozenset(map(heading, header))) as text:
        assert text.header == header
        assert cells(text) == [tuple(row) for row in table]


# ---- damage costs the damaged record


DAMAGE = {
    "x,y": "row.too_short",
    "x,y,z,more": "row.too_long",
    'x,"y,z': "row.stray_quote",
    '"x,y,z': "row.stray_quote",
    'x,"y"y,z': "row.stray_quote",
    'x,y,"z" ': "row.stray_quote",
    "x,\0,z": "row.nul_byte",
}
# Without quotes, delimiters and line ends inside cells: with them an unclosed quote can by chance
# be closed by a later record into one of the header's width, and then nobody can tell.
PLAIN = st.one_of(st.none(), st.text(st.sampled_from("ab1 -é漢"), max_size=5))


DAMAGED = given(
    table=st.lists(st.tuples(PLAIN, PLAIN, st.booleans()), min_size=2, max_size=12),
    damage=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(sorted(DAMAGE))), max_size=4),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    block=st.integers(24, 400),
)
Table = list[tuple[str | None, str | None, bool]]
Damage = list[tuple[int, str]]


@settings(max_examples=80, deadline=None)
@DAMAGED
def test_damage_costs_the_damaged_records_and_no_other(
    table: Table, damage: Damage, line_end: str, block: int
) -> None:
    _costs_the_damaged(table, damage, line_end, block)


@pytest.mark.slow
@settings(max_examples=3_000, deadline=None)
@DAMAGED
def test_much_damage_costs_the_damaged_records_and_no_other(
    table: Table, damage: Damage, line_end: str, block: int
) -> None:
    _costs_the_damaged(table, damage, line_end, block)


def _costs_the_damaged(table: Table, damage: Damage, line_end: str, block: int) -> None:
    def written(index: int) -> str:
        one, two, quoted = table[index]
        mark = '"' if quoted else ""
        return ",".join(
            "" if c is None else f"{mark}{c}{mark}" if c else '""' for c in (f"k{index}", one, two)
        )

    lines = [written(index) for index in range(len(table))]
    for position, record in damage:
        lines.insert(min(position, len(lines)), record)
    content = line_end.join(["id,name,note", 'kk,"a",b', *lines, ""]).encode()
    known = frozenset(["id", "name", "note"])
    with reading(content, headings=known, block_bytes=block) as text:
        wanted = [(at, DAMAGE[line]) for at, line in enumerate(lines, start=3) if line in DAMAGE]
        assert rejects(text).select("line_number", "rule").sort("line_number").rows() == wanted
        assert cells(text)[1:] == [
            (f"k{index}", one, two) for index, (one, two, _) in enumerate(table)
        ]


# ---- any bytes at all


def held_to_account(content: bytes, **hints: Any) -> None:
    """Hold the reader to its books, whatever the bytes: all is a row, a reject or set apart."""
    try:
        with reading(content, **hints) as text:
            _balanced(text)
    except FileRefusedError:
        return


def _balanced(text: TextFile) -> None:
    good, bad = rows(text), rejects(text)
    assert text.records == good.height + bad.height
    assert text.malformed == bad.height
    assert good.width == len(text.header) + len(ORIGIN)
    raw = text.text.read_bytes()
    lines = raw.count(b"\n") + raw.count(b"\r") + 1
    assert text.records + text.blank + text.non_data_count <= lines
    columns = ("offset", "length", "line_number", "row_number")
    positions = sorted([*good.select(columns).rows(), *bad.select(columns).rows()])
    ends, last_line, last_row, apart = 0, 0, 0, []
    for offset, length, line_number, row_number in positions:
        assert ends <= offset <= offset + length <= len(raw)
        assert last_line < line_number <= lines
        assert last_row < row_number
        assert raw[offset : offset + length].strip(b" \t\r\n")
        apart.append(raw[ends:offset])
        ends, last_line, last_row = offset + length, line_number, row_number
    apart.append(raw[ends:])
    after_header = b"".join(apart[1:])
    if after_header.strip(b" \t\r\n\x0b\x0c") and not text.non_data_count:
        left_out = after_header.decode(errors="replace").split()
        assert not left_out, "these were neither rows nor rejects nor non-data lines"


TOKENS = [
    *(b",", b";", b"\t", b"|", b"||", b", ", b'"', b'""', b"'", b"\\", b'\\"', b"#", b"sep=;"),
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b" ", b"a", b"1", b"2026-01-03", b"id,name,note\n"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", "é".encode(), b"\xe9", b"\x81", b"\x95\x5c"),
    *("漢".encode(), "漢".encode("gb18030"), b"\xed\xa0\x80", b"\x1a", b"\x85", b"=1+1"),
]
ANY_BYTES = st.one_of(
    st.binary(max_size=300), st.lists(st.sampled_from(TOKENS), max_size=60).map(b"".join)
)
KNOWN = st.sampled_from([frozenset[str](), frozenset(["id", "name", "note"])])
BEGINNING = st.sampled_from([b"", b"id,name,note\n", b"id;name;note\r\n1;a;b\r\n"])
SMALL = [name for name in NAMES if (CASES / f"{name}.csv").stat().st_size <= 8_000]


CHANGES: tuple[Callable[[bytes, bytes, bytes, bytes], bytes], ...] = (
    lambda before, part, after, new: before + after,  # lost
    lambda before, part, after, new: before + new + part + after,  # put in
    lambda before, part, after, new: before + new + after,  # overwritten
    lambda before, part, after, new: before + part + part + after,  # sent twice
    lambda before, part, after, new: before + after + part,  # out of order
    lambda before, part, after, new: before,  # cut off
    lambda before, part, after, new: 2 * (before + part + after),  # put behind itself
)


def mutated(content: bytes, data: st.DataObject) -> bytes:
    """Damage a file as transfers, editors and scripts do."""
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content)))
        to = at + data.draw(st.sampled_from([1, 2, 5, 20, 100]))
        new = data.draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8)))
        change = data.draw(st.sampled_from(CHANGES))
        content = change(content[:at], content[at:to], content[to:], new)[:16_000]
    return content


# Polars takes a U+FEFF at the beginning of what it parses for a mark and drops it, and the row too.
@example(beginning=b"", content=b"\0\n\xef\xbb\xbf", known=frozenset(), block=16)
@settings(max_examples=100, deadline=None)
@given(beginning=BEGINNING, content=ANY_BYTES, known=KNOWN, block=st.integers(16, 300))
def test_any_bytes_are_read_or_refused_and_all_is_accounted_for(
    beginning: bytes, content: bytes, known: frozenset[str], block: int
) -> None:
    held_to_account(beginning + content, headings=known, block_bytes=block)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), name=st.sampled_from(SMALL), block=st.integers(64, 2_000))
def test_a_damaged_corpus_file_is_read_or_refused_and_all_is_accounted_for(
    data: st.DataObject, name: str, block: int
) -> None:
    case = json.loads((CASES / f"{name}.json").read_bytes())
    content = mutated((CASES / f"{name}.csv").read_bytes(), data)
    known = frozenset(map(heading, case["headings"] or ()))
    held_to_account(content, headings=known, block_bytes=block)


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), name=st.sampled_from(SMALL), known=KNOWN, block=st.integers(16, 2_000))
def test_many_damaged_corpus_files_are_read_or_refused_and_all_is_accounted_for(
    data: st.DataObject, name: str, known: frozenset[str], block: int
) -> None:
    content = mutated((CASES / f"{name}.csv").read_bytes(), data)
    held_to_account(content, headings=known, block_bytes=max(block, len(content) // _MOST_BLOCKS))


@pytest.mark.slow
@settings(max_examples=5_000, deadline=None)
@given(beginning=BEGINNING, content=ANY_BYTES, known=KNOWN, block=st.integers(16, 300))
def test_many_bytes_are_read_or_refused_and_all_is_accounted_for(
    beginning: bytes, content: bytes, known: frozenset[str], block: int
) -> None:
    held_to_account(beginning + content, headings=known, block_bytes=block)
