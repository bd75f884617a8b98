"""What is known of a file before it is read: by its feed, and by its name."""

from csv_pipeline.account import Account
from csv_pipeline.location import Location, parts_below
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.file_name import NamedFile
from csv_pipeline.stages.read import ReadHints


def hints_for(
    name: str, settings: Settings, feed: Feed | None, account: Account | None = None
) -> ReadHints:
    """Return what is known of a file of a feed, or of none, before it is read.

    Of the account these are its limits.
    """
    of = account or Account(account="ACCOUNT")
    hints = ReadHints(
        name=name,
        max_bytes=of.max_file_bytes or settings.max_file_bytes,
        max_columns=of.max_columns or settings.max_columns,
        max_record_bytes=settings.max_record_bytes,
        max_records=of.max_records or settings.max_records,
        block_bytes=settings.block_bytes,
    )
    return hints if feed is None else hints.of_feed(feed)


def names_of(lies: Location, settings: Settings, inner_name: str | None) -> list[NamedFile]:
    """Return the names that a file has: that in its archive, and the one it lies by.

    Folders of a landing area tell something below that of the feed, others wherever they are.
    """
    area = settings.landing_of(lies)
    parts = None if area is None else parts_below(lies, area)
    folders = parts[2:-1] if parts else tuple(filter(None, lies.parent.key.split("/")))
    own = [] if inner_name is None else [NamedFile.of(inner_name, folders)]
    return [*own, NamedFile.of(lies.name, folders)]
