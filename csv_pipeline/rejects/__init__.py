"""Faults of rows: how they are written, shown and read back."""
