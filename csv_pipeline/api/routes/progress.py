"""How far imports are: asked for once, or told as it changes by server-sent events."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.api.callers import Caller, Reader
from csv_pipeline.api.examples import example, refusals
from csv_pipeline.api.live import Live, event_of, facts_of
from csv_pipeline.api.paging import Number
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.storage import browse, progress
from csv_pipeline.storage.browse import Entry, ImportState
from csv_pipeline.storage.progress import Step

router = APIRouter(tags=["progress"])
LastEvent = Annotated[str | None, Header(description="The last event that was received.")]

_EXAMPLE: dict[str, Any] = {
    "job_id": 17,
    "import_id": 17,
    "account": "acme",
    "feed": "customers",
    "name": "customers.csv",
    "total_rows": 10_000,
    "processed_rows": 4_000,
    "failed_rows": 8,
    "success_rate": 0.998,
    "status": "running",
    "step": "validate",
    "seconds_left": 1.5,
    "message": "validate: 4,000 rows",
}
_EVENTS = example(
    f"event: progress\ndata: {json.dumps(_EXAMPLE)}\n\n: still here\n\n", kind="text/event-stream"
)
_SIGN_OF_LIFE = format_sse_event(comment="still here")
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # so that no proxy holds them


class EventStream(StreamingResponse):
    """Server-sent events, as they are."""

    media_type = "text/event-stream"


class Progress(BaseModel):
    """How far an import is; the success rate is over the rows that were processed."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    job_id: int | None
    import_id: int | None
    account: str
    feed: str | None
    name: str
    total_rows: int | None = Field(description="Not known before the file was read.")
    processed_rows: int
    failed_rows: int
    success_rate: float | None
    status: ImportState
    step: str | None = Field(description="Arrive, read, transform, validate, load or report.")
    seconds_left: float | None = Field(description="Of this step, once its speed is known.")
    message: str


def live_of(request: Request) -> Live:
    """Return who looks for all that listen."""
    found: Live = request.app.state.live
    return found


LiveOf = Annotated[Live, Depends(live_of)]


@router.get("/imports/{number}/progress", responses=refusals("unknown_import"))
def one(number: Number, caller: Reader, service: ServiceOf) -> Progress:
    """Return how far an import is."""
    return Progress.model_validate(facts_of(*_now(service, caller, number)))


async def _seen(number: Number, caller: Reader, service: ServiceOf) -> dict[str, Any]:
    """Return how far an import is before a stream begins, so that a refusal is one."""
    entry, step = await anyio.to_thread.run_sync(_now, service, caller, number)
    return {"entry": entry, "facts": facts_of(entry, step)}


Seen = Annotated[dict[str, Any], Depends(_seen)]


@router.get(
    "/imports/{number}/events",
    response_class=EventStream,
    responses=_EVENTS | refusals("unknown_import"),
)
async def of_one(
    number: Number, seen: Seen, caller: Reader, service: ServiceOf, live: LiveOf
) -> EventStream:
    """Tell how far an import is whenever that changes, up to its final state.

    Each event holds all that is known, so that none is missed by who comes back.
    """

    async def told_of() -> AsyncIterator[bytes]:
        entry, told = seen["entry"], seen["facts"]
        yield event_of(entry, told)
        is_listening = False
        async for news in live.listen(caller.sees):
            if entry.state.is_final:
                return
            facts = told
            if not news and not is_listening:
                is_listening = True
                entry, step = await anyio.to_thread.run_sync(_now, service, caller, number)
                facts = facts_of(entry, step)
            for one in news:
                if not entry.state.is_final and _is_same(entry, one.entry):
                    entry, facts = one.entry, one.facts
            if facts != told:
                told = facts
                yield event_of(entry, told)
            elif not news:
                yield _SIGN_OF_LIFE
            if entry.state.is_final:
                return

    return EventStream(told_of(), headers=_HEADERS)


@router.get("/events", response_class=EventStream, responses=_EVENTS)
async def of_all(caller: Reader, live: LiveOf, last_event_id: LastEvent = None) -> EventStream:
    """Tell how far all imports of the account are, whenever that changes.

    After `Last-Event-ID` it goes on where the listener was; if that is not known any more, the
    first event is `reset`: read the list of imports again.
    """

    async def told_of() -> AsyncIterator[bytes]:
        if last_event_id is not None and not live.knows(last_event_id):
            yield format_sse_event(data_str="{}", event="reset")
        async for news in live.listen(caller.sees, last_event_id):
            yield b"".join(one.event for one in news) or _SIGN_OF_LIFE

    return EventStream(told_of(), headers=_HEADERS)


def _now(service: Service, caller: Caller, number: int) -> tuple[Entry, Step | None]:
    with service.reading(caller) as connection:
        entry = browse.find(connection, number)
        steps = progress.of_imports(connection, [entry.import_id or number])
    return entry, steps.get(entry.import_id or number)


def _is_same(known: Entry, one: Entry) -> bool:
    """Return whether an entry is what became of a file: an upload arrives, and is imported."""
    if one.undoes is not None:
        return False
    same_upload = known.upload_id is not None and known.upload_id == one.upload_id
    return same_upload or (known.arrival_id is not None and known.arrival_id == one.arrival_id)
