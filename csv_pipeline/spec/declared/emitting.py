"""Write plain values as YAML that a person would write, with comments; `document` reads it back."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from csv_pipeline.spec.declared.document import Path, reads_as_text

_WIDTH = 100
_SHORT = re.compile(r"[\w][\w ./@%+-]*", re.ASCII)
_ESCAPES = {'"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t", "\r": r"\r"}


def yaml_of(value: Mapping[str, Any], comments: Mapping[Path, str] | None = None) -> str:
    """Return a mapping as YAML; a comment comes in the line before what it is about."""
    return "".join(f"{line}\n" for line in _block(value, (), "", comments or {}))


def _block(
    value: Mapping[str, Any], path: Path, indent: str, comments: Mapping[Path, str]
) -> Iterator[str]:
    for key, its in value.items():
        yield from _comment(indent, (*path, key), comments)
        shown = f"{indent}{_text(key)}:"
        if isinstance(its, list) and its and isinstance(its[0], Mapping):
            yield shown
            for at, one in enumerate(its):
                yield from _comment(f"{indent}  ", (*path, key, at), comments)
                yield from _item(one, (*path, key, at), f"{indent}  ", comments)
        elif isinstance(its, Mapping) and (path == () or not _fits(shown, its)):
            yield shown
            yield from _block(its, (*path, key), f"{indent}  ", comments)
        else:
            yield f"{shown} {_flow(its)}"


def _item(
    value: Mapping[str, Any], path: Path, indent: str, comments: Mapping[Path, str]
) -> Iterator[str]:
    """Give the lines of a mapping in a list, in one if they fit."""
    if _fits(f"{indent}- ", value) and not any(its[: len(path)] == path for its in comments):
        yield f"{indent}- {_flow(value)}"
        return
    lines = _block(value, path, f"{indent}  ", comments)
    for number, line in enumerate(lines):
        yield line if number else f"{indent}- {line.lstrip()}"


def _comment(indent: str, path: Path, comments: Mapping[Path, str]) -> Iterator[str]:
    for line in comments.get(path, "").splitlines():
        yield f"{indent}# {''.join(c if c.isprintable() else '?' for c in line)}"


def _fits(before: str, value: Any) -> bool:
    return len(before) + len(_flow(value)) < _WIDTH


def _flow(value: Any) -> str:
    match value:
        case Mapping():
            inner = (f"{_text(key)}: {_flow(its)}" for key, its in value.items())
            return f"{{{', '.join(inner)}}}"
        case list() | tuple():
            return f"[{', '.join(map(_flow, value))}]"
        case bool():
            return str(value).lower()
        case int() | Decimal() | float():
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
        case _:
            return _text(str(value))


def _text(text: str) -> str:
    """Return text without quotes where nothing reads it as anything else."""
    if _SHORT.fullmatch(text) and reads_as_text(text) and text == text.strip():
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
