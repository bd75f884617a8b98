"""Turn lanes, each an account and a feed with files waiting, into requests for runs."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

import dagster as dg
import structlog

from csv_pipeline.engine.import_requests import ImportRequest, batches, lane_name
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import arrivals
from csv_pipeline.storage.arrivals import Backlog
from csv_pipeline.storage.turns import turns_of

_PRIORITY = "dagster/priority"
_MOST_LANES = 1_000
"""An account has fewer feeds, so that a higher priority goes before any lane of a lower one."""
_UNASKED_SECONDS = 30.0
"""How long a run that was asked for has until it is one that Dagster knows."""

log = structlog.get_logger()


def by_turns(lanes: Iterable[Backlog]) -> list[Backlog]:
    """Return each account's first lane, then each one's second, so that none is behind another.

    Those of a higher priority go before all of that.
    """
    seen: Counter[tuple[int, str]] = Counter()

    def turn(lane: Backlog) -> tuple[int, int]:
        its = lane.priority, lane.account
        seen[its] += 1
        return -lane.priority, seen[its]

    return sorted(lanes, key=turn)


def waiting_lanes(pipeline: Pipeline, *, night: bool = False) -> list[Backlog]:
    """Return the lanes in which a file waits that no run was just asked for, by turns.

    By `night` those as well in which a file failed. Files of feeds that are held back wait; the log
    says why. So do files of accounts that declare another time for them.
    """
    with pipeline.database.begin() as connection:
        waiting = arrivals.backlog(
            connection,
            with_failed=night,
            max_failures=pipeline.settings.max_failures,
            unasked_seconds=None if night else _UNASKED_SECONDS,
        )
        turns = turns_of(connection, {lane.account for lane in waiting})
    waiting = [
        replace(lane, priority=turns.priority(lane.account, lane.feed))
        for lane in waiting
        if lane.since is None or not turns.is_held(lane.account, lane.feed, lane.since)
    ]
    held = pipeline.held_back({lane.feed for lane in waiting} & pipeline.feeds.keys())
    for name, why in held.items():
        log.error("files wait", feed=name, because=why)
    return [lane for lane in by_turns(waiting) if lane.feed in pipeline.feeds.keys() - held]


def request_runs(
    pipeline: Pipeline,
    lanes: Sequence[Backlog],
    busy: Iterable[str] = (),
    *,
    all_files: bool = False,
) -> list[dg.RunRequest]:
    """Return a request for the first files of each lane, or for `all_files`, and note them.

    An account's second lane, counting those that are `busy`, comes after the first lane of others,
    whoever was first in the queue.
    """
    settings, ahead = pipeline.settings, Counter(lane.split("/")[0] for lane in busy)
    due = [
        (lane, arrival_ids)
        for lane in lanes
        for arrival_ids in islice(batches(lane, settings), None if all_files else 1)
    ]
    with pipeline.database.begin() as connection:
        arrivals.note_request(connection, [one for _, some in due for one in some])
    requests = []
    for lane, arrival_ids in due:
        requests.append(_request(pipeline, lane, arrival_ids, ahead[lane.account]))
        ahead[lane.account] += 1
    return requests


def files_asked_for(requests: Sequence[dg.RunRequest]) -> int:
    """Return over how many files these runs go."""
    ops = (op for request in requests for op in request.run_config["ops"].values())
    return sum(len(op["config"]["arrival_ids"]) for op in ops)


def _request(
    pipeline: Pipeline, lane: Backlog, arrival_ids: Sequence[int], ahead: int
) -> dg.RunRequest:
    """Return the request to import these arrivals; the key differs at every attempt."""
    asked = ImportRequest(
        account=lane.account, feed=pipeline.feed(lane.feed), arrival_ids=arrival_ids
    )
    ids, priority = ",".join(map(str, arrival_ids)), lane.priority * _MOST_LANES - ahead
    digest = hashlib.sha256(ids.encode()).hexdigest()[:16]
    return dg.RunRequest(
        run_key=f"{lane_name(lane.account, lane.feed)}/{digest}/{lane.requests}",
        partition_key=asked.partition,
        asset_selection=[dg.AssetKey.from_user_string(name) for name in asked.assets],
        run_config=asked.run_config,
        tags=asked.tags | ({_PRIORITY: str(priority)} if priority else {}),
    )
