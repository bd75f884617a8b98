"""Times of day: after a date, or alone in a column of their own.

`17:02:34`, `9:05`, `12:30 PM`, `17:02:34.5`, and in other words for the same `9 PM`, `17h02`,
`17.02 Uhr`. Digits alone, such as `1702` or `17.02`, are for `casts.times` to judge.
"""

import polars as pl

from csv_pipeline.casts import zones

HINT = "a time of day, such as 17:02:34"
PARTS = ("hour", "minute", "second", "fraction", "half", "zone")
"""The groups of `CLOCK`, in order."""

CLOCK = (
    r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    rf"(?:\s*([ap])m)?(?:\s*({zones.PATTERN}))?"
)
"""A time of day in lower case."""

TIMED = r"[0-9][:hH][0-9][0-9]|[0-9]\s?[aApP]\.?\s?[mM]\b|[0-9]{8}[tT]?[0-9]{4}"
"""What only a text with a time of day holds."""

TOO_FINE = r"[0-9][.,][0-9]{6}0*[1-9]"
"""A fraction of a second of which PostgreSQL, which keeps six digits, would lose some."""

A_MINUTE = 60 * 1_000_000
"""In microseconds."""

ZONE = rf"(?i)(?:{TIMED})[^a-z+-]*(?:[ap]\.?\s?m\.?)?\s*({zones.PATTERN})"
ZONED = rf"{ZONE}\s*(?:$|[(\[])"
"""What a text with a time of day and perhaps a zone holds."""

REWRITTEN = (
    (r"\s*(?:\([^()]*\)|\[[^\[\]]*\])$", ""),  # (Central European Summer Time), [Europe/Berlin]
    (r"\s(?:um|at|à|a las|alle|ore|kl\.?|klo|o)\s", " "),
    (r"\b([ap])\.\s?m\b\.?", "${1}m"),
    (r"\b([0-9]{1,2})\s?h\s?([0-9]{2})\s?m(?:in)?\s?([0-9]{2})\s?s?\b", "$1:$2:$3"),
    (r"\b([0-9]{1,2})\s?h\s?([0-9]{2})(?:\s?m(?:in)?)?\b", "$1:$2"),
    (r"\b([0-9]{1,2})\s?h$", "$1:00"),
    (r"\b([0-9]{1,2})\.([0-9]{2})\.([0-9]{2})\s?(uhr|[ap]m)\b", "$1:$2:$3 $4"),
    (r"(^|[^.0-9])([0-9]{1,2})\.([0-9]{2})\s?(uhr|[ap]m)\b", "$1$2:$3 $4"),
    (r"(^|[^:.0-9])([0-9]{1,2})\s?(uhr|[ap]m)\b", "$1$2:00 $3"),
    (r"\s?uhr\b", ""),
)
"""How a clock that is written in another way is written as `CLOCK`, in this order."""


def micros() -> pl.Expr:
    """Return the microseconds since midnight that the columns `PARTS` say; null if no clock does.

    Of a fraction six digits are taken: see `TOO_FINE`. `00:30 AM`, `16:31 PM` are a 24-hour clock
    whose half of the day says nothing more.
    """
    hour, minute = (pl.col(name).cast(pl.Int64) for name in PARTS[:2])
    second = pl.col("second").cast(pl.Int64).fill_null(0)
    fraction = pl.col("fraction").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64).fill_null(0)
    half = pl.col("half")
    whole = (
        pl.when((half == "p") & (hour < 12))
        .then(hour + 12)
        .when((half == "a") & (hour == 12))
        .then(0)
        .when((half == "a") & (hour > 12))
        .then(None)
        .otherwise(hour)
    )
    sound = (whole <= 23) & (minute <= 59) & (second <= 59)
    return pl.when(sound).then(((whole * 60 + minute) * 60 + second) * 1_000_000 + fraction)
