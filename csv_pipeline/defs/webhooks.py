"""Tell webhooks and alerts, every few seconds, what waits for them in the outbox."""

import dagster as dg

from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import delivery

_SHARE_OF_A_TICK = 0.5


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells webhooks and alerts of imports and accounts.",
)
def webhook_messages(
    _: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SkipReason:
    """Send what waits, in order; what is not taken is sent again later."""
    pipeline = engine.pipeline()
    seconds, page = pipeline.settings.tick_seconds * _SHARE_OF_A_TICK, pipeline.settings.page_url
    taken = delivery.deliver(pipeline.database, seconds, page_url=page)
    return dg.SkipReason(f"{taken} messages were taken.")
