"""Turn a lane, which is an account and a feed with files waiting, into a request for a run."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from csv_pipeline.defs.feed import asset_keys
from csv_pipeline.settings import Settings
from csv_pipeline.storage.arrivals import Backlog

JOB = "import_files"
LANE = "csv_pipeline/lane"
"""The tag whose every value has one run at a time; `dagster.yaml` holds the limit."""


def lane_name(lane: Backlog) -> str:
    """Return the value of the lane's tag."""
    return f"{lane.account}/{lane.feed}"


def by_turns(lanes: Iterable[Backlog]) -> list[Backlog]:
    """Return each account's first lane, then each one's second, so that none is behind another."""
    seen: Counter[str] = Counter()

    def turn(lane: Backlog) -> int:
        seen[lane.account] += 1
        return seen[lane.account]

    return sorted(lanes, key=turn)


def first_files(lane: Backlog, settings: Settings) -> Sequence[int]:
    """Return the longest waiting arrivals that fit in one run; always at least one."""
    size, count = 0, 0
    for size_bytes in lane.sizes[: settings.files_per_run]:
        size += size_bytes
        if count and size > settings.bytes_per_run:
            break
        count += 1
    return lane.arrival_ids[:count]


def request_files(lane: Backlog, arrival_ids: Sequence[int]) -> dg.RunRequest:
    """Return the request to import these arrivals; the key differs at every attempt."""
    ids = ",".join(map(str, arrival_ids))
    digest = hashlib.sha256(ids.encode()).hexdigest()[:16]
    config = {"ops": {lane.feed: {"config": {"arrival_ids": list(arrival_ids)}}}}
    return _request(lane, f"{digest}/{lane.requests}", config)


def request_all(lane: Backlog, run_key: str) -> dg.RunRequest:
    """Return the request to import whatever waits in the lane or failed."""
    return _request(lane, run_key, {})


def _request(lane: Backlog, run_key: str, run_config: dict[str, Any]) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{lane_name(lane)}/{run_key}",
        partition_key=lane.account,
        asset_selection=asset_keys(lane.feed),
        run_config=run_config,
        tags={LANE: lane_name(lane)},
    )
