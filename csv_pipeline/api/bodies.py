"""Take the body of a request as it comes: never all of it in memory, and never for ever."""

import asyncio
import time
from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from csv_pipeline.api.problems import ProblemError
from csv_pipeline.engine.receiving import Receiver

STALL_SECONDS = 30.0
_AT_ONCE = 1024**2
_AT_LEAST_EVERY_SECONDS = 2.0
_disk = anyio.CapacityLimiter(3)  # so that writing leaves threads and cores to other requests


async def chunks_of(request: Request) -> AsyncIterator[bytes]:
    """Give the body piece by piece.

    Raises:
        ProblemError: It breaks off, has another length than it says, or nothing comes for a while.
    """
    chunks, received = aiter(request.stream()), 0
    while True:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            said = f"a byte within {STALL_SECONDS:.0f} s was needed; {received:,} came before"
            raise ProblemError("upload_too_slow", said) from error
        except ClientDisconnect as error:
            raise _incomplete(request, received) from error
        if chunk is None:
            break
        received += len(chunk)
        yield chunk
    if (length := length_of(request)) is not None and length != received:
        raise _incomplete(request, received)


def length_of(request: Request) -> int | None:
    """Return how many bytes a request says that its body has."""
    said = request.headers.get("content-length", "")
    return int(said) if said.isdecimal() and said.isascii() else None


async def receive(chunks: AsyncIterator[bytes], into: Receiver, *, keep: bool = True) -> None:
    """Write what comes to the file of an upload; what came is written even if it breaks off.

    One piece is written while the next one comes, so that at most two are in memory.
    """
    waiting: list[bytes] = []
    size, since = 0, time.monotonic()
    writing: asyncio.Task[None] | None = None

    async def written() -> None:
        if writing is not None:
            await asyncio.wait({writing})  # it goes on even if this is broken off
            writing.result()

    async def write() -> None:
        nonlocal waiting, size, since, writing
        await written()
        data, waiting, size, since = waiting, [], 0, time.monotonic()
        in_thread = anyio.to_thread.run_sync(lambda: into.write(data, keep=keep), limiter=_disk)
        writing = asyncio.create_task(in_thread)

    try:
        async for chunk in chunks:
            waiting.append(chunk)
            size += len(chunk)
            if size >= _AT_ONCE or time.monotonic() - since > _AT_LEAST_EVERY_SECONDS:
                await write()
    finally:
        with anyio.CancelScope(shield=True):
            if waiting:
                await write()
            await written()


def _incomplete(request: Request, received: int) -> ProblemError:
    length = length_of(request)
    needed = "the end of the body" if length is None else f"{length:,} bytes"
    return ProblemError("incomplete_upload", f"{needed} was needed; {received:,} bytes came")
