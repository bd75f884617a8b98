"""Let `python -m csv_pipeline.cli` be the command `csv-pipeline`."""

from csv_pipeline.cli.commands import app

app()
