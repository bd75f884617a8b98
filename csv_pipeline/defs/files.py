"""Find the arrivals that a run's config names."""

from collections.abc import Sequence

from csv_pipeline.errors import SetupError
from csv_pipeline.pipeline import Pipeline
from csv_pipeline.storage import ledger


def arrival_ids(
    pipeline: Pipeline, account: str, feed: str, files: Sequence[str]
) -> list[int] | None:
    """Return the arrivals that `files` name, or None, which means all that wait, if it is empty.

    Each is an arrival's id, a file's name or its location. If one is not known, the landing area is
    looked at, so that a file counts from the moment it lies there.

    Raises:
        SetupError: One of `files` names nothing that arrived for this account and feed.
    """
    if not files:
        pipeline.look(seconds=pipeline.settings.tick_seconds, start_at=account)
        return None
    found = _named(pipeline, account, feed, files)
    if any(not ids for ids in found.values()):
        pipeline.look(seconds=pipeline.settings.tick_seconds, start_at=account)
        found = _named(pipeline, account, feed, files)
    if unknown := [file for file, ids in found.items() if not ids]:
        raise SetupError(
            f"config 'files': names, locations or arrival ids of files that arrived for "
            f"{account}/{feed} were needed; nothing is known of {', '.join(map(repr, unknown))}"
        )
    return sorted({arrival_id for ids in found.values() for arrival_id in ids})


def _named(
    pipeline: Pipeline, account: str, feed: str, files: Sequence[str]
) -> dict[str, list[int]]:
    """Return the arrivals that each of `files` names."""
    with pipeline.database.begin() as connection:
        arrivals = ledger.arrivals(connection, account=account, named=files)
    ids: dict[str, list[int]] = {file: [] for file in files}
    for arrival in arrivals:
        if arrival.feed == feed:
            names = {
                str(arrival.arrival_id),
                arrival.name,
                arrival.location,
                arrival.moved_to,
            }
            for known_as in names & ids.keys():
                ids[known_as].append(arrival.arrival_id)
    return ids
