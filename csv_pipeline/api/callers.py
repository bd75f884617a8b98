"""Who asks, and what they may: found out from the headers, before a byte of the body is read."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from csv_pipeline.access import Scope
from csv_pipeline.account import Declaration
from csv_pipeline.api.problems import ProblemError


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: for one `account`, or for all if that is None; `csrf` is that of a session."""

    who: str
    account: str | None
    scopes: frozenset[Scope]
    token_id: int | None = None
    address: str = ""
    csrf: str | None = None

    def may(self, scope: Scope) -> bool:
        """Return whether the caller's token allows something."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def sees(self, account: str) -> bool:
        """Return whether the caller's token is for an account."""
        return self.account in {None, account}

    def hold_to(self, scope: Scope) -> None:
        """Let only a caller go on who may do something.

        Raises:
            ProblemError: The token does not allow it.
        """
        if not self.may(scope):
            has = ", ".join(sorted(self.scopes)) or "none"
            raise ProblemError("not_allowed", f"scope {scope.value!r} was needed; found {has}")

    def hold_to_account(self, account: str) -> None:
        """Let only a caller go on whose token is for an account.

        Raises:
            ProblemError: It is for another one.
        """
        if not self.sees(account):
            raise ProblemError(
                "unknown_account", f"account {account!r}: the token is for another account"
            )

    def hold_to_settings(self, names: Collection[str]) -> None:
        """Let only a caller for all accounts change what puts one of them before others.

        Raises:
            ProblemError: The token is for one account.
        """
        if self.account is not None and Declaration.PRIORITY in names:
            raise ProblemError(
                "not_accepted", "priority: a token for all accounts was needed; yours is for one"
            )


def caller_of(request: Request) -> Caller:
    """Return who asks, as the gate found out; see `csv_pipeline.api.gate`."""
    found: Caller = request.state.caller
    return found


def _allowed(scope: Scope) -> object:
    def hold(request: Request) -> Caller:
        caller = caller_of(request)
        caller.hold_to(scope)
        return caller

    return Depends(hold)


Reader = Annotated[Caller, _allowed(Scope.READ)]
Uploader = Annotated[Caller, _allowed(Scope.UPLOAD)]
Corrector = Annotated[Caller, _allowed(Scope.CORRECT)]
Undoer = Annotated[Caller, _allowed(Scope.UNDO)]
Admin = Annotated[Caller, _allowed(Scope.ADMIN)]
