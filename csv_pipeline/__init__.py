"""CSV imports you can trust, account by account.

Nothing happens here and nothing is imported from here: every name comes from the module that
defines it. Start reading at `csv_pipeline.ingest`, the way of one file on one screen.
"""
