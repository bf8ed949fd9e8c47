#!/bin/sh
# Proves that a backup can be restored: puts it into a Redis and a PostgreSQL of its own on this machine, looks whether a gateway
# could work with them, and removes them. Touches nothing that is in use. Once a month, and after each change of versions.
#
#   MASTER_KEY_FILE=/etc/gatehouse/master-key ./drill.sh /backups/2026-01-31
#
# Needs redis-server, the programs of PostgreSQL (POSTGRES_BIN where they are not on the PATH) and gatehouse (GATEHOUSE).
set -eu
umask 077

backup=$(cd "${1:?the folder of the backup}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
gatehouse=${GATEHOUSE:-gatehouse}
redis_port=${DRILL_REDIS_PORT:-16379}
postgres_port=${DRILL_POSTGRES_PORT:-15432}
: "${MASTER_KEY_FILE:?the master key of this backup}"
PATH=${POSTGRES_BIN:+$POSTGRES_BIN:}$PATH
began=$(date +%s)

folder=$(mktemp -d)
redis_pid=
postgres_pid=
end() {
  [ -z "$redis_pid" ] || kill "$redis_pid" 2>/dev/null || :
  [ -z "$postgres_pid" ] || kill -INT "$postgres_pid" 2>/dev/null || :
  wait 2>/dev/null || :
  rm -rf "$folder"
}
trap end EXIT
trap 'exit 1' INT TERM

# PostgreSQL does not run as root.
as_postgres() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi; }
exec_postgres() { if [ "$(id -u)" = 0 ]; then exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else exec "$@"; fi; }
chmod 711 "$folder"
mkdir -m 700 "$folder/redis" "$folder/postgres"
[ "$(id -u)" != 0 ] || chown postgres "$folder/postgres"

as_postgres initdb -D "$folder/postgres/data" -U gatehouse --auth=trust -N >/dev/null
(cd / && exec_postgres postgres -D "$folder/postgres/data" -p "$postgres_port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off) 2>"$folder/postgres.log" &
postgres_pid=$!
tries=0
until pg_isready --quiet --host=127.0.0.1 --port="$postgres_port" --username=gatehouse; do
  tries=$((tries + 1))
  [ "$tries" -lt 150 ] || { cat "$folder/postgres.log" >&2; exit 1; }
  sleep 0.2
done
database=postgres://gatehouse@127.0.0.1:$postgres_port/gatehouse
createdb --host=127.0.0.1 --port="$postgres_port" --username=gatehouse gatehouse

REDIS_USER=$(id -un) DATABASE_URL=$database "$here/restore.sh" "$backup" "$folder/redis"
redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$folder/redis" --appendonly yes --maxmemory-policy noeviction >"$folder/redis.log" &
redis_pid=$!
tries=0
until [ "$(redis-cli -p "$redis_port" ping 2>/dev/null)" = PONG ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 150 ] || { cat "$folder/redis.log" >&2; exit 1; }
  sleep 0.2
done

cat >"$folder/gateway.yaml" <<END
storage:
  sessions: redis://127.0.0.1:$redis_port
  accounts: $database
  directory: $folder/gatehouse
masterKey: { file: '$MASTER_KEY_FILE' }
END
echo "drill: $(redis-cli -p "$redis_port" --scan --pattern 'tenant:*:refresh:*' | wc -l) sessions," \
  "$(redis-cli -p "$redis_port" zcard 'revocations:live:{0}') revocations," \
  "$(psql --no-psqlrc --tuples-only --no-align --dbname="$database" --command='SELECT count(*) FROM accounts') accounts"
"$gatehouse" doctor --config "$folder/gateway.yaml"
echo "drill: the backup was good, after $(($(date +%s) - began)) s"
