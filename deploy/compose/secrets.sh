#!/bin/sh
# Make the secrets that are not there yet, in a folder that only you can enter. The files are
# readable by all, because each is mounted as it is and read by another user inside.
set -eu
cd "$(dirname "$0")"
mkdir -p -m 700 secrets
umask 022
for name in postgres owner engine api viewer; do
    [ -s "secrets/${name}_password" ] ||
        head -c 24 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_' >"secrets/${name}_password"
done
[ -s secrets/dagster_users ] || {
    printf 'Password of the user admin for Dagster: ' >&2
    stty -echo 2>/dev/null || true
    read -r password
    stty echo 2>/dev/null || true
    printf 'admin %s\n' "$(printf '%s\n' "$password" | ${CADDY:-docker run --rm -i caddy:2 caddy} hash-password)" >secrets/dagster_users
}
