"""Write rows of cells as the bytes of a file."""

import csv
import io
from collections.abc import Sequence


def table(lines: Sequence[Sequence[str]], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    """Return the lines as a CSV file, quoted where a cell needs it."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows(lines)
    return out.getvalue().encode(encoding)
