"""Moments as people give them: how long ago, as `2d`, or a date, or a time."""

import re
from datetime import UTC, datetime, timedelta

_AGO = re.compile(r"(\d{1,6})\s*([mhdw])")
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_of(text: str) -> datetime:
    """Return the moment that is so long ago, or that is given; UTC if it has no zone.

    Raises:
        ValueError: It is none of these.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"2d, 6h, 30m, or a date was needed; found {text!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def end_of(text: str) -> datetime:
    """Return the moment at which what is meant is over: of a date, that is the next midnight.

    Raises:
        ValueError: It is none.
    """
    moment = moment_of(text)
    return moment + timedelta(days=1) if _DATE.fullmatch(text) else moment
