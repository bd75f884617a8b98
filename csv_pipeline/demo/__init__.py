"""A demonstration with generated files: good, faulty, repeated and late ones.

`ebay` writes exports as eBay does, `story` says which files arrive for whom and why, `run` lets
Dagster import them. Everything is the same at every run: names, bytes and modification times.
"""
