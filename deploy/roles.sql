-- Roles of least privilege, for a database of your own. Run it once as an administrator, in the
-- pipeline's database and before the pipeline is first started there; it may be run again:
--
--     psql -v ON_ERROR_STOP=1 -d csv_pipeline -f deploy/roles.sql
--
-- Then give the logins passwords (\password csv_pipeline_owner, …). Who uses which, and as what:
--
--   csv_pipeline_owner   migrations, `feeds apply`, `account --reader`: owns every table
--   csv_pipeline_engine  Dagster's code server, daemon, workers and web server: writes rows
--   csv_pipeline_api     the API: writes the ledger, never a row; reads as csv_pipeline_reader
--   csv_pipeline_reader  no login: tools that see one account become members (docs/storage.md)
--   csv_pipeline_viewer  dashboards over all accounts: reads what a reader does, of every account

DO $roles$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY[
        'csv_pipeline_owner', 'csv_pipeline_engine', 'csv_pipeline_api', 'csv_pipeline_viewer'
    ] LOOP
        IF to_regrole(role) IS NULL THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role);
        END IF;
    END LOOP;
    IF to_regrole('csv_pipeline_reader') IS NULL THEN
        CREATE ROLE csv_pipeline_reader NOLOGIN;
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO csv_pipeline_owner, csv_pipeline_engine, '
        'csv_pipeline_api, csv_pipeline_viewer, csv_pipeline_reader', current_database()
    );
    -- Rows are checked and compared in temporary tables.
    EXECUTE format(
        'GRANT TEMPORARY ON DATABASE %I TO csv_pipeline_owner, csv_pipeline_engine',
        current_database()
    );
END
$roles$;

-- The tables hide every row from all but their owner: see docs/storage.md. These see all accounts.
ALTER ROLE csv_pipeline_engine BYPASSRLS;
ALTER ROLE csv_pipeline_api BYPASSRLS;
ALTER ROLE csv_pipeline_viewer BYPASSRLS;
ALTER ROLE csv_pipeline_viewer SET default_transaction_read_only = on;

-- For a token of one account the API sets this role, and is held to that account's rows.
GRANT csv_pipeline_reader TO csv_pipeline_api;

GRANT csv_pipeline_reader TO csv_pipeline_viewer;

-- The owner binds readers to accounts, and ends their sessions where they hold up a migration.
GRANT csv_pipeline_reader TO csv_pipeline_owner WITH ADMIN OPTION;
GRANT pg_signal_backend TO csv_pipeline_owner;

CREATE SCHEMA IF NOT EXISTS csv_pipeline AUTHORIZATION csv_pipeline_owner;
CREATE SCHEMA IF NOT EXISTS data AUTHORIZATION csv_pipeline_owner;
-- Dagster makes and migrates its own tables as whoever runs it.
CREATE SCHEMA IF NOT EXISTS dagster AUTHORIZATION csv_pipeline_engine;

GRANT USAGE ON SCHEMA csv_pipeline, data TO csv_pipeline_engine, csv_pipeline_api;
GRANT USAGE ON SCHEMA dagster TO csv_pipeline_api;

-- What there is, and what the owner, or Dagster, makes from now on.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA csv_pipeline, data
    TO csv_pipeline_engine;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA csv_pipeline TO csv_pipeline_engine, csv_pipeline_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA csv_pipeline TO csv_pipeline_api;
GRANT SELECT ON ALL TABLES IN SCHEMA data, dagster TO csv_pipeline_api;

ALTER DEFAULT PRIVILEGES FOR ROLE csv_pipeline_owner IN SCHEMA csv_pipeline
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO csv_pipeline_engine, csv_pipeline_api;
ALTER DEFAULT PRIVILEGES FOR ROLE csv_pipeline_owner IN SCHEMA csv_pipeline
    GRANT USAGE ON SEQUENCES TO csv_pipeline_engine, csv_pipeline_api;
ALTER DEFAULT PRIVILEGES FOR ROLE csv_pipeline_owner IN SCHEMA data
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO csv_pipeline_engine;
ALTER DEFAULT PRIVILEGES FOR ROLE csv_pipeline_owner IN SCHEMA data
    GRANT SELECT ON TABLES TO csv_pipeline_api;
ALTER DEFAULT PRIVILEGES FOR ROLE csv_pipeline_engine IN SCHEMA dagster
    GRANT SELECT ON TABLES TO csv_pipeline_api;
