"""When and for whom: the Dagster layer over the engine. No Polars and no SQL here."""
