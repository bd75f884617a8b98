"""Write how far each import is into the database, for whoever watches.

It is an event consumer. What it is told it only remembers; a thread of its own writes it two times
a second, on a connection of its own. A database that does not answer there costs the import nothing
but the watching.
"""

import atexit
import threading
from dataclasses import replace

import structlog

from csv_pipeline.engine.events import Event, ImportSettled, RowsDone, StepBroke, StepDone
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.model import Claim
from csv_pipeline.storage import progress
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.progress import Step

_WRITE_SECONDS = 0.5
_IDLE_SECONDS = 5.0
_LAST_SECONDS = 2.0
log = structlog.get_logger()


def watched(pipeline: Pipeline) -> Pipeline:
    """Return a pipeline whose imports can be watched."""
    return replace(pipeline, consumers=(*pipeline.consumers, LiveProgress(pipeline.database)))


class LiveProgress:
    """What is known of imports that go on, and the thread that writes it down while there is any.

    The thread ends when nothing has come for a while; the next event starts another. What is left
    is written before the process leaves an embedded server. Of dry runs it tells if they are the
    check `of_upload`, by the number of that.
    """

    def __init__(self, database: Database, of_upload: int | None = None) -> None:
        self._database, self._of_upload = database, of_upload
        self._lock = threading.Lock()
        self._known: dict[int, Step] = {}
        self._changed: set[int] = set()
        self._settled: set[int] = set()
        self._writer: threading.Thread | None = None
        self._told, self._over = threading.Event(), threading.Event()
        atexit.register(self.end)

    def end(self) -> None:
        """Write what is left without waiting, and let the thread end."""
        self._over.set()
        self._told.set()
        if (writer := self._writer) is not None:
            writer.join(_LAST_SECONDS)

    def __call__(self, event: Event) -> None:
        """Remember what an event says."""
        with self._lock:
            match event:
                case RowsDone(claims=(claim,), stage=stage, rows=rows) if self._tells_of(claim):
                    self._remember(self._number(claim.import_id), stage=stage.value, rows=rows)
                case StepDone(progress=done):
                    self._remember(
                        self._number(done.import_id),
                        stage=done.stage.value,
                        rows=done.rows,
                        total_rows=done.rows or None,
                        rejected=done.rejects,
                    )
                case ImportSettled(report=report):
                    self._end(self._number(report.import_id))
                case StepBroke(claim=claim):
                    self._end(self._number(claim.import_id))
                case _:
                    return
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="progress", daemon=True)
                self._writer.start()
        self._told.set()

    def _tells_of(self, claim: Claim) -> bool:
        return claim.dry_run == (self._of_upload is not None)

    def _number(self, import_id: int) -> int:
        return self._of_upload or import_id

    def _remember(self, import_id: int, **facts: int | str | None) -> None:
        known = self._known.get(import_id, Step(import_id=import_id, stage=""))
        told = {name: value for name, value in facts.items() if value is not None}
        self._known[import_id] = replace(known, **told)  # type: ignore[arg-type]
        self._changed.add(import_id)

    def _end(self, import_id: int) -> None:
        self._known.pop(import_id, None)
        self._changed.discard(import_id)
        self._settled.add(import_id)

    def _write(self) -> None:
        while True:
            came = self._over.is_set() or self._told.wait(_IDLE_SECONDS)
            with self._lock:
                self._told.clear()
                steps = [self._known[one] for one in self._changed]
                settled, self._settled = self._settled, set()
                self._changed = set()
                if not (steps or settled) and (self._over.is_set() or not came):
                    self._writer = None
                    return
            try:
                with self._database.begin() as connection:
                    progress.store(connection, sorted(steps, key=lambda step: step.import_id))
                    if settled:
                        progress.forget(connection, settled)
            except Exception as error:  # noqa: BLE001  # whatever it is, only the watching is lost
                log.warning("progress not written", because=type(error).__name__)
            self._over.wait(_WRITE_SECONDS)
