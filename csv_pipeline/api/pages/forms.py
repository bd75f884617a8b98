"""Forms: only those of this site's own pages are taken."""

import hmac
from typing import Annotated

from fastapi import Depends, Form, Request

from csv_pipeline.api.callers import Caller, caller_of
from csv_pipeline.api.problems import ProblemError


def hold_to_form(caller: Caller, csrf: str) -> None:
    """Let only a form go on that a page of the caller's session brought.

    Raises:
        ProblemError: It is another one's.
    """
    if caller.csrf is not None and not hmac.compare_digest(caller.csrf, csrf):
        raise ProblemError(
            "other_site", "a form of your session was needed; open the page again and send it anew"
        )


def _of_a_page(request: Request, csrf: Annotated[str, Form()] = "") -> None:
    hold_to_form(caller_of(request), csrf)


OwnForm = Depends(_of_a_page)
"""For routes that a form is posted to."""
