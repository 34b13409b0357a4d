# Puts a new litellm_config.yaml in place: whole, under the lock of every deploy of this host, by one rename; the file
# before it is kept. Goes behind remote/lock.sh. ROOT WHO FILE BASE (sha256 of the file before) are in the environment.
#   check        whether it could be done now
#   keep         the candidate comes on stdin, its sha256 is NEW; prints the path of the copy that was kept
#   restart ID   the candidate is deploy/budget/ID/new; CONTAINER is restarted and must be ready within READY_S seconds,
#                else all of it is taken back. Detached, with a journal; `guard ID PID` does that for one that was killed.
# Ends with 75 locked, 77 the file was changed meanwhile, 78 refused, 4 taken back, 1 failed.
# shellcheck shell=sh disable=SC2086,SC2015,SC2012 # $DOCKER is words; `a && b || refuse` is meant so; names of ours
set -u
umask 077
verb=$1; ID=${2:-}
DEPLOY=$ROOT/deploy
HOME_OF=$DEPLOY/budget
RUN=$HOME_OF/${ID:-none}
CANDIDATE=$(dirname "$FILE")/.vpai-candidate.yaml

now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }
sum() { sha256sum <"$1" 2>/dev/null | cut -d ' ' -f 1; }
fit() { # [SECONDS]: takes the lock, sees that the file is the one that is meant; else CODE and WHY
  lock "budget $verb by $WHO" ${1:-} || { CODE=75 WHY=$(owner); return 1; }
  [ -f "$FILE" ] && [ ! -L "$FILE" ] || { CODE=78 WHY="$FILE is no plain file"; return 1; }
  [ "$(sum "$FILE")" = "$BASE" ] || { CODE=77 WHY="$FILE was changed by somebody else meanwhile"; return 1; }
}
install() { # SOURCE: one rename, owner and mode of the file before
  cp -p "$FILE" "$CANDIDATE" && cat "$1" >"$CANDIDATE" && sync -d "$CANDIDATE" && mv -T "$CANDIDATE" "$FILE" || return 1
  sync "$(dirname "$FILE")" 2>/dev/null || sync
  [ "$(sum "$FILE")" = "$(sum "$1")" ]
}
old() { ls -d "$HOME_OF"/[0-9]* 2>/dev/null | sort -r | tail -n +11 | while read -r gone; do rm -rf -- "$gone"; done; }

refuse() { rm -f "${IN:-}"; echo "$2" >&2; exit "$1"; }
keep() {
  trap '' HUP PIPE # the link may break; what has begun is brought to its end
  IN=$(mktemp "$HOME_OF/in.XXXXXX") && cat >"$IN" || refuse 78 "the disk takes nothing any more"
  [ "$(sum "$IN")" = "$NEW" ] || refuse 78 "only a part of the file arrived; nothing was changed"
  fit 3 || refuse "$CODE" "$WHY"
  RUN=$HOME_OF/$(date -u +%Y%m%dT%H%M%S.%3N)-$$
  mkdir "$RUN" && cp -p "$FILE" "$RUN/before" && sync -d "$RUN/before" || refuse 78 "no copy of $FILE could be kept"
  if ! install "$IN"; then
    rm -f "$CANDIDATE"
    [ "$(sum "$FILE")" != "$BASE" ] || refuse 78 "$FILE could not be written: it is as it was"
    refuse 1 "$FILE is not what was written; the one before it is $RUN/before"
  fi
  rm -f "$IN"
  find "$HOME_OF" -maxdepth 1 -name 'in.*' -mmin +60 -exec rm -f {} +
  old
  echo "$RUN/before"
}

J() { # event, detail
  printf '%s\t%s\t-\t%s\n' "$(now)" "$1" "${2:--}" >>"$RUN/journal"
  sync -d "$RUN/journal" 2>/dev/null || sync
}
finish() { # outcome, exit code, reason
  rm -f "$CANDIDATE"
  printf '%s %s %s\n' "$1" "$2" "${3:-}" >"$RUN/status.new" && mv -T "$RUN/status.new" "$RUN/status"
  J finished "$1 $2 ${3:-}"
  exit "$2"
}
dk() { timeout -k 10 "${DOCKER_TIMEOUT_S:-60}" $DOCKER "$@" </dev/null 9>&-; }
ready() { dk exec "$CONTAINER" python3 -c "$ASK" "$READY" 2>>"$RUN/out.log" | grep -q '"status": *200'; }
comes() { # it is restarted, and answers in time
  dk restart -t 30 "$CONTAINER" >>"$RUN/out.log" 2>&1 || { WHY="docker could not restart it: $(tail -n 1 "$RUN/out.log")"; return 1; }
  J restarted
  deadline=$(($(date +%s) + READY_S))
  until ready; do
    [ "$(date +%s)" -lt "$deadline" ] || { WHY="it was not ready within $READY_S s"; return 1; }
    sleep 1
  done
}
take_back() { # reason
  J revert_started "$1"
  if [ "$(sum "$FILE")" != "$BASE" ]; then
    [ "$(sum "$FILE")" = "$NEW" ] || finish revert_failed 1 "$1; and $FILE was changed by somebody else meanwhile: it is left so"
    install "$RUN/before" || finish revert_failed 1 "$1; and $FILE could not be restored from $RUN/before"
  fi
  J restored
  reason=$1
  comes || finish revert_failed 1 "$reason; after the file was restored: $WHY"
  finish reverted 4 "$reason"
}
restart() {
  [ "$(sum "$RUN/new")" = "$NEW" ] || finish refused 78 "only a part of the file arrived; nothing was changed"
  fit 3 || finish refused "$CODE" "$WHY"
  ready || finish refused 78 "LiteLLM is not ready: look at its log first"
  cp -p "$FILE" "$RUN/before" && sync -d "$RUN/before" || finish refused 78 "no copy of $FILE could be kept"
  setsid sh "$0" guard "$ID" "$$" </dev/null >>"$RUN/out.log" 2>&1 9>&- &
  J kept "$RUN/before"
  install "$RUN/new" || take_back "$FILE could not be written"
  J installed "$FILE"
  J restarting
  comes || { dk logs --tail 20 "$CONTAINER" >>"$RUN/out.log" 2>&1; take_back "$WHY"; }
  J ready
  finish committed 0
}

[ "$verb" = guard ] || { (umask 022 && mkdir -p "$ROOT") && mkdir -p "$HOME_OF"; } || exit 1
case $verb in
  check) fit 3 || refuse "$CODE" "$WHY" ;;
  keep) keep ;;
  restart) old; restart ;;
  guard)
    tail --pid="$3" -f /dev/null
    [ ! -e "$RUN/status" ] || exit 0
    lock "budget guard by $WHO"
    take_back "it was killed in the middle" ;;
esac
