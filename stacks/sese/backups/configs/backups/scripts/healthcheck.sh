#!/bin/sh
# shellcheck disable=SC1091,SC2015,SC2153 # read beside it; `a && b || c` is meant so
# Healthy: the schedule is awake or a run is under way, the folder can be written, and the last run is neither failed nor
# missing. What lies before this container's start does not count: a deploy that mends a failed backup must come through.
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/common.sh"
: "${ALIVE:=/tmp/alive}" "${OVERDUE_S:=93600}"

now=$(date +%s)
read -r since <"$ALIVE.since" && read -r seen <"$ALIVE" || { fail 'the schedule has not begun'; exit 1; }
if [ $((now - seen)) -gt 300 ] && flock -n "$STATUS/lock" true; then fail 'the schedule sleeps'; exit 1; fi
mkdir -p "$STATUS" && true >"$STATUS/.writable" || { fail "$STATUS cannot be written"; exit 1; }
ran=$(find "$STATUS/last-run" -prune -mmin "-$(((now - since) / 60 + 1))" 2>/dev/null)
if [ -z "$ran" ]; then
  [ $((now - since)) -lt "$OVERDUE_S" ] || { fail 'no run since the start, and one was due'; exit 1; }
  exit 0
fi
[ -n "$(find "$STATUS/last-run" -prune -mmin "-$((OVERDUE_S / 60))")" ] || { fail 'the last run is too old'; exit 1; }
tail -n 1 "$STATUS/last-run" | grep -q "${TAB}ok${TAB}" || { fail 'the last run failed: vpai-tui backups'; exit 1; }
