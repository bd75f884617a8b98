"""Take the files of a form: each is begun as it comes, and goes on when the form is whole."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.api.callers import Caller
from csv_pipeline.api.multipart import Part
from csv_pipeline.api.problems import ProblemError, problem_of
from csv_pipeline.api.service import Service
from csv_pipeline.api.taking import UploadFacts, drop, go_on_or_drop, take_whole
from csv_pipeline.api.turns import entered, gone_on
from csv_pipeline.engine import uploads as engine
from csv_pipeline.errors import PipelineError
from csv_pipeline.storage.uploads import Upload

MOST_FILES = 1_000
_MOST_FIELDS = 20
_TRUTHS = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "": False}
_OF_THE_REQUEST = {"incomplete_upload", "upload_too_slow", "invalid_request"}
"""Why no other file of the form is taken, either."""

TAKEN: dict[str, Any] = {
    "name": ".hidden",
    "status": 422,
    "upload": None,
    "problem": ProblemError("invalid_name", "name '.hidden': another beginning was needed").facts,
}


class Taken(BaseModel):
    """One file of a form: what it is now, or why it was refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [TAKEN]})

    name: str
    status: int = Field(description="The status as if the file had been sent alone.")
    upload: UploadFacts | None = None
    problem: dict[str, Any] | None = None


@dataclass(slots=True)
class Form:
    """A form whose fields say whose its files are, of which feed, and whether to check them."""

    service: Service
    caller: Caller
    account: str | None
    feed: str | None
    check: bool
    _files: list[tuple[str, Upload | ProblemError]] = field(default_factory=list)

    async def take(self, parts: AsyncIterator[Part]) -> list[Taken]:
        """Write the files, and let those go on that are fine once the form is whole.

        Raises:
            ProblemError: It breaks off, has no file or too many; nothing is left then.
        """
        try:
            fields = 0
            async for part in parts:
                if part.filename is None:
                    fields += 1
                    await self._take_field(part, fields)
                elif part.filename:  # a browser sends an empty one for no file
                    await self._take_file(part, part.filename)
            self._hold_to_files()
        except BaseException:
            for _, one in self._files:
                if isinstance(one, Upload):
                    await drop(self.service, one)
            raise
        return [await gone_on(self.service, self._go_on, name, one) for name, one in self._files]

    def _hold_to_files(self) -> None:
        if not self._files:
            raise ProblemError("invalid_request", "a file was needed in the form; it has none")

    async def _take_field(self, part: Part, fields: int) -> None:
        if fields > _MOST_FIELDS:
            raise ProblemError("invalid_request", f"at most {_MOST_FIELDS} fields were needed")
        text = await part.text()
        if part.name not in {"account", "feed", "check"}:
            return
        if self._files:
            said = f"field {part.name!r}: one before the files was needed; it comes after them"
            raise ProblemError("invalid_request", said)
        if part.name == "check":
            if text.casefold() not in _TRUTHS:
                raise ProblemError("invalid_request", f"check: true or false was needed: {text!r}")
            self.check = _TRUTHS[text.casefold()]
        else:
            setattr(self, part.name, text or None)

    async def _take_file(self, part: Part, name: str) -> None:
        if len(self._files) >= MOST_FILES:
            raise ProblemError("too_many_files", f"at most {MOST_FILES:,} files were needed")
        shown = name.encode(errors="replace").decode()[:200]
        try:
            upload = await entered(self._begin, name)
            found: Upload | ProblemError = await take_whole(self.service, upload, part.data)
        except ProblemError as problem:
            if problem.code in _OF_THE_REQUEST:
                raise
            found = problem
        except PipelineError as error:
            found = problem_of(error)
        self._files.append((shown, found))

    def _begin(self, name: str) -> Upload:
        account = self.account or self.caller.account
        if account is None:
            raise ProblemError("invalid_request", "account: one was needed; the form names none")
        self.caller.hold_to_account(account)
        return engine.begin(
            self.service.pipeline,
            account,
            name,
            by=self.caller.who,
            feed=self.feed,
            check_first=self.check,
        )

    def _go_on(self, name: str, one: Upload | ProblemError) -> Taken:
        if isinstance(one, Upload):
            try:
                upload = go_on_or_drop(self.service, self.caller, one)
            except PipelineError as error:
                one = problem_of(error)
            else:
                return Taken(name=name, status=201, upload=UploadFacts.of(upload, self.caller))
        return Taken(name=name, status=one.status, problem=one.facts)
