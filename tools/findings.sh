#!/bin/sh
# Runs every script of findings/ one after the other, and prints which still show what they say.
cd "$(dirname "$0")/../findings" || exit 1
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
changed=0
for script in *.sh; do
    if bash "$script" >"$log/out" 2>&1; then echo "as it says  ${script%.sh}"
    else changed=1; echo "CHANGED     ${script%.sh}"; tail -n 5 "$log/out" | sed 's/^/            /'; fi
done
exit $changed
