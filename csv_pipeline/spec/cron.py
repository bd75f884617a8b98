"""Cron expressions of five fields, in UTC: minute, hour, day, month, day of the week.

As in Vixie's cron, a day is meant by either of its fields if both are restricted; 0 and 7 are both
Sunday. There are no names, and no `@daily`.
"""

import re
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_FIELD = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/([1-9]\d?))?", re.ASCII)
_LONGEST = timedelta(days=8 * 366)  # the 29th of February may be that far away


def is_cron(text: str) -> bool:
    """Return whether it is such an expression."""
    parts = text.split()
    return len(parts) == len(_RANGES) and all(
        _values(part, *range_) for part, range_ in zip(parts, _RANGES, strict=True)
    )


@lru_cache(maxsize=1_000)
def last_moment(cron: str, until: datetime) -> datetime | None:
    """Return the last moment of an expression that is not after `until`, which is in UTC.

    None: it has none, as the 31st of February.
    """
    minute, hour, day, month, weekday = cron.split()
    minutes, hours = _values(minute, *_RANGES[0]), _values(hour, *_RANGES[1])
    times = [time(h, m, tzinfo=UTC) for h in sorted(hours) for m in sorted(minutes)]
    days, months = _values(day, *_RANGES[2]), _values(month, *_RANGES[3])
    weekdays = {one % 7 for one in _values(weekday, *_RANGES[4])}
    either = "*" not in {day[0], weekday[0]}
    for ago in range(_LONGEST.days):
        on = until.date() - timedelta(days=ago)
        by_day, by_weekday = on.day in days, on.isoweekday() % 7 in weekdays
        if on.month in months and (by_day or by_weekday if either else by_day and by_weekday):
            moments = [datetime.combine(on, at) for at in times]
            if found := [moment for moment in moments if moment <= until]:
                return found[-1]
    return None


def _values(text: str, least: int, most: int) -> set[int]:
    """Return what a field means; nothing if it is none."""
    values: set[int] = set()
    for part in text.split(","):
        found = _FIELD.fullmatch(part)
        if found is None:
            return set()
        first = int(found[1] or least)
        last = int(found[2] or (first if found[1] and not found[3] else most))
        if not least <= first <= last <= most:
            return set()
        values.update(range(first, last + 1, int(found[3] or 1)))
    return values
