"""Run on Celery's workers, for deployments of several machines: `deploy/celery/README.md`.

A run whose worker was killed is ended by the sensor `stalled_runs`, as any other's.
"""

from dagster_celery.launcher import CeleryRunLauncher as DagstersOwn


class CeleryRunLauncher(DagstersOwn):
    """Launch runs as Dagster's launcher does, and end them as canceled.

    Dagster's own says nowhere that a run was to end: it would count as failed, and be retried.
    """

    def terminate(self, run_id: str) -> bool:
        """End a run, or take it from Celery's queue; whether it was not over yet."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return super().terminate(run_id)
