"""UUIDs: `018F3C2E-…`, in braces or after `urn:uuid:`, or without hyphens; in small letters."""

import polars as pl

HINT = "a UUID, such as 123e4567-e89b-12d3-a456-426614174000"
_PARTS = r"([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})"
_PLAIN = _PARTS.replace(")-(", ")(")
_WRITTEN = rf"^(?:urn:uuid:)?{_PARTS}$", rf"^\{{{_PARTS}\}}$", rf"^{_PLAIN}$"


def cast(values: pl.Series) -> pl.Series:
    """Return UUIDs in their one spelling; null where the text is none."""
    text = pl.col("text").str.to_lowercase()
    read = (
        pl.when(text.str.contains(form)).then(text.str.replace(form, "$1-$2-$3-$4-$5"))
        for form in _WRITTEN
    )
    return values.alias("text").to_frame().select(pl.coalesce(read)).to_series()
