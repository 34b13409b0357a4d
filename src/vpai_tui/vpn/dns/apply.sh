# Puts a new config.yaml (or records file) of Headscale in place, and never leaves one behind that does not start. Goes
# behind remote/lock.sh.
# usage: apply.sh apply|settle ID   with ROOT DOCKER WHO CONTAINER FILE INSIDE HASH MODE HEALTH_S in the environment,
# PORT (of its HTTP in the container), PUBLIC (where clients reach it) and DERP_URLS (relay maps that it needs to start).
# MODE: restart (config.yaml: tested, one restart) or path (extra_records_path: it is watched, nothing is restarted).
# `guard ID PID` waits for an apply that was killed and settles it.
# shellcheck shell=sh disable=SC2086,SC2046,SC2015 # $DOCKER is words; `a && b || refuse` is meant so
set -fu
umask 077
verb=$1; ID=$2
DEPLOY=$ROOT/deploy
HOME_OF=$DEPLOY/dns
RUN=$HOME_OF/$ID
CANDIDATE=$(dirname "$FILE")/.vpai-candidate.yaml
SETTLED=
WATCH="" MISSING="" # which /health answered before, and which does not any more

now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }
J() { # event, detail
  printf '%s\t%s\t%s\t%s\n' "$(now)" "$1" - "${2:--}" >>"$RUN/journal"
  sync -d "$RUN/journal" 2>/dev/null || sync
}
dk() { timeout -k 10 "${DOCKER_TIMEOUT_S:-60}" $DOCKER "$@" </dev/null 9>&-; }
hs() { timeout -k 5 15 $DOCKER exec "$CONTAINER" headscale "$@" </dev/null 9>&-; }
sum() { sha256sum <"$1" 2>/dev/null | cut -d ' ' -f 1; }
status() { # outcome, exit code, reason: whole or not at all
  printf '%s %s %s\n' "$1" "$2" "${3:-}" >"$RUN/status.new" && mv -T "$RUN/status.new" "$RUN/status" || return 1
  sync -d "$RUN/status" 2>/dev/null || sync
}
finish() { # the same, and nothing is pending any more; an end that cannot be written down is left to be settled
  status "$@" || { echo "the end ($1) could not be written down"; return 1; }
  [ "$(readlink "$HOME_OF/pending")" != "$ID" ] || rm -f "$HOME_OF/pending" # another run's is not ours to take
  J finished "$1 $2 ${3:-}"
  SETTLED=1
}
refuse() { rm -f "$CANDIDATE"; finish refused "$1" "$2" || J finished "refused $1 $2"; exit "$1"; }
running() { [ "$(dk inspect -f '{{.State.Running}}' "$CONTAINER" 2>/dev/null)" = true ]; }
restarts() { dk inspect -f '{{.RestartCount}}' "$CONTAINER" 2>/dev/null; }
nodes() { # how many nodes it answers with; nothing when it does not answer
  hs nodes list -o json >"$RUN/.nodes" 2>>"$RUN/out.log" || return 1
  grep -c '"machine_key"' "$RUN/.nodes" || true
  rm -f "$RUN/.nodes"
}
fetch() { # SECONDS URL: what it answers; 127, which neither of the two ends with, when this host has nothing to ask with
  if command -v curl >/dev/null; then timeout -k 2 "$1" curl -fsSL "$2"
  elif command -v wget >/dev/null; then timeout -k 2 "$1" wget -qO- "$2"
  else return 127; fi </dev/null 9>&-
}
here() { # its HTTP as this host reaches it
  set -- $(dk inspect -f '{{.HostConfig.NetworkMode}}{{range .NetworkSettings.Networks}} {{.IPAddress}}{{end}}' "$CONTAINER")
  [ "${1-}" != host ] || set -- host 127.0.0.1
  printf 'http://%s:%s' "${2:-none.invalid}" "$PORT"
}
well() { # URL
  fetch 5 "$1/health" 2>/dev/null | grep -q '"status": *"pass"'
}
watched() { # what answered before answers again
  for MISSING in $WATCH; do
    [ "$MISSING" != here ] || MISSING=$(here)
    well "$MISSING" || return 1
  done
  MISSING=
}
relays() { # what a configtest does not see: without a relay map it does not start. WHY when there is none
  for url in $DERP_URLS; do
    case $url in http://* | https://*) ;; *) WHY="$url is no http or https URL"; return 1 ;; esac # curl would guess
    fetch 10 "$url" >"$RUN/.map" 2>"$RUN/.why"; code=$?
    if [ "$code" = 127 ]; then
      name=${url#*://}; name=${name%%[/:]*}
      command -v getent >/dev/null && ! getent hosts "$name" >/dev/null && { WHY="$name is not found"; return 1; }
      J relays "$url was not fetched: this host has neither curl nor wget"
    elif [ "$code" = 0 ] && grep -qi '"regions"' "$RUN/.map"; then J relays "$url"
    else WHY="$url gives none: $(tail -n 1 "$RUN/.why")"; return 1; fi
  done
}
healthy() { # it runs, was not restarted by Docker, and answers through its socket and database, and where it did before
  deadline=$(($(date +%s) + HEALTH_S)); first=$(restarts)
  while [ "$(date +%s)" -lt "$deadline" ]; do
    if running && COUNT=$(nodes) && watched; then return 0; fi
    [ "$(restarts)" = "$first" ] || { WHY="it starts and ends again and again"; return 1; }
    sleep 0.5
  done
  WHY="it did not answer${MISSING:+ at $MISSING/health, as it did before,} within $HEALTH_S s"
  return 1
}
install() { # SOURCE: one rename, owner and mode of the file before
  cp -p "$FILE" "$CANDIDATE" && cat "$1" >"$CANDIDATE" && sync -d "$CANDIDATE" && mv -T "$CANDIDATE" "$FILE" || return 1
  sync "$(dirname "$FILE")" 2>/dev/null || sync
}
put_back() { # reason, outcome, exit code
  J revert_started "$1"
  if [ "$(sum "$FILE")" = "$(sum "$RUN/new")" ]; then
    install "$RUN/before" || { finish revert_failed 1 "$1; and $FILE could not be restored from $RUN/before"; return; }
    J restored
  fi
  rm -f "$CANDIDATE"
  if [ "$MODE" = restart ] || ! running; then dk restart -t 10 "$CONTAINER" >>"$RUN/out.log" 2>&1 || dk start "$CONTAINER" >>"$RUN/out.log" 2>&1; fi
  reason=$1 then=$WATCH WATCH=""
  if healthy; then
    WATCH=$then
    watched || reason="$reason; with the file before it does not either, so far"
    finish reverted 4 "$reason"
  else finish revert_failed 1 "$reason; after it was restored: $WHY"
  fi
}
said() { # the last lines of the container since a moment
  { echo "--- last lines of headscale:"; dk logs --since "$1" --tail 50 "$CONTAINER" 2>&1; } >>"$RUN/out.log"
}

apply() {
  lock "dns $verb by $WHO" 3 || refuse 75 "$(owner)"
  other=$(readlink "$HOME_OF/pending") # whoever held the lock for it is dead
  [ -z "$other" ] || [ -e "$HOME_OF/$other/status" ] || refuse 76 "the apply $other was interrupted: settle it first"
  J begin "$MODE"
  [ -f "$FILE" ] && [ ! -L "$FILE" ] || refuse 78 "$FILE is no plain file"
  [ "$(sum "$FILE")" = "$HASH" ] || refuse 77 "$FILE was changed by somebody else meanwhile"
  running || refuse 78 "headscale does not run: restart it or look at its log first"
  before=$(nodes) || refuse 78 "headscale does not answer: $(tail -n 1 "$RUN/out.log")"
  if [ "$MODE" = restart ]; then
    well "$(here)" && WATCH=here
    [ -z "$PUBLIC" ] || ! well "$PUBLIC" || WATCH="$WATCH $PUBLIC"
  fi
  J checked "$before nodes${WATCH:+, /health of $WATCH}"
  cp -p "$FILE" "$RUN/before" && sync -d "$RUN/before" || refuse 78 "no copy of $FILE could be kept"
  if [ "$MODE" = restart ]; then
    cp -p "$FILE" "$CANDIDATE" && cat "$RUN/new" >"$CANDIDATE" || refuse 78 "the candidate could not be written"
    hs configtest -c "$(dirname "$INSIDE")/${CANDIDATE##*/}" >>"$RUN/out.log" 2>&1 || refuse 78 "configtest: $(tail -n 1 "$RUN/out.log")"
    J tested
    relays || refuse 78 "Headscale would not start again without a relay map: $WHY"
  fi
  ln -sfn "$ID" "$HOME_OF/pending.new" && mv -T "$HOME_OF/pending.new" "$HOME_OF/pending" || refuse 78 "the disk takes nothing any more"
  setsid sh "$0" guard "$ID" "$$" </dev/null >>"$RUN/out.log" 2>&1 9>&- &
  J kept "$RUN/before"
  install "$RUN/new" || { put_back "the file could not be put in place"; return; }
  J installed
  since=$(date +%s)
  if [ "$MODE" = restart ]; then
    J restarting
    dk restart -t 10 "$CONTAINER" >>"$RUN/out.log" 2>&1 || { put_back "docker could not restart it: $(tail -n 1 "$RUN/out.log")"; return; }
    J restarted
  fi
  healthy || { said "$since"; put_back "$WHY"; return; }
  [ "$COUNT" -ge "$before" ] || { put_back "only $COUNT of $before nodes are left"; return; }
  J healthy "$COUNT nodes"
  finish committed 0
}
settle() { # [SECONDS to wait]: an apply that was killed: back to what was before it; without the lock it stays unsettled
  lock "dns $verb by $WHO" "$@" || { J held "$(owner)"; exit 75; }
  [ ! -e "$RUN/status" ] || exit 0
  put_back "the apply was interrupted"
}

case $verb in
  apply) apply ;;
  settle) settle "${SETTLE_WAIT_S:-30}" ;;
  guard)
    tail --pid="$3" -f /dev/null
    [ ! -e "$RUN/status" ] || exit 0
    settle ;; # however long a deploy holds the lock: nobody else will
esac
[ -n "$SETTLED" ] || exit 1
read -r _ code _ <"$RUN/status"; exit "$code"
