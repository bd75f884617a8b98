"""One partition an account: its history, its backfills and its checks stand apart from the others."""

import dagster as dg

accounts = dg.DynamicPartitionsDefinition(name="accounts")
