"""CSV imports you can trust, account by account.

Nothing happens here and nothing is imported from here: every name comes from the module that
defines it. Start reading at `csv_pipeline.engine.run`, which drives imports.
"""

import os

# Polars' allocator keeps what it freed for ten seconds unless told otherwise before it is loaded.
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0")
