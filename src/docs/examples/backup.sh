#!/usr/bin/env bash
# Backs up a service while it runs: backup.sh DIRECTORY. First the database, then the files: every row then finds its files, because an artifact is
# complete before its row is written and never changed afterwards. The key file of webhooks and the secrets are left out: keep them as you keep passwords.
# Needs pg_dump of the server's version or a newer one, and what it reads: PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD or ~/.pgpass.
set -euo pipefail

data=${ESPALIER_DATA_DIR:-$HOME/.espalier}
target=${1:?a directory that is not there yet}

mkdir -p "$(dirname "$target")"
mkdir "$target"
pg_dump --format=custom --file="$target/database.dump"
mkdir "$target/files"
for part in "$data"/*; do
  case $(basename "$part") in
    postgres | work | demo | webhooks.key | secrets | *.lock) ;; # the database itself, what workers have in hand, what every start makes, secrets
    *) cp -a --reflink=auto "$part" "$target/files/" ;;
  esac
done
sync -f "$target"
echo "$(du -sh "$target" | cut -f 1) in $target"
