"""A reader of one account sees that account's rows and cannot come by another's, whatever it tries.

Two accounts, `ours` and `theirs`, have the same keys in the same tables. `bi_ours` is a login bound
to ours; `chooser` is a reader bound to none, which names its account by a setting.
"""
# ruff: noqa: S608  # the statements are made of this module's own names

import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from csv_pipeline.engine.accounts import bind_reader, unbind_reader
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.errors import DatabaseUnavailableError, SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import confine, isolation
from csv_pipeline.storage.isolation import READER, STATE
from csv_pipeline.storage.targets import ensure_targets
from csv_pipeline_tests.conftest import SAMPLES, Desk
from csv_pipeline_tests.feeds import TEST_FEEDS, Version

_NUMBERS = itertools.count()
EBAY = SAMPLES / "eBay-OrdersReport-Sep-30-2026-23_07_00-0700-11334292920.csv"
PEOPLE = "ID,Name,Secret,Amount\n1,{0} one,111,1.00\n1,{0} two,222,2.00\n2,{0} bad,333,x\n"
CHANGED = "ID,Name,Secret\n1,{0} three,444\n"
PASSWORD = uuid.uuid4().hex
TABLES = (
    "csv_pipeline.account",
    "csv_pipeline.declaration",
    "csv_pipeline.arrival",
    "csv_pipeline.import",
    "csv_pipeline.reject",
    "csv_pipeline.superseded",
    "data.people",
    "data.people_history",
    "data.ebay_orders",
    "data.ebay_order_totals",
)


@dataclass(frozen=True, slots=True)
class Stage:
    """Two accounts in one database, and two logins that may read."""

    pipeline: Pipeline
    ours: str
    theirs: str
    bound: str
    chooser: str

    @contextmanager
    def login(self, role: str, **settings: str) -> Iterator[psycopg.Connection]:
        """Give a connection whose session is this role's, as after a login with its password."""
        url = self.pipeline.database.engine.url
        address = url.set(drivername="postgresql", username=role, password=PASSWORD)
        with psycopg.connect(
            address.render_as_string(hide_password=False), autocommit=True
        ) as connection:
            for name, value in settings.items():
                connection.execute(
                    sql.SQL("SELECT set_config({}, {}, false)").format(
                        f"csv_pipeline.{name}", value
                    )
                )
            yield connection

    def own(self, statement: str) -> list[Any]:
        """Execute a statement as the pipeline does and return its rows."""
        with self.pipeline.database.begin() as connection:
            done = connection.execute(sa.text(statement))
            return list(done) if done.returns_rows else []


@pytest.fixture(scope="module")
def stage(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("isolation")
    number = next(_NUMBERS)
    ours, theirs = f"ours-{number}", f"theirs-{number}"
    for account in (ours, theirs):
        desk = Desk(pipeline, account, folder)
        desk.declare(feed="people", aliases=((f"Name of {account}", "name"),))
        desk.bring(PEOPLE.format(account), name=f"{account}.csv")
        desk.bring(CHANGED.format(account), name=f"{account}-changed.csv")
        desk.bring(EBAY, "ebay_orders", name=f"{account}-ebay.csv")
    unique = uuid.uuid4().hex[:8]
    made = Stage(pipeline, ours, theirs, f"bi_ours_{unique}", f"chooser_{unique}")
    made.own(f"CREATE ROLE {made.bound} LOGIN PASSWORD '{PASSWORD}'")
    made.own(f"CREATE ROLE {made.chooser} LOGIN PASSWORD '{PASSWORD}' IN ROLE {READER}")
    bind_reader(pipeline, made.bound, ours)
    made.own(f"CREATE SCHEMA own AUTHORIZATION {made.bound}")  # where it may make what it likes
    yield made
    made.own("DROP SCHEMA own CASCADE")
    made.own(f"DELETE FROM csv_pipeline.reader WHERE role = '{made.bound}'::regrole")
    made.own(f"DROP ROLE {made.bound}, {made.chooser}")


def accounts_in(connection: psycopg.Connection, table: str) -> set[str]:
    """Return whose rows a connection sees."""
    by_import = table in {"csv_pipeline.reject", "csv_pipeline.superseded"}
    whose = f"{table} JOIN csv_pipeline.import USING (import_id)" if by_import else table
    rows = connection.execute(f"SELECT DISTINCT account FROM {whose}")
    return {row[0] for row in rows}


@pytest.mark.parametrize("table", TABLES)
def test_a_bound_login_sees_its_account_and_no_other(stage: Stage, table: str) -> None:
    with stage.login(stage.bound) as connection:
        assert accounts_in(connection, table) == {stage.ours}


@pytest.mark.parametrize("table", TABLES)
def test_a_reader_bound_to_none_sees_the_account_that_it_names(stage: Stage, table: str) -> None:
    with stage.login(stage.chooser, account=stage.theirs) as connection:
        assert accounts_in(connection, table) == {stage.theirs}


@pytest.mark.parametrize("table", TABLES)
def test_without_an_account_there_are_no_rows(stage: Stage, table: str) -> None:
    with stage.login(stage.chooser) as connection:
        assert accounts_in(connection, table) == set()
        connection.execute("SET csv_pipeline.account = 'x'")
        connection.execute("RESET csv_pipeline.account")
        assert accounts_in(connection, table) == set()


@pytest.mark.parametrize("table", ["reject", "superseded"])
def test_all_rows_of_the_accounts_imports_are_seen_and_no_more(stage: Stage, table: str) -> None:
    imports = f"SELECT import_id FROM csv_pipeline.import WHERE account = '{stage.ours}'"
    query = f"SELECT count(*) FROM csv_pipeline.{table} WHERE import_id IN ({imports})"
    ((count,),) = stage.own(query)
    with stage.login(stage.bound) as connection:
        assert len(connection.execute(f"SELECT * FROM csv_pipeline.{table}").fetchall()) == count
    assert count > 0


def test_a_reader_learns_nothing_of_other_readers(stage: Stage) -> None:
    query = "SELECT role::text, account FROM csv_pipeline.reader"
    with stage.login(stage.bound) as connection:
        assert connection.execute(query).fetchall() == [(stage.bound, stage.ours)]
    with stage.login(stage.chooser, account=stage.ours) as connection:
        assert connection.execute(query).fetchall() == []


def test_a_right_to_select_shows_nothing_to_one_who_is_no_reader(stage: Stage) -> None:
    analyst = f"analyst_{uuid.uuid4().hex[:8]}"
    stage.own(f"CREATE ROLE {analyst} LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_all_data")
    try:
        with (
            stage.login(analyst, account=stage.ours) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="readable_accounts"),
        ):
            connection.execute("SELECT * FROM data.people")
    finally:
        stage.own(f"DROP ROLE {analyst}")


@pytest.mark.parametrize(
    "crossing",
    [
        "SET csv_pipeline.account = '{theirs}'",
        "SET SESSION csv_pipeline.account = '{theirs}'; SET ROLE csv_pipeline_reader",
        "SET ROLE csv_pipeline_reader; SET csv_pipeline.account = '{theirs}'; RESET ROLE",
        "SET search_path = own, data; CREATE TABLE own.reader (role regrole, account text); "
        "INSERT INTO own.reader VALUES ('{bound}', '{theirs}'); "
        "SET csv_pipeline.account = '{theirs}'",
    ],
)
def test_no_setting_or_role_takes_a_bound_login_to_another_account(
    stage: Stage, crossing: str
) -> None:
    with stage.login(stage.bound) as connection:
        connection.execute(crossing.format(theirs=stage.theirs, bound=stage.bound))
        for table in TABLES:
            assert stage.theirs not in accounts_in(connection, table)


def test_a_role_assumed_in_a_session_is_bound_as_its_login_is(stage: Stage) -> None:
    stage.own(f"GRANT {stage.bound} TO {stage.chooser}")
    try:
        with stage.login(stage.chooser, account=stage.theirs) as connection:
            assert accounts_in(connection, "data.people") == set()
            connection.execute("RESET csv_pipeline.account")
            assert accounts_in(connection, "data.people") == {stage.ours}
    finally:
        stage.own(f"REVOKE {stage.bound} FROM {stage.chooser}")
    with stage.pipeline.database.begin() as connection:  # one who may become anybody, and does
        connection.execute(sa.text(f"SET LOCAL ROLE {stage.bound}"))
        connection.execute(sa.text(f"SET LOCAL csv_pipeline.account = '{stage.theirs}'"))
        assert connection.scalar(sa.text("SELECT count(*) FROM data.people")) == 0


def test_a_tool_that_assumes_the_readers_role_chooses_an_account(stage: Stage) -> None:
    with stage.pipeline.database.begin() as connection:
        connection.execute(sa.text(f"SET LOCAL ROLE {READER}"))
        connection.execute(sa.text(f"SET LOCAL csv_pipeline.account = '{stage.theirs}'"))
        query = sa.text("SELECT DISTINCT account FROM data.people")
        assert connection.scalars(query).all() == [stage.theirs]


DENIED = [
    "INSERT INTO data.people SELECT * FROM data.people",
    "UPDATE data.people SET account = '{theirs}'",
    "DELETE FROM data.people",
    "TRUNCATE data.people",
    "MERGE INTO data.people t USING data.people s ON false WHEN NOT MATCHED THEN DO NOTHING "
    "WHEN MATCHED THEN DELETE",
    "SELECT * FROM data.people FOR UPDATE",
    "SELECT * FROM data.people FOR KEY SHARE",
    "BEGIN; LOCK TABLE data.people IN SHARE MODE",
    "INSERT INTO csv_pipeline.reader VALUES ('{bound}', '{theirs}')",
    "UPDATE csv_pipeline.reader SET account = '{theirs}'",
    "DELETE FROM csv_pipeline.reader",
    "UPDATE csv_pipeline.arrival SET status = 'waiting'",
    "DELETE FROM csv_pipeline.reject",
    "SELECT nextval('csv_pipeline.import_id')",
    "SELECT last_value FROM csv_pipeline.import_id",
    "SELECT * FROM csv_pipeline.target",
    "SELECT * FROM csv_pipeline.lane",
    "BEGIN; LOCK TABLE csv_pipeline.lane IN ACCESS SHARE MODE",
    "BEGIN; LOCK TABLE csv_pipeline.target IN ACCESS SHARE MODE",
    "BEGIN; LOCK TABLE csv_pipeline.alembic_version IN ACCESS SHARE MODE",
    "SELECT * FROM csv_pipeline.account FOR SHARE",
    "SELECT * FROM csv_pipeline.alembic_version",
    "SELECT * FROM dagster.records_of_runs",
    "CREATE TABLE data.mine (x text)",
    "CREATE FUNCTION csv_pipeline.mine() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    "CREATE TABLE public.mine (x text)",
    "CREATE SCHEMA mine",
    "CREATE TABLE own.heir () INHERITS (data.people)",
    "CREATE TEMP TABLE mine (x text)",
    "SELECT 1 AS x INTO TEMP mine",
    "CREATE TEMP SEQUENCE mine",
    "CREATE FUNCTION pg_temp.mine() RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    "CREATE TEMP VIEW mine AS SELECT 1",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_import('/etc/hostname')",
    "SELECT lo_import('/etc/hostname', 4711)",
    "ALTER TABLE data.people DISABLE ROW LEVEL SECURITY",
    "DROP POLICY own_account ON data.people",
    "CREATE POLICY more ON data.people USING (true)",
    "ALTER VIEW data.ebay_order_totals RESET (security_invoker)",
    "CREATE OR REPLACE FUNCTION csv_pipeline.readable_accounts() RETURNS text[] LANGUAGE sql "
    "AS $$ SELECT ARRAY['{theirs}'] $$",
    "CREATE TRIGGER t BEFORE INSERT ON data.people EXECUTE FUNCTION own.leak()",
    "COPY data.people TO '/dev/null'",
    "COPY data.people TO PROGRAM 'cat'",
    "COPY data.people FROM STDIN",
    "SET SESSION AUTHORIZATION {owner}",
    "SET ROLE {owner}",
    "ALTER ROLE {bound} BYPASSRLS",
    "ALTER ROLE {chooser} SET csv_pipeline.account = '{theirs}'",
    "GRANT {chooser} TO {bound}",
    "SET row_security = off; SELECT * FROM data.people",
    "SET session_replication_role = replica",
    "SELECT * FROM pg_statistic",
]


@pytest.mark.parametrize("statement", DENIED)
def test_a_reader_may_only_select(stage: Stage, statement: str) -> None:
    if "dagster." in statement:
        stage.own("CREATE SCHEMA IF NOT EXISTS dagster")
        stage.own("CREATE TABLE IF NOT EXISTS dagster.records_of_runs (id bigint)")
    names = {"theirs": stage.theirs, "bound": stage.bound, "chooser": stage.chooser}
    names["owner"] = str(stage.pipeline.database.engine.url.username)
    before = stage.own("SELECT count(*), max(xmin::text::bigint) FROM data.people")
    with (
        stage.login(stage.bound) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.format(**names))
    assert stage.own("SELECT count(*), max(xmin::text::bigint) FROM data.people") == before


LEAKS = [
    "SELECT count(*) FROM data.people WHERE own.leak({row})",
    "SELECT count(*) FROM data.people_history AS people WHERE own.leak({row})",
    "SELECT count(*) FROM data.people AS people WHERE own.leak({row}) "
    "AND account = current_setting('probe.theirs')",
    "SELECT count(*) FROM csv_pipeline.import AS people WHERE own.leak(people::text)",
    "SELECT count(*) FROM csv_pipeline.reject AS people WHERE own.leak({row})",
    "SELECT count(*) FROM csv_pipeline.arrival AS people WHERE own.leak({row})",
    "SELECT count(*) FROM csv_pipeline.account AS people WHERE own.leak({row})",
    "SELECT count(*) FROM csv_pipeline.reader AS people WHERE own.leak({row})",
    "SELECT count(*) FROM data.ebay_order_totals AS people WHERE own.leak({row})",
    "SELECT count(*) FROM data.people a JOIN data.people people "
    "ON a.person_id = people.person_id AND own.leak({row})",
    "SELECT count(*) FROM data.people WHERE NOT own.leak({row}) OR own.leak({row})",
]


@pytest.mark.parametrize("query", LEAKS)
def test_a_function_of_the_readers_own_is_shown_no_row_of_another_account(
    stage: Stage, query: str
) -> None:
    heard: list[str] = []
    with stage.login(stage.bound) as connection:
        connection.add_notice_handler(lambda said: heard.append(said.message_primary or ""))
        connection.execute(
            "CREATE OR REPLACE FUNCTION own.leak(text) RETURNS boolean COST 0.0000001 "
            "LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', $1; RETURN false; END $$"
        )
        connection.execute(sql.SQL("SET probe.theirs = {}").format(stage.theirs))
        connection.execute(query.format(row="people::text"))
    assert not [said for said in heard if "theirs" in said]
    if "probe.theirs" not in query:
        assert [said for said in heard if "ours" in said]


QUIET = [
    "COPY data.people TO STDOUT",
    "COPY (SELECT * FROM csv_pipeline.import) TO STDOUT",
    "COPY csv_pipeline.account TO STDOUT",
    "COPY (SELECT raw FROM csv_pipeline.reject) TO STDOUT",
    "COPY (SELECT p::text FROM data.people p, data.people_history h) TO STDOUT",
    "COPY (SELECT * FROM pg_stats WHERE schemaname IN ('data', 'csv_pipeline')) TO STDOUT",
    "COPY (SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'people') TO STDOUT",
    "COPY (SELECT * FROM pg_stats_ext) TO STDOUT",
    "COPY (SELECT query FROM pg_stat_activity) TO STDOUT",
    "COPY (SELECT t::text FROM (SELECT * FROM data.ebay_order_totals) t) TO STDOUT",
    "COPY (SELECT csv_pipeline.readable_accounts()) TO STDOUT",
    "COPY (SELECT query_to_xml('SELECT * FROM data.people', true, false, '')) TO STDOUT",
    "COPY (SELECT schema_to_xml('csv_pipeline', true, false, '')) TO STDOUT",
]


@pytest.fixture(scope="module")
def analyzed(stage: Stage) -> Stage:
    """The stage, with its rows in the statistics of the server."""
    stage.own("ANALYZE")
    return stage


@pytest.mark.parametrize("statement", QUIET)
def test_no_way_out_carries_a_word_of_another_account(analyzed: Stage, statement: str) -> None:
    stage, out = analyzed, b""
    with stage.login(stage.bound) as connection:
        try:
            with connection.cursor().copy(statement) as copy:
                out = b"".join(bytes(part) for part in copy)
        except psycopg.errors.InsufficientPrivilege as error:  # schema_to_xml meets a closed table
            out = str(error).encode()
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("the server was built without XML")
    assert stage.theirs.encode() not in out
    assert b"theirs" not in out


def test_no_foreign_key_asks_for_keys_of_another_account(stage: Stage) -> None:
    probe = "CREATE TEMP TABLE probe (account text REFERENCES csv_pipeline.account)"
    with stage.login(stage.bound) as connection, pytest.raises(psycopg.errors.ProgrammingError):
        connection.execute(probe)


def test_a_plan_made_for_one_account_is_not_used_for_another(stage: Stage) -> None:
    with stage.login(stage.chooser, account=stage.ours) as connection:
        connection.execute("PREPARE whose AS SELECT DISTINCT account FROM data.people")
        for account in (stage.ours, stage.theirs) * 4:
            connection.execute(sql.SQL("SET csv_pipeline.account = {}").format(account))
            assert connection.execute("EXECUTE whose").fetchall() == [(account,)]


def test_a_member_of_a_bound_group_is_bound(stage: Stage) -> None:
    person = f"ann_{uuid.uuid4().hex[:8]}"
    stage.own(f"CREATE ROLE {person} LOGIN PASSWORD '{PASSWORD}' IN ROLE {stage.bound}")
    try:
        with stage.login(person, account=stage.theirs) as connection:
            assert accounts_in(connection, "data.people") == set()
            connection.execute(sql.SQL("SET csv_pipeline.account = {}").format(stage.ours))
            assert accounts_in(connection, "data.people") == {stage.ours}
    finally:
        stage.own(f"DROP ROLE {person}")


def test_a_login_bound_to_two_accounts_sees_both_or_the_one_it_names(stage: Stage) -> None:
    bind_reader(stage.pipeline, stage.bound, stage.theirs)
    try:
        with stage.login(stage.bound) as connection:
            assert accounts_in(connection, "data.people") == {stage.ours, stage.theirs}
            connection.execute(sql.SQL("SET csv_pipeline.account = {}").format(stage.theirs))
            assert accounts_in(connection, "data.people") == {stage.theirs}
    finally:
        unbind_reader(stage.pipeline, stage.bound, stage.theirs)
    with stage.login(stage.bound) as connection:
        assert accounts_in(connection, "data.people") == {stage.ours}


def test_a_renamed_login_stays_bound(stage: Stage) -> None:
    other = f"other_{uuid.uuid4().hex[:8]}"
    stage.own(f"ALTER ROLE {stage.bound} RENAME TO {other}")
    try:
        with stage.login(other, account=stage.theirs) as connection:
            assert accounts_in(connection, "data.people") == set()
    finally:
        stage.own(f"ALTER ROLE {other} RENAME TO {stage.bound}")


def test_a_login_that_loses_its_last_account_reads_nothing_at_all(stage: Stage) -> None:
    unbind_reader(stage.pipeline, stage.bound, stage.ours)
    try:
        with (
            stage.login(stage.bound, account=stage.theirs) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("SELECT * FROM data.people")
    finally:
        bind_reader(stage.pipeline, stage.bound, stage.ours)


def test_a_login_that_is_a_reader_by_a_group_keeps_its_last_account(stage: Stage) -> None:
    group = f"group_{uuid.uuid4().hex[:8]}"
    stage.own(f"CREATE ROLE {group} IN ROLE {READER} ROLE {stage.bound}")
    try:
        said = unbind_reader(stage.pipeline, stage.bound, stage.ours)
        assert said == f'REVOKE {READER} FROM "{stage.bound}"'
        with stage.login(stage.bound, account=stage.theirs) as connection:
            assert accounts_in(connection, "data.people") == set()
    finally:
        stage.own(f"DROP ROLE {group}")
        bind_reader(stage.pipeline, stage.bound, stage.ours)


@pytest.mark.parametrize("right", ["SUPERUSER", "BYPASSRLS", "CREATEROLE"])
def test_a_role_that_nothing_could_bind_is_refused(stage: Stage, right: str) -> None:
    role = f"mighty_{uuid.uuid4().hex[:8]}"
    stage.own(f"CREATE ROLE {role} {right}")
    try:
        with pytest.raises(SetupError, match="this one could read every account"):
            bind_reader(stage.pipeline, role, stage.ours)
    finally:
        stage.own(f"DROP ROLE {role}")


def test_a_role_that_is_not_there_is_refused_with_the_statement_that_makes_it(stage: Stage) -> None:
    with pytest.raises(SetupError, match=r'CREATE ROLE "no body" LOGIN PASSWORD'):
        bind_reader(stage.pipeline, "no body", stage.ours)


def test_everything_that_readers_may_select_has_policies_or_asks_for_their_rights(
    stage: Stage,
) -> None:
    open_ = stage.own(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        f"WHERE has_table_privilege('{READER}', c.oid, 'SELECT') "
        "AND nspname NOT IN ('pg_catalog', 'information_schema') AND nspname NOT LIKE 'pg_t%' "
        "AND CASE WHEN relkind = 'v' THEN NOT coalesce('security_invoker=true' = ANY (reloptions) "
        "OR 'security_invoker=on' = ANY (reloptions), false) ELSE NOT relrowsecurity END"
    )
    assert open_ == []


def test_a_table_made_later_is_covered(stage: Stage) -> None:
    name = f"later_{uuid.uuid4().hex[:8]}"
    views = {f"{name}_seen": f'SELECT * FROM data."{name}"'}
    feed = Feed(name=name, description="", contract=Version, key=("key",), views=views)
    ensure_targets(stage.pipeline.database, [feed])
    for account in (stage.ours, stage.theirs):
        values = f"('{account}', 'k', 'v', 1, NULL, NULL, NULL, 1, 1, 1, now())"
        stage.own(f"INSERT INTO data.{name} VALUES {values}")
    with stage.login(stage.bound) as connection:
        assert accounts_in(connection, f"data.{name}") == {stage.ours}
        assert accounts_in(connection, f"data.{name}_seen") == {stage.ours}
        assert accounts_in(connection, f"data.{name}_history") == set()


def test_a_table_of_an_earlier_release_is_covered(stage: Stage) -> None:
    name = f"earlier_{uuid.uuid4().hex[:8]}"
    feed = Feed(name=name, description="", contract=Version, key=("key",))
    ensure_targets(stage.pipeline.database, [feed])
    stage.own(f"DROP POLICY own_account ON data.{name}")
    stage.own(f"ALTER TABLE data.{name} DISABLE ROW LEVEL SECURITY")
    stage.own(f"UPDATE csv_pipeline.target SET definition = 'earlier' WHERE feed = '{name}'")
    ensure_targets(stage.pipeline.database, [feed])
    for account in (stage.ours, stage.theirs):
        values = f"('{account}', 'k', 'v', 1, NULL, NULL, NULL, 1, 1, 1, now())"
        stage.own(f"INSERT INTO data.{name} VALUES {values}")
    with stage.login(stage.bound) as connection:
        assert accounts_in(connection, f"data.{name}") == {stage.ours}


def test_a_pipeline_that_may_not_make_roles_works_and_lets_readers_in_once_somebody_made_theirs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    role, weak = (f"{name}_{uuid.uuid4().hex[:8]}" for name in ("readers", "weak"))
    monkeypatch.setattr(isolation, "READER", role)
    stage.own(f"CREATE ROLE {weak}")
    try:
        with stage.pipeline.database.begin() as connection:
            connection.execute(sa.text(f"SET LOCAL ROLE {weak}"))
            isolation.let_readers_in(connection, ["data.people"])
            assert connection.scalar(sa.text("SELECT current_user")) == weak
        stage.own(f"CREATE ROLE {role}")
        ensure_targets(stage.pipeline.database, (*FEEDS, *TEST_FEEDS))
        for table in (*(f"csv_pipeline.{name}" for name in STATE), *TABLES):
            assert stage.own(f"SELECT has_table_privilege('{role}', '{table}', 'SELECT')")[0][0]
    finally:
        stage.own(f"DROP OWNED BY {weak}")
        if stage.own(f"SELECT FROM pg_roles WHERE rolname = '{role}'"):
            stage.own(f"DROP OWNED BY {role}")
            stage.own(f"DROP ROLE {role}")
        stage.own(f"DROP ROLE {weak}")


@contextmanager
def plain_pipeline(stage: Stage, home: Path) -> Iterator[Stage]:
    """Give a pipeline of its own that owns its database and has no other right on the server."""
    name = f"plain_{uuid.uuid4().hex[:8]}"
    server = stage.pipeline.database.engine.execution_options(isolation_level="AUTOCOMMIT")
    url = server.url.set(username=name, password=PASSWORD, database=name)
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"))
        connection.execute(sa.text(f"CREATE DATABASE {name} OWNER {name}"))
    try:
        address = url.render_as_string(hide_password=False)
        settings = Settings(home=home, database_url=address, settle_seconds=0)
        opened = open_pipeline(settings, TEST_FEEDS)
        yield replace(stage, pipeline=opened, bound=f"bi_{name}")
        opened.close()
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
            connection.execute(sa.text(f"DROP ROLE {name}"))


def test_a_pipeline_with_no_right_over_roles_says_what_an_administrator_is_to_run(
    stage: Stage, tmp_path: Path
) -> None:
    with plain_pipeline(stage, tmp_path / "home") as plain:
        for account in (plain.ours, plain.theirs):
            Desk(plain.pipeline, account, tmp_path).bring(PEOPLE.format(account), name=account)
        stage.own(f"CREATE ROLE {plain.bound} LOGIN PASSWORD '{PASSWORD}'")
        try:
            needed = bind_reader(plain.pipeline, plain.bound, plain.ours)
            assert needed == f'GRANT {READER} TO "{plain.bound}"'
            with plain.login(plain.bound) as connection:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("SELECT * FROM data.people")
                stage.own(needed)
                assert accounts_in(connection, "data.people") == {plain.ours}
                needed = unbind_reader(plain.pipeline, plain.bound, plain.ours)
                assert needed == f'REVOKE {READER} FROM "{plain.bound}"'
                assert accounts_in(connection, "data.people") == {plain.ours}
                stage.own(needed)
                assert unbind_reader(plain.pipeline, plain.bound, plain.ours) is None
        finally:
            stage.own(f"DROP ROLE {plain.bound}")


@contextmanager
def bound_reader(stage: Stage, plain: Stage) -> Iterator[sa.Engine]:
    """Bind a new login in a database; give an administrator's engine for that database."""
    database = plain.pipeline.database.engine.url.database
    server = stage.pipeline.database.engine.url.set(database=database)
    administrator = sa.create_engine(server, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        connection.execute(sa.text(f"CREATE ROLE {plain.bound} LOGIN PASSWORD '{PASSWORD}'"))
        connection.execute(sa.text(f"GRANT {READER} TO {plain.bound}"))
    bind_reader(plain.pipeline, plain.bound, plain.ours)
    try:
        yield administrator
    finally:
        with administrator.connect() as connection:
            connection.execute(sa.text("DELETE FROM csv_pipeline.reader"))
            connection.execute(sa.text(f"DROP ROLE {plain.bound}"))


def still_open(plain: Stage) -> list[str]:
    with plain.pipeline.database.begin() as connection:
        return list(confine.left_open(connection))


def run_all(administrator: sa.Engine, statements: list[str]) -> None:
    with administrator.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_what_the_pipeline_may_not_take_from_a_reader_is_told(stage: Stage, tmp_path: Path) -> None:
    with plain_pipeline(stage, tmp_path / "home") as plain, bound_reader(stage, plain) as admin:
        left = still_open(plain)
        assert left[1:] == [f"ALTER ROLE {plain.bound} CONNECTION LIMIT 20"]
        assert left[0].startswith("REVOKE EXECUTE ON FUNCTION lo_")
        run_all(admin, left)
        assert still_open(plain) == []
        with plain.login(plain.bound) as connection:
            for statement in ("CREATE TEMP TABLE mine (x text)", "SELECT lo_create(0)"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
        assert Desk(plain.pipeline, plain.ours, tmp_path).bring(PEOPLE).counts.inserted == 1


def test_a_pipeline_that_has_its_own_rights_by_public_keeps_them(
    stage: Stage, tmp_path: Path
) -> None:
    with plain_pipeline(stage, tmp_path / "home") as plain:
        database = plain.pipeline.database.engine.url.database
        me = str(plain.pipeline.database.engine.url.username)
        stage.own(f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
        with bound_reader(stage, plain) as admin:
            left = still_open(plain)
            assert left[:2] == [
                f"GRANT TEMPORARY ON DATABASE {database} TO {me}",
                f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
            ]
            run_all(admin, left)
            assert still_open(plain) == []
            desk = Desk(plain.pipeline, plain.ours, tmp_path)
            desk.bring(PEOPLE)
            assert desk.bring("ID,Name\n1,changed\n").counts.updated == 1


def test_a_reader_that_an_earlier_release_bound_loses_its_rights_when_the_pipeline_opens(
    stage: Stage,
) -> None:
    (database,) = stage.own("SELECT quote_ident(current_database())")[0]
    stage.own(f"GRANT TEMPORARY ON DATABASE {database} TO PUBLIC")
    stage.own(f"ALTER ROLE {stage.bound} CONNECTION LIMIT -1")
    stage.own("GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC")
    ensure_targets(stage.pipeline.database, (*FEEDS, *TEST_FEEDS))
    for statement in ("CREATE TEMP TABLE mine (x text)", "SELECT lo_create(0)"):
        with (
            stage.login(stage.bound) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)
    query = f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{stage.bound}'"
    assert stage.own(query) == [(20,)]


def test_a_reader_that_looks_at_a_table_for_ever_does_not_keep_it_from_being_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "_PATIENCE", "300ms")
    stage.own("UPDATE csv_pipeline.target SET definition = 'earlier' WHERE feed = 'people'")
    with stage.login(stage.bound) as connection:
        connection.execute("BEGIN; LOCK TABLE data.people IN ACCESS SHARE MODE")
        ensure_targets(stage.pipeline.database, (*FEEDS, *TEST_FEEDS))
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_reader_in_the_way_that_the_pipeline_may_not_end_is_named(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "_PATIENCE", "300ms")
    with plain_pipeline(stage, tmp_path / "home") as plain, bound_reader(stage, plain):
        plain.own("UPDATE csv_pipeline.target SET definition = 'earlier' WHERE feed = 'people'")
        with plain.login(plain.bound) as connection:
            connection.execute("BEGIN; LOCK TABLE data.people IN ACCESS SHARE MODE")
            ended_by = rf"{plain.bound}.*pg_terminate_backend\({connection.info.backend_pid}\)"
            with pytest.raises(DatabaseUnavailableError, match=ended_by):
                ensure_targets(plain.pipeline.database, TEST_FEEDS)
        ensure_targets(plain.pipeline.database, TEST_FEEDS)


def test_the_owner_of_the_tables_is_not_slowed_by_policies(stage: Stage, tmp_path: Path) -> None:
    query = "EXPLAIN SELECT * FROM data.people JOIN csv_pipeline.reject ON true"
    with plain_pipeline(stage, tmp_path / "home") as plain:
        plan = "\n".join(row[0] for row in plain.own(query))
    assert "people" in plan
    assert "InitPlan" not in plan
    with stage.login(stage.bound) as connection:
        assert "InitPlan" in "\n".join(row[0] for row in connection.execute(query))


def test_an_import_touches_no_row_of_another_account(stage: Stage, tmp_path: Path) -> None:
    def image() -> list[Any]:
        queries = [
            f"SELECT '{table}', xmin::text, xmax::text, ctid::text, t::text FROM {table} t "
            f"WHERE account = '{stage.theirs}'"
            for table in TABLES
            if table.startswith("data.") and not table.endswith("totals")
        ]
        queries += [
            f"SELECT '{table}', xmin::text, xmax::text, ctid::text, t::text "
            f"FROM csv_pipeline.{table} t WHERE import_id IN "
            f"(SELECT import_id FROM csv_pipeline.import WHERE account = '{stage.theirs}')"
            for table in ("import", "arrival", "reject", "superseded")
        ]
        return sorted(tuple(row) for query in queries for row in stage.own(query))

    before = image()
    desk = Desk(stage.pipeline, stage.ours, tmp_path)
    rejecting = desk.bring("ID,Name,Amount\n1,changed,5.00\n1,again,6.00\n9,new,\n2,bad,y\n")
    fixed = tmp_path / "fixed.csv"
    stage.pipeline.write_rejects(rejecting.import_id, fixed, verbatim=True)
    desk.bring(fixed.read_text().replace(",y", ",7.00"), name=fixed.name)
    desk.bring("ID,Name\n1,changed\n9,new\n")
    desk.bring(EBAY, "ebay_orders", name="same.csv")
    assert len(before) > 10
    assert image() == before
