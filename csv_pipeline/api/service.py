"""What the API works with: the pipeline, who starts runs, and a transaction bound to a caller."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, Request

from csv_pipeline.api.callers import Caller
from csv_pipeline.api.runs import Runs
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import audit
from csv_pipeline.storage.isolation import choose_account


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The pipeline and who starts runs for it.

    It is `open` to all who reach it, until there is a token.
    """

    pipeline: Pipeline
    runs: Runs
    open: bool = False

    @contextmanager
    def reading(self, caller: Caller) -> Iterator[sa.Connection]:
        """Give a transaction that sees the rows of the caller's account and no others.

        The policies of the tables hold it to that, whatever a query says.
        """
        with self.pipeline.database.begin() as connection:
            if caller.account is not None:
                choose_account(connection, caller.account)
            yield connection

    def note(
        self, caller: Caller, action: str, subject: str, account: str | None = None, **details: Any
    ) -> None:
        """Enter what a caller did into the audit log."""
        with self.pipeline.database.begin() as connection:
            audit.note(
                connection,
                who=caller.who,
                action=action,
                subject=subject,
                account=account or caller.account,
                address=caller.address,
                details=details,
            )


def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


ServiceOf = Annotated[Service, Depends(_service)]
