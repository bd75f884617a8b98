"""Examples of answers that no model of their own describes, for the API's description of itself."""

from collections.abc import Mapping
from typing import Any


def example(value: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return what a route says of its answer in JSON, so that its description has an example."""
    content: Mapping[str, Any] = {"application/json": {"example": value}}
    return {status: {"content": content}}
