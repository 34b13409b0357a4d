#!/bin/sh
# shellcheck disable=SC1091,SC2015,SC2153 # read beside it; `a && b || c` is meant so
# The night's copies, before Zerobyte takes them away at 03:00. usage: pre-backup.sh BY [WAIT_S]
# Each step stands alone: what fails is told in status/last-run, the others go on, and the heartbeat is sent only when all
# succeeded. Ends with 0, 1 when a step failed, 75 when another run holds the lock.
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/common.sh"
. "$HERE/postgresql.sh"
. "$HERE/redis.sh"
. "$HERE/qdrant.sh"
. "$HERE/n8n.sh"
. "$HERE/grafana.sh"
. "$HERE/openclaw.sh"
. "$HERE/heartbeat.sh"

take_lock "${2:-0}" || { echo 'another run holds the lock, or the folder cannot be written' >&2; exit 75; }
STAMP=$(stamp)
JOURNAL=$STATUS/journal
true >"$JOURNAL" || JOURNAL=/dev/null
find "$BACKUPS" -name '.*.part*' -prune -exec rm -rf {} + 2>/dev/null # of a run that was killed
record begun "$STAMP" "${1:-somebody}" "${TOKEN:--}"

backup_postgresql "$STAMP"
backup_redis "$STAMP"
backup_qdrant "$STAMP"
backup_n8n "$STAMP"
backup_grafana "$STAMP"
backup_openclaw "$STAMP"

if [ -z "${HEARTBEAT_URL-}" ]; then record heartbeat - missing 'HEARTBEAT_URL is not set'
elif [ "$FAILED" != 0 ]; then record heartbeat - withheld "steps that failed: $FAILED"
elif send_heartbeat; then record heartbeat - sent ''
else record heartbeat - failed "$WHY"; fi

if [ "$FAILED" = 0 ]; then record finished "$STAMP" ok 0; else record finished "$STAMP" failed "$FAILED"; fi
keep_record "$STATUS/last-run" && [ "$FAILED" = 0 ]
