"""One list of all files: those imported, those that wait, and those that are being sent.

Each entry has a number. That of an upload stays its address for good, and so does that of a file
that was canceled: once the file was imported, it leads to that import. A file that waits without
ever having been either has none yet.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

import sqlalchemy as sa

from csv_pipeline.errors import UnknownImportError
from csv_pipeline.model import ArrivalStatus, Counts, Outcome
from csv_pipeline.storage import tables
from csv_pipeline.storage.api_tables import upload
from csv_pipeline.storage.uploads import UploadState

_UNNUMBERED = 1 << 62
"""What waits without a number is placed above all numbers, because it will have a higher one."""


class ImportState(StrEnum):
    """Where a file is, from its first byte to its undo."""

    UPLOADING = "uploading"
    ARRIVED = "arrived"
    CHECKING = "checking"
    CHECKED = "checked"
    QUEUED = "queued"
    RUNNING = "running"
    IMPORTED = "imported"
    REFUSED = "refused"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    CANCELED = "canceled"
    UNDONE = "undone"

    @property
    def is_final(self) -> bool:
        """Whether nothing happens to the file by itself any more."""
        return self in _FINAL


_FINAL = {
    *(ImportState.IMPORTED, ImportState.REFUSED, ImportState.FAILED, ImportState.DUPLICATE),
    *(ImportState.CANCELED, ImportState.UNDONE),
}


class Sort(StrEnum):
    """By what the list can be sorted."""

    NUMBER = "number"
    TIME = "time"
    NAME = "name"
    READ = "read"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file in the list.

    `at` is when it was settled, or found, or when its upload began. `place` is unique: by it the
    list goes on where two entries are the same otherwise.
    """

    place: int
    number: int | None
    import_id: int | None
    upload_id: int | None
    arrival_id: int | None
    account: str
    feed: str | None
    name: str
    state: ImportState
    outcome: Outcome | None
    at: datetime
    counts: Counts
    run_id: str | None
    problem: str | None
    problem_code: str | None
    same_as: int | None
    repairs: int | None
    undoes: int | None
    undone_by: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries are wanted, in which order; `after` are sort value and place of the last."""

    account: str | None = None
    feed: str | None = None
    states: frozenset[ImportState] = frozenset()
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None
    name: str | None = None
    sort: Sort = Sort.NUMBER
    ascending: bool = False
    after: tuple[Any, int] | None = None
    limit: int = 50


_NOT_SETTLED = (ArrivalStatus.WAITING, ArrivalStatus.CLAIMED, ArrivalStatus.CANCELED)
_COUNTS = tuple(field.name for field in fields(Counts))
_NO_COUNTS: Mapping[str, Any] = {name: sa.literal(0, sa.BigInteger) for name in _COUNTS}
_SORTED_BY = {
    Sort.NUMBER: "place",
    Sort.TIME: "at",
    Sort.NAME: "name",
    Sort.READ: "read",
    Sort.REJECTED: "rejected",
}


def page(connection: sa.Connection, wanted: Wanted) -> list[Entry]:
    """Return one page of the list.

    Each of its three parts gives a page at most, along an index, before they are put together.
    """
    parts = [
        _page_of(make(), wanted).subquery(f"part_{number}").select()
        for number, make in enumerate((_settled, _pending, _sent))
    ]
    every = sa.union_all(*parts).subquery("every")
    query = sa.select(every).order_by(*_order(every.c, wanted)).limit(wanted.limit)
    return [_entry(row) for row in connection.execute(query)]


def find(connection: sa.Connection, number: int) -> Entry:
    """Return what a number leads to: an import, a file on its way, or an upload.

    Raises:
        UnknownImportError: It leads to nothing.
    """
    for query in _ways(number):
        row = connection.execute(query.limit(1)).one_or_none()
        if row is not None:
            return _entry(row)
    raise UnknownImportError(number)


def pending(connection: sa.Connection, account: str | None = None) -> list[Entry]:
    """Return the files that wait or are worked on, and uploads that are received or checked."""
    parts = _pending(), _sent()
    busy = (ImportState.UPLOADING, ImportState.CHECKING)
    found: list[Entry] = []
    for part in parts:
        its = part.columns
        query = part.query
        if account is not None:
            query = query.where(its["account"] == account)
        query = query.where(
            its["state"].in_(busy)
            if part is parts[1]
            else tables.arrival.c.status != ArrivalStatus.CANCELED
        )
        found += [_entry(row) for row in connection.execute(query)]
    return found


def canceled_of(connection: sa.Connection, numbers: Iterable[int]) -> list[Entry]:
    """Return those of these numbers that lead to what was canceled."""
    found = []
    for number in numbers:
        with suppress(UnknownImportError):
            found.append(find(connection, number))
    return [entry for entry in found if entry.state is ImportState.CANCELED]


def settled_above(connection: sa.Connection, number: int, limit: int) -> list[Entry]:
    """Return the imports whose number is higher, in their order, with the uploads they were."""
    part = _settled()
    place = part.columns["place"]
    query = part.query.where(place > number).order_by(place).limit(limit)
    found = [_entry(row) for row in connection.execute(query)]
    arrived = upload.c.arrival_id.in_([entry.arrival_id for entry in found])
    query_sent = sa.select(upload.c.arrival_id, upload.c.upload_id).where(arrived)
    sent = {row.arrival_id: row.upload_id for row in connection.execute(query_sent)}
    return [replace(entry, upload_id=sent.get(entry.arrival_id)) for entry in found]


def last_number(connection: sa.Connection) -> int:
    """Return the number of the newest import."""
    return connection.scalar(sa.select(sa.func.max(tables.import_.c.import_id))) or 0


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the list: what it selects, and the expression behind each name."""

    query: sa.Select[Any]
    columns: Mapping[str, sa.ColumnElement[Any]]


def _part(source: sa.FromClause, where: sa.ColumnElement[bool], **columns: Any) -> _Part:
    query = sa.select(*(its.label(name) for name, its in columns.items())).select_from(source)
    return _Part(query.where(where), columns)


@cache  # as the others: to make it takes longer than to ask by it, and it is always the same
def _settled() -> _Part:
    its = tables.import_.c
    stored = its.outcome.in_((Outcome.IMPORTED, Outcome.UNPACKED, Outcome.UNDO))
    state = sa.case(
        (its.undone_by_import_id.is_not(None), ImportState.UNDONE.value),
        (stored, ImportState.IMPORTED.value),
        else_=its.outcome,
    )
    return _part(
        tables.import_,
        sa.true(),
        place=its.import_id,
        number=its.import_id,
        import_id=its.import_id,
        upload_id=_null(sa.BigInteger),
        arrival_id=its.arrival_id,
        account=its.account,
        feed=its.feed,
        name=its.name,
        state=state,
        outcome=its.outcome,
        at=its.finished_at,
        **{name: its[name] for name in _COUNTS},
        run_id=its.run_id,
        problem=its.problem,
        problem_code=its.problem_code,
        same_as=its.same_as,
        repairs=its.repairs_import_id,
        undoes=its.undoes_import_id,
        undone_by=its.undone_by_import_id,
    )


@cache
def _pending() -> _Part:
    its, sent = tables.arrival.c, upload.c
    claimed = its.status == ArrivalStatus.CLAIMED
    canceled = its.status == ArrivalStatus.CANCELED
    asked = (its.requests > 0) | sent.run_id.is_not(None)
    state = sa.case(
        (claimed & its.status_before_dry_run.is_not(None), ImportState.CHECKING.value),
        (claimed, ImportState.RUNNING.value),
        (canceled, ImportState.CANCELED.value),
        (asked, ImportState.QUEUED.value),
        else_=ImportState.ARRIVED.value,
    )
    import_id = sa.case((claimed | canceled, its.import_id))
    number = sa.func.coalesce(sent.upload_id, its.kept_number, import_id)
    return _part(
        tables.arrival.outerjoin(upload, sent.arrival_id == its.arrival_id),
        its.status.in_(_NOT_SETTLED),
        place=sa.func.coalesce(number, its.arrival_id + _UNNUMBERED),
        number=number,
        import_id=import_id,
        upload_id=sent.upload_id,
        arrival_id=its.arrival_id,
        account=its.account,
        feed=its.feed,
        name=its.name,
        state=state,
        outcome=_null(sa.Text),
        at=its.seen_at,
        **_NO_COUNTS,
        run_id=sa.func.coalesce(its.run_id, sent.run_id),
        problem=its.problem,
        problem_code=_null(sa.Text),
        **_NO_RELATIVES,
    )


@cache
def _sent() -> _Part:
    its = upload.c
    asked = (its.state == UploadState.ARRIVED) & its.run_id.is_not(None)
    return _part(
        upload,
        its.arrival_id.is_(None),
        place=its.upload_id,
        number=its.upload_id,
        import_id=_null(sa.BigInteger),
        upload_id=its.upload_id,
        arrival_id=its.arrival_id,
        account=its.account,
        feed=its.feed,
        name=its.name,
        state=sa.case((asked, ImportState.QUEUED.value), else_=its.state),
        outcome=_null(sa.Text),
        at=its.created_at,
        **_NO_COUNTS,
        run_id=its.run_id,
        problem=its.problem,
        problem_code=its.problem_code,
        **_NO_RELATIVES,
    )


def _ways(number: int) -> Iterator[sa.Select[Any]]:
    """Give what a number may lead to, what is furthest first."""
    settled, waiting, sent = _settled(), _pending(), _sent()
    yield settled.query.where(tables.import_.c.import_id == number)
    its = sa.select(tables.arrival.c.import_id)
    of_upload = its.join(upload, upload.c.arrival_id == tables.arrival.c.arrival_id)
    yield waiting.query.where(upload.c.upload_id == number)
    of_upload = of_upload.where(upload.c.upload_id == number)
    yield settled.query.where(tables.import_.c.import_id == of_upload.scalar_subquery())
    kept = tables.arrival.c.kept_number == number
    yield waiting.query.where(kept)
    yield settled.query.where(tables.import_.c.import_id == its.where(kept).scalar_subquery())
    numbered = tables.arrival.c.status.in_((ArrivalStatus.CLAIMED, ArrivalStatus.CANCELED))
    yield waiting.query.where(numbered, tables.arrival.c.import_id == number)
    yield sent.query.where(upload.c.upload_id == number)


def _page_of(part: _Part, wanted: Wanted) -> sa.Select[Any]:
    its = part.columns
    conditions: Mapping[str, tuple[Any, Callable[[Any], sa.ColumnElement[bool]]]] = {
        "account": (wanted.account, lambda value: its["account"] == value),
        "feed": (wanted.feed, lambda value: its["feed"] == value),
        "states": (
            wanted.states,
            lambda states: its["state"].in_([state.value for state in states]),
        ),
        "outcome": (wanted.outcome, lambda value: its["outcome"] == value),
        "since": (wanted.since, lambda value: its["at"] >= value),
        "until": (wanted.until, lambda value: its["at"] < value),
        "name": (wanted.name, lambda text: its["name"].icontains(text, autoescape=True)),
        "after": (wanted.after, lambda last: _beyond(its, wanted, *last)),
    }
    held = [hold(value) for value, hold in conditions.values() if value]
    return part.query.where(*held).order_by(*_order(its, wanted)).limit(wanted.limit)


def _beyond(
    its: Mapping[str, sa.ColumnElement[Any]], wanted: Wanted, value: Any, place: int
) -> sa.ColumnElement[bool]:
    """Return whether an entry comes after the last one of the page before."""
    by = its[_SORTED_BY[wanted.sort]]
    mine: sa.ColumnElement[Any]
    if wanted.sort is Sort.NUMBER:
        return by > place if wanted.ascending else by < place
    mine, last = sa.tuple_(by, its["place"]), sa.tuple_(sa.literal(value), sa.literal(place))
    return mine > last if wanted.ascending else mine < last


def _order(its: Any, wanted: Wanted) -> tuple[sa.ColumnElement[Any], ...]:
    name = _SORTED_BY[wanted.sort]
    by = (its["place"],) if name == "place" else (its[name], its["place"])
    return tuple(one.asc() if wanted.ascending else one.desc() for one in by)


def sort_value(entry: Entry, sort: Sort) -> Any:
    """Return by what an entry is sorted."""
    if sort in {Sort.READ, Sort.REJECTED}:
        return getattr(entry.counts, sort)
    return getattr(entry, _SORTED_BY[sort])


def _null(kind: type[sa.types.TypeEngine[Any]]) -> sa.ColumnElement[Any]:
    return sa.cast(sa.null(), kind)


_NO_RELATIVES: Mapping[str, Any] = {
    name: _null(sa.BigInteger) for name in ("same_as", "repairs", "undoes", "undone_by")
}


def _entry(row: sa.Row[Any]) -> Entry:
    facts = row._asdict()
    counts = Counts(**{name: facts.pop(name) for name in _COUNTS})
    outcome = facts.pop("outcome")
    return Entry(
        **facts
        | {
            "counts": counts,
            "state": ImportState(facts["state"]),
            "outcome": None if outcome is None else Outcome(outcome),
        }
    )
