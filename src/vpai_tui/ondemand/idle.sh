# Stops a stack on its host when nothing has come or gone over its network for a while; goes behind remote/lock.sh.
# usage: sh idle.sh set|cancel   watch TOKEN is what `set` leaves running, detached: until the stack stops, or a reboot.
# ROOT STACK PROJECT DOCKER WHO in the environment; for `set` also MINUTES, FRONT (services whose bytes count), STOP (the
# sh words that stop the stack), EVERY_S (between two looks) and QUIET_BYTES (what a look may find and still call quiet).
# It counts looks and reads no clock: a Raspberry Pi has none it could trust after a boot. Ends with 75 locked, 78 refused.
# shellcheck shell=sh disable=SC2086,SC2015 # $DOCKER, $FRONT and lists of ids are words; `a && b || refuse` is meant so
set -u
umask 077
verb=$1; TOKEN=${2:-}
PROC=${VPAI_PROC:-/proc}
DEPLOY=$ROOT/deploy
HOME_OF=$DEPLOY/idle
RECORD=$HOME_OF/$STACK
LABEL=com.docker.compose

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
refuse() { echo "$2" >&2; exit "$1"; }
dk() { timeout -k 5 30 $DOCKER "$@" </dev/null 9>&-; }
field() { sed -n "s/^$1=//p" "$RECORD" 2>/dev/null | head -n 1; }
mine() { [ "$(field token)" = "$TOKEN" ]; }
put() { # STATE WHY: the record, whole or not at all; that of another watcher is not ours to write
  printf '%s\n' "token=$TOKEN" "pid=$$" "boot=$(head -n 1 "$PROC/sys/kernel/random/boot_id" 2>/dev/null)" "by=$WHO" \
    "at=$AT" "minutes=$MINUTES" "quiet_s=$QUIET_S" "state=$1" "why=$2" "told=$(now)" >"$RECORD.$$" &&
    mv -T "$RECORD.$$" "$RECORD"
}
end_old() { # the watcher of the record, if it is still the one that wrote it
  old=$(field pid); of=$(field token)
  [ -n "$old" ] && [ -n "$of" ] && tr '\0' '\n' 2>/dev/null <"/proc/$old/cmdline" | grep -qxF -- "$of" && kill "$old"
  rm -f "$RECORD"
}
ids() { # of the containers that run, of all services or of those named
  [ $# -gt 0 ] || { dk ps -q --no-trunc --filter "label=$LABEL.project=$PROJECT" --filter "label=$LABEL.oneoff=False"; return; }
  for one in "$@"; do
    dk ps -q --no-trunc --filter "label=$LABEL.project=$PROJECT" --filter "label=$LABEL.service=$one" --filter "label=$LABEL.oneoff=False" || return 1
  done
}
bytes() { # IDS: what came and went over their interfaces but the loopback
  dk inspect -f '{{.State.Pid}}' "$@" | while read -r pid; do cat "$PROC/$pid/net/dev" 2>/dev/null; done |
    awk -F : 'NF == 2 { sub(/^ */, "", $1); if ($1 == "lo") next; split($2, n, " "); sum += n[1] + n[9]; found = 1 }
      END { if (found) printf "%.0f\n", sum }'
}

watch() {
  AT=$(now); QUIET_S=0; was=; before=
  put watching ''
  while sleep "$EVERY_S" 9>&-; do
    [ -d "$HOME_OF" ] && mine || exit 0 # set anew, or cancelled
    if ! seen=$(ids $FRONT); then put watching 'Docker does not answer'; continue; fi
    [ -n "$seen" ] || { put ended 'it was stopped'; exit 0; }
    count=$(bytes $seen)
    [ -n "$count" ] || { put watching 'its network bytes cannot be read'; continue; }
    moved=$((count - ${before:-0}))
    if [ "$seen" = "$was" ] && [ "$moved" -ge 0 ] && [ "$moved" -le "$QUIET_BYTES" ]; then QUIET_S=$((QUIET_S + EVERY_S)); else QUIET_S=0; fi
    was=$seen; before=$count
    put watching ''
    [ "$QUIET_S" -ge $((MINUTES * 60)) ] || continue
    sh -c "$STOP" >>"$HOME_OF/log" 2>&1 9>&-; code=$?
    mine || exit 0
    case $code in
      0) put stopped "$MINUTES min without network bytes"; exit 0 ;;
      75) put watching 'it is to be stopped, and waits for what holds the lock' ;;
      *) put watching "it could not be stopped (status $code), and is tried again" ;;
    esac
  done
}

case $verb in
  set)
    mkdir -p "$HOME_OF"
    lock "idle stop of $STACK set by $WHO" 3 || refuse 75 "$(owner)"
    [ -n "$(ids $FRONT)" ] || refuse 78 "it does not run: there is nothing to watch"
    end_old
    TOKEN=$STACK-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
    setsid sh "$0" watch "$TOKEN" </dev/null >>"$HOME_OF/log" 2>&1 9>&- &
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do ! mine || exit 0; sleep 0.2; done
    refuse 1 "the watcher did not begin: $(tail -n 1 "$HOME_OF/log")" ;;
  cancel)
    [ -e "$RECORD" ] || exit 0
    lock "idle stop of $STACK cancelled by $WHO" 3 || refuse 75 "$(owner)"
    end_old ;;
  watch) watch ;;
esac
