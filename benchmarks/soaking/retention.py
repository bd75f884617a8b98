"""Let a month go by in Dagster's records, and do what happens every night: run `retention`."""

import sys

import dagster as dg
import sqlalchemy as sa

from csv_pipeline.definitions import defs
from csv_pipeline.settings import settings
from csv_pipeline.storage.database import Database, leave_database, server_url
from csv_pipeline.storage.session import engine_for

_A_MONTH_LATER = sa.text(
    "UPDATE dagster.runs SET update_timestamp = update_timestamp - make_interval(days => :days)"
)
_LEFT = sa.text(
    "SELECT count(*), (SELECT count(*) FROM dagster.event_logs) FROM dagster.runs "
    "WHERE run_id <> :own"
)


def main() -> int:
    """Print how many runs and events are left."""
    database = Database(engine_for(server_url(settings())))
    with database.begin() as connection:
        connection.execute(_A_MONTH_LATER, {"days": (settings().keep_runs_days or 0) + 1})
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("retention").execute_in_process(instance=instance)
    with database.begin() as connection:
        runs, events = connection.execute(_LEFT, {"own": result.run_id}).one()
    database.engine.dispose()
    leave_database(settings())
    print(runs, events)
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main())
