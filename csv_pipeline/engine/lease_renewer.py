"""Renew the leases of this process's claims and runs while it lives.

A lease is short, so that the files of a worker that died are free soon; a stage may be long. So a
thread renews the leases beside the work, on a connection of its own. Whoever stops renewing,
because it died, was stopped or was cut off, loses its claims.

Claims of a run belong to the run. Several processes may execute its steps, one after the other, so
a process that ends normally leaves them to the next; only one that is terminated returns them.
"""

import atexit
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog

from csv_pipeline.errors import DatabaseUnavailableError
from csv_pipeline.model import Claim
from csv_pipeline.storage import claims, leases
from csv_pipeline.storage.database import Database

_RENEWALS_PER_LEASE = 4
_PATIENCE_SECONDS = 1.0  # between tries while the database does not answer
_SLOWEST_STEP_SECONDS = 120.0  # for the process of a run's next step to begin
log = structlog.get_logger()


class LeaseRenewer:
    """Renews the leases of what this process holds, four times a lease.

    What is still held when the process ends in an orderly way is left to the run that it was
    claimed for; what was claimed for none is given back.
    """

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._claims: dict[tuple[int, int], Claim] = {}
        self._runs: dict[str, bool] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # a renewal in between would take back what is handed over
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        atexit.register(self._end)

    def hold(self, claims: Iterable[Claim]) -> None:
        """Renew these claims from now on; a dry run's has no lease."""
        with self._lock:
            self._claims |= {_key(claim): claim for claim in claims if claim.arrival_id}
            self._start()

    def holds(self, claim: Claim) -> bool:
        """Return whether a claim is renewed here and was not lost when that was last tried."""
        with self._lock:
            return _key(claim) in self._claims

    def drop(self, claim: Claim) -> None:
        """Renew a claim no longer: it is settled, lost or dropped."""
        with self._lock:
            self._claims.pop(_key(claim), None)

    def work_on(self, run_id: str, *, whole: bool) -> None:
        """Let it be known, as long as this process lives, that it works on a run.

        `whole`: it does all of the run's steps, so that the run dies with it.
        """
        if self._runs.get(run_id) == whole:
            return
        with self._database.begin() as connection:
            leases.sign_on(connection, {run_id: whole}, self._lease_seconds)
        with self._lock:
            self._runs[run_id] = whole
            self._start()

    @contextmanager
    def working_on(self, claims: Sequence[Claim]) -> Iterator[None]:
        """Keep claims during the block; drop them if it fails, give them back if it is cut off.

        A claim that is dropped runs out, so that what failed is not tried again in a tight circle.
        """
        self.hold(claims)
        try:
            yield
        except Exception:
            raise
        except BaseException:
            self._give_back(list(claims))
            raise
        finally:
            for claim in claims:
                self.drop(claim)

    def renew(self) -> None:
        """Renew everything once; what is lost is held no longer.

        Raises:
            DatabaseUnavailableError: The database does not answer.
        """
        with self._writing:
            with self._lock:
                keys, signed_on = set(self._claims), dict(self._runs)
            with self._database.begin() as connection:
                lost = leases.renew_all(connection, keys, self._lease_seconds)
                leases.sign_on(connection, signed_on, self._lease_seconds)
        with self._lock:
            lost = lost & self._claims.keys()  # the others were settled since
            for key in lost:
                del self._claims[key]
        for arrival_id, attempt in lost:
            log.warning("claim lost", arrival_id=arrival_id, attempt=attempt)

    def hand_over(self) -> None:
        """Leave all that is held to whichever process does the next step of its run.

        Raises:
            DatabaseUnavailableError: The database does not answer.
        """
        self._hand_over(max(self._lease_seconds, _SLOWEST_STEP_SECONDS))

    def give_all_back(self) -> None:
        """Give back what is still held, if the database answers; it is free for others at once."""
        self._give_back(self._drop(lambda _: True))

    def _end(self) -> None:
        if os.getpid() != self._pid:  # a fork holds nothing
            return
        self._stopped.set()
        self._give_back(self._drop(lambda claim: claim.run_id is None))
        with suppress(DatabaseUnavailableError):
            self._hand_over(self._lease_seconds)

    def _drop(self, which: Callable[[Claim], bool]) -> list[Claim]:
        with self._lock:
            dropped = {key: claim for key, claim in self._claims.items() if which(claim)}
            for key in dropped:
                del self._claims[key]
        return list(dropped.values())

    def _hand_over(self, lease_seconds: float) -> None:
        with self._writing:
            with self._lock:
                keys = set(self._claims)
                parted = {run_id: whole for run_id, whole in self._runs.items() if not whole}
            if keys or parted:
                with self._database.begin() as connection:
                    leases.hand_over(connection, keys, lease_seconds)
                    leases.sign_on(connection, parted, lease_seconds)
            with self._lock:
                self._claims.clear()
                self._runs = dict.fromkeys(self._runs.keys() - parted.keys(), True)

    def stop(self) -> None:
        """Renew nothing any more and give nothing back."""
        self._stopped.set()
        atexit.unregister(self._end)
        if self._thread is not None:
            self._thread.join()

    def _give_back(self, dropped: list[Claim]) -> None:
        if not dropped:
            return
        try:
            with self._database.begin() as connection:
                for claim in dropped:
                    claims.release(connection, claim)
        except Exception as error:  # noqa: BLE001  # the process ends; the lease runs out instead
            log.warning("claims not given back", claims=len(dropped), error=type(error).__name__)

    def _start(self) -> None:
        """Start the thread if there is something to keep and none runs; the lock is held."""
        if self._stopped.is_set() or not (self._claims or self._runs):
            return
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=self._renewals, name="lease renewer", daemon=True
            )
            self._thread.start()

    def _renewals(self) -> None:
        interval = wait = self._lease_seconds / _RENEWALS_PER_LEASE
        while not self._stopped.wait(wait):
            with self._lock:
                if not self._claims and not self._runs:
                    self._thread = None
                    return
            try:
                self.renew()
                wait = interval
            except DatabaseUnavailableError as error:
                log.warning("leases not renewed", error=str(error))
                wait = min(interval, _PATIENCE_SECONDS)
            except Exception:  # the outermost edge of the thread: without it all leases run out
                log.exception("leases not renewed")


def _key(claim: Claim) -> tuple[int, int]:
    return claim.arrival_id, claim.attempt
