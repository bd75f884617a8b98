"""Read YAML as plain values, each with its line and column; what can be misread is an error.

JSON is read the same way. The text is taken event by event, so that neither anchors nor nesting
make more of it than it is. A word that YAML versions read differently, such as `no` or `010`, has
to be put in quotes; a date is text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

import yaml

from csv_pipeline.errors import SetupError

Path = tuple[str | int, ...]
"""Where a value is: the keys and positions that lead to it."""

Mark = tuple[int, int]
"""A line and a column, both from 1."""

_DEEPEST = 20
_WORDS = frozenset({"true", "false", "null", "y", "n", "yes", "no", "on", "off"})
_MEANT = (
    dict.fromkeys(("", "~", "null", "Null", "NULL"))
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)
_TWO_WAYS = re.compile(
    r"(?i:yes|no|on|off)|[-+]?0[0-7_]+|[-+]?0[bxo][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*_[0-9_]*"
    r"|[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?|[-+]?\.(?i:inf)|\.(?i:nan)"
)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+")
_BEGINS = frozenset({yaml.MappingStartEvent, yaml.SequenceStartEvent})
_ENDS = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})
_LIKE_A_NUMBER = re.compile(r"[-+.]?[0-9][0-9eE.+:/_-]*")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Document:
    """What a file says, and where in it: `keys` has the marks of what a value is called."""

    name: str
    value: Any = None
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)

    def place(self, path: Path, *, key: bool = False) -> str:
        """Return where a value is, or its key, or the nearest thing around it."""
        marks: Mapping[Path, Mark] = self.keys if key else self.values
        while path and path not in marks:
            path, marks = path[:-1], self.values
        line, column = marks.get(path, (1, 1))
        return f"{self.name}, line {line}, column {column}"


def parse(text: bytes | str, name: str) -> Document:
    """Return what a YAML or JSON text says.

    Raises:
        SetupError: It is not YAML, or uses of it what a declaration has no need of.
    """
    reader = _Reader(Document(name))
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reader.refuse(at, "YAML", f"{error.problem}{_indented(error)}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reader.refuse((1, 1), "YAML in UTF-8", " ".join(str(error).split()))
    return reader.document


def reads_as_text(word: str) -> bool:
    """Return whether a word without quotes is text to every reader of YAML."""
    if word.lower() in _WORDS or word in _MEANT:
        return False
    others = (_TWO_WAYS, _INTEGER, _NUMBER, _LIKE_A_NUMBER)
    return not any(pattern.fullmatch(word) for pattern in others)


def _otherwise(word: str) -> str:
    """Return what besides text a word may be meant to be."""
    return "true or false" if word.isalpha() else "a plain number"


def _indented(error: yaml.MarkedYAMLError) -> str:
    return f", {error.context}" if error.context else ""


@dataclass(slots=True)
class _Open:
    """A mapping or a list whose end is still to come; `key` is that of the value to come."""

    value: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None


@dataclass(slots=True)
class _Reader:
    document: Document
    opened: list[_Open] = field(default_factory=list)
    documents: int = 0

    def refuse(self, mark: Mark, needed: str, found: str) -> NoReturn:
        line, column = mark
        raise SetupError(
            f"{self.document.name}, line {line}, column {column}: {needed} was needed; {found}"
        )

    def take(self, event: Any) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent or kind in _BEGINS:
            mark = (event.start_mark.line + 1, event.start_mark.column + 1)
            if event.anchor is not None or event.tag is not None:
                self._plain(event, mark)
            self._begin(event, mark)
        elif kind in _ENDS:
            self.opened.pop()
        elif kind is yaml.AliasEvent:
            mark = (event.start_mark.line + 1, event.start_mark.column + 1)
            self.refuse(mark, "the value itself", f"found the alias *{event.anchor}")
        elif kind is yaml.DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                self.refuse((event.start_mark.line + 1, 1), "one document", "another one begins")

    def _plain(self, event: Any, mark: Mark) -> None:
        if event.anchor is not None:
            self.refuse(mark, "a value without an anchor", f"found &{event.anchor}")
        if event.tag is not None and event.tag != "!":
            self.refuse(mark, "a value without a tag", f"found {event.tag}")

    def _begin(self, event: Any, mark: Mark) -> None:
        around = self.opened[-1] if self.opened else None
        if around is not None and isinstance(around.value, dict) and around.key is None:
            self._key(around, event, mark)
            return
        if isinstance(event, yaml.ScalarEvent):
            self._put(around, self._scalar(event, mark), mark)
            return
        made: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        if len(self.opened) == _DEEPEST:
            self.refuse(mark, f"a depth of at most {_DEEPEST}", "there is more below")
        self.opened.append(_Open(made, self._put(around, made, mark)))

    def _key(self, around: _Open, event: Any, mark: Mark) -> None:
        key = self._scalar(event, mark) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(key, str):
            shown = repr(key) if key is not None else "another thing"
            self.refuse(mark, "a word as key, in quotes if it looks like anything else", shown)
        assert isinstance(around.value, dict)  # noqa: S101  # only these have keys
        if key in around.value:
            line = self.document.keys[*around.path, key][0]
            self.refuse(mark, "a key once", f"{key!r} is also in line {line}")
        around.key = key
        self.document.keys[*around.path, key] = mark

    def _put(self, around: _Open | None, value: Any, mark: Mark) -> Path:
        path: Path = ()
        if around is None:
            self.document.value = value
        elif isinstance(around.value, list):
            path = (*around.path, len(around.value))
            around.value.append(value)
        else:
            assert around.key is not None  # noqa: S101  # it came before its value
            path = (*around.path, around.key)
            around.value[around.key], around.key = value, None
        self.document.values[path] = mark
        return path

    def _scalar(self, event: Any, mark: Mark) -> Any:
        """Return what a word without quotes means, if there are no two ways to read it."""
        text: str = event.value
        if not event.implicit[0] or event.style in {"'", '"', "|", ">"}:
            return text
        if text[:1].isalpha() and text.lower() not in _WORDS:
            return text
        if text in _MEANT:
            return _MEANT[text]
        if _TWO_WAYS.fullmatch(text):
            self.refuse(
                mark, f"{_otherwise(text)}, or text in quotes, as {text!r},",
                f"found {text} without, which YAML does not read as text",
            )  # fmt: skip
        number = int if _INTEGER.fullmatch(text) else Decimal if _NUMBER.fullmatch(text) else str
        return number(text)
