#!/bin/sh
# Put the content of the file that NAME_FILE names into NAME, as PostgreSQL's own image does, so that
# no secret is in the environment that `docker inspect` shows. Only for NAMEs of our own: others, such
# as AWS_WEB_IDENTITY_TOKEN_FILE, are read by libraries, which look for the file.
set -eu
for name in $(env | sed -n 's/^\(PGPASSWORD\|CSV_PIPELINE_[A-Z_]*\)_FILE=.*/\1/p'); do
    eval "file=\$${name}_FILE"
    value=$(cat "$file")
    export "$name=$value"
    unset "${name}_FILE"
done
exec "$@"
