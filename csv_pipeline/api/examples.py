"""What routes say of their answers that no model does: examples, and refusals by their codes."""

from collections.abc import Mapping
from typing import Any

from csv_pipeline.api.problems import CODES, MEDIA_TYPE, ProblemError

Responses = dict[int | str, dict[str, Any]]

_DETAILS = {
    "invalid_request": "query.limit: Input should be less than or equal to 200",
    "unauthenticated": "a token that is valid now was needed, as 'Authorization: Bearer …'; "
    "found none",
    "not_allowed": "scope 'upload' was needed; found read",
    "other_site": "a request of this site was needed; it is of https://shop.example",
    "not_found": "import 17: it has no result file",
    "unknown_feed": "feed 'customer': one of customers, products was needed",
    "unknown_account": "account 'acme': the token is for another account",
    "unknown_import": "import 17: there is none of this number",
    "unknown_upload": "upload 41: there is none of this number",
    "invalid_account": "account 'Acme': small letters, digits, - and _ were needed",
    "invalid_name": "name '.hidden': one that does not begin with . was needed",
    "not_accepted": "column 'Amout': one of the header was needed",
    "file_refused": "orders.csv: the column 'Order Number' was needed",
    "file_too_large": "at most 2,000,000,000 bytes were needed",
    "body_too_large": "at most 16,777,216 bytes were needed",
    "incomplete_upload": "1,200 bytes was needed; 800 bytes came",
    "upload_too_slow": "a byte within 30 s was needed; 800 came before",
    "upload_expired": "upload 41: its bytes are kept no longer",
    "offset_mismatch": "upload 41: offset 800 was needed; found 0",
    "upload_locked": "upload 41: another request writes to it",
    "checksum_mismatch": "the bytes have another checksum than was sent",
    "too_many_files": "at most 1,000 files were needed",
    "no_space": "more space on the disk of uploads was needed",
    "wrong_media_type": "multipart/form-data was needed; the body is 'text/csv'",
    "unsupported_protocol": "Tus-Resumable: 1.0.0 was needed; found '0.2.2'",
    "wrong_state": "import 17: one that failed or was refused was needed; it is imported",
    "import_running": "import 17: one that was imported was needed; it is running",
    "cannot_be_undone": "import 17: it is undone already, by import 18",
    "key_reused": "a key of its own was needed; another request was answered by this one",
    "key_in_use": "a request with this key is being answered; wait for it",
    "query_too_slow": "an answer within 5 s was needed; rows come fast in the order of the key",
    "too_many_requests": "at most 600 requests a minute were needed of token 3",
    "no_dagster": "Dagster was to answer at http://127.0.0.1:3000",
    "unavailable": "the database was to answer",
}


def example(
    value: Any, status: int = 200, kind: str = "application/json", description: str = ""
) -> Responses:
    """Return what a route says of its answer, so that its description has an example."""
    content: dict[str, Any] = {"example": value}
    if kind != "application/json":
        content["schema"] = {"type": "string"}
    said = {"description": description} if description else {}
    return {status: {"content": {kind: content}} | said}


def refusals(*codes: str) -> Responses:
    """Return by which codes a route refuses, with an example of each."""
    made: Responses = {}
    for code in codes:
        status, title = CODES[code]
        its = made.setdefault(status, {"description": title, "content": {MEDIA_TYPE: _problems()}})
        shown = its["content"][MEDIA_TYPE]["examples"]
        shown[code] = {"value": ProblemError(code, _DETAILS[code]).facts}
        titles = dict.fromkeys(CODES[one][1] for one in shown)
        its["description"] = "; ".join(titles)
    return made


def _problems() -> dict[str, Any]:
    return {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}


PROBLEM: Mapping[str, Any] = {
    "title": "Problem",
    "description": "Why a request is refused, as RFC 9457 says it; some codes have more members.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "description": "Where the code is explained."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "enum": list(CODES)},
        "detail": {"type": "string", "description": "What was needed, and what was found."},
    },
    "required": ["type", "title", "status", "code", "detail"],
}
"""The schema of every refusal."""
