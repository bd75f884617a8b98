"""One partition an account: its history, backfills and checks are separate."""

import dagster as dg

from csv_pipeline.engine.import_requests import ACCOUNTS

account_partitions = dg.DynamicPartitionsDefinition(name=ACCOUNTS)
