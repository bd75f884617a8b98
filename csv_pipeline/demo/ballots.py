"""Write dumps of a voting blockchain: no header, no quotes, JSON in cells."""

import json
from collections.abc import Sequence
from typing import Any

FIRST = "FirstConstituencyContractDemo1111111"
SECOND = "SecondConstituencyContractDemo111111"
_EIGHT = 1_725_595_200_000  # 2024-09-06 04:00 UTC, eight in the morning in Samara
_ACCEPTED = ({"key": "VOTE_1", "boolValue": True},)


def first_hour() -> bytes:
    """Return three voters' hour: a vote is accepted, one fails, one is taken back; a cut line."""
    return _dump(
        _created("a", "Округ №1"),
        _call("b", "addVotersList", {"key": "votersCount", "intValue": 3}),
        *(_call(tx, "blindSigIssue") for tx in "cde"),
        _call("f", "vote", diff=_ACCEPTED),
        _call("g", "vote", diff=({"key": "FAIL_2", "stringValue": "no signature"},)),
        _call("h", "vote", diff=_ACCEPTED, rollback="-1"),
        "i;104;sig",
    ).encode()


def second_hour() -> bytes:
    """Return the next hour: the last accepted vote again, and another one."""
    return _dump(
        _call("f", "vote", diff=_ACCEPTED), _call("j", "vote", diff=_ACCEPTED, minute=75)
    ).encode()


def elsewhere() -> bytes:
    """Return the hour of another constituency, in Windows-1251."""
    return _dump(
        _created("k", "Округ №2"),
        _call("l", "addVotersList", {"key": "votersCount", "intValue": 2}),
        _call("m", "blindSigIssue"),
        _call("n", "vote", diff=_ACCEPTED),
    ).encode("cp1251")


def _created(tx: str, name: str) -> str:
    params = [{"key": "contractName", "stringValue": f"Выборы; {name}"}]
    return _line(tx, "103", _EIGHT, _json(params), "[]")


def _call(
    tx: str, operation: str, *more: dict[str, Any], diff: Sequence[Any] = (), rollback: str = "",
    minute: int = 10,
) -> str:  # fmt: skip
    params = [{"key": "operation", "stringValue": operation}, *more]
    called = (_json(params), _json(diff))
    return _line(tx, "104", _EIGHT + minute * 60_000, *called, rollback=rollback)


def _line(  # noqa: PLR0913  # the cells of a line
    tx: str, kind: str, at: int, params: str, diff: str, *, rollback: str = ""
) -> str:
    cells = (tx * 40, kind, "sig", "4", str(at), "key", "0", "", params, diff)
    return ";".join((*cells, '{"contractVersion":1}', rollback))


def _json(value: Sequence[Any]) -> str:
    """Write JSON as the chain does: letters as they are, a semicolon as its code."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace(";", "\\u003b")


def _dump(*lines: str) -> str:
    return "\n".join((*lines, ""))
