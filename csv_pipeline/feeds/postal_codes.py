"""Postal codes that lost the zeros in front, as a spreadsheet takes them: `2139` of `02139`."""

from dataclasses import dataclass

import polars as pl

from csv_pipeline.model import ReportWarning
from csv_pipeline.spec.feed import WholeFile

_FIVE_DIGITS = frozenset({
    "us", "usa", "united states", "united states of america", "vereinigte staaten", "états-unis",
    "de", "deutschland", "germany", "allemagne", "fr", "france", "frankreich",
    "it", "italy", "italia", "italien", "italie", "es", "spain", "españa", "spanien", "espagne",
})  # fmt: skip
"""Countries whose codes have five digits, and may begin with 0; Universal Postal Union, "Postal
addressing systems". Codes of four digits are right in many others."""

_SHARE = 0.9
_MOST_LINES = 20


@dataclass(frozen=True, slots=True)
class LostZeros:
    """Warns of codes of three or four digits where those of the row's country have five.

    Where a row names no country, nine in ten of such rows of the file have to have five. The codes
    are stored as they are: which digits are lost is not certain.
    """

    code: str
    country: str

    def __call__(self, file: WholeFile) -> ReportWarning | None:
        """Return the warning for a file that has such codes."""
        code, country = pl.col(self.code).str.extract(r"^([0-9]+)(?:-[0-9]{4})?$"), self.country
        named = pl.col(country).str.to_lowercase().is_in(sorted(_FIVE_DIGITS))
        rows = file.rows.filter(pl.col(self.code).is_not_null()).select(
            line="_line_number",
            short=code.str.len_bytes().is_between(3, 4).fill_null(value=False),
            whole=(code.str.len_bytes() == 5).fill_null(value=False),
            named=named,
        )
        alone = pl.col("named").is_null()
        most = pl.col("whole").filter(alone).mean().fill_null(0) >= _SHARE
        found = rows.filter(pl.col("short") & (pl.col("named") | (alone & most)))
        lines = found.select(pl.col("line").sort()).collect()["line"]
        if lines.is_empty():
            return None
        return ReportWarning(
            code="cells.zeros_lost",
            message=f"column {self.code}: {len(lines):,} postal codes have three or four digits "
            "where there should be five, as a spreadsheet leaves those that begin with 0; stored "
            "as they are: export the file again, and import that",
            count=len(lines),
            line_numbers=tuple(lines.head(_MOST_LINES)),
        )
