# Starts a job in the backup's container, detached, and tells its journal; or only tells it. What is told ends with `end STATE`:
# ended, busy (somebody else's runs), absent (it did not begin), killed. usage: sh -s -- start|follow STATUS JOURNAL TOKEN SKIP
# [DOCKER CONTAINER SCRIPT WORD…]
# shellcheck shell=sh disable=SC2086 # $DOCKER is words
set -u
verb=$1 STATUS=$2 JOURNAL=$2/$3 TOKEN=$4 skip=$5
shift 5

ours() { head -n 1 "$JOURNAL" 2>/dev/null | grep -qF "	$TOKEN"; }
held() { [ -e "$STATUS/lock" ] && ! flock -n "$STATUS/lock" true; }
if [ "$verb" = start ]; then
  DOCKER=$1
  shift
  ! held || { echo 'end	busy'; exit 0; }
  $DOCKER exec -d -e "TOKEN=$TOKEN" "$@" </dev/null || exit 1
  tries=0
  until ours; do
    [ "$tries" -lt 100 ] || { if held; then echo 'end	busy'; else echo 'end	absent'; fi; exit 0; }
    tries=$((tries + 1))
    sleep 0.1
  done
fi
ours || { echo 'end	absent'; exit 0; }
tail -n +"$((skip + 1))" -s 0.1 -f "$JOURNAL" &
reader=$!
trap 'kill "$reader" 2>/dev/null' EXIT
# three quiet looks: between two steps nothing else holds the lock
quiet=0
while [ "$quiet" -lt 3 ] && ours; do
  if tail -n 1 "$JOURNAL" | grep -q '^[^	]*	finished	'; then quiet=3
  elif held; then quiet=0; else quiet=$((quiet + 1)); fi
  sleep 0.2
done
sleep 0.3
kill "$reader" 2>/dev/null
wait "$reader" 2>/dev/null
if tail -n 1 "$JOURNAL" | grep -q '^[^	]*	finished	'; then printf '\nend\tended\n'; else printf '\nend\tkilled\n'; fi
