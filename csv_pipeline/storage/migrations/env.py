"""Run the migrations on the connection that `csv_pipeline.storage.database` hands over."""

from alembic import context

from csv_pipeline.storage.tables import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
)
context.run_migrations()
