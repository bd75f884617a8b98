"""Say that a file brings every row of a scope, and what becomes of stored rows that are not in it.

The scope is the account, or the rows that have the values of some columns which occur in the file.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from csv_pipeline.errors import SetupError
from csv_pipeline.scope import Missing
from csv_pipeline.spec.conflict import ConflictPolicy, LaterWins
from csv_pipeline.spec.contract import Column

__all__ = ["Missing", "Snapshot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A file of the feed brings every row of its scope.

    Attributes:
        scope: The columns whose values say which rows these are: all that have the values of one of
            the file's rows. None: all rows of the account.
        missing: What becomes of the stored rows that are not in the file.
        max_missing_rows: A file that would flag or delete more rows is refused; None: no limit.
        max_missing_share: So is one that would flag or delete a greater share of the scope's stored
            rows; None: no limit. Of fewer than `SHARE_FROM_ROWS` rows less than half are never too
            many: a share says little about a handful.
    """

    scope: tuple[str, ...] = ()
    missing: Missing = Missing.KEEP
    max_missing_rows: int | None = None
    max_missing_share: float | None = 0.2

    @property
    def marks(self) -> bool:
        """Whether rows that are not in the file are changed at all."""
        return self.missing is not Missing.KEEP

    def hold_to(
        self, feed: str, columns: Iterable[Column], conflicts: Iterable[ConflictPolicy]
    ) -> None:
        """Check the declaration against the feed's columns and conflict policies.

        A snapshot marks rows by the order of arrival, so that no column may be another order of
        files, unless each of its values is a scope of its own.

        Raises:
            SetupError: A column of the scope is not there or may be null, or a limit is none.
        """
        known = {column.name: column for column in columns}
        needed = f"feed {feed!r}, snapshot:"
        for name in self.scope:
            if name not in known:
                raise SetupError(f"{needed} a column of the contract was needed; found {name!r}")
            if known[name].nullable and known[name].substitute is None:
                raise SetupError(
                    f"{needed} a column of the scope has no nulls or a substitute; {name!r} may be "
                    "null and has none"
                )
        if len(set(self.scope)) < len(self.scope):
            raise SetupError(
                f"{needed} each column of the scope once was needed; found {self.scope}"
            )
        orders = {policy.column for policy in conflicts if isinstance(policy, LaterWins)}
        if self.marks and (others := sorted(orders - set(self.scope))):
            raise SetupError(
                f"{needed} a scope that has {others[0]!r} was needed, as LaterWins takes it for "
                f"the order of files; found {self.scope}"
            )
        rows, share = self.max_missing_rows, self.max_missing_share
        if (rows is not None and rows < 0) or (share is not None and not 0 <= share <= 1):
            raise SetupError(
                f"{needed} max_missing_rows of 0 or more and max_missing_share from 0 to 1 were "
                f"needed; found {rows} and {share}"
            )
