"""Notice overdue accounts every minute; tell webhooks of them and of imports every few seconds."""

from datetime import UTC, datetime

import dagster as dg

from csv_pipeline.defs.resource import Engine
from csv_pipeline.storage import overdue

_SHARE_OF_A_TICK = 0.5


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notices overdue accounts; tells webhooks of them and of imports.",
)
def webhook_messages(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SkipReason:
    """Send what waits, signed and in order; what is not taken is sent again later."""
    pipeline = engine.pipeline()
    minute = f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"
    if context.cursor != minute:  # a look at all lanes; nobody is overdue to the second
        with pipeline.database.begin() as connection:
            overdue.notice(connection)
        context.update_cursor(minute)
    try:
        from csv_pipeline.engine.webhooks import deliver  # noqa: PLC0415  # an extra may be missing
    except ImportError:
        return dg.SkipReason("The extra 'api' is not installed, so there are no webhooks.")
    taken = deliver(pipeline.database, pipeline.settings.tick_seconds * _SHARE_OF_A_TICK)
    return dg.SkipReason(f"{taken} messages were taken by webhooks.")
