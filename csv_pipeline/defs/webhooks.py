"""Notice overdue accounts every minute; tell webhooks and alerts what waits every few seconds."""

from datetime import UTC, datetime

import dagster as dg

from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import delivery
from csv_pipeline.storage import overdue

_SHARE_OF_A_TICK = 0.5


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notices overdue accounts; tells webhooks and alerts of them and of imports.",
)
def webhook_messages(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SkipReason:
    """Send what waits, in order; what is not taken is sent again later."""
    pipeline = engine.pipeline()
    minute = f"{datetime.now(UTC):%Y-%m-%dT%H:%M}"
    if context.cursor != minute:  # a look at all lanes; nobody is overdue to the second
        with pipeline.database.begin() as connection:
            overdue.notice(connection)
        context.update_cursor(minute)
    seconds, page = pipeline.settings.tick_seconds * _SHARE_OF_A_TICK, pipeline.settings.page_url
    taken = delivery.deliver(pipeline.database, seconds, page_url=page)
    return dg.SkipReason(f"{taken} messages were taken.")
