"""The ledger: the database's version and rights, claims nobody works on, feeds that hold back."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from csv_pipeline.engine.health.check import Check
from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import BrokenFeed, Feed, parted
from csv_pipeline.storage import claims, isolation, readings, silent_stores
from csv_pipeline.storage.database import OLDEST_SERVER, revisions

_MIGRATE = "csv-pipeline imports (any command that opens the pipeline migrates it)"


def checks(connection: sa.Connection, feeds: Sequence[Feed | BrokenFeed]) -> Iterator[Check]:
    """Give the checks of a database that answers; its encoding and rights to write are held to."""
    yield server(connection)
    current = state_tables(connection)
    yield current
    if not current.repair:
        yield readers(connection)
        yield stuck_claims(connection)
        yield silent(connection)
        yield usable_feeds(connection, feeds)


def server(connection: sa.Connection) -> Check:
    """Hold the server to the oldest version that is supported."""
    number = int(connection.scalar(sa.text("SHOW server_version_num")) or 0) // 10_000
    needed = f"PostgreSQL {OLDEST_SERVER} or newer, encoding UTF8, writable"
    found = f"PostgreSQL {number} at {connection.engine.url.render_as_string()}"
    if number < OLDEST_SERVER:
        return Check.failed("database", needed, found, "upgrade the server (pg_upgrade)")
    return Check.passed("database", needed, found)


def state_tables(connection: sa.Connection) -> Check:
    """Hold the state tables to the revision that this release makes."""
    its = revisions(connection)
    needed = f"state tables of revision {its.newest}"
    if its.found is None:
        return Check.failed("migrations", needed, "no state tables", _MIGRATE)
    if its.found == its.newest:
        return Check.passed("migrations", needed, f"revision {its.found}")
    if not its.is_newer:
        return Check.failed("migrations", needed, f"revision {its.found}", _MIGRATE)
    repair = "pip install --upgrade csv-pipeline"
    found = f"revision {its.found} of a newer release"
    if its.suits:
        return Check.warned("migrations", needed, f"{found}, which this one works with", repair)
    return Check.failed("migrations", needed, found, repair)


def readers(connection: sa.Connection) -> Check:
    """Look whether row-level security hides each account from the others' readers."""
    needed = "row-level security on every table of accounts, and the readers' role"
    if exposed := isolation.without_security(connection):
        repair = "; ".join(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY" for name in exposed)
        found = f"none on {', '.join(exposed)}"
        return Check.failed("readers", needed, found, f'psql -c "{repair}"')
    if missing := isolation.missing_rights(connection):
        return Check.warned("readers", needed, "; ".join(missing), f'psql -c "{missing[0]}"')
    return Check.passed("readers", needed, "rows are hidden")


def stuck_claims(connection: sa.Connection) -> Check:
    """Look for claims whose lease ran out without another worker taking them."""
    needed = "no claim whose lease is over"
    found = claims.expired(connection)
    if not found:
        return Check.passed("claims", needed, "none")
    lanes = ", ".join(f"{account}/{feed} ({files})" for account, feed, files in found)
    repair = "start the daemon, whose next run takes them: csv-pipeline dev"
    return Check.warned("claims", needed, lanes, repair)


def silent(connection: sa.Connection) -> Check:
    """Look for stores that do not answer the daemon, or do not let it in."""
    needed, found = "stores that answer", silent_stores.find(connection)
    if not found:
        return Check.passed("stores", needed, "none is silent")
    shown = "; ".join(
        f"{one.store} since {one.since:%Y-%m-%d %H:%M} UTC, asked {one.failures} times, next at "
        f"{one.next_attempt_at:%H:%M:%S}: {one.problem}"
        for one in found
    )
    repair = "start the store, or give the daemon credentials that it takes: its files wait"
    return Check.failed("stores", needed, shown, repair)


def usable_feeds(connection: sa.Connection, feeds: Sequence[Feed | BrokenFeed]) -> Check:
    """Look for feeds whose files wait: declared wrongly, or held back by a changed key."""
    needed, (usable, broken) = "every feed imports", parted(feeds)
    faults = [(one.name, one.why, "correct the file that declares it") for one in broken]
    for feed in usable:
        try:
            readings.hold(connection, feed)
        except SetupError as error:
            faults.append((feed.name, str(error), f"csv-pipeline feeds diff {feed.name}"))
    if not faults:
        return Check.passed("feeds", needed, f"{len(usable)} feeds")
    found = "; ".join(f"{name}: {why}" for name, why, _ in faults)
    return Check.failed("feeds", needed, found, "; ".join(repair for _, _, repair in faults))
