-- Give the logins of roles.sql their passwords; psql reads them, so that no process list shows one.
\set owner `cat /run/secrets/owner_password`
\set engine `cat /run/secrets/engine_password`
\set api `cat /run/secrets/api_password`
\set viewer `cat /run/secrets/viewer_password`
ALTER ROLE csv_pipeline_owner PASSWORD :'owner';
ALTER ROLE csv_pipeline_engine PASSWORD :'engine';
ALTER ROLE csv_pipeline_api PASSWORD :'api';
ALTER ROLE csv_pipeline_viewer PASSWORD :'viewer';
