"""Small files that go together: nothing but the time is another than if each went alone."""

import gzip
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.bundle import advance_all
from csv_pipeline.errors import LostClaimError
from csv_pipeline.ingest import Import, Stage, imports_of
from csv_pipeline.model import ImportReport, Outcome, Reject
from csv_pipeline.stages.arrive import found_file
from csv_pipeline.storage import ledger, tables
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.workers import Worker, orders_for

HEADER = "ID,Name,Amount\n"


def test_small_files_of_one_header_are_stored_in_one_transaction(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann {n},{n}.50\n" for n in range(5)])
    with statements(desk) as seen:
        reports = together(desk, imports)
    assert [report.counts.inserted for report in reports] == [1] * 5
    assert all(report.outcome is Outcome.IMPORTED for report in reports)
    assert sum("INSERT INTO csv_pipeline.import " in one for one in seen) == 1
    assert not went_alone(imports)


def test_each_row_says_which_file_it_is_of_and_where_it_stands_there(desk: Desk) -> None:
    contents = [f"{HEADER}a,A,1.10\nb,B,2.20\n", f"{HEADER}c,C,3.30\n", f"{HEADER}d,D,4.40"]
    imports = arrived(desk, contents)
    first, second, third = (report.import_id for report in together(desk, imports))
    assert desk.rows(columns="person_id, _import_id, _created_import_id, _row_number") == [
        ("a", first, first, 2),
        ("b", first, first, 3),
        ("c", second, second, 2),
        ("d", third, third, 2),
    ]


MIXED: dict[str, list[str | bytes]] = {
    "plain": [f"{HEADER}a,A,1.10\n", f"{HEADER}b,B,2.20\nc,C,3.30\n", f"{HEADER}d,D,4.40"],
    "keys that come again": [
        f"{HEADER}a,1,1.00\na,2,1.00\na,3,1.00\n",
        HEADER,
        f"{HEADER}b,1,1.00\nc,1,1.00\n",
        f"{HEADER}a,4,1.00\na,5,1.00\n",
        HEADER,
        f"{HEADER}d,1,1.00\n",
    ],
    "bad rows": [
        f"{HEADER}a,A,x\n,B,1.00\nc,C,1.00\n",
        f"{HEADER}d,D,1.00\n",
        f"{HEADER}e,E\nf,F,1.00,1\ng,G,2.00\n",
        f"{HEADER}h,H,-1.00\n",
        f"{HEADER}i,I,1.00\n",
        f"{HEADER}j,,1.00\n",
    ],
    "quotes": [
        f'{HEADER}a,"A, B",1.00\n',
        f'{HEADER}b,"open,1.00\nc,C,1.00\n',
        f'{HEADER}d,D","1.00\n',
        f'{HEADER}e,"two\nlines",1.00\n',
        f"{HEADER}f,'F',1.00\n",
        f'{HEADER}g,6" nail,1.00\n',
        f'{HEADER}h,"say ""h""",1.00\n',
    ],
    "amounts": [
        f'{HEADER}a,A,"1,50"\n',
        f"{HEADER}b,B,2.50\n",
        f'{HEADER}c,C,"1,234"\n',
        f"{HEADER}d,D,\n",
        f'{HEADER}e,E,"1,234"\nf,F,2.50\n',
        f"{HEADER}g,G,7\n",
    ],
    "headers and furniture": [
        f"{HEADER}a,A,1.00\n",
        f"{HEADER}b,B,1.00\n\n",
        "ID;Name;Amount\nc;C;1.00\n",
        f"{HEADER}d,D,1.00\n{HEADER}e,E,1.00\n",
        "Report of today\n" + f"{HEADER}f,F,1.00\n",
        f"{HEADER}g,G,1.00\n,,\n",
        f"{HEADER}h,H,1.00\r\n",
        "Something,Else\n1,2\n",
        "ID,Name,Colour\ni,I,red\n",
        "ID,Name,Colour\nj,J,blue\n",
    ],
    "encodings": [
        f"{HEADER}a,Ärger,1.00\n",
        f"{HEADER}b,naïve,1.00\n".encode("cp1252"),
        f"{HEADER}c,C,1.00\n".encode("utf-8-sig"),
        f"{HEADER}d,D,1.00\n".encode("utf-16"),
        f"{HEADER}e,E\0,1.00\n",
        f"{HEADER}f,F,1.00\n".replace("\n", "\r"),
        f"{HEADER}g,G,1.00\n",
        f"{HEADER}h,œuvre,1.00\n",
    ],
    "keys over a file that drops out": [
        f"{HEADER}a,A,1.00\n",
        f"{HEADER}k,old,1.00\nragged,R\n",
        f"{HEADER}k,new,1.00\n",
        f"{HEADER}l,Läng,1.00\n".encode("cp1252"),
        f"{HEADER}l,lang,1.00\n",
        f"{HEADER}b,B,1.50\n",
        f'{HEADER}m,old,"1,50"\n',
        f"{HEADER}m,new,2.50\n",
        f"{HEADER}n,x,x\no,old,1.00\n",
        f"{HEADER}o,new,1.00\n",
        f"{HEADER},,\np,old,1.00\n",
        f"{HEADER}p,new,1.00\n",
    ],
    "other delimiters": [
        "ID;Name;Amount\na;A;1.00\n",
        'ID;Name;Amount\nb;Monitor 24", black;1.00\n',
        'ID;Name;Amount\nc;"C";1.00\n',
        'ID;Name;Amount\nd;say ""hi"" now;1.00\n',
    ],
    "quotes that are characters": [
        f'{HEADER}a,say ""hi"" now,1.00\n',
        f"{HEADER}b,B,1.00\n",
        f'{HEADER}"c",C,1.00\n',
    ],
    "compressed": [
        gzip.compress(f"{HEADER}a,A,1.00\n".encode(), mtime=0),
        f"{HEADER}b,B,1.00\n",
        gzip.compress(f"{HEADER}c,C,1.00\n".encode(), mtime=0),
    ],
    "a file twice": [f"{HEADER}a,A,1.00\n", f"{HEADER}b,B,1.00\n", f"{HEADER}a,A,1.00\n"],
}


@pytest.mark.parametrize("kind", MIXED)
def test_what_becomes_of_files_is_the_same_whether_they_go_together_or_alone(
    desk: Desk, kind: str
) -> None:
    found: list[Any] = []
    for way in (together, alone):
        other = Desk(desk.pipeline, f"{way.__name__}-{desk.account[-40:]}", desk.folder)
        imports = arrived(other, MIXED[kind])
        reports = way(other, imports)
        files = [(told(r), results(other, r), faults(other, r)) for r in reports]
        found.append([*files, other.rows(columns=_PLAIN)])
    assert found[0] == found[1]


def test_a_file_with_a_bad_row_goes_alone_and_the_others_together(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}a,A,1.10\n", f"{HEADER}b,B,x\n", f"{HEADER}c,C,3.30\n"])
    reports = together(desk, imports)
    assert [report.counts.rejected for report in reports] == [0, 1, 0]
    assert [import_.claim.import_id for import_ in went_alone(imports)] == [reports[1].import_id]


def test_of_files_that_bring_the_same_key_the_later_one_wins(desk: Desk) -> None:
    other = "Amount,ID,Name\n"  # the same columns in another order, so that it goes alone
    contents = [f"{HEADER}a,1st,1.00\n", f"{HEADER}b,B,1.00\n", f"{HEADER}a,2nd,1.00\n"]
    contents += [f"{other}1.00,b,again\n", f"{HEADER}b,last,1.00\n", f"{HEADER}c,C,1.00\n"]
    reports = together(desk, arrived(desk, contents))
    assert [report.counts.updated for report in reports] == [0, 0, 1, 1, 1, 0]
    assert desk.rows(columns="person_id, name") == [("a", "2nd"), ("b", "last"), ("c", "C")]


def test_each_file_keeps_the_evidence_of_its_own_values(desk: Desk) -> None:
    contents = [f"{HEADER}a,A,1.50\n", f"{HEADER}b,B,7\n", f'{HEADER}c,C,"1,5"\nd,D,"2,25"\n']
    reports = together(desk, arrived(desk, contents))
    said = [{e.subject: e.because for e in report.evidence} for report in reports]
    assert "'1.50' in row 2" in said[0]["decimal mark of Amount"]
    assert "decimal mark of Amount" not in said[1]
    assert "'1,5' in row 2" in said[2]["decimal mark of Amount"]
    assert [str(amount) for (amount,) in desk.rows(columns="amount", order="person_id")] == [
        *("1.50", "7.00", "1.50", "2.25")
    ]


def test_one_of_them_can_be_undone(desk: Desk) -> None:
    before = desk.bring(f"{HEADER}a,old,1.00\nb,old,1.00\n")
    imports = arrived(desk, [f"{HEADER}a,new,1.00\n", f"{HEADER}b,new,1.00\n", f"{HEADER}c,C,1\n"])
    reports = together(desk, imports)
    assert not went_alone(imports)
    assert [(r.counts.updated, r.counts.inserted) for r in reports] == [(1, 0), (1, 0), (0, 1)]
    undone = desk.pipeline.undo(reports[0].import_id).undo
    assert undone is not None
    assert (undone.restored, undone.deleted) == (1, 0)
    assert desk.rows(columns="person_id, name, _import_id") == [
        ("a", "old", before.import_id),
        ("b", "new", reports[1].import_id),
        ("c", "C", reports[2].import_id),
    ]


def test_rows_that_are_stored_are_unchanged_together_too(desk: Desk) -> None:
    contents = [f"{HEADER}{n},Ann,1.00\n" for n in range(3)]
    together(desk, arrived(desk, contents))
    imports = arrived(
        desk,
        [content + "\n" for content in contents[:1]] + [f"{HEADER}{n},Ann,1.0\n" for n in (1, 2)],
    )
    assert [report.counts.unchanged for report in together(desk, imports)] == [1, 1, 1]


def test_bytes_that_came_before_are_a_duplicate_among_others_too(desk: Desk) -> None:
    contents = [f"{HEADER}a,A,1.00\n", f"{HEADER}b,B,1.00\n", f"{HEADER}c,C,1.00\n"]
    known = desk.bring(contents[1])
    reports = together(desk, arrived(desk, contents))
    outcomes = [report.outcome for report in reports]
    assert outcomes == [Outcome.IMPORTED, Outcome.DUPLICATE, Outcome.IMPORTED]
    assert reports[1].same_as == known.import_id


def test_a_file_whose_claim_is_lost_is_not_stored_and_the_others_are(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(4)])
    advance(desk, imports, *list(Stage)[:-2])
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.update(tables.arrival)
            .where(tables.arrival.c.arrival_id == imports[2].claim.arrival_id)
            .values(attempt=tables.arrival.c.attempt + 1)
        )
    lost = []
    for import_, do in advance_all(desk.pipeline, imports, Stage.LOAD):
        try:
            do()
        except LostClaimError:
            lost.append(import_)
    assert lost == [imports[2]]
    assert [name for (name,) in desk.rows(columns="person_id")] == ["0", "1", "3"]


def test_a_row_that_the_table_refuses_is_rejected_and_no_other(desk: Desk) -> None:
    long = "".join(map(str, range(9_000)))  # for any index
    imports = arrived(desk, [f"{HEADER}a,A,1.00\n", f"{HEADER}{long},B,1.00\nb,B,1.00\n"])
    assert [(r.counts.inserted, r.counts.rejected) for r in together(desk, imports)] == [
        (1, 0),
        (1, 1),
    ]


@pytest.mark.parametrize("moment", ["after read", "before load", "copy", "settle", "after load"])
def test_files_that_go_together_survive_the_death_of_their_worker(desk: Desk, moment: str) -> None:
    drop(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(3)])
    worker = Worker(orders_for(desk.pipeline, desk.account, stops=(moment,)))
    worker.comes_to(moment)
    worker.kill()
    left = imports_of(desk.pipeline, desk.pipeline.claim(desk.account, "people"))
    assert len(left) == (0 if moment == "after load" else 3)
    together(desk, left)
    assert [name for (name,) in desk.rows(columns="person_id")] == ["0", "1", "2"]
    with desk.pipeline.database.begin() as connection:
        reports = ledger.imports(connection, account=desk.account)
    assert [report.counts.inserted for report, _ in reports] == [1, 1, 1]


def test_a_file_that_breaks_is_recorded_and_the_others_go_on(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(4)])
    advance(desk, imports, Stage.ARRIVE)
    imports[1].fail(OSError("the disk is full"))
    advance(desk, imports, *list(Stage)[1:])
    outcomes = [import_.settled().outcome for import_ in imports]
    assert outcomes.count(Outcome.FAILED) == 1
    assert outcomes[1] is Outcome.FAILED
    assert [name for (name,) in desk.rows(columns="person_id")] == ["0", "2", "3"]


def test_result_files_are_written_though_one_of_the_files_left_the_run(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(4)])
    advance(desk, imports, *list(Stage)[:-1])
    assert not went_alone(imports)
    left = imports[1:]
    advance(desk, left, Stage.REPORT)
    assert all(results(desk, import_.settled()) for import_ in left)


def test_a_limit_of_the_account_is_one_of_each_file(desk: Desk) -> None:
    desk.declare(max_file_bytes=40)
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(4)])
    assert [report.counts.inserted for report in together(desk, imports)] == [1] * 4
    assert not went_alone(imports)


def test_files_that_another_worker_has_by_now_are_left_to_it(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(3)])
    advance(desk, imports, Stage.ARRIVE)
    for import_ in imports:
        desk.pipeline.keeper.let_go(import_.claim)  # as in a process that goes on with the run
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.update(tables.arrival)
            .where(tables.arrival.c.arrival_id == imports[0].claim.arrival_id)
            .values(worker="another host/boot/namespace/1/2")
        )
    with pytest.raises(LostClaimError):
        advance(desk, imports, Stage.READ)


def test_after_a_death_between_commit_and_report_the_ledger_tells_each_outcome(desk: Desk) -> None:
    imports = arrived(desk, [f"{HEADER}{n},Ann,1.00\n" for n in range(3)])
    advance(desk, imports, *list(Stage)[:-1])
    for import_ in imports:  # as if none of it had been written down
        (import_.work / "report.json").unlink()
        for left in import_.work.glob("bundle-*/load.json"):
            left.unlink()
    again = imports_of(desk.pipeline, [import_.claim for import_ in imports])
    advance(desk, again, Stage.LOAD, Stage.REPORT)
    assert [import_.settled().counts.inserted for import_ in again] == [1, 1, 1]
    assert len(desk.rows()) == 3


def arrived(desk: Desk, contents: Sequence[str | bytes]) -> list[Import]:
    """Drop files and return their imports, claimed in this order."""
    drop(desk, contents)
    return imports_of(desk.pipeline, desk.pipeline.claim(desk.account, "people"))


def drop(desk: Desk, contents: Sequence[str | bytes]) -> None:
    """Let files arrive in this order."""
    folder = desk.folder / f"{len(list(desk.folder.iterdir()))}"
    folder.mkdir()
    paths = [folder / f"{number}.csv" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with desk.pipeline.database.begin() as connection:
            ledger.register(connection, [found_file(path, desk.account, "people")])


def advance(desk: Desk, imports: list[Import], *stages: Stage) -> None:
    """Do some stages, file by file where they do not go together."""
    for stage in stages:
        for _, do in advance_all(desk.pipeline, imports, stage):
            do()


def together(desk: Desk, imports: list[Import]) -> list[ImportReport]:
    """Import files together as far as they may."""
    advance(desk, imports, *Stage)
    return [import_.settled() for import_ in imports]


def alone(_: Desk, imports: list[Import]) -> list[ImportReport]:
    """Import the same files each by itself, as the steps of a run do."""
    for stage in Stage:
        for import_ in imports:
            import_.advance(stage)
    return [import_.settled() for import_ in imports]


def went_alone(imports: list[Import]) -> list[Import]:
    """Return those that were read by themselves."""
    return [import_ for import_ in imports if (import_.work / "read.json").exists()]


_PLAIN = "person_id, name, amount, _row_number, _extra"


def told(report: ImportReport) -> ImportReport:
    """Return what a report says, but for its numbers, its account and its time."""
    return replace(
        report,
        import_id=0,
        arrival_id=0,
        account="",
        same_as=None if report.same_as is None else 0,
        problem=report.problem and re.sub(r"import \d+", "import", report.problem),
        stage_seconds={},
    )


def faults(desk: Desk, report: ImportReport) -> list[Reject]:
    """Return the faults of an import, without its number."""
    return [replace(reject, import_id=0) for reject in desk.rejects(report)]


def results(desk: Desk, report: ImportReport) -> str | None:
    """Return the result file of an import, if there is one."""
    path = desk.pipeline.results_of(report)
    return None if path is None else path.read_text("utf-8-sig")


@contextmanager
def statements(desk: Desk) -> Iterator[list[str]]:
    """Give the statements that are executed meanwhile."""
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    engine = desk.pipeline.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
