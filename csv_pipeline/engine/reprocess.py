"""Import stored files once more, where they arrived, by what feeds and accounts declare now.

Each is an ordinary import that keeps the position of its file among others: rows of later files
stay, and rows that would be as they are, are unchanged.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import groupby

from csv_pipeline.account import account_slug
from csv_pipeline.engine.events import OnEvent, nobody
from csv_pipeline.engine.import_requests import batches
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.run import run
from csv_pipeline.errors import FileRefusedError, LostClaimError, SetupError, UnknownAccountError
from csv_pipeline.model import Claim, FoundFile, ImportReport
from csv_pipeline.stages.fetch import refuse_changed
from csv_pipeline.storage import accounts
from csv_pipeline.storage.arrivals import Backlog
from csv_pipeline.storage.stored_files import StoredFile, Which, stored_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A file to be imported once more: why, and what keeps it from that, if anything does."""

    file: StoredFile
    why: str
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The files to be imported once more, and names among those given that nothing has."""

    files: tuple[Chosen, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reprocessed:
    """What became of the files of one account and feed that were taken together, and of others."""

    account: str
    feed: str
    reports: tuple[ImportReport, ...] = ()
    faults: tuple[str, ...] = ()


def choose(pipeline: Pipeline, which: Which, *, changed: bool = False) -> Choice:
    """Return which stored files are to be imported once more; with `changed` those affected.

    A file is affected if its feed declares something else than when its rows were stored, or its
    account does, or if nothing is known of that. A name that is wrong is told; the others count.
    """
    with pipeline.database.begin() as connection:
        known = accounts.names(connection)
        wrong = [name for name in which.accounts if account_slug(name) not in known]
        unknown = [str(UnknownAccountError(name, known)) for name in wrong]
        for name in which.feeds:
            try:
                pipeline.feed(name)
            except SetupError as error:
                unknown.append(str(error))
        found = stored_files(connection, which)
    version = cache(lambda account, feed: pipeline.declared_of(account, feed).version)
    files = []
    for file in found:
        declared = version(file.account, file.feed) if file.feed in pipeline.feeds else 0
        why = _why(pipeline, file, declared)
        if why or not changed:
            files.append(Chosen(file=file, why=why, fault=_fault(pipeline, file)))
    return Choice(files=tuple(files), unknown=tuple(unknown))


def reprocess(
    pipeline: Pipeline,
    chosen: Iterable[Chosen],
    on_event: OnEvent = nobody,
    run_id: str | None = None,
) -> Iterator[Reprocessed]:
    """Import files once more, account by account and feed by feed, in the order they arrived.

    Raises:
        UnavailableError: Database or object store do not answer.
    """
    for (account, feed), of_lane in groupby(chosen, lambda one: (one.file.account, one.file.feed)):
        files = list(of_lane)
        faults = tuple(one.fault for one in files if one.fault is not None)
        if faults:
            yield Reprocessed(account=account, feed=feed, faults=faults)
        lane = Backlog(
            account=account,
            feed=feed,
            arrival_ids=[one.file.arrival_id for one in files if one.fault is None],
            sizes=[one.file.size_bytes for one in files if one.fault is None],
            requests=0,
        )
        names = {one.file.arrival_id: one.file.name for one in files}
        for arrival_ids in batches(lane, pipeline.settings):
            try:
                done = _import(pipeline, lane, arrival_ids, on_event, run_id)
            except (SetupError, LostClaimError) as error:
                yield Reprocessed(account=account, feed=feed, faults=(str(error),))
                break
            taken = {report.arrival_id for report in done}
            yield Reprocessed(
                account=account,
                feed=feed,
                reports=tuple(done),
                faults=tuple(
                    f"{names[one]}: a file that nobody works on was needed; another worker has it, "
                    "or it waits to be imported"
                    for one in arrival_ids
                    if one not in taken
                ),
            )


def _import(
    pipeline: Pipeline,
    lane: Backlog,
    arrival_ids: Sequence[int],
    on_event: OnEvent,
    run_id: str | None,
) -> list[ImportReport]:
    claims = pipeline.claim(
        lane.account, lane.feed, arrival_ids=arrival_ids, in_place=True, run_id=run_id
    )
    return run(pipeline, claims, on_event) if claims else []


def _why(pipeline: Pipeline, file: StoredFile, settings_version: int) -> str:
    """Return what has changed since rows of a file were stored; "" if nothing has."""
    feed = pipeline.feeds.get(file.feed)
    if feed is None:
        return ""
    if file.feed_version is None or file.settings_version is None:
        return "its feed's version is not known"
    if file.feed_version != feed.version:
        return "the feed has changed"
    return (
        "the account's settings have changed" if file.settings_version != settings_version else ""
    )


def _fault(pipeline: Pipeline, file: StoredFile) -> str | None:
    """Return why a file cannot be imported once more, if it cannot."""
    try:
        pipeline.feed(file.feed)
        if file.removed_at is not None:
            return (
                f"{file.name}: the file that arrived was needed; it was removed on "
                f"{file.removed_at:%Y-%m-%d}, as the settings say"
            )
        facts = {field.name: getattr(file, field.name) for field in fields(FoundFile)}
        refuse_changed(
            Claim(**facts, import_id=file.import_id, arrival_id=file.arrival_id, attempt=0)
        )
    except (SetupError, FileRefusedError) as error:
        return str(error)
    return None
