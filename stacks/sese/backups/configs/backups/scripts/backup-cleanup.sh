#!/bin/sh
# shellcheck disable=SC1091,SC2015,SC2153 # read beside it; `a && b || c` is meant so
# Removes copies that are older than KEEP_DAYS, but never the newest of a kind: a database that is gone keeps its last dump.
# usage: backup-cleanup.sh BY. What could not be removed is told in status/cleanup; then it ends with 1.
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/common.sh"
: "${KEEP_DAYS:=3}"

take_lock "${2:-7200}" || { echo 'another run holds the lock, or the folder cannot be written' >&2; exit 75; }
removed=0 bytes=0
set -f # names are not patterns
record begun "$(stamp)" "${1:-somebody}"
for kind in pg_dump redis qdrant n8n grafana openclaw; do
  [ -d "$BACKUPS/$kind" ] || continue
  list=$(ls -1t "$BACKUPS/$kind") || { record stuck "$kind" 'cannot be listed'; FAILED=$((FAILED + 1)); continue; }
  seen=$NEWLINE
  while IFS= read -r file; do
    path=$BACKUPS/$kind/$file
    [ -f "$path" ] && [ ! -L "$path" ] || continue
    # without its time: `n8n.dump` of `n8n-20260226T015500Z.dump`, and of `n8n-20260226-0255.dump` of an earlier script
    of=$(printf '%s' "$file" | sed 's/-[0-9]\{8\}[0-9TZ_-]*\([.][a-z.]*\)$/\1/')
    case $seen in *"$NEWLINE$of$NEWLINE"*) ;; *)
      [ ! -s "$path" ] || seen=$seen$of$NEWLINE # an empty one of an earlier script is not the newest good one
      [ ! -s "$path" ] || continue
      ;;
    esac
    [ -n "$(find "$path" -prune -mmin "+$((KEEP_DAYS * 1440))")" ] || continue
    size=$(wc -c <"$path")
    if why=$(rm -f "$path" 2>&1) && [ ! -e "$path" ]; then removed=$((removed + 1)) bytes=$((bytes + size))
    else
      record stuck "$kind/$file" "${why:-it is still there}"
      FAILED=$((FAILED + 1))
    fi
  done <<LIST
$list
LIST
done
record removed - "$removed" "$bytes"
if [ "$FAILED" = 0 ]; then record finished - ok 0; else record finished - failed "$FAILED"; fi
keep_record "$STATUS/cleanup" && [ "$FAILED" = 0 ]
