"""Hold back a feed that differs from the table of its rows, and go on with the others."""

from collections.abc import Iterable, Sequence

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import BrokenFeed, Feed
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.targets import definition, ensure_targets


def prepare(feeds: Iterable[Feed]) -> None:
    """Work out the tables of feeds, so that no run that is forked from here has to."""
    for feed in feeds:
        definition(feed)


def with_tables(database: Database, feeds: Sequence[Feed]) -> list[Feed | BrokenFeed]:
    """Make the tables of feeds and return these; one that differs from its table is broken.

    Raises:
        SetupError: It is so for every one of them.
    """
    try:
        ensure_targets(database, feeds)
    except SetupError:
        if len(feeds) == 1:
            raise
    else:
        return [*feeds]
    found: list[Feed | BrokenFeed] = []
    errors: list[SetupError] = []
    for feed in feeds:
        try:
            ensure_targets(database, [feed])
        except SetupError as error:
            errors.append(error)
            found.append(BrokenFeed(name=feed.name, why=str(error), differs=True))
        else:
            found.append(feed)
    if len(errors) == len(feeds):
        raise errors[0]
    return found
