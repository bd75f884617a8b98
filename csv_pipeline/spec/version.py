"""Reduce what a feed declares to a version, the same in every process and on every machine.

Of a function it is what Python made of its source, and what it closes over; what it calls elsewhere
is not seen. So another Python, or another word in its docstring, may be another version.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

import pandera.polars as pa

_DIGITS = 12
_OF_NO_ROW = frozenset({"description", "title", "needs", "protected", "examples"})
"""What a column declares that makes no other row of the same file."""


def version_of(facts: Mapping[str, Any]) -> str:
    """Return twelve digits and letters that stand for these facts."""
    text = json.dumps(_plain(facts, ()), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _plain(value: Any, within: tuple[int, ...]) -> Any:
    """Return a value as JSON has it; one that is `within` itself is told once."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if id(value) in within:
        return "itself"
    its = (*within, id(value))
    told = next((tell for kind, tell in _TOLD.items() if isinstance(value, kind)), None)
    if told is not None:
        return told(value, its)
    if is_dataclass(value):
        return [type(value).__qualname__, _plain(_fields(value), its)]
    if type(value).__module__.startswith("polars") or not hasattr(value, "__dict__"):
        return str(value)
    return [type(value).__qualname__, _plain(vars(value), its)]


def _fields(value: Any) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in fields(value) if one.compare}


def _of_mapping(value: Mapping[Any, Any], within: tuple[int, ...]) -> Any:
    return {str(key): _plain(one, within) for key, one in value.items()}


def _of_parts(value: Iterable[Any], within: tuple[int, ...]) -> Any:
    return [_plain(one, within) for one in value]


def _of_set(value: Iterable[Any], within: tuple[int, ...]) -> Any:
    return sorted(json.dumps(_plain(one, within), sort_keys=True) for one in value)


def _of_check(value: pa.Check, within: tuple[int, ...]) -> Any:
    return [value.name, _plain(value.statistics or value._check_fn, within)]  # noqa: SLF001


def _of_code(value: CodeType, within: tuple[int, ...]) -> Any:
    return _of_parts([value.co_code.hex(), *value.co_consts, value.co_names], within)


def _of_partial(value: partial[Any], within: tuple[int, ...]) -> Any:
    return _of_parts([value.func, value.args, value.keywords], within)


def _of_class(value: type, within: tuple[int, ...]) -> Any:
    return (
        _of_contract(value, within) if issubclass(value, pa.DataFrameModel) else value.__qualname__
    )


def _of_contract(contract: type[pa.DataFrameModel], within: tuple[int, ...]) -> Any:
    """Return the fields of a contract in their order, with their checks."""
    found = []
    for name, (declared, spec) in contract.__fields__.items():
        metadata = {
            key: facts
            for one in (spec.metadata or {}).values()
            for key, facts in one.items()
            if key not in _OF_NO_ROW
        }
        found.append(
            [
                name,
                [str(declared.arg), str(declared.metadata)],
                spec.nullable,
                _plain(metadata, within),
                _of_parts(spec.checks, within),
                _of_parts(contract.__checks__.get(name, ()), within),
            ]
        )
    return [found, _of_parts(contract.__root_checks__, within)]


def _of_function(function: Any, within: tuple[int, ...]) -> Any:
    inner = inspect.unwrap(getattr(function, "__func__", function))
    if not isinstance(inner, FunctionType):
        return str(getattr(inner, "__qualname__", type(inner).__qualname__))
    closed = [cell.cell_contents for cell in inner.__closure__ or ()]
    return [_plain(part, within) for part in (inner.__code__, closed, inner.__defaults__ or ())]


_TOLD: dict[type, Callable[[Any, tuple[int, ...]], Any]] = {
    Mapping: _of_mapping,
    list: _of_parts,
    tuple: _of_parts,
    set: _of_set,
    frozenset: _of_set,
    pa.Check: _of_check,
    CodeType: _of_code,
    partial: _of_partial,
    type: _of_class,
    FunctionType: _of_function,
    MethodType: _of_function,
    BuiltinFunctionType: _of_function,
}
"""How values of a type are told; any other by its fields or attributes, or as text."""
