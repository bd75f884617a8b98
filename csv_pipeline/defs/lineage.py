"""Send OpenLineage events of imports and undos, where the environment says where to."""

import os
from importlib.util import find_spec

import dagster as dg
import structlog

from csv_pipeline.defs.resource import Engine
from csv_pipeline.storage.settled import Position, settled

_IN_A_TICK = 100
_ASKED_FOR = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT")
log = structlog.get_logger()


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends OpenLineage events of imports and undos, whoever did them.",
)
def openlineage(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SkipReason:
    """Send them in the order they committed; what is not taken is sent again by the next tick."""
    from csv_pipeline.engine.lineage import emit  # noqa: PLC0415  # of an extra

    pipeline = engine.pipeline()
    with pipeline.database.begin() as connection:
        found, now = settled(connection, Position.of(context.cursor), _IN_A_TICK)
    try:
        sent = emit(pipeline, found)
    except Exception as error:  # noqa: BLE001  # whatever the transport is, the events stay due
        because = f"{type(error).__name__}: {error}"
        log.warning("lineage is sent again later", because=because)
        return dg.SkipReason(f"Events of {len(found)} imports were not taken: {because}")
    context.update_cursor(str(now))
    return dg.SkipReason(f"{sent} events were sent.")


def lineage_sensors() -> list[dg.SensorDefinition]:
    """Return the sensor, if the environment asks for events and the extra is installed."""
    if not any(name.startswith(_ASKED_FOR) for name in os.environ):
        return []
    if find_spec("openlineage") is None:
        log.warning("no lineage", because="the extra 'lineage' is needed for OPENLINEAGE_…")
        return []
    return [openlineage]
