"""What the name of a feed's files says, and the folders that they lie in."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from csv_pipeline.errors import FileNameError, SetupError, WrongAccountError
from csv_pipeline.model import Evidence

_ACCOUNT = "account"
_COMPRESSED = re.compile(r"\.(?:gz|gzip|zst|zstd|zip)$", re.IGNORECASE)
_MARK = re.compile(r"-\d{8}T\d{6}Z(?:-\d+)?(?=\.|$)")
"""What the archive puts into the second of two names that are the same."""


@dataclass(frozen=True, slots=True)
class NamedFile:
    """The name under which a file was uploaded, and the folders below its feed's."""

    name: str
    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: str, folders: Iterable[str] = ()) -> "NamedFile":
        """Return what a path says, of an archive's member too, in folders of which some are known.

        >>> NamedFile.of("90/prices.csv.gz", ("2024",))
        NamedFile(name='prices.csv', folders=('2024', '90'))
        """
        *more, name = PurePosixPath(unicodedata.normalize("NFC", path).replace("\\", "/")).parts
        known = (unicodedata.normalize("NFC", folder) for folder in folders)
        return cls(_COMPRESSED.sub("", name), (*known, *more))


@dataclass(frozen=True, slots=True, kw_only=True)
class FromName:
    """What the name of a file told: the text of columns by name, and how that is known."""

    texts: Mapping[str, str]
    evidence: tuple[Evidence, ...]

    def fingerprint(self, of_bytes: str) -> str:
        """Return what tells a file from others that have its bytes and tell something else."""
        if not self.texts:
            return of_bytes
        told = json.dumps([of_bytes, sorted(self.texts.items())])
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class FileName:
    """How the files of a feed are named.

    Attributes:
        pattern: What explains the whole name. Its named groups are the texts of the contract's
            derived columns of these names, and are cast as cells are. A group `account` is the
            account whose file it is, in letters of any case; another one's is refused.
        shown: The pattern as a person reads it, such as `prices_<YYYY-MM>.csv`.
        folders: What may explain all folders between the feed's and the file, joined by `/`, with
            named groups as well. Folders that it does not explain tell nothing.
        example: A name that the template of the feed's files has.
    """

    pattern: str
    shown: str
    folders: str = ""
    example: str = field(default="", compare=False)  # it makes no other row

    def __post_init__(self) -> None:
        """Hold the example to the pattern.

        Raises:
            SetupError: It is not explained by it.
        """
        if self.example and re.fullmatch(self.pattern, self.example) is None:
            raise SetupError(
                f"example: a name like {self.shown} was needed; found {self.example!r}"
            )

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns that a name or its folders may tell."""
        return self._groups - {_ACCOUNT}

    @property
    def tells_account(self) -> bool:
        """Whether a name or its folders may tell the account."""
        return _ACCOUNT in self._groups

    @property
    def _groups(self) -> frozenset[str]:
        both = (re.compile(self.pattern), re.compile(self.folders))
        return frozenset(name for pattern in both for name in pattern.groupindex)

    def read(self, feed: str, names: Iterable[NamedFile], account: str = "") -> FromName:
        """Return what the first of the names that a file has tells, if it is one of this pattern.

        The file is of `account`, if that is known.

        Raises:
            FileNameError: None is, or folders and name contradict one another.
            WrongAccountError: The name tells another account.
        """
        known = list(names)
        for one in (*known, *_unmarked(known)):
            if (match := re.fullmatch(self.pattern, one.name)) is not None:
                told = self._told(feed, one, _filled(match))
                return _of_account(told, one.name, account)
        raise FileNameError(
            known[0].name,
            f"a name like {self.shown} was needed, as feed {feed!r} declares",
            f"the file was uploaded as {known[0].name!r}",
        )

    def _told(self, feed: str, named: NamedFile, by_name: Mapping[str, str]) -> FromName:
        path = "/".join(named.folders)
        match = re.fullmatch(self.folders, path) if self.folders and path else None
        by_folders = {} if match is None else _filled(match)
        for column, text in by_folders.items():
            if by_name.get(column, text) != text:
                raise FileNameError(
                    named.name,
                    f"folders that say what the name says were needed of feed {feed!r}",
                    f"{column} is {text!r} by the folders {path!r}",
                )
        evidence = [_evidence("file name", by_name, f"{named.name!r} is {self.shown}")]
        if self.folders and path:
            because = "explained" if by_folders else "not explained"
            because = f"the folders {path!r} are {because} by the feed's pattern"
            evidence.append(_evidence("folders", by_folders, because))
        return FromName(texts={**by_folders, **by_name}, evidence=tuple(evidence))


def _of_account(told: FromName, name: str, account: str) -> FromName:
    """Return what a name tells besides its account, which is held to the one that it is."""
    named = told.texts.get(_ACCOUNT, account)
    if account and named.casefold() != account:
        raise WrongAccountError(name, account, named)
    texts = {column: text for column, text in told.texts.items() if column != _ACCOUNT}
    return FromName(texts=texts, evidence=told.evidence)


def _unmarked(names: Iterable[NamedFile]) -> Iterator[NamedFile]:
    """Give the names of files that were renamed in the archive, and then put back."""
    for one in names:
        if _MARK.search(one.name):
            yield NamedFile(_MARK.sub("", one.name), one.folders)


def _filled(match: re.Match[str]) -> dict[str, str]:
    return {name: text for name, text in match.groupdict().items() if text}


def _evidence(subject: str, told: Mapping[str, str], because: str) -> Evidence:
    decision = ", ".join(f"{column} {text!r}" for column, text in told.items()) or "nothing"
    return Evidence(subject=subject, decision=decision, because=because)
