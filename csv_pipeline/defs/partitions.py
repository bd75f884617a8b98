"""One partition an account: its history, backfills and checks stand apart from the others."""

import dagster as dg

ACCOUNTS = "accounts"
account_partitions = dg.DynamicPartitionsDefinition(name=ACCOUNTS)
