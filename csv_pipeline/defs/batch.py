"""Which files are those of one run, and how its ops hand them to one another, as plain JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from csv_pipeline.engine.import_requests import batches
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.model import Claim, ImportReport, Outcome
from csv_pipeline.storage import arrivals, imports


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The files of one run.

    `waiting` names those whose store does not answer, and why; `unrecorded` those whose failure the
    database would not take. `settled` are imports and undos that are done, and are only shown.
    """

    account: str
    feed: str
    claims: tuple[Claim, ...]
    dry_run: bool = False
    waiting: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    settled: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the batch in JSON's own types."""
        facts: dict[str, Any] = _BATCH.dump_python(self, mode="json")
        return facts


def first_batch(pipeline: Pipeline, account: str, feed: str, run_id: str) -> Sequence[int]:
    """Return the arrivals that wait or failed, in their order, as many as fit in one run.

    The account's folder is looked at before, so that a file counts from the moment it lies there.
    """
    pipeline.scan(seconds=pipeline.settings.tick_seconds, account=account)
    with pipeline.database.begin() as connection:
        lanes = arrivals.backlog(
            connection,
            with_failed=True,
            max_failures=pipeline.settings.max_failures,
            for_run=(account, feed, run_id),
        )
    return next((batch for lane in lanes for batch in batches(lane, pipeline.settings)), ())


def arrivals_named(
    pipeline: Pipeline, account: str, feed: str, files: Sequence[str], arrival_ids: Sequence[int]
) -> Sequence[int]:
    """Return the arrivals that are named.

    `files` are names or locations. If one is not known, the account's folder is looked at.

    Raises:
        SetupError: One of them names nothing that arrived for this account and feed.
    """
    found = _named(pipeline, account, feed, files, arrival_ids)
    if any(not ids for ids in found.values()):
        pipeline.scan(seconds=pipeline.settings.tick_seconds, account=account)
        found = _named(pipeline, account, feed, files, arrival_ids)
    if unknown := [known_as for known_as, ids in found.items() if not ids]:
        number = any(isinstance(known_as, str) and known_as.isdigit() for known_as in unknown)
        hint = " as a file's name; the number of an arrival goes to 'arrival_ids'" if number else ""
        raise SetupError(
            f"config 'files' and 'arrival_ids': names, locations or ids of files that arrived for "
            f"{account}/{feed} were needed; nothing is known of {', '.join(map(repr, unknown))}"
            f"{hint}"
        )
    return sorted({arrival_id for ids in found.values() for arrival_id in ids})


def settled_reports(pipeline: Pipeline, batch: Batch) -> list[ImportReport]:
    """Return what became of the imports and undos that a run shows.

    Raises:
        UnknownImportError: The ledger has no such import.
        SetupError: One is of another account or feed, or they are of two kinds.
    """
    with pipeline.database.begin() as connection:
        found = [imports.report_of(connection, import_id) for import_id in batch.settled]
    for one in found:
        if (one.account, one.feed) != (batch.account, batch.feed):
            raise SetupError(
                f"config 'settled': imports of {batch.account}/{batch.feed} were needed; "
                f"{one.import_id} is of another account or feed"
            )
    if len(found) > 1 and any(one.outcome is Outcome.UNDO for one in found):
        raise SetupError("config 'settled': imports, or one undo, were needed; found both")
    return found


def _named(
    pipeline: Pipeline, account: str, feed: str, files: Sequence[str], arrival_ids: Sequence[int]
) -> dict[str | int, list[int]]:
    """Return the arrivals that each name, location and id names."""
    with pipeline.database.begin() as connection:
        rows = arrivals.find(connection, account=account, named=files, arrival_ids=arrival_ids)
    wanted: list[str | int] = [*files, *arrival_ids]
    ids: dict[str | int, list[int]] = {known_as: [] for known_as in wanted}
    for arrival in rows:
        if arrival.feed == feed:
            names: set[str | int] = {
                arrival.arrival_id,
                arrival.name,
                arrival.location,
                arrival.moved_to,
            }
            for known_as in names & ids.keys():
                ids[known_as].append(arrival.arrival_id)
    return ids


def batch_from(facts: dict[str, Any]) -> Batch:
    """Return the batch that `to_json` gave."""
    return _BATCH.validate_python(facts)


_BATCH = TypeAdapter(Batch)
