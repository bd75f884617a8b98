"""Say what is wrong in a file by its line: what was needed, what was found, the nearest word."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.declared.document import Document, Path

Model = TypeVar("Model", bound=BaseModel)
_KINDS = {
    dict: "keys with values",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
}
_OF_TYPE = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "decimal_type": "a number",
    "is_instance_of": "a number",
}


def fault(document: Document, path: Path, needed: str, found: str, near: str = "") -> SetupError:
    """Return what is wrong with a value."""
    return SetupError(_told(document.place(path), needed, found, near))


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word most like another; "" if none is."""
    return next(iter(get_close_matches(word, list(known), n=1)), "")


def checked(document: Document, model: type[Model]) -> Model:
    """Return what a document says, as a model of its words.

    Raises:
        SetupError: It has other words or other values; all faults are named.
    """
    if not isinstance(document.value, dict):
        raise fault(document, (), "keys with values", f"found {_shown(document.value)}")
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        told = [_of(document, model, errors_at) for errors_at in _by_value(document, errors)]
        raise SetupError("\n".join(dict.fromkeys(told))) from None


def _by_value(document: Document, errors: Sequence[Any]) -> list[list[Any]]:
    """Return the errors by the value they are about; a union has one for each of its members."""
    found: dict[Path, list[Any]] = {}
    for error in errors:
        found.setdefault(_path(document, error), []).append(error)
    return list(found.values())


def _path(document: Document, error: Any) -> Path:
    """Return the part of an error's place that is in the document, and an unknown or absent key."""
    path: Path = ()
    for step in error["loc"]:
        absent = error["type"] == "missing" and step == error["loc"][-1]
        if absent or (*path, step) in document.values:
            path = (*path, step)
    return path


def _of(document: Document, model: type[BaseModel], errors: list[Any]) -> str:
    error = errors[0]
    path = _path(document, error)
    if error["type"] == "extra_forbidden":
        known = _known_at(model, path[:-1])
        word = str(path[-1])
        place = document.place(path, key=True)
        needed = f"one of {', '.join(known)}" if known else "another word"
        if block := _block_of(model, path):
            return f"{_told(place, needed, f'found {word!r}')}, which belongs in {block}"
        return _told(place, needed, f"found {word!r}", nearest(word, known))
    if error["type"] == "missing":
        return _told(document.place(path[:-1]), f"a {path[-1]}", "there is none")
    found = f"found {_shown(error['input'])}"
    if error["type"] == "needed":
        context = error["ctx"]
        return _told(document.place(path), context["needed"], found, context["near"])
    if error["type"] == "literal_error":
        known = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        needed = f"one of {', '.join(known)}"
        return _told(document.place(path), needed, found, nearest(str(error["input"]), known))
    needed = " or ".join(dict.fromkeys(_needed(one) for one in errors))
    if "text" in needed and isinstance(error["input"], int | float):
        found += "; put it in quotes"
    return _told(document.place(path), needed, found)


def _needed(error: Any) -> str:
    return _OF_TYPE.get(error["type"], str(error["msg"]).removeprefix("Input should be ").lower())


def _known_at(model: type[BaseModel], path: Path) -> list[str]:
    """Return the words that may stand at a place, none where there is no block."""
    at: Any = model
    for step in path:
        if isinstance(step, str):
            field = next(f for n, f in at.model_fields.items() if step in {n, f.alias})
            at = _model_in(field.annotation)
    return [its.alias or name for name, its in at.model_fields.items()] if at else []


def _block_of(model: type[BaseModel], path: Path) -> str:
    """Return the block beside a word that is not known, which has the word; "" if none has."""
    for block in _known_at(model, path[:-1]):
        if path[-1] in _known_at(model, (*path[:-1], block)):
            return block
    return ""


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(one) for one in getattr(annotation, "__args__", ()))
    return next((one for one in inner if one is not None), None)


def _told(place: str, needed: str, found: str, near: str = "") -> str:
    return f"{place}: {needed} was needed; {found}{f' (did you mean {near}?)' if near else ''}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return _KINDS[type(value)]
    if isinstance(value, bool):
        return str(value).lower()
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
