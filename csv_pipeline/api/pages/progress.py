"""How far a file is, in words."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from csv_pipeline.engine.workspace import Stage
from csv_pipeline.storage.browse import ImportState

BUSY = {
    *(ImportState.UPLOADING, ImportState.ARRIVED, ImportState.CHECKING),
    *(ImportState.QUEUED, ImportState.RUNNING),
}
_BEFORE_A_RUN = {ImportState.ARRIVED, ImportState.CHECKING, ImportState.QUEUED}
_STAGES = {
    Stage.ARRIVE: "Fetching",
    Stage.READ: "Reading",
    Stage.TRANSFORM: "Converting values",
    Stage.VALIDATE: "Checking rules",
    Stage.LOAD: "Storing",
    Stage.REPORT: "Reporting",
}
_OF_CHECK = {Stage.LOAD: "Comparing with what is stored"}
_WAITS = timedelta(minutes=1)
_NOT_BEGUN = (
    "No run has begun to work on it. Where no other file goes on either, Dagster does not run: "
    "csv-pipeline doctor says what is missing."
)
_SAID = {
    ImportState.UPLOADING: "It is being sent.",
    ImportState.ARRIVED: "It lies in the landing area and waits for its run.",
    ImportState.CHECKING: "Nothing is stored by a check.",
    ImportState.QUEUED: "Its run was asked for.",
    ImportState.RUNNING: "It is stored at once and whole, or not at all.",
}


def live(state: ImportState, told: Mapping[str, Any] | None, since: datetime) -> dict[str, Any]:
    """Return steps and progress for a file that is worked on, or that waits `since` then."""
    known = [stage for stage in _STAGES if stage == (told or {}).get("step")]
    at = list(_STAGES).index(known[0]) if known else -1
    words = _STAGES | _OF_CHECK if state is ImportState.CHECKING else _STAGES
    word = words[known[0]] if known else str(state).capitalize()
    waits = state in _BEFORE_A_RUN and not known and datetime.now(UTC) - since > _WAITS
    return {
        "state": state.value,
        "steps": [
            {"word": name, "done": place < at, "now": place == at}
            for place, name in enumerate(words.values())
        ],
        "progress": {
            "stage": known[0].value if known else "",
            "word": word,
            "rows": (told or {}).get("processed_rows") or 0,
            "total": (told or {}).get("total_rows") or 0,
            "left": _left((told or {}).get("seconds_left")),
            "said": _NOT_BEGUN if waits else _SAID.get(state, ""),
        },
    }


def being_undone() -> dict[str, Any]:
    """Return the same for an import that is being taken back, which has no steps."""
    told = {"stage": "", "word": "Taking it back", "rows": 0, "total": 0, "left": ""}
    said = "All of it is taken back at once, or nothing. It shows the outcome by itself."
    return {"state": "running", "steps": [], "progress": told | {"said": said}}


def _left(seconds: float | None) -> str:
    """Return how long a step is likely to go on, as people say it.

    >>> _left(4.2), _left(130), _left(None)
    ('about 5 s left', 'about 3 min left', '')
    """
    if seconds is None:
        return ""
    whole = math.ceil(seconds)
    return f"about {whole} s left" if whole < 90 else f"about {math.ceil(whole / 60)} min left"
