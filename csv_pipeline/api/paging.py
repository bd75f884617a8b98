"""Pages: a cursor says where the next one begins, and only this module knows what is in it."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from csv_pipeline.api.problems import ProblemError

MOST = 200

Number = Annotated[
    int, Path(ge=0, lt=1 << 63, description="Its number, as of an import or upload.")
]
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many entries a page has at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=8_000, description="Where the page begins, as `next` of the page before says"),
]


def cursor(order: str, *last: Any) -> str:
    """Return what leads on from the last entry of a page that is sorted in an order."""
    told = [one.isoformat() if isinstance(one, datetime) else one for one in last]
    text = json.dumps([order, *told], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def after(text: str, order: str, *kinds: type[Any]) -> tuple[Any, ...]:
    """Return the facts of the entry that a page begins after.

    Raises:
        ProblemError: It is no cursor, or one of another order.
    """
    try:
        padded = text.encode() + b"=" * (-len(text) % 4)
        its, *last = json.loads(base64.urlsafe_b64decode(padded))
        found = tuple(_read(one, kind) for one, kind in zip(last, kinds, strict=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise _foreign() from error
    if its != order:
        raise _foreign()
    return found


def next_page(
    request: Request, response: Response, found: Sequence[Any], limit: int, at: str | None
) -> str | None:
    """Return the address of the next page, also as a `Link`, if this one is full."""
    if at is None or len(found) < limit:
        return None
    address = str(request.url.include_query_params(cursor=at).replace(scheme="", netloc=""))
    response.headers["Link"] = f'<{address}>; rel="next"'
    return address


def _foreign() -> ProblemError:
    return ProblemError("invalid_request", "cursor: that of a page in the same order was needed")


def _read(value: Any, kind: type[Any]) -> Any:
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError(value)
        return moment
    if kind is int and abs(value) >= 1 << 63:
        raise ValueError(value)
    if not isinstance(value, kind) or isinstance(value, bool) or "\0" in str(value):
        raise TypeError(value)
    return value
