#!/usr/bin/env bash
# Serves NATS on a port of 127.0.0.1 until standard input ends. Installs the server if it is missing and we may.
#
#     tests/nats.sh 4222
set -euo pipefail
command -v nats-server >/dev/null || {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
		echo "nats-server is missing: sudo apt-get install -y nats-server" >&2
		exit 1
	}
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nats-server >/dev/null
}
nats-server -a 127.0.0.1 -p "$1" >/dev/null 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
echo "serving"
while read -r _; do :; done
