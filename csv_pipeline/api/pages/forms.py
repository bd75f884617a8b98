"""Forms: only those of this site's own pages are taken."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Form, Request

from csv_pipeline.account import Setting
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


@dataclass(frozen=True, slots=True)
class Answer:
    """The yes to a question of a check or an import: which question, and what that declares."""

    question: str
    name: str
    value: str

    def among(self, suggestions: Iterable[Mapping[str, Any]]) -> Setting:
        """Return the setting that it declares, of those suggested.

        Raises:
            ProblemError: It is none of them.
        """
        for one in suggestions:
            told = one.get("declares")
            its = (one["question"], told and told["name"], told and told["value"])
            if told and its == (self.question, self.name, self.value):
                return Setting(**told)
        raise ProblemError("not_accepted", "an answer to a question that is asked was needed")


def _answer(
    answer: Annotated[str, Form()], name: Annotated[str, Form()], value: Annotated[str, Form()]
) -> Answer:
    return Answer(answer, name, value)


AnswerOf = Annotated[Answer, Depends(_answer)]
OwnForm = Depends(_of_a_page)
"""For routes that a form is posted to."""
