"""Make the feed that a file's words declare, by the same calls as a feed in Python."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.conflict import ConflictPolicy, Overwrite
from csv_pipeline.spec.contract import Contract
from csv_pipeline.spec.declared.columns import column_name, column_of
from csv_pipeline.spec.declared.document import Document, Path
from csv_pipeline.spec.declared.faults import fault, nearest
from csv_pipeline.spec.declared.words import FeedFile, LayoutOfFeed, words_in
from csv_pipeline.spec.duplicates import DuplicatePolicy, LastInFile
from csv_pipeline.spec.feed import Feed, Layout, NonDataPattern

Policy = TypeVar("Policy", ConflictPolicy, DuplicatePolicy)
_OWN: Path = ("csv_pipeline",)


def feed_of(file: FeedFile, document: Document, stem: str) -> Feed:
    """Return the feed; its name is the one in the file, or else the file's, `stem`.

    Raises:
        SetupError: The words are known, but what they say together is no feed.
    """
    building = _Building(file, document)
    own = file.own
    contract = building.contract(own.name or file.name or stem)
    try:
        return Feed(
            name=own.name or file.name or stem,
            description=own.description or file.description or file.title,
            contract=contract,
            key=building.key(),
            conflict=building.policy(own.conflict or Overwrite(), (*_OWN, "conflict")),
            column_conflicts={
                building.named[its.name]: building.policy(
                    its.own.conflict, ("fields", at, *_OWN, "conflict")
                )
                for at, its in enumerate(file.fields)
                if its.own.conflict is not None
            },
            duplicates=building.policy(own.duplicates or LastInFile(), (*_OWN, "duplicates")),
            layouts=building.layouts(),
            non_data=building.non_data(),
            nulls=frozenset(words_in(file.missing_values)),
            encodings=tuple(own.encodings),
            views=own.views,
            group=own.group,
            reject_rate_warning=float(own.reject_rate_warning),
            max_rejected_rows=own.max_rejected_rows,
            max_rejected_share=None
            if own.max_rejected_share is None
            else float(own.max_rejected_share),
        )
    except SetupError as error:
        if str(error).startswith(document.name):
            raise
        raise SetupError(f"{document.place(())}: {error}") from error


@dataclass(slots=True)
class _Building:
    """A file, and the columns of the table by the names that it gives them."""

    file: FeedFile
    document: Document
    named: dict[str, str] = field(default_factory=dict)

    def contract(self, feed: str) -> type[Contract]:
        """Return the Pandera model of the fields, as a class statement would make it."""
        key = self._key_names()
        annotations: dict[str, object] = {}
        made: dict[str, object] = {}
        for at, its in enumerate(self.file.fields):
            name = column_name(its, self.document, ("fields", at, "name"))
            if name in made:
                raise self._fault(
                    ("fields", at, "name"), "a column of another name", f"{name!r} is there already"
                )
            self.named[its.name] = name
            annotations[name], made[name] = column_of(
                its, self.document, ("fields", at), in_key=its.name in key
            )
        title = re.sub(r"\W", "_", feed).title().replace("_", "") or "Feed"
        described = {"__doc__": self.file.description or f"One row of {feed}."}
        names = {"__module__": __name__, "__annotations__": annotations, **described, **made}
        return type(title, (Contract,), names)

    def key(self) -> tuple[str, ...]:
        """Return the columns of the key."""
        return tuple(
            self.column(name, ("primaryKey", at)) for at, name in enumerate(self._key_names())
        )

    def _key_names(self) -> list[str]:
        """Return the key as the file names its columns; what else is unique has to be it.

        Raises:
            SetupError: Something else is declared to be unique, which nothing would hold rows to.
        """
        given = self.file.primary_key
        key = [given] if isinstance(given, str) else list(given)
        unique: list[tuple[Path, list[str]]] = [
            (("uniqueKeys", at), its) for at, its in enumerate(self.file.unique_keys)
        ]
        unique += [
            (("fields", at, "constraints", "unique"), [its.name])
            for at, its in enumerate(self.file.fields)
            if its.constraints.unique
        ]
        if not key and unique:
            key = unique[0][1]
        for path, names in unique:
            if not set(key) <= set(names):
                raise self._fault(
                    path,
                    f"the primary key {', '.join(key)}, the only thing a table is held to",
                    f"found {', '.join(names)}",
                )
        return key

    def policy(self, policy: Policy, path: Path) -> Policy:
        """Return a policy about the column that its argument names, if it has one."""
        for name in policy.columns:
            names: dict[str, Any] = {"column": self.column(name, path)}
            policy = replace(policy, **names)
        return policy

    def layouts(self) -> tuple[Layout, ...]:
        """Return the shapes of files; `fieldsMatch: subset` asks each for all columns."""
        whole = (
            frozenset(self.named.values()) if self.file.fields_match == "subset" else frozenset()
        )
        given = self.file.own.layouts or [LayoutOfFeed(name="standard")]
        return tuple(
            Layout(
                name=its.name,
                marks=self._columns(its.marks, (*_OWN, "layouts", at, "marks")),
                required=self._columns(its.required, (*_OWN, "layouts", at, "required")) | whole,
                filled=self._columns(its.filled, (*_OWN, "layouts", at, "filled")),
            )
            for at, its in enumerate(given)
        )

    def non_data(self) -> tuple[NonDataPattern, ...]:
        """Return the patterns of lines that are no rows."""
        for at, its in enumerate(self.file.own.non_data):
            try:
                re.compile(its.pattern)
            except re.error as error:
                path = (*_OWN, "non_data", at, "pattern")
                raise self._fault(path, "a regular expression", str(error)) from error
        return tuple(
            NonDataPattern(name=its.name, pattern=its.pattern) for its in self.file.own.non_data
        )

    def column(self, name: str, path: Path) -> str:
        """Return the column of a field's name."""
        if name in self.named:
            return self.named[name]
        if name in self.named.values():
            return name
        known = list(self.named)
        raise self._fault(
            path, f"one of {', '.join(known)}", f"found {name!r}", nearest(name, known)
        )

    def _columns(self, names: Sequence[str], path: Path) -> frozenset[str]:
        return frozenset(self.column(name, (*path, at)) for at, name in enumerate(names))

    def _fault(self, path: Path, needed: str, found: str, near: str = "") -> SetupError:
        return fault(self.document, path, needed, found, near)
