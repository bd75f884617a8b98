"""The names of conflict and duplicate policies in files, and the policies of these names.

A policy is called like its class, in small letters with `_`. One without arguments is its name,
one with a single argument `{name: argument}`, one with several `{name: {argument: …}}`.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from csv_pipeline.spec import conflict, duplicates

Policy = TypeVar("Policy", conflict.ConflictPolicy, duplicates.DuplicatePolicy)


def policy_name(policy: type) -> str:
    """Return what a policy is called in files.

    >>> policy_name(conflict.NewestWins)
    'newest_wins'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", policy.__name__).lower()


def policies(base: type[Policy]) -> dict[str, type[Policy]]:
    """Return the policies of a kind by their names."""
    return {policy_name(one): one for one in base.__subclasses__()}


def said(policy: conflict.ConflictPolicy | duplicates.DuplicatePolicy) -> Any:
    """Return how a file says a policy."""
    name, its = policy_name(type(policy)), fields(policy)
    values = {one.name: getattr(policy, one.name) for one in its}
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
    if not plain:
        return name
    return {name: plain if len(plain) > 1 else next(iter(plain.values()))}


def _policy(base: type[Policy], given: Any) -> Policy:
    known = policies(base)
    name, argument = given, None
    if isinstance(given, Mapping) and len(given) == 1:
        ((name, argument),) = given.items()
    if not isinstance(name, str) or name not in known:
        raise _fault(f"one of {', '.join(sorted(known))}", name, known)
    names = [one.name for one in fields(known[name])]
    arguments = argument if len(names) > 1 else dict.fromkeys(names, argument)
    if not names and argument is not None:
        raise _fault(f"{name} without arguments", argument)
    if not isinstance(arguments, Mapping) or set(arguments) != set(names):
        raise _fault(f"{name} with {', '.join(names)}", argument)
    return known[name](**{key: _argument(name, key, its) for key, its in arguments.items()})


def _argument(policy: str, name: str, value: Any) -> Any:
    if name == "column":
        if not isinstance(value, str):
            raise _fault(f"{policy} with the name of a column", value)
        return value
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _fault(f"{policy} with a list of words as {name}", value)
    return tuple(value)


def _fault(needed: str, found: Any, known: Mapping[str, Any] | None = None) -> PydanticCustomError:
    near = get_close_matches(str(found), known or (), n=1)
    return PydanticCustomError(
        "needed", "{needed}", {"needed": needed, "found": found, "near": near[0] if near else ""}
    )


def _json_schema(base: type[Policy]) -> dict[str, Any]:
    words: list[str] = []
    forms: list[dict[str, Any]] = []
    for name, policy in sorted(policies(base).items()):
        its = fields(policy)
        if all(one.default is MISSING for one in its) and its:
            forms.append(_form(name, [one.name for one in its]))
        else:
            words.append(name)
    return {"anyOf": [{"enum": words}, *forms]}


def _form(name: str, arguments: list[str]) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        one: {"type": "string"}
        if one == "column"
        else {"type": "array", "items": {"type": "string"}}
        for one in arguments
    }
    several = {"type": "object", "properties": kinds, "required": arguments}
    its = several if len(arguments) > 1 else next(iter(kinds.values()))
    made = {"type": "object", "properties": {name: its}, "required": [name]}
    return made | {"additionalProperties": False}


ConflictWord = Annotated[
    conflict.ConflictPolicy,
    PlainValidator(lambda given: _policy(conflict.ConflictPolicy, given)),
    PlainSerializer(said),
    WithJsonSchema(_json_schema(conflict.ConflictPolicy)),
]
DuplicateWord = Annotated[
    duplicates.DuplicatePolicy,
    PlainValidator(lambda given: _policy(duplicates.DuplicatePolicy, given)),
    PlainSerializer(said),
    WithJsonSchema(_json_schema(duplicates.DuplicatePolicy)),
]
