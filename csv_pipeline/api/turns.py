"""Threads for uploads: one at a time, so that other requests find a thread and the interpreter.

Python runs one thread at a time. With 20 uploads that are entered at once, a request that only
reads would wait for all of them at each of its steps; in turns, uploads end as soon as before.
"""

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from csv_pipeline.api.service import Service

T = TypeVar("T")
Args = TypeVarTuple("Args")

_entering = anyio.CapacityLimiter(1)
_to_disk = anyio.CapacityLimiter(1)
_to_store = anyio.CapacityLimiter(8)  # which takes minutes for a large file, and no processor


async def entered(do: Callable[[*Args], T], *args: *Args) -> T:
    """Do in a thread what enters an upload into the database, and takes milliseconds."""
    return await anyio.to_thread.run_sync(do, *args, limiter=_entering)


async def gone_on(service: Service, do: Callable[[*Args], T], *args: *Args) -> T:
    """Do in a thread what brings an upload into the landing area, and has Dagster asked."""
    limiter = _to_store if service.pipeline.settings.landing_area.root else _to_disk
    return await anyio.to_thread.run_sync(do, *args, limiter=limiter)
