# Starting and stopping what is deployed, without another release: functions of the runner, read before runner.sh.
# A run has a folder of its own, stacks/STACK/runs/ID, with its journal, status and out.log; the release is only read.
# For a stop SERVICES (in start-up order) and NETWORKS (the stack's own) are in the environment; it needs no release.

open_run() { # its folder, made here where no laptop has sent one; ten are kept
  mkdir -p "$REL" || { spend; mkdir -p "$REL"; }
  [ -s "$REL/manifest" ] ||
    printf '%s\n' "id=$ID" "stack=$STACK" "kind=$verb" "by=$WHO" "created_at=$(now)" >"$REL/manifest"
  (cd "$HOME_OF/runs" && printf '%s\n' [0-9]* | sort -r | tail -n +11 | while read -r gone; do rm -rf -- "$gone"; done)
}
lend() { # RELEASE-DIR: what is read of a release stands in the run's folder too
  for it in compose services envs envs.optional networks images.lock; do
    [ ! -e "$1/$it" ] || ln -sfn "$1/$it" "$REL/$it" || return 1
  done
}
backwards() { printf '%s\n' "$@" | awk '{ line[NR] = $0 } END { for (i = NR; i; i--) print line[i] }'; }
away() { # SERVICE: its containers are stopped, with the grace of each, and removed; volumes are nobody's to touch
  for id in $(ids "$1"); do
    dk stop "$id" >>"$REL/out.log" 2>&1
    dk rm -f "$id" >>"$REL/out.log" 2>&1 || return 1
  done
}
settled_first() { [ ! -L "$HOME_OF/pending" ] || refuse 76 "release $(link_id "$HOME_OF/pending") was interrupted"; }

start_run() {
  settled_first
  [ ! -e "$DEPLOY/hold" ] || held
  wants=$(sed -n 's/^release=//p' "$REL/manifest")
  { [ -n "$BASE" ] && [ "$BASE" = "$wants" ]; } || refuse 77 "what is deployed is not $wants any more"
  lend "$HOME_OF/releases/$BASE" || refuse 78 "the run could not be prepared below $DEPLOY"
  look || refuse 78 "the containers cannot be listed"
  preflight
  networks >"$REL/networks.before" || rm -f "$REL/networks.before"
  awk -F "$TAB" '$3 == "running" || $3 == "restarting" || $3 == "paused" { print $4 }' "$LISTING" >"$REL/ran"
  J begin "$BASE" "$WHO" || refuse 78 "$LOST"
  setsid sh "$0" mind "$ID" "$$" </dev/null >>"$REL/out.log" 2>&1 9>&- &
  FAILURE=
  tag_images "$REL" || { take_down "an image is missing"; return; }
  repair
  bring "$REL/compose" "$REL/steps" || { take_down "$FAILURE"; return; }
  finish ok 0
}
take_down() { # reason: what this start has brought goes again; what ran before it stays
  spend; J revert_started nothing "$1"
  look; left=
  # shellcheck disable=SC2046 # names of services have no blanks
  for one in $(backwards $(cut -f 2 "$REL/steps" | tr , '\n')); do
    grep -qxF -- "$one" "$REL/ran" || away "$one" || left="$left $one"
  done
  [ -z "$left" ] || { finish revert_failed 3 "$1; and then not to be taken down:$left"; return 3; }
  drop_networks
  finish reverted 2 "$1"; return 2
}
stop_run() {
  settled_first
  look || { finish failed 1 "the containers cannot be listed"; return 1; }
  J begin "${BASE:-none}" "$WHO"
  left=; done=
  for one in $(backwards $SERVICES); do
    [ -n "$(ids "$one")" ] || continue
    done=1
    J step_started "$one" rm
    if away "$one"; then J service_removed "$one"; else left="$left $one"; J step_failed "$one" "$(tail -n 1 "$REL/out.log" | hide)"; fi
  done
  [ -z "$left" ] || { finish failed 1 "still there:$left"; return 1; }
  for net in $NETWORKS; do dk network rm "$net" >>"$REL/out.log" 2>&1; done # it stays where another container is on it
  if [ -n "$done" ]; then finish ok 0; else finish unchanged 0; fi
}
await() { # PID of a start: nothing, when it has come to an end; else the lock, to take down what it has brought
  tail --pid="$1" -f /dev/null
  [ ! -e "$REL/status" ] || exit 0
  exec 9>>"$DEPLOY/lock"; flock 9
  LOCKED=1; own "start $STACK by $WHO"
}
