"""When what waits until a moment is due, though the database's clock may be set back meanwhile."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

_LONGEST = timedelta(minutes=15)
"""Nothing that asks here waits for longer, unless it says so."""


def is_due(moment: sa.ColumnElement[Any], longest: timedelta = _LONGEST) -> sa.ColumnElement[bool]:
    """Return whether a moment is past, or so far ahead that the clock was when it was set."""
    return (moment <= sa.func.now()) | (moment > sa.func.now() + longest)
