"""Find the arrivals that a run's config names."""

from collections.abc import Sequence

from csv_pipeline.errors import SetupError
from csv_pipeline.ingest import Pipeline
from csv_pipeline.storage import ledger


def arrival_ids(
    pipeline: Pipeline, account: str, feed: str, files: Sequence[str]
) -> list[int] | None:
    """Return the arrivals that `files` name, or None, which means all that wait, if it is empty.

    Each is an arrival's id, a file's name or its location. Unless all are ids, the landing area is
    looked at first, so that a file counts from the moment it lies there.

    Raises:
        SetupError: One of `files` names nothing that arrived for this account and feed.
    """
    if files and all(file.isdigit() for file in files):
        return [int(file) for file in files]
    pipeline.look(seconds=pipeline.settings.tick_seconds, start_at=account)
    return _named(pipeline, account, feed, files) if files else None


def _named(pipeline: Pipeline, account: str, feed: str, files: Sequence[str]) -> list[int]:
    with pipeline.database.begin() as connection:
        arrivals = [a for a in ledger.arrivals(connection, account=account) if a.feed == feed]
    ids: dict[str, list[int]] = {file: [] for file in files}
    for arrival in arrivals:
        for known_as in {str(arrival.arrival_id), arrival.name, arrival.location} & ids.keys():
            ids[known_as].append(arrival.arrival_id)
    if unknown := [file for file, found in ids.items() if not found]:
        raise SetupError(
            f"config 'files': names, locations or arrival ids of files that arrived for "
            f"{account}/{feed} were needed; nothing is known of {', '.join(map(repr, unknown))}"
        )
    return sorted({arrival_id for found in ids.values() for arrival_id in found})
