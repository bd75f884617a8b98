"""What a run is asked for that imports files: the same, whoever asks Dagster for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage.arrivals import Backlog

JOB = "import_files"
"""The job that imports files of one account and feed."""
LANE = "csv_pipeline/lane"
"""The tag whose every value has one run at a time; `dagster.yaml` holds the limit."""
ACCOUNT = "csv_pipeline/account"
"""The tag that says whose files a run imports, which the list of runs shows beside it."""
FILES = "csv_pipeline/files"
"""The tag that names the first files of a run."""
OUTCOME = "csv_pipeline/outcome"
"""The tag that says what became of the files of a run."""
ACCOUNTS = "accounts"
"""The set of partitions: one an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """Import these arrivals of an account, in this order; `again`, though they were before."""

    account: str
    feed: Feed
    arrival_ids: Sequence[int]
    again: bool = False

    @property
    def partition(self) -> str:
        """The partition of the run, which must exist before it starts."""
        return self.account

    @property
    def assets(self) -> tuple[str, ...]:
        """What the run makes: the files' rows, and what follows from them."""
        return asset_names(self.feed)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the run."""
        return {LANE: lane_name(self.account, self.feed.name), ACCOUNT: self.account}

    @property
    def run_config(self) -> dict[str, Any]:
        """The configuration of the run."""
        chosen: dict[str, Any] = {"arrival_ids": list(self.arrival_ids)}
        if self.again:
            chosen["again"] = True
        return {"ops": {self.feed.name: {"config": chosen}}}


def batches(lane: Backlog, settings: Settings) -> Iterator[tuple[int, ...]]:
    """Give the arrivals of a lane in their order, as many at a time as fit in one run."""
    batch: list[int] = []
    size = 0
    for arrival_id, size_bytes in zip(lane.arrival_ids, lane.sizes, strict=True):
        full = len(batch) == settings.files_per_run or size + size_bytes > settings.bytes_per_run
        if batch and full:
            yield tuple(batch)
            batch, size = [], 0
        batch.append(arrival_id)
        size += size_bytes
    if batch:
        yield tuple(batch)


def lane_name(account: str, feed: str) -> str:
    """Return the value of a lane's tag."""
    return f"{account}/{feed}"


def asset_names(feed: Feed) -> tuple[str, ...]:
    """Return the names of a feed's table, of its rejects and of what is derived from it."""
    worklists = [f"{feed.name}_worklist"] if feed.worklist else []
    names = (feed.name, f"{feed.name}_rejects", *(table.name for table in feed.derived), *worklists)
    return tuple(asset_name(feed, name) for name in names)


def asset_name(feed: Feed, name: str) -> str:
    """Return the name of an asset of a feed, with `/` between its parts, as Dagster shows it."""
    return "/".join((*feed.catalog.key_prefix, name))
