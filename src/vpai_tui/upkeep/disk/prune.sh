# Frees what a plan names, under the lock of every deploy of this host, detached, with a journal. Goes behind
# remote/lock.sh. ROOT DOCKER WHO are in the environment; the plan is deploy/upkeep/ID/plan, one TSV record a line:
#   image ID TAGS|-    cache HOURS    apt
# usage: run.sh ID
# Every image is looked at again under the lock: one that a container or a release needs by now stays. No volume is ever
# touched, nothing is forced. Ends with 75 locked, 78 refused.
# shellcheck shell=sh disable=SC2086,SC2015,SC2012 # $DOCKER is words; `a && b || c` is meant so; names of ours
set -u
umask 077
ID=$1
DEPLOY=$ROOT/deploy
HOME_OF=$DEPLOY/upkeep
RUN=$HOME_OF/$ID
TAB=$(printf '\t')

now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }
J() { # event, subject, detail
  printf '%s\t%s\t%s\t%s\n' "$(now)" "$1" "${2:--}" "${3:--}" >>"$RUN/journal"
  sync -d "$RUN/journal" 2>/dev/null || :
}
finish() { # outcome, exit code, reason
  printf '%s %s %s\n' "$1" "$2" "${3:-}" >"$RUN/status.new" && mv -T "$RUN/status.new" "$RUN/status"
  J finished - "$1 $2 ${3:-}"
  exit "$2"
}
dk() { timeout -k 10 "${DOCKER_TIMEOUT_S:-600}" $DOCKER "$@" </dev/null 9>&-; }
said() { tail -n 1 "$RUN/out.log" | tr '\t' ' '; }

used() { # image ids of all containers, running or not; and of every release but those that were given up
  ids=$(dk ps -aq --no-trunc 2>>"$RUN/out.log") || return 1
  [ -z "$ids" ] || dk inspect -f '{{.Image}}' $ids >"$RUN/used.new" 2>>"$RUN/out.log" || return 1
  for lock in "$DEPLOY"/stacks/*/releases/*/images.lock; do
    [ -e "$lock" ] || continue
    dir=${lock%/images.lock}; status=
    { read -r status _ <"$dir/status"; } 2>/dev/null
    case $status in
      reverted | revert_failed | refused)
        case releases/${dir##*/} in "$(readlink "${dir%/releases/*}/current")" | "$(readlink "${dir%/releases/*}/pending")") ;; *) continue ;; esac ;;
    esac
    cut -f 3 "$lock" >>"$RUN/used.new" || return 1
  done
  sort -u "$RUN/used.new" >"$RUN/used" && rm -f "$RUN/used.new"
}
names() { dk image inspect -f '{{range .RepoTags}}{{println .}}{{end}}' "$1" 2>/dev/null | grep . | grep -v '<none>' | sort | paste -s -d ' ' -; }
free() { # the filesystem of Docker's directory
  df -P -k "$DATA" 2>/dev/null | awk 'NR == 2 { printf "%.0f", $4 * 1024 }'
}

remove() { # IMAGE TAGS: its names first, for an image of several is not removed by its id without force
  : >"$RUN/used.new"
  used || { J skipped "$1" "who uses it cannot be told"; return; }
  if grep -qxF "$1" "$RUN/used"; then J skipped "$1" "a container or a release needs it by now"; return; fi
  dk image inspect -f '{{.Id}}' "$1" >/dev/null 2>&1 || { J skipped "$1" "it is gone already"; return; }
  tags=$(names "$1"); parent=$(dk image inspect -f '{{.Parent}}' "$1" 2>/dev/null)
  [ "$tags" = "$2" ] || { J skipped "$1" "its names have changed: ${tags:-none}"; return; }
  case " $tags" in *" vpai.keep/"*) J skipped "$1" "it is kept for a release"; return ;; esac
  for tag in $tags; do
    dk rmi --no-prune "$tag" >>"$RUN/out.log" 2>&1 || { J skipped "$1" "$(said)"; return; }
  done
  if dk image inspect -f '{{.Id}}' "$1" >/dev/null 2>&1; then
    dk rmi --no-prune "$1" >>"$RUN/out.log" 2>&1 || { J skipped "$1" "$(said)"; return; }
  fi
  J removed "$1" "${tags:-<none>}"
  # what the classic builder left between two steps has no name, and is nobody's once nothing is built on it
  case $parent in sha256:*) [ -n "$(names "$parent")" ] || [ -n "$(dk image ls -aq --no-trunc --filter "since=$parent" 2>/dev/null | children "$parent")" ] || remove "$parent" '' ;; esac
}
children() { # PARENT: of the image ids on standard input, those built on it
  while read -r child; do [ "$(dk image inspect -f '{{.Parent}}' "$child" 2>/dev/null)" != "$1" ] || echo "$child"; done
}

trap '' HUP INT TERM PIPE
lock "disk prune by $WHO" 3 || finish refused 75 "$(owner)"
ls -d "$HOME_OF"/[0-9]* 2>/dev/null | sort -r | tail -n +11 | while read -r gone; do rm -rf -- "$gone"; done
DATA=$(dk info -f '{{.DockerRootDir}}' 2>>"$RUN/out.log") || finish refused 78 "the engine does not answer"
[ -d "$DATA" ] || DATA=/
: >"$RUN/used.new"; used || finish refused 78 "containers and releases cannot be listed"
J begin - "$WHO"
before=$(free); J measured before "${before:-0}"
while IFS="$TAB" read -r kind one two <&3; do
  case $kind in
    image) if [ "$two" = - ]; then two=; fi; remove "$one" "$two" ;;
    cache) if dk builder prune -a -f --filter "until=${one}h" >>"$RUN/out.log" 2>&1; then J removed cache "$(said)"; else J skipped cache "$(said)"; fi ;;
    apt) if apt-get clean >>"$RUN/out.log" 2>&1 9>&-; then J removed apt; else J skipped apt "$(said)"; fi ;;
  esac
done 3<"$RUN/plan"
after=$(free); J measured after "${after:-0}"
rm -f "$RUN/used" "$RUN/used.new"
finish committed 0
