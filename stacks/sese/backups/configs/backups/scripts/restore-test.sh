#!/bin/sh
# shellcheck disable=SC1091,SC2015,SC2153 # read beside it; `a && b || c` is meant so
# Restores the newest dump of a database into one that is made for it and dropped again, and counts what came.
# usage: restore-test.sh DB BY. The database itself is only asked for its size. A dump that does not hold is told, and nothing
# is made. Ends with 0, 1 when the dump does not restore, 75 when another run holds the lock; the result is in status/restore/.
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/common.sh"
. "$HERE/postgresql.sh"

DB=$1 SAFE='' DUMP='' MADE=''

finish() { # RESULT TABLES ROWS REASON: what was made is dropped first; that it stays is told, and is no success
  if [ -n "$MADE" ]; then
    if left=$(drop "$MADE" 2>&1); then MADE=''
    else set -- failed "$2" "$3" "${4:+$4; }$MADE could not be dropped: $(printf '%s' "$left" | tail -n 1)"; fi
  fi
  record finished "$DB" "$1" "$2" "$3" "$(($(date +%s) - BEGAN))" "$DUMP" "$4"
  mkdir -p "$STATUS/restore" && keep_record "$STATUS/restore/${SAFE:-unknown}"
}
broken() { finish failed 0 0 "$(printf '%s' "$1" | tail -n 2)"; exit 1; }
drop() { sql postgres -c "DROP DATABASE IF EXISTS \"$1\" WITH (FORCE)" </dev/null; }
tidy() { # also after an error, or a signal
  status=$?
  trap - EXIT
  if [ -n "$MADE" ]; then drop "$MADE" 2>&1 || { echo "$MADE was not dropped: the next restore test does" >&2; status=1; }; fi
  exit "$status"
}
trap tidy EXIT
trap 'exit 143' HUP INT TERM

take_lock "${WAIT_S:-0}" || { echo 'another run holds the lock, or the folder cannot be written' >&2; exit 75; }
BEGAN=$(date +%s) STAMP=$(stamp) JOURNAL=$STATUS/journal-restore
true >"$JOURNAL" || JOURNAL=/dev/null
record begun "$STAMP" "${2:-somebody}" "${TOKEN:--}" "$DB"
container postgresql || broken "$WHY"
SAFE=$(printf '%s' "SELECT $SAFE_NAME FROM (SELECT :'name'::text AS datname) it" | sql postgres -v "name=$DB") ||
  broken 'the server does not answer'
for stale in $(sql postgres -c "SELECT datname FROM pg_database WHERE datname ~ '$THROWN_AWAY'" </dev/null); do
  if drop "$stale"; then record tidied "$stale" 'an earlier test left it'; fi
done

for found in "$BACKUPS/pg_dump/$SAFE"-????????T??????Z.dump; do # in the order of their times
  [ ! -f "$found" ] || DUMP=${found##*/}
done
[ -n "$DUMP" ] || broken 'there is no dump of it'
record reading "$DUMP" "$(($(wc -c <"$BACKUPS/pg_dump/$DUMP")))"
said=$(prove_dump "$BACKUPS/pg_dump/$DUMP" 2>&1) || broken "the dump is damaged: $said"

# Room on the server's disk for a second one, and as much again: a full disk would stop the databases that are used.
need=$(sql postgres -v "name=$DB" <<'SQL'
SELECT coalesce((SELECT pg_database_size(datname) FROM pg_database WHERE datname = :'name'), 0)
SQL
) || broken 'the server does not answer'
[ "$need" -gt 0 ] || need=$(($(wc -c <"$BACKUPS/pg_dump/$DUMP") * 10))
folder=$(sql postgres -c 'SHOW data_directory' </dev/null)
free=$(dk exec "$ID" df -P -k "$folder" </dev/null | awk 'NR == 2 { print $4 }')
[ $((${free:-0} * 1024)) -gt $((need * 2)) ] || broken "there is no room: $((need * 2 >> 20)) MiB wanted, $((${free:-0} >> 10)) MiB free"

name=vpai_restore_test_${STAMP}_$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
record restoring "$name" -
MADE=$name
said=$(sql postgres -c "CREATE DATABASE \"$name\" TEMPLATE template0" 2>&1 </dev/null) || broken "$said"
# never -C: it would connect to the name in the dump
said=$(dk exec -i "$ID" pg_restore -U postgres --no-owner --no-privileges --exit-on-error -d "$name" \
  <"$BACKUPS/pg_dump/$DUMP" 2>&1) || broken "the dump does not restore: $said"
counts=$(sql "$name" <<'SQL'
SELECT format('SELECT count(*) FROM %I.%I', schemaname, tablename) FROM pg_tables
 WHERE schemaname NOT IN ('pg_catalog', 'information_schema') \gexec
SQL
) || broken 'the restored tables cannot be counted'
tables=$(printf '%s' "$counts" | awk 'NF { n++ } END { print n + 0 }')
rows=$(printf '%s' "$counts" | awk '{ n += $1 } END { printf "%.0f", n }')
finish ok "$tables" "$rows" '' && [ -z "$MADE" ]
