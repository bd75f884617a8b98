"""Ask a csv_pipeline service from Python: send files, follow them, correct them, take them back.

It needs nothing of csv_pipeline but this file.
"""

import base64
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self, TypeVar

import httpx2

State = Literal[
    "uploading",
    "arrived",
    "checking",
    "checked",
    "queued",
    "running",
    "imported",
    "refused",
    "failed",
    "duplicate",
    "canceled",
    "undone",
]
SETTLED: frozenset[State] = frozenset(
    ("checked", "imported", "refused", "failed", "duplicate", "canceled", "undone")
)
"""In these nothing happens to a file by itself any more."""

_READ_AT_ONCE = 256 * 1024
_TUS = {"Tus-Resumable": "1.0.0"}
_BYTES = {"Content-Type": "application/offset+octet-stream"}
_MOST_ATTEMPTS = 5
_GOES_ON = {"upload_locked", "offset_mismatch", "incomplete_upload", "upload_too_slow"}


class ProblemError(Exception):
    """What the service refused: `code` says why to programs, `detail` to people."""

    def __init__(self, status: int, code: str, detail: str, facts: Mapping[str, Any]) -> None:
        super().__init__(f"{code}: {detail}")
        self.status, self.code, self.detail, self.facts = status, code, detail, facts


class BrokenUploadError(Exception):
    """An upload broke off too often; `Client.upload(…, number=…)` goes on with it."""

    def __init__(self, number: int, sent: int) -> None:
        super().__init__(f"upload {number} broke off after {sent:,} bytes")
        self.number, self.sent = number, sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a file is; the success rate is over the rows that were processed."""

    job_id: int | None
    total_rows: int | None
    processed_rows: int
    failed_rows: int
    success_rate: float | None
    status: State
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What became of a file; `counts` add up: read is the sum of all that became of its rows."""

    number: int | None
    account: str
    feed: str | None
    name: str
    state: State
    counts: Mapping[str, int]
    problem: str | None
    problem_code: str | None
    undone_by: int | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A rejected row: its cells as they came, what was corrected since, and why it is one."""

    row_number: int
    line_number: int
    repaired_by: int | None
    cells: Mapping[str, str]
    corrected: Mapping[str, str]
    faults: Sequence[Mapping[str, str | None]]


_Facts = TypeVar("_Facts", Progress, Import, Reject)


class Client:
    """A service at an address, for whom a token is; use it as a context manager, or close it.

    Every method raises `ProblemError` if the service refuses, and `httpx2.HTTPError` if it does
    not answer.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_seconds: float = 60,
        piece_bytes: int = 8 * 1024**2,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(
            base_url=f"{url.rstrip('/')}/api/v1",
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=timeout_seconds,
            transport=transport,
        )
        self._piece = piece_bytes

    def upload(
        self,
        path: str | os.PathLike[str],
        *,
        account: str | None = None,
        feed: str | None = None,
        check: bool = False,
        number: int | None = None,
    ) -> int:
        """Send a file, piece by piece, and return its number; go on by it where one broke off.

        It is imported at once, unless it is to be checked first or its feed is not known.

        Raises:
            BrokenUploadError: The service did not answer several times.
        """
        path = Path(path)
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if number is None:
                number = self._begin(size, path.name, account, feed, check=check)
            self._send(file, size, number)
        return number

    def check(self, number: int, *, feed: str | None = None) -> Import:
        """Check an upload that is not imported yet, and return it with what would happen."""
        self._ask("POST", f"/uploads/{number}/check", json={"feed": feed})
        return self.wait(number)

    def import_upload(self, number: int, *, force: bool = False) -> None:
        """Import an upload that was checked; by `force` although its check says otherwise."""
        self._ask("POST", f"/uploads/{number}/import", json={"force": force})

    def progress(self, number: int) -> Progress:
        """Return how far a file is."""
        return _of(Progress, self._ask("GET", f"/imports/{number}/progress").json())

    def wait(
        self,
        number: int,
        *,
        until: frozenset[State] = SETTLED,
        seconds: float = 600,
        told: Callable[[Progress], object] = lambda _: None,
    ) -> Import:
        """Wait until a file is in one of these states; `told` hears of each step.

        Raises:
            TimeoutError: It is not within this time.
        """
        end, pause, last = time.monotonic() + seconds, 0.1, None
        while (now := self.progress(number)).status not in until:
            if now != last:
                told(now)
                last, pause = now, 0.1
            if time.monotonic() > end:
                raise TimeoutError(f"import {number} is still {now.status} after {seconds:g} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 2.0)
        told(now)
        return self.find(number)

    def find(self, number: int) -> Import:
        """Return what became of one file, with its report among the `facts`."""
        return _import(self._ask("GET", f"/imports/{number}").json())

    def imports(self, **filters: Any) -> Iterator[Import]:
        """Give files, the newest first, page by page; filters are those of `GET /imports`."""
        return map(_import, self._pages("/imports", "imports", filters))

    def rejects(self, number: int, **filters: Any) -> Iterator[Reject]:
        """Give rejected rows in the order of the file; filters are `rule`, `open` and so on."""
        found = self._pages(f"/imports/{number}/rejects", "rows", filters)
        return (_of(Reject, one) for one in found)

    def correct(self, number: int, cells: Mapping[tuple[int, str], str]) -> int | None:
        """Write values into cells, by row number and heading; return the number of the change."""
        asked = [
            {"row_number": row, "column": column, "value": value}
            for (row, column), value in cells.items()
        ]
        answer = self._ask("PATCH", f"/imports/{number}/rejects", json={"cells": asked}).json()
        change: int | None = answer["change"]
        return change

    def replay(self, number: int) -> int:
        """Import the corrected rows; return the number of that import."""
        return int(self._ask("POST", f"/imports/{number}/replay").json()["number"])

    def undo(self, number: int) -> None:
        """Take back what an import wrote, or bring back what an undo took."""
        self._ask("POST", f"/imports/{number}/undo")

    def cancel(self, number: int) -> None:
        """Withdraw a file that is not imported yet; it stays so until `retry`."""
        self._ask("POST", f"/imports/{number}/cancel")

    def retry(self, number: int) -> None:
        """Import once more what failed, was refused, canceled or undone."""
        self._ask("POST", f"/imports/{number}/retry")

    def download(self, number: int, to: str | os.PathLike[str], what: str = "rejects.csv") -> None:
        """Write `rejects.csv`, `rejects.ndjson` or `results` to a file, whole or not at all."""
        path = Path(to)
        part = path.with_name(f"{path.name}.part")
        try:
            with self._streamed(f"/imports/{number}/{what}") as answer, part.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(
        self, size: int, name: str, account: str | None, feed: str | None, *, check: bool
    ) -> int:
        said = {"filename": name, "account": account, "feed": feed, "check": "true" * check}
        metadata = ",".join(
            f"{key} {base64.b64encode(value.encode()).decode()}"
            for key, value in said.items()
            if value
        )
        headers = _TUS | {"Upload-Length": f"{size}", "Upload-Metadata": metadata}
        answer = self._ask("POST", "/tus", headers=headers)
        return int(answer.headers["Location"].rpartition("/")[2])

    def _send(self, file: BinaryIO, size: int, number: int) -> None:
        """Send what is missing; after a break, ask where to go on."""
        at, attempts = self._offset(number), 0
        while at < size:
            length = min(self._piece, size - at)
            headers = {"Upload-Offset": f"{at}", "Content-Length": f"{length}"} | _TUS | _BYTES
            try:
                body = partial(_bytes_of, file, at, length)
                answer = self._ask("PATCH", f"/tus/{number}", body, headers=headers)
            except (httpx2.TransportError, ProblemError) as error:
                attempts += 1
                if isinstance(error, ProblemError) and error.code not in _GOES_ON:
                    raise
                if attempts == _MOST_ATTEMPTS:
                    raise BrokenUploadError(number, at) from error
                time.sleep(0.2 * 2**attempts)
                at = self._offset_after_a_break(number, at)
            else:
                at, attempts = int(answer.headers["Upload-Offset"]), 0

    def _offset(self, number: int) -> int:
        answer = self._ask("HEAD", f"/tus/{number}", headers=_TUS)
        return int(answer.headers["Upload-Offset"])

    def _offset_after_a_break(self, number: int, last: int) -> int:
        try:
            return self._offset(number)
        except httpx2.TransportError:
            return last

    def _pages(self, path: str, name: str, filters: Mapping[str, Any]) -> Iterator[Any]:
        asked = {key: value for key, value in filters.items() if value is not None}
        answer = self._ask("GET", path, params=asked).json()
        yield from answer[name]
        while answer["next"] is not None:
            answer = self._ask("GET", answer["next"].removeprefix(self._http.base_url.path)).json()
            yield from answer[name]

    def _ask(
        self, method: str, path: str, body: Callable[[], Iterator[bytes]] | None = None, **how: Any
    ) -> httpx2.Response:
        attempts = 0
        while True:
            answer = self._http.request(method, path, content=body and body(), **how)
            if not answer.is_error:
                return answer
            attempts += 1
            is_busy = answer.status_code == httpx2.codes.TOO_MANY_REQUESTS
            if not is_busy or attempts == _MOST_ATTEMPTS:
                raise _problem(answer)
            time.sleep(float(answer.headers.get("Retry-After", "1")))

    @contextmanager
    def _streamed(self, path: str) -> Iterator[httpx2.Response]:
        with self._http.stream("GET", path) as answer:
            if answer.is_error:
                answer.read()
                raise _problem(answer)
            yield answer


def _problem(answer: httpx2.Response) -> ProblemError:
    try:
        facts = dict(answer.json())
    except ValueError:  # an answer to HEAD, or of something in between
        facts = {}
    code = str(facts.get("code", f"http_{answer.status_code}"))
    return ProblemError(answer.status_code, code, str(facts.get("detail", answer.text)), facts)


def _bytes_of(file: BinaryIO, at: int, length: int) -> Iterator[bytes]:
    file.seek(at)
    while length and (chunk := file.read(min(length, _READ_AT_ONCE))):
        length -= len(chunk)
        yield chunk


def _of(kind: type[_Facts], facts: Mapping[str, Any]) -> _Facts:
    return kind(**{field.name: facts[field.name] for field in fields(kind)})


def _import(facts: Mapping[str, Any]) -> Import:
    return _of(Import, {**facts, "facts": facts})
