"""Import small files of one account and feed together, where that changes nothing but the time.

What an import costs beside its rows, some hundred queries and thirty statements, is the same for a
hundred rows as for a hundred thousand. So files that follow one another and begin with the same
header are read, typed, checked and stored as one text. Where a row stands in it says which file it
is of; each file keeps its own evidence, counts, report and result file, and has its own ledger
entry, which commits together with its rows.

Only what is plain goes this way. A file with any fault, or with a key that another one brings, too,
goes alone, right after the others, from the start: what becomes of it is what would have anyway.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import polars as pl
import structlog

from csv_pipeline.errors import DatabaseUnavailableError
from csv_pipeline.header import drift
from csv_pipeline.ingest import BEFORE, Import, Progress, Stage, log_finished
from csv_pipeline.model import Counts, Evidence, Feed, HeaderDrift, ImportReport, Outcome
from csv_pipeline.pipeline import Pipeline
from csv_pipeline.stages.load import load_together
from csv_pipeline.stages.read import as_utf8, read
from csv_pipeline.stages.results import Decided, write_parts
from csv_pipeline.stages.transform import settle_parts, transform
from csv_pipeline.stages.validate import has_own_rules, rows_not_plain, validate
from csv_pipeline.storage import archive, ledger
from csv_pipeline.storage.rejects_file import is_rejects_file
from csv_pipeline.storage.work import (
    OWN,
    BatchWriter,
    Part,
    PlainFile,
    TextFile,
    TypedFile,
    ValidFile,
    batches,
    parts_of,
    save,
    saved,
    scan,
)

T = TypeVar("T")
_MOST_BYTES_OF_ONE = 256 * 1024
_MOST_BYTES = 16 * 1024**2
_ESCAPE = re.compile(rb"\\[\"']")
# They begin with what is rare, and look back from there: most files have none of it.
_INSIDE_A_CELL = re.compile(rb'"(?<=[^,;\t|\r\n"]")[^,;\t|\r\n"]')
_IN_SINGLE_QUOTES = re.compile(rb"'(?:(?<=[,;\t|\n]')|(?<!.'))", re.DOTALL)
log = structlog.get_logger()


def advance_all(
    pipeline: Pipeline, imports: Sequence[Import], stage: Stage
) -> Iterator[tuple[Import, Callable[[], Progress]]]:
    """Give the imports of one account and feed in their order, each with the call to do the stage.

    For those that were done together the call has nothing left to do. The calls are to be made one
    after the other, before the next is asked for: later files win over earlier ones.

    Raises:
        DatabaseUnavailableError: The database does not answer.
    """
    for some in [[one] for one in imports] if stage is Stage.ARRIVE else _bundles(imports):
        done = _together(Bundle(pipeline, some), stage) if len(some) > 1 else {}
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
    except DatabaseUnavailableError:
        raise
    except Exception as error:  # noqa: BLE001  # file by file it will be met again, and told
        log.info("files go one by one", stage=stage, because=type(error).__name__)
        return {}


def _bundles(imports: Sequence[Import]) -> Iterator[list[Import]]:
    """Give the imports in their order, those together that may go together."""
    begins = [_begin(import_) for import_ in imports]
    size, number, before = 0, 0, None
    numbers = []
    for import_, begin in zip(imports, begins, strict=True):
        size += import_.claim.size_bytes
        if begin is None or begin != before or size > _MOST_BYTES:
            number, size = number + 1, import_.claim.size_bytes
        before = begin
        numbers.append(number)
    for _, some in groupby(zip(numbers, imports, strict=True), key=lambda pair: pair[0]):
        yield [import_ for _, import_ in some]


def _begin(import_: Import) -> bytes | None:
    """Return the first line of a small and plain file; None of any other."""
    arrived = saved(import_.work / "progress-arrive.json", Progress)
    plain = saved(import_.work / "unpack.json", PlainFile)
    claim, feed = import_.claim, import_.feed
    if (
        claim.dry_run
        or claim.repairs is not None
        or claim.member is not None
        or not _is_row_by_row(feed)
        or arrived is None
        or arrived.problem is not None
        or plain is None
        or plain.size_bytes > _MOST_BYTES_OF_ONE
    ):
        return None
    return _begin_of(plain.path, plain.path.stat().st_mtime_ns)


@lru_cache(maxsize=2_000)  # each stage asks for it
def _begin_of(path: Path, _: int) -> bytes | None:
    """Return the first line of a file, as it was modified last, unless it is odd."""
    content = path.read_bytes()
    begin, _line_end, data = content.partition(b"\n")
    return begin if begin.strip() and data and not _is_odd(content) else None


def _is_row_by_row(feed: Feed) -> bool:
    """Return whether nothing the feed does to a row looks at others of its file."""
    own = bool(feed.transforms) or has_own_rules(feed.contract)
    return not feed.file_checks and (feed.row_by_row or not own)


def _is_odd(content: bytes) -> bool:
    """Return whether a file may be taken for another dialect than its neighbours, or has blanks."""
    return (
        b"\0" in content
        or b"\n\n" in content
        or b"\n\r\n" in content
        or content.count(b"\r") != content.count(b"\r\n")
        or (b"\\" in content and _ESCAPE.search(content) is not None)
        or (b'"' in content and _INSIDE_A_CELL.search(content) is not None)
        or (b"'" in content and _IN_SINGLE_QUOTES.search(content) is not None)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """What is known of one file of a bundle."""

    part: Part
    evidence: tuple[Evidence, ...]
    ways: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What `read` gave, and the files that go on together."""

    text: TextFile
    members: tuple[_Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Typed:
    """What `transform` gave, and the files that go on together.

    `drifts` are how the header differs for the first of all files, and for the others, which follow
    one of the same header.
    """

    typed: TypedFile
    members: tuple[_Member, ...]
    drifts: tuple[HeaderDrift, HeaderDrift]


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


class Bundle:
    """Files of one account and feed that begin alike, on their way together."""

    def __init__(self, pipeline: Pipeline, imports: Sequence[Import]) -> None:
        self._pipeline = pipeline
        self._imports = {import_.claim.import_id: import_ for import_ in imports}
        self._first = imports[0]
        self.feed, self.account = self._first.feed, self._first.account
        members = ",".join(map(str, self._imports))
        name = hashlib.blake2b(members.encode(), digest_size=8).hexdigest()
        self.work = self._first.work / f"bundle-{name}"

    def advance(self, stage: Stage) -> dict[int, Progress]:
        """Do one stage and return, by import, what it did for those that are still together."""
        if stage is not Stage.REPORT and not self._keep_claims():
            return {}
        self.work.mkdir(exist_ok=True)
        began = time.monotonic()
        members = self._finished() if stage is Stage.REPORT else self._members(stage)
        self._once(f"spent-{stage}", _Spent, lambda: _Spent(time.monotonic() - began))
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

    def _keep_claims(self) -> bool:
        """Let the keeper renew the claims, whichever process took them; False if one is lost."""
        keeper = self._pipeline.keeper
        claims = [import_.claim for import_ in self._imports.values()]
        if all(keeper.holds(claim) for claim in claims):
            return True
        keys = {(claim.arrival_id, claim.attempt) for claim in claims}
        with self._pipeline.database.begin() as connection:
            lost = ledger.renew_all(connection, keys, self._pipeline.settings.lease_seconds)
        if not lost:
            keeper.hold(claims)
        return not lost

    def _once(self, name: str, kind: type[T], do: Callable[[], T]) -> T:
        path = self.work / f"{name}.json"
        if (found := saved(path, kind)) is not None:
            return found
        done = do()
        save(path, done)
        return done

    def _read(self) -> _Read:
        return self._once("read", _Read, self._read_all)

    def _read_all(self) -> _Read:
        """Read the files as one text; those that make it less than plain are taken out of it."""
        together = list(self._imports)
        while True:
            found = self._read_as_one(together)
            if len(found.members) in {0, len(together)}:
                return found
            together = [member.part.import_id for member in found.members]

    def _read_as_one(self, import_ids: Sequence[int]) -> _Read:
        """Read the files under the header that all of them have."""
        joined = self.work / "source.csv"
        evidence: dict[int, Evidence] = {}
        starts: dict[int, tuple[int, int, int]] = {}
        lines = 1
        with joined.open("wb") as out:
            for import_id in import_ids:
                path = self._plain(import_id).path
                hints = self._first.hints(self.account.encoding)
                text, evidence[import_id] = as_utf8(path, self.work / "utf-8", hints)
                begin, line_end, data = path.read_bytes().partition(b"\n")
                if out.tell() == 0:
                    out.write(begin + line_end)
                if not data.endswith(b"\n"):
                    data += b"\r\n" if begin.endswith(b"\r") else b"\n"
                if text.path == path:  # it is UTF-8 as it stands
                    starts[import_id] = out.tell(), out.tell() + len(data), lines
                    out.write(data)
                    lines += data.count(b"\n")
        text_file = read(joined, self.work, self._first.hints(None))
        return _Read(text=text_file, members=tuple(self._parts(text_file, starts, evidence)))

    def _parts(
        self,
        text: TextFile,
        starts: Mapping[int, tuple[int, int, int]],
        evidence: Mapping[int, Evidence],
    ) -> Iterator[_Member]:
        """Give the files whose records are all well-formed, and none but theirs."""
        plain = text.header_line == 1 and not (text.blank or text.furniture_count or text.repaired)
        if not plain or is_rejects_file(text.header):
            return
        rows = scan(text.rows).select("row_number", "offset", "length").collect()
        offsets, malformed = rows["offset"], scan(text.rejects).select("offset").collect()["offset"]
        edges = pl.Series([start for start, _, _ in starts.values()] + [2**62], dtype=pl.Int64)
        firsts = offsets.search_sorted(edges).to_list()
        spoilt = set(edges.search_sorted(malformed, side="right").to_list())
        for place, (import_id, (start, end, lines)) in enumerate(starts.items()):
            mine = rows[firsts[place] : firsts[place + 1]]
            if mine.is_empty() or place + 1 in spoilt:
                continue
            number = int(mine["row_number"][0])
            whole = mine["offset"][0] == start and mine["offset"][-1] + mine["length"][-1] < end
            if whole and mine["row_number"][-1] == number + mine.height - 1:
                part = Part(
                    import_id=import_id,
                    first=number,
                    rows=mine.height,
                    rows_up=number - 2,
                    lines_up=lines - 1,
                )
                found = (evidence[import_id], *text.evidence[1:])
                yield _Member(part=part, evidence=found, ways={})

    def _typed(self) -> _Typed:
        return self._once("transform", _Typed, self._type_all)

    def _type_all(self) -> _Typed:
        """Type the rows of the files whose own values settle the same way to read them."""
        found = self._read()
        text, first = found.text, self._first
        first.refuse_other_feeds_header(text.header)
        names = [self._name(member) for member in found.members]
        parts = [member.part for member in found.members]
        settled = settle_parts(text, self.feed, self.account, parts, names)
        ways: dict[str, str | None] = {}
        members = []
        for member, own in zip(found.members, settled, strict=True):
            if own is None or any(
                ways.get(name, way) != way for name, way in own[0].items() if way
            ):
                continue
            ways |= {name: way for name, way in own[0].items() if way}
            members.append(replace(member, ways=own[0], evidence=(*member.evidence, *own[1])))
        typed = transform(
            text, self.work, self.feed, self.account, name=first.claim.name, settled=ways
        )
        drifts = first.drift_of(text.header), drift(text.header, self.feed, text.header)
        return _Typed(typed=typed, members=tuple(members), drifts=drifts)

    def _valid(self) -> _Valid:
        return self._once("validate", _Valid, self._validate_all)

    def _validate_all(self) -> _Valid:
        """Check all rows; a file with a bad one, or with a key of another row, is left out."""
        typed = self._typed()
        valid = validate(typed.typed, self.work, self.feed)
        spoilt = set(parts_of(rows_not_plain(valid), [m.part for m in typed.members]))
        plain = (member for place, member in enumerate(typed.members) if place not in spoilt)
        return _Valid(valid=valid, members=tuple(plain))

    def _load(self) -> _Loaded:
        return self._once("load", _Loaded, self._load_all)

    def _load_all(self) -> _Loaded:
        """Store the rows of all files with their ledger entries, in one transaction."""
        claim, valid = self._first.claim, self._valid()
        going = [m for m in valid.members if self._imports[m.part.import_id].ending is None]
        claims = [self._imports[member.part.import_id].claim for member in going]
        prints = [self._plain(member.part.import_id).fingerprint for member in going]
        with self._pipeline.database.begin() as connection:
            ledger.lock_lane(connection, claim)
            ledger.check_together(connection, claims)
            known = ledger.known_content(connection, claim, prints)
            triples = zip(claims, prints, going, strict=True)
            new = [triple for triple in triples if triple[1] not in known]
            members = tuple(member for _, _, member in new)
            if len(members) < 2:
                return _Loaded(members=(), reports=())
            rows = self._own_rows(valid.valid, [member.part for member in members])
            columns, parts = self._typed().typed.columns, [member.part for member in members]
            counts = load_together(connection, self.feed, claim, self.work, columns, rows, parts)
            if counts is None:
                raise _ApartError
            reports = tuple(map(self._report, members, counts))
            settled = [
                (its, report, fingerprint)
                for (its, fingerprint, _), report in zip(new, reports, strict=True)
            ]
            ledger.settle_together(connection, settled)
        for report in reports:
            import_ = self._imports[report.import_id]
            self._pipeline.keeper.let_go(import_.claim)
            save(import_.work / "report.json", report)
        return _Loaded(members=members, reports=reports)

    def _own_rows(self, valid: ValidFile, parts: Sequence[Part]) -> ValidFile:
        """Write the valid rows of these files, with the import and the row number of each."""
        writer = BatchWriter(self.work / "own")
        import_ids = pl.Series(OWN[0], [part.import_id for part in parts])
        ups = pl.Series([part.rows_up for part in parts])
        for number, batch in enumerate(batches(valid.rows)):
            place = parts_of(batch["row_number"], parts)
            numbers = (batch["row_number"] - ups.gather(place)).alias(OWN[1])
            mine = batch.with_columns(import_ids.gather(place), numbers)
            writer.write(mine.filter(place.is_not_null()), number)
        return replace(valid, rows=writer.directory, valid=writer.rows, superseded=0, rejected=0)

    def _report(self, member: _Member, counts: Counts) -> ImportReport:
        claim = self._imports[member.part.import_id].claim
        text, typed = self._read().text, self._typed()
        own = member.evidence[: len(text.evidence)], member.evidence[len(text.evidence) :]
        return ImportReport(
            import_id=claim.import_id,
            arrival_id=claim.arrival_id,
            account=claim.account,
            feed=claim.feed,
            name=claim.name,
            outcome=Outcome.IMPORTED,
            counts=counts,
            header=text.header,
            delimiter=text.delimiter,
            quote=text.quote,
            escape=text.escape,
            layout=typed.typed.layout,
            ways=member.ways,
            evidence=(*own[0], typed.typed.evidence[0], *own[1]),
            drift=typed.drifts[claim != self._first.claim],
            stage_seconds=self._seconds(),
        )

    def _finished(self) -> tuple[_Member, ...]:
        """Write the result files of what was stored together, and put the files away."""
        loaded = saved(self.work / "load.json", _Loaded)
        if loaded is None or not loaded.reports:
            return ()
        seconds = self._seconds()
        with self._pipeline.database.begin() as connection:
            import_ids = [report.import_id for report in loaded.reports]
            ledger.store_seconds(connection, import_ids, seconds)
        for report in loaded.reports:
            import_ = self._imports[report.import_id]
            save(import_.work / "report.json", replace(report, stage_seconds=seconds))
            log_finished(report)
        settings = self._pipeline.settings
        try:
            if settings.result_files:
                self._leave_results(loaded)
        except OSError as error:
            log.warning("no result files", because=str(error))
        arrival_ids = [report.arrival_id for report in loaded.reports]
        archive.place_together(self._pipeline.database, settings, arrival_ids)
        return loaded.members

    def _leave_results(self, loaded: _Loaded) -> None:
        settings, claim = self._pipeline.settings, self._first.claim
        decided = Decided(
            text=self._read().text,
            typed=self._typed().typed,
            valid=self._valid().valid,
            outcomes=self.work / "outcomes",
            late=self.work / "late",
            key=self.feed.key,
            protected=frozenset(column.name for column in self.feed.columns if column.protected),
        )
        parts = [member.part for member in loaded.members]
        paths = [settings.results_file(claim.account, claim.feed, part.import_id) for part in parts]
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        write_parts(decided, parts, paths)

    def _plain(self, import_id: int) -> PlainFile:
        plain = saved(self._imports[import_id].work / "unpack.json", PlainFile)
        assert plain is not None  # noqa: S101  # a file without it is in no bundle
        return plain

    def _name(self, member: _Member) -> str:
        return self._imports[member.part.import_id].claim.name

    def _seconds(self) -> dict[str, float]:
        """Return how long each stage took, a file."""
        spent = {stage: saved(self.work / f"spent-{stage}.json", _Spent) for stage in Stage}
        return {
            stage.value: round(found.seconds / len(self._imports), 4)
            for stage, found in spent.items()
            if found
        }


class _ApartError(Exception):
    """The table refuses a row of one of the files, so that none is stored with the others."""
