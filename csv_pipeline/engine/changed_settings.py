"""Whether a setting of an account makes something else of cells by which stored rows are known."""

from collections.abc import Iterable

from sqlalchemy import Connection

from csv_pipeline.account import Account
from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import Feed, as_declared
from csv_pipeline.spec.readings import Readings, readings_by
from csv_pipeline.storage import accounts, imports


def hold_readings(
    connection: Connection, scope: Account, feeds: Iterable[Feed], version: int
) -> None:
    """Hold a new version of settings to the versions by which the stored rows were read.

    What these left open was refused, so that to settle it changes nothing that is stored.

    Raises:
        SetupError: Rows are known by a column that is read in another way.
    """
    for feed in feeds:
        now = _readings(connection, scope, feed, version)
        if now == _readings(connection, scope, feed, version - 1):
            continue
        for earlier in imports.settings_used(connection, scope.account, feed.name):
            for one in _readings(connection, scope, feed, earlier).changed(feed, now):
                if one.identifies:
                    raise SetupError(
                        f"account {scope.account!r}, feed {feed.name!r}, {one.column}: the reading "
                        f"of the stored rows was needed, as rows are known by it ({one.before}); "
                        f"found another ({one.now}), by which rows that come again would be stored "
                        "a second time: --accept-reading declares it nevertheless"
                    )


def _readings(connection: Connection, scope: Account, feed: Feed, version: int) -> Readings:
    account = accounts.declared(connection, scope.account, feed.name, version).of(scope.header)
    return readings_by(as_declared(feed, account), account)
