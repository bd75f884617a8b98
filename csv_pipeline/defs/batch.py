"""Which files are those of one run, and how its ops hand them to one another, as plain JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from csv_pipeline.model import Claim
from csv_pipeline.settings import Settings
from csv_pipeline.storage.arrivals import Backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The files of one run; `unrecorded` names those whose failure the database would not take."""

    account: str
    feed: str
    claims: tuple[Claim, ...]
    dry_run: bool = False
    unrecorded: tuple[str, ...] = ()

    def with_claims(self, claims: Iterable[Claim], unrecorded: Iterable[str]) -> "Batch":
        """Return the batch with these claims left in it."""
        return replace(self, claims=tuple(claims), unrecorded=tuple(unrecorded))

    def to_json(self) -> dict[str, Any]:
        """Return the batch in JSON's own types."""
        facts: dict[str, Any] = _BATCH.dump_python(self, mode="json")
        return facts


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


def batch_from(facts: dict[str, Any]) -> Batch:
    """Return the batch that `to_json` gave."""
    return _BATCH.validate_python(facts)


_BATCH = TypeAdapter(Batch)
