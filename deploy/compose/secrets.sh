#!/bin/sh
# Makes what compose.yaml mounts as secrets. What is there already stays: a new master key would log everyone out.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
# Of this folder only you see anything; in the containers the files are read by users of other numbers.
chmod 700 secrets

make_secret() {
  [ -s "secrets/$1" ] && return
  (umask 077 && "$2" "$3" "$4" "$5" >"secrets/$1")
  chmod 444 "secrets/$1"
}

make_secret master-key openssl rand -base64 32
# In hex: they are parts of URLs.
make_secret admin-token openssl rand -hex 32
make_secret redis-password openssl rand -hex 24
make_secret database-password openssl rand -hex 24
make_secret grafana-password openssl rand -hex 12
