"""The command `csv-pipeline`: what a person at a terminal, or a script, may ask of the pipeline.

`commands` says which commands there are and imports nothing slow, so that `--help` is quick; each
command imports what it needs when it is called. `show` and its neighbours draw tables on the
`terminal`, `importing` drives imports and `dev` starts services.
"""
