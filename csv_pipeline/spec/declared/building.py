"""Make the feed that a file's words declare, by the same calls as a feed in Python."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.catalog import Catalog
from csv_pipeline.spec.conflict import ConflictPolicy, Overwrite
from csv_pipeline.spec.contract import Contract, heading
from csv_pipeline.spec.declared.columns import column_name, column_of
from csv_pipeline.spec.declared.document import Document, Path
from csv_pipeline.spec.declared.faults import fault, nearest
from csv_pipeline.spec.declared.words import FeedFile, FieldOfFeed, LayoutOfFeed, words_in
from csv_pipeline.spec.dialect import TableDialect, is_encoding
from csv_pipeline.spec.duplicates import DuplicatePolicy, LastInFile
from csv_pipeline.spec.feed import Feed, Layout, NonDataPattern
from csv_pipeline.spec.file_name import FileName
from csv_pipeline.spec.snapshot import Missing, Snapshot
from csv_pipeline.spec.worklist import Worklist

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
            counted=tuple(
                building.column(name, (*_OWN, "counted", at)) for at, name in enumerate(own.counted)
            ),
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
            fields_match=file.fields_match,
            nulls=frozenset(words_in(file.missing_values)),
            snapshot=building.snapshot(),
            file_name=building.file_name(),
            dialect=building.dialect(),
            extras=tuple(own.extras),
            extras_after=own.extras_after,
            worklist=building.worklist(),
            encodings=tuple(own.encodings),
            time_zone=own.time_zone,
            confidential=own.confidential,
            needs_good_row=own.needs_good_row,
            views=own.views,
            group=own.group,
            catalog=Catalog(
                owners=tuple(own.catalog.owners),
                tags=own.catalog.tags,
                key_prefix=tuple(own.catalog.key_prefix),
                automation=own.catalog.automation,
            ),
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
        self._hold_headings()
        self._hold_asked()
        return type(title, (Contract,), names)

    def _hold_asked(self) -> None:
        """Hold the columns that tell a sign or a currency to the fields."""
        for at, its in enumerate(self.file.fields):
            path: Path = ("fields", at, *_OWN)
            for word in ("column", "plus", "minus"):
                if isinstance(name := getattr(its.own.sign, word, None), str):
                    self.column(name, (*path, "sign", word))
            for no, name in enumerate(its.own.currency_in):
                self.column(name, (*path, "currency_in", no))

    def _hold_headings(self) -> None:
        """Hold each name in headers to one column, or to several types that all list it.

        Raises:
            SetupError: A column has a name that is another's.
        """
        read = [(at, its) for at, its in enumerate(self.file.fields) if not its.own.derived]
        listed: list[tuple[int, str, Path]] = []
        for at, its in read:
            listed.append((at, its.title, ("title",)))
            listed += [(at, n, (*_OWN, "aliases", no)) for no, n in enumerate(its.own.aliases)]
        listed += [(at, its.name, ("name",)) for at, its in read]
        owners: dict[str, set[int]] = {}
        for at, name, _ in listed:
            owners.setdefault(heading(name), set()).add(at)
        for at, name, place in listed:
            its = self.file.fields[at]
            for other in (self.file.fields[one] for one in owners[heading(name)] - {at}):
                if name and not _share(heading(name), its, other):
                    raise self._fault(
                        ("fields", at, *place),
                        f"a name in headers that is of {its.name!r} only",
                        f"{name!r} is also of {other.name!r}",
                    )

    def key(self) -> tuple[str, ...]:
        """Return the columns of the key."""
        key: list[str] = []
        for at, name in enumerate(self._key_names()):
            column = self.column(name, ("primaryKey", at))
            if column in key:
                raise self._fault(("primaryKey", at), "each column once", f"found {name!r} twice")
            key.append(column)
        return tuple(key)

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
        """Return the shapes of files."""
        given = self.file.own.layouts or [LayoutOfFeed(name="standard")]
        return tuple(
            Layout(
                name=its.name,
                marks=self._columns(its.marks, (*_OWN, "layouts", at, "marks")),
                required=self._columns(its.required, (*_OWN, "layouts", at, "required")),
                filled=self._columns(its.filled, (*_OWN, "layouts", at, "filled")),
            )
            for at, its in enumerate(given)
        )

    def non_data(self) -> tuple[NonDataPattern, ...]:
        """Return the patterns of lines that are no rows."""
        for at, its in enumerate(self.file.own.non_data):
            self._regular(its.pattern, (*_OWN, "non_data", at, "pattern"))
        return tuple(
            NonDataPattern(name=its.name, pattern=its.pattern, above=its.above)
            for its in self.file.own.non_data
        )

    def worklist(self) -> Worklist | None:
        """Return which rows are work that remains."""
        its, path = self.file.own.worklist, (*_OWN, "worklist", "columns")
        if its is None:
            return None
        columns = (self.column(name, (*path, at)) for at, name in enumerate(its.columns))
        return Worklist(description=its.description, where=its.where, columns=tuple(columns))

    def snapshot(self) -> Snapshot | None:
        """Return what becomes of stored rows that a file lacks."""
        its, path = self.file.own.snapshot, (*_OWN, "snapshot")
        if its is None:
            return None
        known = [one.value for one in Missing]
        if its.missing not in known:
            found = f"found {its.missing!r}"
            needed = f"one of {', '.join(known)}"
            raise self._fault((*path, "missing"), needed, found, nearest(its.missing, known))
        share = its.max_missing_share
        return Snapshot(
            scope=tuple(
                self.column(name, (*path, "scope", at)) for at, name in enumerate(its.scope)
            ),
            missing=Missing(its.missing),
            max_missing_rows=its.max_missing_rows,
            max_missing_share=None if share is None else float(share),
        )

    def file_name(self) -> FileName | None:
        """Return how files are named; a derived column is one that the name tells."""
        its, path = self.file.own.file_name, (*_OWN, "file_name")
        made = None
        if its is not None:
            for word in ("pattern", "folders"):
                self._regular(getattr(its, word), (*path, word))
            try:
                made = FileName(**dict(its))
            except SetupError as error:
                place = self.document.place((*path, "example"))
                raise SetupError(f"{place}: {error}") from error
        for at, one in enumerate(self.file.fields):
            told = made is not None and self.named[one.name] in made.columns
            told = told or (one.own.sign is not None and one.own.sign.column is None)
            if one.own.derived and not told:
                at_field: Path = ("fields", at, *_OWN, "derived")
                raise self._fault(
                    at_field, f"a group {self.named[one.name]!r} of file_name", "there is none"
                )
        return made

    def dialect(self) -> TableDialect | None:
        """Return how files are written; without a header, the standard's words where none are."""
        its = self.file.dialect
        if its is None:
            return None
        if its.encoding is not None and not is_encoding(its.encoding):
            path: Path = ("dialect", "encoding")
            raise self._fault(path, "the name of an encoding", f"found {its.encoding!r}")
        usual = ("", None) if its.header else (",", '"')
        return TableDialect(
            delimiter=usual[0] if its.delimiter is None else its.delimiter,
            quote=usual[1] if its.quote_char is None else its.quote_char,
            encoding=its.encoding,
            header=its.header,
        )

    def _regular(self, pattern: str, path: Path) -> None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise self._fault(path, "a regular expression", str(error)) from error

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


def _share(name: str, *fields: FieldOfFeed) -> bool:
    """Return whether columns are read from one heading on purpose: each lists it, to its type."""
    listed = (map(heading, (its.title, *its.own.aliases)) for its in fields)
    types = {(its.type, its.own.kind) for its in fields}
    return len(types) == len(fields) and all(name in names for names in listed)
