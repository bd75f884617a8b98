"""The database: connection, sessions, state tables, target tables and isolation."""
