"""Tokens: made for others, listed without their texts, and revoked."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.access import Scope
from csv_pipeline.api.callers import Admin
from csv_pipeline.api.examples import example, refusals
from csv_pipeline.api.paging import Number
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.engine.views import token_facts
from csv_pipeline.storage import accounts, tokens

router = APIRouter(prefix="/tokens", tags=["tokens"])


class NewToken(BaseModel):
    """For whom a token is, and what it allows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "the shop's ERP", "account": "acme", "scopes": ["upload", "read"]}
            ]
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=200)]
    account: Annotated[
        str | None, Field(description="The one account it is for; that of your own if left out.")
    ] = None
    scopes: Annotated[list[Scope], Field(min_length=1)]
    seconds: Annotated[
        int | None, Field(gt=0, le=10**9, description="How long it is valid; 90 days if left out.")
    ] = None


class TokenFacts(BaseModel):
    """A token; its `token` is shown when it is made, and never again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "token_id": 3,
                    "name": "the shop's ERP",
                    "account": "acme",
                    "scopes": ["read", "upload"],
                    "created_at": "2026-11-26T22:00:00+00:00",
                    "expires_at": "2027-02-24T22:00:00+00:00",
                    "revoked_at": None,
                    "token": None,
                }
            ]
        }
    )

    token_id: int
    name: str
    account: str | None
    scopes: list[Scope]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    token: str | None = None


@router.post("", status_code=status.HTTP_201_CREATED, responses=refusals("unknown_account"))
def make(new: NewToken, caller: Admin, service: ServiceOf) -> TokenFacts:
    """Make a token that allows no more than your own does."""
    account = new.account or caller.account
    if account is not None:
        caller.hold_to_account(account)
    lasts = timedelta(days=90) if new.seconds is None else timedelta(seconds=new.seconds)
    with service.pipeline.database.begin() as connection:
        if account is not None and account not in accounts.names(connection):
            raise ProblemError("unknown_account", f"account {account!r}: there is none")
        text, made = tokens.make(
            connection, new.name, account=account, scopes=set(new.scopes), lasts=lasts
        )
    service.note(
        caller, "token made", f"token {made.token_id}", account, scopes=sorted(made.scopes)
    )
    return TokenFacts(**token_facts(made), token=text)


@router.get("")
def listed(caller: Admin, service: ServiceOf) -> list[TokenFacts]:
    """Return the tokens of your account, or all."""
    with service.pipeline.database.begin() as connection:
        return [TokenFacts(**token_facts(one)) for one in tokens.listed(connection, caller.account)]


@router.delete(
    "/{token_id}", status_code=status.HTTP_204_NO_CONTENT, responses=refusals("not_accepted")
)
def revoke(token_id: Number, caller: Admin, service: ServiceOf) -> None:
    """End a token, and the sessions of the page that it made."""
    with service.pipeline.database.begin() as connection:
        tokens.revoke(connection, token_id, caller.account)
    service.note(caller, "token revoked", f"token {token_id}")


@router.get(
    "/this",
    responses=example({"name": "the shop's ERP", "account": "acme", "scopes": ["read", "upload"]}),
)
def this(caller: Admin) -> dict[str, Any]:
    """Return what your own token allows."""
    return {"name": caller.who, "account": caller.account, "scopes": sorted(caller.scopes)}
