"""Send files by a form; a browser with JavaScript sends each by itself instead."""

from collections.abc import AsyncIterator

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response

from csv_pipeline.api.bodies import chunks_of
from csv_pipeline.api.callers import Caller, Uploader
from csv_pipeline.api.multipart import Part, boundary_of, parts_of
from csv_pipeline.api.pages.forms import hold_to_form
from csv_pipeline.api.pages.home import names
from csv_pipeline.api.pages.page import answer, leads_to
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.api.taking_forms import Form, Taken

router = APIRouter()


@router.get("/imports/new")
def new(
    request: Request, caller: Uploader, service: ServiceOf, account: str = "", feed: str = ""
) -> Response:
    """Ask for files."""
    return _page(request, caller, service, [], account, feed)


@router.post("/imports/new")
async def send(request: Request, caller: Uploader, service: ServiceOf) -> Response:
    """Take the files of a form, and lead to the one, or say what became of each."""
    boundary = boundary_of(request.headers.get("content-type", ""))
    form = Form(service, caller, account=None, feed=None, check=False)
    taken = await form.take(_own(parts_of(chunks_of(request), boundary), caller))
    if len(taken) == 1 and taken[0].upload is not None:
        return leads_to(f"/imports/{taken[0].upload.upload_id}")
    return await anyio.to_thread.run_sync(_page, request, caller, service, taken, "", "")


async def _own(parts: AsyncIterator[Part], caller: Caller) -> AsyncIterator[Part]:
    """Give the parts of a form of the caller's own session; the word for that comes first."""
    is_own = caller.csrf is None
    async for part in parts:
        if part.filename is None and part.name == "csrf":
            hold_to_form(caller, await part.text())
            is_own = True
            continue
        if part.filename is not None and not is_own:
            raise ProblemError("other_site", "a form of your session was needed")
        yield part


def _page(  # noqa: PLR0913, PLR0917  # what the page shows
    request: Request, caller: Caller, service: Service, taken: list[Taken], account: str, feed: str
) -> Response:
    with service.reading(caller) as connection:
        known = names(connection, caller)
    sent = [
        {
            "name": one.name,
            "number": one.upload.upload_id if one.upload else None,
            "state": one.upload.state.value if one.upload else "refused",
            "problem": (one.problem or {}).get("detail", ""),
        }
        for one in taken
    ]
    shown = {
        "sent": sent,
        "accounts": known,
        "feeds": list(service.pipeline.feeds),
        "chosen_account": account,
        "chosen_feed": feed,
    }
    return answer(request, "new.html", {}, shown)
