"""One partition an account: its history, backfills and checks are separate."""

import dagster as dg

ACCOUNTS = "accounts"
account_partitions = dg.DynamicPartitionsDefinition(name=ACCOUNTS)
