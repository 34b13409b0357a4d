# What all scripts of the backups share. Sourced.
# shellcheck shell=sh disable=SC2034,SC2015 # read by who sources it; `a && b || c` is meant so
set -u
umask 027
: "${BACKUPS:=/backups}"
STATUS=$BACKUPS/status
LIMIT_S=${LIMIT_S:-3600} # for one copy
LABEL=com.docker.compose
TAB=$(printf '\t')
NEWLINE='
'
ID='' WHY='' # of the last container looked for; why the last thing failed

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
stamp() { date -u +%Y%m%dT%H%M%SZ; }
fail() { echo "$*" >&2; return 1; }
within() { # SECONDS COMMAND…; busybox's `timeout` leaves a process that holds the output open for up to a second
  limit=$1
  shift
  exec 8<&0
  "$@" <&8 8<&- 9>&- &
  pid=$!
  exec 8<&-
  (
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    sleep "$limit" &
    nap=$!
    wait "$nap" && kill "$pid"
  ) </dev/null >/dev/null 2>&1 9>&- &
  guard=$!
  wait "$pid" && code=0 || code=$?
  kill "$guard" 2>/dev/null
  wait "$guard" 2>/dev/null
  return "$code"
}
dk() { within "$LIMIT_S" docker "$@"; }
one_line() { # TEXT: without what ends a field of a record, at most 300 bytes
  printf '%s' "$1" | tr '\000-\037\177' ' ' | tail -c 300
}

take_lock() { # SECONDS: one at a time, whoever asks; the lock is the kernel's, so it ends with who holds it
  mkdir -p "$STATUS" && true >>"$STATUS/lock" || return 1 # `exec` would end the shell
  exec 9>>"$STATUS/lock"
  [ "$1" -gt 0 ] || { flock -n 9; return; }
  waited=0
  until flock -n 9; do
    [ "$waited" -lt "$1" ] || return 75
    sleep 2
    waited=$((waited + 2))
  done
}

container() { # SERVICE: ID of the one that runs; 1 and WHY, or 2 where this host has none, stopped or not
  ID='' WHY=''
  for all in '' -a; do
    # shellcheck disable=SC2086 # no word, or one
    found=$(within 60 docker ps $all -q --no-trunc --filter "label=$LABEL.service=$1" --filter "label=$LABEL.oneoff=False") ||
      { WHY='Docker does not answer'; return 1; }
    case $all$found in
      '' | -a) ;;
      *"$NEWLINE"*) WHY="several containers are called $1"; return 1 ;;
      -a*) WHY="$1 does not run"; return 1 ;;
      *) ID=$found; return 0 ;;
    esac
  done
  WHY="$1 is not deployed"
  return 2
}

RECORD='' FAILED=0 JOURNAL=/dev/null
record() { # EVENT SUBJECT [FIELD…]: one line, kept in memory and shown to who follows
  entry=$(now)
  for field in "$@"; do entry=$entry$TAB$(one_line "$field"); done
  RECORD=$RECORD$entry$NEWLINE
  printf '%s\n' "$entry" >>"$JOURNAL" || true
  printf '%s\n' "$entry"
}
keep_record() { # FILE: the whole record under its name, or the one of before
  printf '%s' "$RECORD" >"$1.part" && mv -f "$1.part" "$1" || { rm -f "$1.part"; fail "$1 cannot be written"; }
}

step_done() { # RESULT BYTES FILE REASON, of the step KIND SUBJECT begun at BEGAN
  [ "$1" != failed ] || FAILED=$((FAILED + 1))
  record step "$KIND/$SUBJECT" "$1" "$(($(date +%s) - BEGAN))" "$2" "$3" "$4"
}
step_begun() { # KIND SUBJECT
  KIND=$1 SUBJECT=$2 BEGAN=$(date +%s)
  printf '%s\n' "$(now)${TAB}starting$TAB$KIND/$(one_line "$SUBJECT")$TAB-" >>"$JOURNAL" || true
}
not_there() { # KIND SUBJECT: of a service that `container` did not find; what is not deployed is no failure
  missing=$?
  step_begun "$1" "$2"
  if [ "$missing" = 2 ]; then step_done none 0 '' "$WHY"; else step_done failed 0 '' "$WHY"; fi
}

save() { # KIND SUBJECT FILE FUNCTION [ARGUMENT…]
  # FUNCTION PART [ARGUMENT…] writes PART and proves it; it says why not on stderr, and ends with 3 when there is nothing to
  # save. Only what was proved gets its name, and nothing empty ever does. Other steps go on whatever becomes of this one.
  step_begun "$1" "$2"
  file=$3 function=$4
  shift 4
  part=$BACKUPS/$KIND/.$file.part
  WHY=$(
    exec 2>&1
    mkdir -p "$BACKUPS/$KIND" && rm -rf "$part" || exit 1
    "$function" "$part" "$@" >/dev/null && [ -e "$part" ] || exit
    [ -s "$part" ] || { echo 'the copy is empty'; exit 1; }
    sync "$part" 2>/dev/null
    mv -f "$part" "$BACKUPS/$KIND/$file"
  ) && code=0 || code=$?
  bytes=$([ "$code" != 0 ] || wc -c <"$BACKUPS/$KIND/$file")
  case $code in
    0) step_done ok "$((bytes))" "$file" '' ;;
    3) step_done none 0 '' "${WHY:-nothing to save}" ;;
    *) full=$(df -P -k "$BACKUPS/$KIND" 2>/dev/null | awk 'NR == 2 && $4 < 1024 { print "the disk is full; " }')
      rm -rf "$part"
      step_done failed 0 '' "$full$(printf '%s' "${WHY:-it ended with status $code}" | tail -n 2)" ;;
  esac
}
