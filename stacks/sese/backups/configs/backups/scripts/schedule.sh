#!/bin/sh
# shellcheck disable=SC1091,SC2015,SC2153 # read beside it; `a && b || c` is meant so
# Starts the backup and the clean-up at their times of day (TZ's), once a day. A time that passed while nothing ran is made
# good ten minutes after the start; the very first night is waited for.
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/common.sh"
: "${BACKUP_AT:=0255}" "${CLEANUP_AT:=0400}" "${EVERY_S:=20}" "${CATCH_UP_S:=600}" "${ALIVE:=/tmp/alive}"
BEGAN=$(date +%s)
trap 'exit 0' TERM INT

due() { # NAME HHMM: it is past that time, and today's was not begun
  today=$(date +%Y%m%d) time=$(date +%H%M) last=''
  [ ! -r "$STATUS/$1.day" ] || read -r last <"$STATUS/$1.day"
  if [ -z "$last" ]; then # never run: past today's time, tomorrow's is the first
    last=never
    [ "1$time" -lt "1$2" ] || last=$today
    echo "$last" >"$STATUS/$1.day"
  fi
  [ "$last" != "$today" ] && [ "1$time" -ge "1$2" ] || return 1
  # later than that: it was missed, or the machine has just come up
  [ "1$time" -lt $((1$2 + 10)) ] || [ $(($(date +%s) - BEGAN)) -ge "$CATCH_UP_S" ]
}
begin() { # NAME SCRIPT
  date +%Y%m%d >"$STATUS/$1.day"
  sh "$HERE/$2" schedule 7200 || echo "$2 ended with status $?" >&2
}

until mkdir -p "$STATUS"; do sleep "$EVERY_S"; done
echo "$BEGAN" >"$ALIVE.since"
while :; do
  date +%s >"$ALIVE"
  if due backup "$BACKUP_AT"; then begin backup pre-backup.sh; fi
  if due cleanup "$CLEANUP_AT"; then begin cleanup backup-cleanup.sh; fi
  sleep "$EVERY_S" &
  wait $!
done
