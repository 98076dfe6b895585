#!/usr/bin/env bash
# Prints how many tests were skipped, and why. `tests/support/skip.rs` writes the file.
set -euo pipefail
if [ ! -s "$1" ]; then
	echo "No test was skipped."
	exit
fi
sort -u "$1" | awk -F '\t' '
	{ total++; count[$1]++; tests[$1] = tests[$1] "\n      " $2 }
	END { print "Skipped tests: " total; for (reason in count) print "  " count[reason] " - " reason tests[reason] }'
