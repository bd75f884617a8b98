"""What the ops of a run hand to one another: which files are theirs, as plain JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from csv_pipeline.model import Claim


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


def batch_from(facts: dict[str, Any]) -> Batch:
    """Return the batch that `to_json` gave."""
    return _BATCH.validate_python(facts)


_BATCH = TypeAdapter(Batch)
