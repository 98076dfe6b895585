#!/usr/bin/env bash
# Prints where the program pgbouncer is. Installs it if it is missing and we may.
set -euo pipefail

PATH="$PATH:/usr/sbin"
if ! command -v pgbouncer >/dev/null; then
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
		echo "PgBouncer is missing: sudo apt-get install -y pgbouncer" >&2
		exit 1
	}
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbouncer >/dev/null
fi
command -v pgbouncer
