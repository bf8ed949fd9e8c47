#!/bin/sh
# Backs up what a fleet of gateways shares, while it runs: sessions and revocations in Redis, accounts in PostgreSQL.
#
#   REDIS_HOST=10.0.0.5 REDISCLI_AUTH=… DATABASE_URL=postgres://gatehouse@10.0.0.6/gatehouse PGPASSWORD=… \
#     MASTER_KEY_FILE=/etc/gatehouse/master-key ./backup.sh /backups/2026-01-31
#
# Of the master key only a fingerprint is kept, so that a restore can tell whether the right one is at hand: the key itself
# belongs into another place than the databases that it seals.
set -eu
umask 077

target=${1:?the folder to make}
[ ! -e "$target" ] || { echo "backup: $target is there already" >&2; exit 1; }
work=$target.part
rm -rf "$work"
mkdir -p "$work"

# A snapshot of one moment, as a replica gets it. Every session ends some day: nothing of it needs to be kept for longer.
redis-cli -h "${REDIS_HOST:-127.0.0.1}" -p "${REDIS_PORT:-6379}" --rdb "$work/redis.rdb" >/dev/null
[ "$(head -c 5 "$work/redis.rdb")" = REDIS ] || { echo 'backup: Redis sent no snapshot' >&2; exit 1; }

pg_dump --format=custom --no-owner --file="$work/accounts.dump" "${DATABASE_URL:?where the accounts are}"

if [ -n "${MASTER_KEY_FILE:-}" ]; then
  tr -d '\r\n' <"$MASTER_KEY_FILE" | sha256sum | cut -c 1-16 >"$work/master-key.fingerprint"
fi
(cd "$work" && sha256sum ./* >"$target.sums" && mv "$target.sums" SHA256SUMS)
mv "$work" "$target"
echo "backup: $target"
