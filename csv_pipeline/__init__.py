"""CSV imports you can trust, account by account.

Nothing happens here, and every name comes from the module that defines it. Start reading at
`csv_pipeline.engine.run`, which drives imports. Only Dagster's `dg` looks for its component here.
"""

import os
from typing import Any

# Polars' allocator keeps what it freed for ten seconds unless told otherwise before it is loaded.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0")


def __dir__() -> list[str]:
    return [*globals(), "FeedsComponent"]


def __getattr__(name: str) -> Any:
    if name != "FeedsComponent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from csv_pipeline.defs.component import FeedsComponent  # noqa: PLC0415  # takes a second

    return FeedsComponent
