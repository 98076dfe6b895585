#!/usr/bin/env bash
# Runs a command with TEST_DATABASE_URL naming a PostgreSQL server that is there for it alone and gone afterwards.
# If the variable is set already, that server is used. Installs PostgreSQL if it is missing and we may.
#
#     tests/postgres.sh cargo test --test hub
#
# With `--control` instead of a command it prints the URL and then obeys standard input, a word a line, until that ends:
# `stop`, `start`, `kill`. Each is answered with the same word when it is done. With TEST_POSTGRES_DISK=160M its data is on
# a file system of that size, which `fill` leaves without any room until `free`; that needs Linux and root.
set -euo pipefail

if [ -n "${TEST_POSTGRES_DISK:-}" ] && [ -z "${TEST_POSTGRES_MOUNTS:-}" ]; then
	[ "$(id -u)" = 0 ] && command -v unshare >/dev/null || {
		echo "TEST_POSTGRES_DISK mounts a file system (tmpfs): that needs Linux, root, and unshare (util-linux)" >&2
		exit 1
	}
	# In a name space of its own, so that the file system goes with the last process that uses it.
	TEST_POSTGRES_MOUNTS=own exec unshare --mount -- "$0" "$@"
fi

if [ "$1" != --control ] && [ -n "${TEST_DATABASE_URL:-}" ]; then exec "$@"; fi

# Debian keeps the server's programs out of the path.
find_programs() {
	PATH="$PATH:$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)"
	command -v initdb >/dev/null && command -v pg_ctl >/dev/null
}
if ! find_programs; then
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || {
		echo "PostgreSQL is missing: sudo apt-get install -y postgresql, or set TEST_DATABASE_URL" >&2
		exit 1
	}
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
	find_programs
fi

folder=$(mktemp -d)
# The server refuses to run as root.
as_user=()
if [ "$(id -u)" = 0 ]; then
	id postgres >/dev/null 2>&1 || useradd --system postgres
	chown postgres "$folder"
	if [ -n "${TEST_POSTGRES_DISK:-}" ]; then mount -t tmpfs -o "size=$TEST_POSTGRES_DISK,uid=postgres" tmpfs "$folder"; fi
	as_user=(setpriv --reuid=postgres --regid="$(id -g postgres)" --clear-groups env HOME="$folder" PATH="$PATH")
fi
run() { (cd "$folder" && "${as_user[@]}" "$@"); }
finish() {
	run pg_ctl -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
	if mountpoint -q "$folder"; then umount "$folder" || true; fi
	rm -rf "$folder"
}
trap finish EXIT

run initdb -D "$folder/data" -A trust -U postgres -E UTF8 --locale=C --no-sync >/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null || echo $((20000 + RANDOM % 20000)))
# What is lost with the machine is lost with the test: nothing is synced, unless TEST_POSTGRES_FSYNC=on.
start() {
	run pg_ctl -D "$folder/data" -w -l "$folder/log" start \
		-o "-p $port -c listen_addresses=127.0.0.1 -k $folder -c fsync=${TEST_POSTGRES_FSYNC:-off} -c max_connections=300 -c shared_buffers=128MB -c max_wal_size=4GB" \
		>/dev/null 2>&1 </dev/null || {
		cat "$folder/log" >&2
		exit 1
	}
}
start
url="postgres://postgres@127.0.0.1:$port/postgres"
if [ "$1" = --control ]; then
	echo "$url"
	while read -r word; do
		case "$word" in
		start) start ;;
		stop) run pg_ctl -D "$folder/data" -m fast -w stop >/dev/null ;;
		kill) run pg_ctl -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true ;;
		fill) run dd if=/dev/zero of="$folder/filling" bs=4096 2>/dev/null || true ;;
		free) rm "$folder/filling" ;;
		esac
		echo "$word"
	done
else
	TEST_DATABASE_URL="$url" "$@"
fi
