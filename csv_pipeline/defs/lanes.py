"""Turn lanes, each an account and a feed with files waiting, into requests for runs."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import islice

import dagster as dg
import structlog

from csv_pipeline.defs.batch import batches
from csv_pipeline.engine.import_requests import ImportRequest, lane_name
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import arrivals
from csv_pipeline.storage.arrivals import Backlog

log = structlog.get_logger()


def by_turns(lanes: Iterable[Backlog]) -> list[Backlog]:
    """Return each account's first lane, then each one's second, so that none is behind another."""
    seen: Counter[str] = Counter()

    def turn(lane: Backlog) -> int:
        seen[lane.account] += 1
        return seen[lane.account]

    return sorted(lanes, key=turn)


def request_runs(
    pipeline: Pipeline, busy: Collection[str] = (), *, night: bool = False
) -> list[dg.RunRequest]:
    """Return requests for what waits in lanes that are not `busy`, and note them in the ledger.

    One for the first files of each lane; by `night` for all of them, and for those that failed.
    Files of feeds that are held back wait; the log says why.
    """
    settings = pipeline.settings
    with pipeline.database.begin() as connection:
        waiting = arrivals.backlog(
            connection, with_failed=night, max_failures=settings.max_failures
        )
    held = pipeline.held_back({lane.feed for lane in waiting} & pipeline.feeds.keys())
    for name, why in held.items():
        log.error("files wait", feed=name, because=why)
    with pipeline.database.begin() as connection:
        lanes = [
            lane
            for lane in by_turns(waiting)
            if lane.feed in pipeline.feeds.keys() - held
            and lane_name(lane.account, lane.feed) not in busy
        ]
        each = None if night else 1
        due = [
            (lane, arrival_ids)
            for lane in lanes[: None if night else settings.runs_per_tick]
            for arrival_ids in islice(batches(lane, settings), each)
        ]
        arrivals.note_request(connection, [one for _, some in due for one in some])
    return [_request(pipeline, lane, arrival_ids) for lane, arrival_ids in due]


def _request(pipeline: Pipeline, lane: Backlog, arrival_ids: Sequence[int]) -> dg.RunRequest:
    """Return the request to import these arrivals; the key differs at every attempt."""
    asked = ImportRequest(
        account=lane.account, feed=pipeline.feed(lane.feed), arrival_ids=arrival_ids
    )
    ids = ",".join(map(str, arrival_ids))
    digest = hashlib.sha256(ids.encode()).hexdigest()[:16]
    return dg.RunRequest(
        run_key=f"{lane_name(lane.account, lane.feed)}/{digest}/{lane.requests}",
        partition_key=asked.partition,
        asset_selection=[dg.AssetKey(name) for name in asked.assets],
        run_config=asked.run_config,
        tags=asked.tags,
    )
