"""A demonstration with generated files of every shipped feed, and of one declared in YAML.

They are good, faulty, repeated and late. `ebay`, `shop`, `medical`, `purchases` and `ballots` write
them, `story` says which arrive for whom and why, `run` lets Dagster import them, `topics` looks at
the tables. Everything is the same at every run: names, bytes and modification times.
"""
