"""Every component of the pages in every state, to be looked at and tested."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.pages.page import answer
from csv_pipeline.api.pages.values import STATES, tone
from csv_pipeline.model import Counts, Difference, Evidence, LineCounts, NonDataLine, ReportWarning

router = APIRouter()

_LARGE = Counts(read=10_000, inserted=240, updated=39, unchanged=9_713, rejected=8)
_MIXED = Counts(read=100, inserted=20, updated=30, unchanged=25, kept=10, superseded=5, rejected=10)
_EVIDENCE = (
    Evidence(subject="encoding", decision="windows-1252", because="byte 0x80 as €, 14 times"),
    Evidence(subject="delimiter", decision="semicolon", because="7 a line in all 10,001 lines"),
    Evidence(
        subject="date order",
        decision="day first",
        because="no day above 12 in 04/03/2026 and 11 others",
        proven=False,
    ),
)
_HOSTILE = ("<script>alert(1)</script>", "=cmd()|'/c calc'!A1", "  two blanks ", "a\tb", "", None)
_WARNINGS = (
    ReportWarning(code="rows.superseded_differ", message="rows were superseded by others", count=5),
)
_LINES = (
    NonDataLine(line_number=1, text="Seller report;;;", reason="preamble"),
    NonDataLine(line_number=10_003, text="Total;;1.234,00", reason="total"),
)


@router.get("/patterns")
@router.get("/patterns.json")
def patterns(request: Request, _: Reader) -> Response:
    """Show every component in every state."""
    differences = [
        Difference(row_number=17, key="4711", column="sold_for", before="12.30", after="13.20"),
        Difference(row_number=18, key="4712", column="buyer", before=None, after="x" * 200),
    ]
    facts: dict[str, Any] = {
        "states": list(STATES),
        "counts": {"large": vars_of(_LARGE), "mixed": vars_of(_MIXED), "none": vars_of(Counts())},
    }
    shown = {
        "evidence_list": _EVIDENCE,
        "choices": {
            "date order": {
                "action": "/patterns",
                "setting": "date_order",
                "options": ["day first", "month first"],
                "now": "day first",
                "scopes": [("header", "files with this header"), ("feed", "files of this feed")],
            }
        },
        "differences": differences,
        "hostile": _HOSTILE,
        "warning_list": _WARNINGS,
        "lines": _LINES,
        "line_counts": LineCounts(total=10_004, header=1, records=10_000, blank=1, non_data=2),
        "imports": [
            *(_import(number, state) for number, state in enumerate(STATES, 1)),
            _import(len(STATES) + 1, "imported") | {"undoes": 7},
        ],
    }
    return answer(request, "patterns.html", facts, shown)


def vars_of(counts: Counts) -> dict[str, int]:
    """Return counts by name."""
    return {name: getattr(counts, name) for name in counts.__dataclass_fields__}


def _import(number: int, state: str) -> dict[str, Any]:
    return {
        "number": number,
        "name": f"orders_2026-{number:02}.csv",
        "account": "acme",
        "feed": None if state == "uploading" else "ebay_orders",
        "state": state,
        "outcome": None if tone(state) == "running" else state,
        "counts": None if tone(state) == "running" else vars_of(_LARGE),
        "at": "2026-11-26T22:10:00+00:00",
        "undoes": None,
    }
