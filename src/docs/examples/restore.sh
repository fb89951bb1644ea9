#!/usr/bin/env bash
# Restores what backup.sh wrote: restore.sh DIRECTORY, into an empty database and a data directory without artifacts, no process running on either; then
# checks every file of every artifact. Start the service afterwards, with the key file of webhooks and the secrets in their places.
# Needs pg_restore and psql, and what they read: PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD or ~/.pgpass.
set -euo pipefail

data=${ESPALIER_DATA_DIR:-$HOME/.espalier}
source=${1:?the directory that backup.sh made}

stop() {
  echo "restore.sh: $*" >&2
  exit 1
}

[ "$(psql -Atc "select count(*) from pg_tables where schemaname = 'public'")" = 0 ] || stop "the database ${PGDATABASE:-} is not empty"
[ -z "$(ls -A "$data/artifacts" 2>/dev/null)" ] || stop "$data/artifacts is not empty"

pg_restore --no-owner --exit-on-error --single-transaction --dbname="${PGDATABASE:?}" "$source/database.dump"
mkdir -p "$data"
cp -a --reflink=auto "$source/files/." "$data/"

bad=0 good=0
for artifact in $(psql -Atc "select id from artifact where store = 'files' and deleted_at is null order by id"); do
  if (cd "$data/artifacts/$artifact" && sha256sum --check --quiet SHA256SUMS); then
    good=$((good + 1))
  else
    echo "restore.sh: $artifact is not whole" >&2
    bad=$((bad + 1))
  fi
done
elsewhere=$(psql -Atc "select count(*) from artifact where store <> 'files' and deleted_at is null")
echo "$(psql -Atc 'select count(*) from pruning_job') jobs, $good artifacts whole, $bad not, $elsewhere in a bucket and not looked at"
[ "$bad" = 0 ]
