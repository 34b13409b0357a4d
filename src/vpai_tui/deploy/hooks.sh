# The commands that stack.yaml wants run around a deploy. Functions of the runner, read before runner.sh.
# `hooks` of a release, one a line: before|after, number, service or -, container (new, running or -), timeout_s, command.

hooks() { # before|after: each once, in their order; the first that fails ends it
  [ -r "$REL/hooks" ] || return 0
  while IFS="$TAB" read -r when number service container limit command <&4; do
    [ "$when" = "$1" ] || continue
    hook "$when $number" "$service" "$container" "$limit" "$command" || return 1
  done 4<"$REL/hooks"
}
hook() { # name service container timeout_s command
  ! ran "$1" || return 0
  in=$(run_at "$2" "$3"); id=
  if [ "$3" = running ]; then
    look || { FAILURE="$1: the containers cannot be listed"; return 1; }
    id=$(ids "$2" | head -n 1)
    [ -n "$id" ] || { noted hook_skipped "$1" "$2 has no container yet"; return; }
  fi
  noted hook_started "$1" "$in: $(printf '%s\n' "$5" | hide)" || return 1
  : >>"$REL/out.log"; from=$(wc -l <"$REL/out.log"); began=$(date +%s)
  run_hook "$@" >>"$REL/out.log" 2>&1; code=$?; took=$(($(date +%s) - began))
  end_hooks
  if [ "$code" = 0 ]; then noted hook_done "$1" "$took s"; return; fi
  hook_failed "$1" "$in" "$(why_failed "$code" "$took" "$4")"
}
noted() { J "$@" || { FAILURE=$LOST; return 1; }; }
ran() { # name: whether it came to a good end, or had nothing to do, before this release was interrupted
  awk -F "$TAB" -v n="$1" '($2 == "hook_done" || $2 == "hook_skipped") && $3 == n { found = 1 } END { exit !found }' "$REL/journal" 2>/dev/null
}
run_at() { # service container
  case $2 in
    new) echo "in a container of the new $1" ;;
    running) echo "in the running $1" ;;
    *) echo 'on the host' ;;
  esac
}
run_hook() { # name service container timeout_s command; what it starts carries VPAI_HOOK, to be found by
  case $3 in
    # its entrypoint is left out as `docker exec` does; ports and the container's name are not Compose's to give here
    new) (COMPOSE_TIMEOUT_S=$4; COMPOSE_KILL_S=2; compose_in "$REL/compose" run --rm --no-deps -T -l "vpai.hook=$STACK" \
      -e "VPAI_HOOK=$REL" --entrypoint sh "$2" -c "$5") ;;
    running) timeout -k 2 "$4" $DOCKER exec -e "VPAI_HOOK=$REL" "$id" sh -c "$5" </dev/null ;;
    *) (trap - HUP INT TERM PIPE; export VPAI_HOOK="$REL"; cd "$ROOT" && exec timeout -k 2 "$4" sh -c "$5" </dev/null) ;;
  esac
}
end_hooks() { # a client that is killed leaves its container or its process there: nothing of a hook goes on beside a deploy
  left=$(dk ps -aq --no-trunc --filter "label=vpai.hook=$STACK")
  # shellcheck disable=SC2086 # ids have no blanks
  [ -z "$left" ] || dk rm -f $left >/dev/null 2>&1
  grep -lszxF "VPAI_HOOK=$REL" /proc/[0-9]*/environ | while IFS=/ read -r _ _ process _; do kill -KILL "$process" 2>/dev/null; done
}
why_failed() { # code took_s timeout_s
  if [ "$1" = 124 ] || { [ "$1" = 137 ] && [ "$2" -ge "$3" ]; }; then echo "not done after $3 s"; else echo "exit $1"; fi
}
hook_failed() { # name in why
  tail -n "+$((from + 1))" "$REL/out.log" | grep -vE '^(Killed *|canceled)?$' | tail -n 20 >"$REL/hook.log"
  { echo "--- last lines of $1:"; cat "$REL/hook.log"; } >"$REL/failure.log"
  last=$(tail -n 1 "$REL/hook.log" | hide)
  FAILURE="$1 $2: $3${last:+: $last}"; J hook_failed "$1" "${FAILURE#"$1 "}"
  return 1
}

# --- dumps -------------------------------------------------------------------------------------------------------
known_dumps() { # those of before the deploy: none of them counts for it
  if [ -r "$REL/dumps" ]; then dump_rows "$REL/dumps"; fi >"$REL/dumps.before"
}
dumped() { # each database whose major version changes has a dump that was made since this deploy began
  [ -s "$REL/majors" ] || return 0
  since=$(stat -c %.9Y "$REL/dumps.before")
  while IFS="$TAB" read -r service old new <&4; do
    fresh=$(dump_rows "$REL/dumps" "$service" | grep -vxFf "$REL/dumps.before" | awk -F "$TAB" -v s="$since" '$2 >= s { print $5 " (" $3 " bytes)"; exit }')
    [ -n "$fresh" ] || { FAILURE="$service goes from version $old to $new, and no dump of it was made before that"; return 1; }
    noted dump_made "$service" "$fresh" || return 1
  done 4<"$REL/majors"
}
mark_dumps() { # the newest dump of each database, kept with the release: what its data can be had back from
  [ -s "$REL/dumps" ] || return 0
  dump_rows "$REL/dumps" | newest_dumps >"$REL/dumps.then" || rm -f "$REL/dumps.then"
}
