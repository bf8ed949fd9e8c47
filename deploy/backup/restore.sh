#!/bin/sh
# Puts a backup back: Redis' folder, which must not be in use, and the database, which is emptied first.
#
#   DATABASE_URL=postgres://gatehouse@10.0.0.6/gatehouse PGPASSWORD=… MASTER_KEY_FILE=/etc/gatehouse/master-key \
#     ./restore.sh /backups/2026-01-31 /var/lib/redis
#
# Leave gateways running, or start them before Redis: they know revocations that the backup does not, and put them back.
set -eu
umask 077

backup=${1:?the folder of the backup}
redis=${2:?the folder of Redis}
fail() {
  echo "restore: $1" >&2
  exit 1
}

(cd "$backup" && sha256sum --check --quiet SHA256SUMS) || fail 'the backup is not what it was'
if [ -e "$backup/master-key.fingerprint" ]; then
  found=$(tr -d '\r\n' <"${MASTER_KEY_FILE:?the master key of this backup}" | sha256sum | cut -c 1-16)
  [ "$found" = "$(cat "$backup/master-key.fingerprint")" ] || fail 'the master key is not the one of this backup: its signing keys could not be opened'
fi
[ ! -e "$redis/appendonlydir" ] && [ ! -e "$redis/dump.rdb" ] || fail "$redis is not empty: move appendonlydir and dump.rdb away"

pg_restore --exit-on-error --clean --if-exists --no-owner --dbname="${DATABASE_URL:?where the accounts are}" "$backup/accounts.dump"

# With `appendonly yes` Redis does not look at dump.rdb: it would start empty. The snapshot becomes the base of the append-only file.
mkdir -p "$redis/appendonlydir"
cp "$backup/redis.rdb" "$redis/appendonlydir/appendonly.aof.1.base.rdb"
: >"$redis/appendonlydir/appendonly.aof.1.incr.aof"
printf 'file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n' >"$redis/appendonlydir/appendonly.aof.manifest"
if [ "$(id -u)" = 0 ] && id "${REDIS_USER:-redis}" >/dev/null 2>&1; then chown -R "${REDIS_USER:-redis}" "$redis/appendonlydir"; fi
echo "restore: $backup is back; start Redis"
