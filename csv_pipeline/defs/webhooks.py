"""Tell webhooks of imports every few seconds."""

import dagster as dg

from csv_pipeline.defs.resource import Engine

_SHARE_OF_A_TICK = 0.5


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells webhooks, which are added by the API, what became of imports.",
)
def webhook_messages(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SkipReason:
    """Send what waits, signed and in order; what is not taken is sent again later."""
    del context
    pipeline = engine.pipeline()
    try:
        from csv_pipeline.engine.webhooks import deliver  # noqa: PLC0415  # an extra may be missing
    except ImportError:
        return dg.SkipReason("The extra 'api' is not installed, so there are no webhooks.")
    taken = deliver(pipeline.database, pipeline.settings.tick_seconds * _SHARE_OF_A_TICK)
    return dg.SkipReason(f"{taken} messages were taken by webhooks.")
