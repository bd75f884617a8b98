"""Import small files of one account and feed together; only the time differs.

What an import costs beside its rows, some hundred queries and thirty statements, is the same for a
hundred rows as for a hundred thousand. So files that follow one another and begin with the same
header are read, typed, checked and stored as one text. The position of a row in it says which file
it is of; each file keeps its own evidence, counts, report and result file, and has its own ledger
entry, which commits together with its rows.

Only plain files are imported so. A file with any fault, or with a key that another one brings, too,
is imported alone, right after the others, from the start, with the same result. Where rows of
several files can affect one another in the table, all are imported alone; where a header is new,
those before the first that is imported with others are imported first.
"""

import hashlib
import re
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache, partial
from itertools import compress, groupby, takewhile
from pathlib import Path

import polars as pl
import structlog
from sqlalchemy import Connection

from csv_pipeline.engine import archive
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.report import log_finished
from csv_pipeline.engine.result_files import decided_in, draft_results_together, leave_results
from csv_pipeline.engine.workspace import BEFORE, Fact, Progress, Scratch, Stage
from csv_pipeline.errors import FileRefusedError, LostClaimError, UnavailableError
from csv_pipeline.handover import (
    OWN,
    PARTIAL,
    BatchWriter,
    Part,
    PlainFile,
    TextFile,
    TypedFile,
    ValidFile,
    batches,
    parts_of,
    scan,
)
from csv_pipeline.model import (
    Counts,
    Evidence,
    HeaderDrift,
    ImportReport,
    LineCounts,
    Outcome,
)
from csv_pipeline.rejects.rejects_file import is_rejects_file
from csv_pipeline.spec.header import drift
from csv_pipeline.stages.load import load_together
from csv_pipeline.stages.read import as_utf8, read
from csv_pipeline.stages.transform import settle_parts, transform
from csv_pipeline.stages.validate import rows_not_plain, validate
from csv_pipeline.storage import claims, imports, leases, order
from csv_pipeline.storage.lane_lock import lock_lane
from csv_pipeline.storage.records import Record, record_imports
from csv_pipeline.storage.targets import rows_meet

_MOST_BYTES_OF_ONE = 256 * 1024
_MOST_BYTES = 16 * 1024**2
_MOST_FILES = 500
_DELIMITERS = (b",", b";", b"\t", b"|")
_ESCAPE = re.compile(rb"\\[\"']")
log = structlog.get_logger()


def advance_all(
    pipeline: Pipeline, imports: Sequence[Import], stage: Stage
) -> Iterator[tuple[Import, Callable[[], Progress]]]:
    """Give the imports of one account and feed in their order, each with the call to do the stage.

    For those that were done together the call has nothing left to do. The calls are to be made one
    after the other, before the next is asked for: later files win over earlier ones.

    Raises:
        UnavailableError: Database or object store do not answer.
    """
    for bundle, some in _bundles(pipeline, imports, stage):
        done = _together(bundle, stage) if bundle else {}
        if bundle and any(map(_is_apart, some)):
            yield from advance_all(pipeline, some, stage)  # not over those that left it
            continue
        for import_ in some:
            progress = done.get(import_.claim.import_id)
            yield (
                import_,
                partial(import_.advance, stage) if progress is None else partial(_as_is, progress),
            )


def _as_is(progress: Progress) -> Progress:
    return progress


def _together(bundle: "Bundle", stage: Stage) -> Mapping[int, Progress]:
    try:
        return bundle.advance(stage)
    except UnavailableError:
        raise
    except (FileRefusedError, LostClaimError, _ApartError) as error:
        log.info("files go one by one", stage=stage, because=type(error).__name__)
    except Exception as error:  # noqa: BLE001  # file by file it may be met again, or not at all
        style = "".join(traceback.format_tb(error.__traceback__))  # its words may quote values
        because = type(error).__name__
        log.error("files go one by one", stage=stage, because=because, style=style)  # noqa: TRY400
    return {}


def _bundles(
    pipeline: Pipeline, imports: Sequence[Import], stage: Stage
) -> Iterator[tuple["Bundle | None", Sequence[Import]]]:
    """Give the imports in their order, those together that may go together."""
    if stage is Stage.ARRIVE:
        yield from ((None, [import_]) for import_ in imports)
        return
    if stage is Stage.REPORT:
        stored = [import_.workspace.bundle for import_ in imports]
        pairs = zip(stored, imports, strict=True)
        for its, those in groupby(pairs, key=lambda pair: pair[0]):
            some = [import_ for _, import_ in those]
            yield (Bundle(pipeline, some, Path(its)) if its else None), some
        return
    numbers = _numbered([_alike(import_) for import_ in imports])
    for _, group in groupby(zip(numbers, imports, strict=True), key=lambda pair: pair[0]):
        some = [import_ for _, import_ in group]
        yield (Bundle(pipeline, some) if len(some) > 1 else None), some


@dataclass(frozen=True, slots=True)
class _Alike:
    """What files have in common that may go together, the first line, and the size of one."""

    begin: bytes
    size_bytes: int


def _numbered(files: Sequence[_Alike | None]) -> Iterator[int]:
    """Give each file the number of its bundle."""
    number = size = count = 0
    before = None
    for file in files:
        size, count = size + (file.size_bytes if file else 0), count + 1
        begin = file and file.begin
        full = size > _MOST_BYTES or count > _MOST_FILES
        if file is None or begin != before or full:
            number, size, count = number + 1, file.size_bytes if file else 0, 1
        before = begin
        yield number


def _is_apart(import_: Import) -> bool:
    return import_.workspace.apart is not None


def _alike(import_: Import) -> _Alike | None:
    """Return what a small and plain file has in common with others; None of any other."""
    arrived, plain = import_.workspace.progress(Stage.ARRIVE), import_.workspace.plain
    claim, feed = import_.claim, import_.feed
    if (
        claim.dry_run
        or claim.repairs is not None
        or claim.again
        or claim.member is not None
        or feed.file_checks  # they look at one whole file, and
        or feed.asks_filled  # so do the facts that its transforms ask for
        or arrived is None
        or arrived.problem is not None
        or plain is None
        or plain.size_bytes > _MOST_BYTES_OF_ONE
        or _is_apart(import_)
    ):
        return None
    try:
        begin = _begin(plain.path, plain.path.stat().st_mtime_ns)
    except FileNotFoundError:  # it failed, and room was made
        return None
    return _Alike(begin, plain.size_bytes) if begin else None


@lru_cache(maxsize=2_000)  # each stage asks for it
def _begin(path: Path, _: int) -> bytes | None:
    """Return the first line of a file, as it was modified last, unless it is odd."""
    content = path.read_bytes()
    begin, _line_end, data = content.partition(b"\n")
    return begin if begin.strip() and data and not _is_odd(content, _delimiter(begin)) else None


def _delimiter(begin: bytes) -> bytes:
    return max(_DELIMITERS, key=begin.count)


def _is_odd(content: bytes, delimiter: bytes) -> bool:
    """Return whether a file may be taken for another dialect than its neighbours, or has blanks."""
    return (
        b"\0" in content
        or b"\n\n" in content
        or b"\n\r\n" in content
        or content.count(b"\r") != content.count(b"\r\n")
        or (b"\\" in content and _ESCAPE.search(content) is not None)
        or (b'"' in content and _inside_a_cell(delimiter).search(content) is not None)
        or (b"'" in content and _in_single_quotes(delimiter).search(content) is not None)
    )


# They begin with what is rare, and look back from there: most files have none of it.
@cache
def _inside_a_cell(delimiter: bytes) -> re.Pattern[bytes]:
    edge = re.escape(delimiter)
    return re.compile(rb'"(?<=[^%b\r\n]")[^%b\r\n]' % (edge, edge))


@cache
def _in_single_quotes(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"'(?:(?<=[%b\n]')|(?<!.'))" % re.escape(delimiter), re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """What is known of one file of a bundle, and where its `lines` are."""

    part: Part
    lines: LineCounts
    evidence: tuple[Evidence, ...]
    styles: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a file's rows begin and end among the bytes of the text, and why it is UTF-8."""

    import_id: int
    start: int
    end: int
    lines: int
    lines_up: int
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What `read` gave, and the files that go on together."""

    text: TextFile
    members: tuple[_Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Typed:
    """What `transform` gave, and the files that go on together."""

    typed: TypedFile
    members: tuple[_Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Valid:
    """What `validate` gave, and the files that go on together."""

    valid: ValidFile
    members: tuple[_Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """The reports of the files whose rows are stored, in the order of `members`."""

    members: tuple[_Member, ...]
    reports: tuple[ImportReport, ...]


@dataclass(frozen=True, slots=True)
class _Spent:
    seconds: float


class _Together(Scratch):
    """What the stages of a bundle handed over."""

    read = Fact("read", _Read)
    typed = Fact("transform", _Typed)
    valid = Fact("validate", _Valid)
    loaded = Fact("load", _Loaded)

    def spent(self, stage: Stage) -> Fact[_Spent]:
        """Return where the time of a stage is kept."""
        return Fact(f"spent-{stage}", _Spent)


class Bundle:
    """Files of one account and feed that begin alike, imported together."""

    def __init__(
        self, pipeline: Pipeline, imports: Sequence[Import], work: Path | None = None
    ) -> None:
        self._pipeline = pipeline
        self._imports = {import_.claim.import_id: import_ for import_ in imports}
        self._first = imports[0]
        self.feed, self.account = self._first.feed, self._first.account
        members = ",".join(map(str, self._imports))
        name = hashlib.blake2b(members.encode(), digest_size=8).hexdigest()
        self.work = work or self._first.work / f"bundle-{name}"
        self._space = _Together(self.work)

    def advance(self, stage: Stage) -> dict[int, Progress]:
        """Do one stage and return, by import, what it did for those that are still together."""
        if stage is not Stage.REPORT and not self._renew_claims():
            return {}
        self.work.mkdir(exist_ok=True)
        began = time.monotonic()
        members = self._finished() if stage is Stage.REPORT else self._members(stage)
        self._space.spent(stage).once(self._space, lambda: _Spent(time.monotonic() - began))
        done = {
            member.part.import_id: Progress(
                import_id=member.part.import_id,
                name=self._name(member),
                stage=stage,
                seconds=self._seconds()[stage],
                rows=member.part.rows,
            )
            for member in members
        }
        for progress in done.values():
            log.debug("stage done", **asdict(progress))
        return done

    def _members(self, stage: Stage) -> tuple[_Member, ...]:
        """Do a stage, and those before it, and return the files that go on together."""
        if stage is not Stage.READ and len(self._members(BEFORE[stage])) < 2:
            return ()
        match stage:
            case Stage.READ:
                return self._read().members
            case Stage.TRANSFORM:
                return self._typed().members
            case Stage.VALIDATE:
                return self._valid().members
            case _:
                return self._load().members

    def _renew_claims(self) -> bool:
        """Renew the claims from here on, whichever process took them; False if one is lost."""
        renewer = self._pipeline.leases
        held = [import_.claim for import_ in self._imports.values()]
        if all(renewer.holds(claim) for claim in held):
            return True
        try:
            with self._pipeline.database.begin() as connection:
                leases.renew(connection, held, self._pipeline.settings.lease_seconds)
        except LostClaimError:
            return False
        renewer.hold(held)
        return True

    def _read(self) -> _Read:
        return _Together.read.once(self._space, self._read_all)

    def _read_all(self) -> _Read:
        """Read the files as one text, under the header that all of them have."""
        with self._pipeline.database.begin() as connection:
            self._refuse_rows_that_meet(connection)
        joined = self.work / "source.csv"
        partial_ = joined.with_suffix(PARTIAL)
        found: list[_Found] = []
        lines = 1
        with partial_.open("wb") as out:
            for import_id, import_ in self._imports.items():
                path = self._plain(import_id).path
                hints = import_.hints(self.account.encoding)
                text, evidence = as_utf8(path, self.work / "utf-8", hints)
                begin, line_end, data = path.read_bytes().partition(b"\n")
                if out.tell() == 0:
                    out.write(begin + line_end)
                if text.path != path:  # it is not UTF-8 as it is
                    continue
                if not data.endswith(b"\n"):
                    data += b"\r\n" if begin.endswith(b"\r") else b"\n"
                start = out.tell()
                own, end = data.count(b"\n"), start + len(data)
                found.append(_Found(import_id, start, end, own, lines - 1, evidence))
                out.write(data)
                lines += own
        partial_.replace(joined)
        # What one file may hold at most was asked of each when it arrived, and is asked again.
        most_records = self._pipeline.settings.max_records * len(self._imports)
        hints = replace(
            self._first.hints(None), max_bytes=joined.stat().st_size, max_records=most_records
        )
        text_file = read(joined, self.work, hints)
        members = tuple(self._parts(text_file, found))
        self._hold_together(members)
        return _Read(text=text_file, members=members)

    def _refuse_rows_that_meet(self, connection: Connection) -> None:
        """Let each file have a transaction of its own where that may make a difference.

        Raises:
            _ApartError: It may.
        """
        if rows_meet(connection, self.feed):
            raise _ApartError

    def _hold_together(self, members: Iterable[_Member]) -> None:
        """Set those apart that are not among these.

        Raises:
            _ApartError: There are some.
        """
        going_on = {member.part.import_id for member in members}
        self._set_apart([import_id for import_id in self._imports if import_id not in going_on])

    def _set_apart(self, import_ids: Collection[int]) -> None:
        """Mark the files that cannot go on with the others.

        Raises:
            _ApartError: There are some.
        """
        for import_id in import_ids:
            self._imports[import_id].workspace.apart = self.work.name
        if import_ids:
            raise _ApartError

    def _parts(self, text: TextFile, found: Sequence["_Found"]) -> Iterator[_Member]:
        """Give the files whose bytes are all of them well-formed records, and none but theirs."""
        with (self.work / "source.csv").open("rb") as file:
            delimiter = _delimiter(file.readline())
        dialect = text.quote, text.escape, text.delimiter.encode(), text.header_line
        usual = dialect == ('"', "doubled", delimiter, 1) and not (text.repaired or text.warnings)
        if not (found and usual) or is_rejects_file(text.header):
            return
        rows = scan(text.rows).select("row_number", "offset", "length").collect()
        starts, ends = (pl.Series([getattr(f, n) for f in found]) for n in ("start", "end"))
        position = starts.search_sorted(rows["offset"], side="right").cast(pl.Int64) - 1
        after = rows["offset"].shift(-1).fill_null(ends[-1]).alias("after")
        by_file = (
            rows.with_columns(position.alias("position"), after, ends.gather(position).alias("end"))
            .with_columns(
                gap=pl.min_horizontal("after", "end") - pl.col("offset") - pl.col("length")
            )
            .group_by("position")
            .agg(
                pl.len(),
                pl.col("row_number", "offset").first(),
                whole=pl.col("gap").is_between(1, 2).all()  # nothing but line ends in between
                & (pl.col("row_number").last() - pl.col("row_number").first() + 1 == pl.len()),
            )
        )
        most = self._pipeline.settings.max_records
        for its in by_file.sort("position").iter_rows(named=True):
            file = found[its["position"]]
            if its["whole"] and its["offset"] == file.start and its["len"] <= most:
                part = Part(
                    import_id=file.import_id,
                    first=its["row_number"],
                    rows=its["len"],
                    rows_up=its["row_number"] - 2,
                    lines_up=file.lines_up,
                )
                evidence = (file.evidence, *text.evidence[1:])
                lines = LineCounts(total=1 + file.lines, header=1, records=file.lines)
                yield _Member(part=part, lines=lines, evidence=evidence, styles={})

    def _typed(self) -> _Typed:
        return _Together.typed.once(self._space, self._type_all)

    def _type_all(self) -> _Typed:
        """Type the rows of the files whose own values settle the same way to read them."""
        found = self._read()
        text, first = found.text, self._first
        first.refuse_other_feeds_header(text.header)
        names = [self._name(member) for member in found.members]
        parts = [member.part for member in found.members]
        settled = settle_parts(text, self.feed, self.account, parts, names)
        styles: dict[str, str | None] = {}
        members = []
        for member, own in zip(found.members, settled, strict=True):
            if own is None or any(
                styles.get(name, style) != style for name, style in own[0].items() if style
            ):
                continue
            styles |= {name: style for name, style in own[0].items() if style}
            members.append(replace(member, styles=own[0], evidence=(*member.evidence, *own[1])))
        self._hold_together(members)
        typed = transform(
            text, self.work, self.feed, self.account, name=first.claim.name, settled=styles
        )
        if typed.warnings:  # which file each of them is about is not known here
            self._set_apart(self._imports)
        return _Typed(typed=typed, members=tuple(members))

    def _valid(self) -> _Valid:
        return _Together.valid.once(self._space, self._validate_all)

    def _validate_all(self) -> _Valid:
        """Check all rows; a file with a bad one, or with a key of another row, is left out."""
        typed = self._typed()
        valid = validate(typed.typed, self._read().text, self.work, self.feed)
        parts = [member.part for member in typed.members]
        odd = rows_not_plain(valid, self.feed, [part.first for part in parts])
        spoilt = set(parts_of(odd, parts))
        plain = (member for position, member in enumerate(typed.members) if position not in spoilt)
        return _Valid(valid=valid, members=tuple(plain))

    def _load(self) -> _Loaded:
        return _Together.loaded.once(self._space, self._load_all)

    def _load_all(self) -> _Loaded:
        """Store the rows of all files with their ledger entries, in one transaction."""
        claim, valid = self._first.claim, self._valid()
        going = [m for m in valid.members if self._imports[m.part.import_id].ending is None]
        held = [self._imports[member.part.import_id].claim for member in going]
        prints = [self._plain(member.part.import_id).fingerprint for member in going]
        with self._pipeline.database.begin() as connection:
            lock_lane(connection, claim)
            claims.check(connection, held)
            self._refuse_rows_that_meet(connection)
            if order.is_overtaken(connection, claim, claim.position):
                raise _ApartError
            known = imports.known_content(connection, claim, prints)
            triples = zip(held, prints, going, strict=True)
            new = [triple for triple in triples if triple[1] not in known]
            members = tuple(member for _, _, member in new)
            if len(members) < 2:
                return _Loaded(members=(), reports=())
            drifts = self._drifts(connection, members)
            rows = self._own_rows(valid.valid, [member.part for member in members])
            typed, parts = self._typed().typed, [member.part for member in members]
            counts = load_together(connection, self.feed, claim, self.work, typed, rows, parts)
            if counts is None:
                raise _ApartError
            reports = tuple(map(self._report, members, counts, drifts))
            records = [
                Record(claim=its, report=report, fingerprint=fingerprint)
                for (its, fingerprint, _), report in zip(new, reports, strict=True)
            ]
            record_imports(connection, records)
            self._draft_results(members, reports)
        for report in reports:
            import_ = self._imports[report.import_id]
            self._pipeline.leases.drop(import_.claim)
            import_.workspace.bundle = str(self.work)
            import_.workspace.report = report
        return _Loaded(members=members, reports=reports)

    def _drifts(self, connection: Connection, members: Sequence[_Member]) -> list[HeaderDrift]:
        """Return for each of these files how the header differs: all but the first follow one.

        Raises:
            _ApartError: Files before the first go alone, and whether they are imported decides.
        """
        header, layout = self._read().text.header, self._typed().typed.layout
        before = imports.last_header(connection, self._first.claim, layout)
        first, others = (drift(header, self.feed, last) for last in (before, header))
        if first != others:
            leads = members[0].part.import_id
            self._set_apart(list(takewhile(lambda import_id: import_id != leads, self._imports)))
        return [first, *[others] * (len(members) - 1)]

    def _own_rows(self, valid: ValidFile, parts: Sequence[Part]) -> ValidFile:
        """Write the valid rows of these files, with the import and the row number of each."""
        writer = BatchWriter(self.work / "own")
        import_ids = pl.Series(OWN[0], [part.import_id for part in parts])
        ups = pl.Series([part.rows_up for part in parts])
        for number, batch in enumerate(batches(valid.rows)):
            position = parts_of(batch["_row_number"], parts)
            numbers = (batch["_row_number"] - ups.gather(position)).alias(OWN[1])
            mine = batch.with_columns(import_ids.gather(position), numbers)
            writer.write(mine.filter(position.is_not_null()), number)
        return replace(valid, rows=writer.directory, valid=writer.rows, superseded=0, rejected=0)

    def _report(self, member: _Member, counts: Counts, drifted: HeaderDrift) -> ImportReport:
        claim = self._imports[member.part.import_id].claim
        text, typed, plain = self._read().text, self._typed(), self._plain(claim.import_id)
        own = member.evidence[: len(text.evidence)], member.evidence[len(text.evidence) :]
        return ImportReport.of(
            claim,
            Outcome.IMPORTED,
            counts=counts,
            lines=member.lines,
            header=text.header,
            delimiter=text.delimiter,
            quote=text.quote,
            escape=text.escape,
            layout=typed.typed.layout,
            styles=member.styles,
            facts=typed.typed.facts,
            evidence=(*plain.evidence, *own[0], typed.typed.evidence[0], *own[1]),
            drift=drifted,
            stage_seconds=self._seconds(),
        )

    def _finished(self) -> tuple[_Member, ...]:
        """Write the result files of what was stored together, and put the files away."""
        loaded = self._space.loaded
        if loaded is None:
            return ()
        here = [m.part.import_id in self._imports for m in loaded.members]  # some may have left
        loaded = _Loaded(
            members=tuple(compress(loaded.members, here)),
            reports=tuple(compress(loaded.reports, here)),
        )
        seconds = self._seconds()
        with self._pipeline.database.begin() as connection:
            import_ids = [report.import_id for report in loaded.reports]
            imports.store_seconds(connection, import_ids, seconds)
        for report in loaded.reports:
            import_ = self._imports[report.import_id]
            import_.workspace.report = replace(report, stage_seconds=seconds)
            log_finished(report)
        settings = self._pipeline.settings
        for report in loaded.reports if settings.result_files else ():
            leave_results(settings, self._imports[report.import_id].workspace, self.feed, report)
        arrival_ids = [report.arrival_id for report in loaded.reports]
        archive.archive(self._pipeline.database, settings, arrival_ids)
        return loaded.members

    def _draft_results(self, members: Sequence[_Member], reports: Sequence[ImportReport]) -> None:
        """Write the result files; they are put where they belong once the rows are committed."""
        if self._pipeline.settings.result_files:
            text, typed, valid = self._read().text, self._typed().typed, self._valid().valid
            draft_results_together(
                decided_in(self.work, self.feed, text, typed, valid),
                [member.part for member in members],
                [self._imports[report.import_id].workspace for report in reports],
            )

    def _plain(self, import_id: int) -> PlainFile:
        plain = self._imports[import_id].workspace.plain
        assert plain is not None  # noqa: S101  # a file without it is in no bundle
        return plain

    def _name(self, member: _Member) -> str:
        return self._imports[member.part.import_id].claim.name

    def _seconds(self) -> dict[str, float]:
        """Return how long each stage took, a file."""
        files = len(self._read().members)
        spent = {stage: self._space.spent(stage).of(self._space) for stage in Stage}
        return {
            stage.value: round(found.seconds / files, 4) for stage, found in spent.items() if found
        }


class _ApartError(Exception):
    """Not all of the files can go on together."""
