"""A demonstration on made-up files: what arrives on good and on bad days, and what becomes of it.

`ebay` writes exports as eBay does, `story` says which files arrive for whom and why, `run` lets
Dagster import them. Everything is the same at every run: names, bytes and modification times.
"""
