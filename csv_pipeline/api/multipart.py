"""Read a body of `multipart/form-data` part by part as it comes; no part is held in memory."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from csv_pipeline.api.problems import ProblemError

_LONGEST_FIELD = 1_000


@dataclass(slots=True)
class _Headers:
    """The headers of a part that begins."""

    of: dict[str, bytes] = field(default_factory=dict)
    name: bytes = b""
    value: bytes = b""


_END_OF_PART = object()


class Part:
    """One part of a form: a field, or a file if it has a `filename`."""

    def __init__(self, headers: dict[str, bytes], data: AsyncIterator[bytes]) -> None:
        self.data = data
        kind, options = parse_options_header(headers.get("content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise _malformed("a part has no name")
        self.name = options[b"name"].decode(errors="replace")
        filename = options.get(b"filename")
        # What is no UTF-8 keeps its bytes, so that the name is refused and not guessed.
        self.filename = None if filename is None else filename.decode(errors="surrogateescape")

    async def text(self) -> str:
        """Return a field's text."""
        found = bytearray()
        async for data in self.data:
            found += data
            if len(found) > _LONGEST_FIELD:
                needed = f"at most {_LONGEST_FIELD:,} bytes were needed"
                raise ProblemError("invalid_request", f"field {self.name[:100]!r}: {needed}")
        return found.decode(errors="replace").strip()


def boundary_of(content_type: str) -> bytes:
    """Return what parts the parts of a form.

    Raises:
        ProblemError: It is no form, or does not say it.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        found = kind.decode(errors="replace")[:100]
        raise ProblemError(
            "wrong_media_type", f"multipart/form-data was needed; the body is {found!r}"
        )
    if not options.get(b"boundary"):
        raise _malformed("it names no boundary")
    return options[b"boundary"]


async def parts_of(chunks: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[Part]:
    """Give the parts of a form in their order; what is not read of one is passed over.

    Raises:
        ProblemError: It is no form, or has no end.
    """
    events = _Events(chunks, boundary)
    while (event := await events.next()) is not None:
        if isinstance(event, dict):
            data = events.data()
            yield Part(event, data)
            async for _ in data:
                pass
    if not events.ended:
        raise ProblemError("incomplete_upload", "the end of the form was needed; it broke off")


class _Events:
    """What a parser tells: the headers of a part, pieces of it, and its end."""

    def __init__(self, chunks: AsyncIterator[bytes], boundary: bytes) -> None:
        self._chunks, self._told = chunks, deque[object]()
        self._headers = _Headers()
        self.ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._name,
                    "on_header_value": self._value,
                    "on_header_end": self._header,
                    "on_headers_finished": self._started,
                    "on_part_data": self._data,
                    "on_part_end": lambda: self._told.append(_END_OF_PART),
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _malformed(str(error)) from error

    async def next(self) -> object | None:
        """Return what is told next; None at the end of the body."""
        while not self._told:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return None
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise _malformed(str(error)) from error
        return self._told.popleft()

    async def data(self) -> AsyncIterator[bytes]:
        """Give the pieces of the part that began."""
        while isinstance(event := await self.next(), bytes):
            yield event
        if event is None:
            raise ProblemError("incomplete_upload", "the end of a part was needed; it broke off")

    def _begin(self) -> None:
        self._headers = _Headers()

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._headers.name += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        self._headers.value += data[start:end]

    def _header(self) -> None:
        self._headers.of[self._headers.name.decode("latin-1").casefold()] = self._headers.value
        self._headers.name = self._headers.value = b""

    def _started(self) -> None:
        self._told.append(self._headers.of)

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._told.append(data[start:end])

    def _end(self) -> None:
        self.ended = True


def _malformed(found: str) -> ProblemError:
    return ProblemError("invalid_request", f"a form of multipart/form-data was needed; {found}")
