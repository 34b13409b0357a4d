# Applies, reverts or resumes one release, detached from whoever started it. See docs/architecture.md, "A deploy".
# usage: run.sh apply|adopt|resume|revert RELEASE   with ROOT STACK PROJECT DOCKER WHO in the environment.
#        run.sh start|stop RUN   of what is deployed: see life.sh; RUN may be `auto` for a stop that no laptop asks for
verb=$1; ID=$2
[ "$ID" != auto ] || ID=$(date -u +%Y%m%dT%H%M%S)-$(od -An -N2 -tx1 /dev/urandom | tr -d ' \n')
REL=$HOME_OF/releases/$ID
case $verb in start | stop | mind) REL=$HOME_OF/runs/$ID; open_run ;; esac
LISTING=$REL/.listing

refuse() { # code, reason: the release of an `apply` is told; that of another run, which `resume` or `revert` name, is left
  case $verb in apply | adopt | start | stop) finish refused "$1" "$2" ;; *) echo "refused: $2" ;; esac
  rm -f "$LISTING"; [ -z "$LOCKED" ] || own "$TIDIES after $STACK"; exit "$1"
}
dk() { timeout -k 10 "${DOCKER_TIMEOUT_S:-900}" $DOCKER "$@" </dev/null; } # a stuck daemon must not hold the lock for ever
hide() { mask "$REL" "$HOME_OF/current"; }
take_lock() {
  exec 9>>"$DEPLOY/lock"
  flock -w 3 9 || { tidying && flock -w 120 9; } || refuse 75 "$(head -n 1 "$DEPLOY/owner" 2>/dev/null)"
  LOCKED=1; own "$verb $STACK by $WHO"
}
held() { # somebody froze the deploys of this host
  at=; by=; why=; IFS="$TAB" read -r at by why <"$DEPLOY/hold"
  refuse 78 "held by $by since $at: $why"
}
ids() { awk -F "$TAB" -v s="$1" '$4 == s { print $1 }' "$LISTING"; }
look() { twice put_listing; }
put_listing() { listing=$(containers) && printf '%s\n' "$listing" >"$LISTING"; }

# --- before anything changes -------------------------------------------------------------------------------------
preflight() {
  for link in current pending; do [ -L "$HOME_OF/$link" ] && [ ! -d "$HOME_OF/$link/" ] && refuse 78 "$link names a release that is gone"; done
  while read -r path; do [ -f "$path" ] || refuse 78 "env file $path is missing"; done <"$REL/envs"
  while read -r name; do
    dk network inspect "$name" >/dev/null 2>&1 || refuse 78 "network $name does not exist; deploy the stack that defines it first"
  done <"$REL/networks"
  # shellcheck disable=SC2046 # ids have no blanks
  set -- $(cut -f 3 "$REL/images.lock" | sort -u)
  [ $# -eq 0 ] || dk image inspect -f '{{.Id}}' "$@" >/dev/null 2>>"$REL/out.log" || refuse 78 "$(tail -n 1 "$REL/out.log"): an image of the plan is not on the host any more"
  compose_in "$REL/compose" config -q >>"$REL/out.log" 2>&1 || refuse 78 "compose refuses the files: $(tail -n 1 "$REL/out.log" | hide)"
  unset=$(unset_in "$REL/compose" <"$REL/out.log" | paste -s -d ' ' -)
  [ -z "$unset" ] || refuse 78 "variables have no value on the host: $unset"
  room
}
room() { # for what is to be written below
  free=$(df -Pk "$DEPLOY" | awk 'NR == 2 { print $4 }')
  [ "${free:-0}" -ge 65536 ] || refuse 78 "only ${free:-0} KiB are free below $DEPLOY"
  reserve || refuse 78 "the reserve could not be written below $DEPLOY"
}

# --- files and images --------------------------------------------------------------------------------------------
save_prior() { # the host's own copies of what will be replaced: a revert puts back exactly these
  [ -e "$REL/prior.done" ] && return 0
  rm -rf "$REL/prior"; mkdir -p "$REL/prior" && : >"$REL/prior.absent" || return 1
  while read -r _ _ path; do
    if [ -e "$ROOT/$path" ]; then
      mkdir -p "$REL/prior/$(dirname "$path")" && cp -p "$ROOT/$path" "$REL/prior/$path" || return 1
    else printf '%s\n' "$path" >>"$REL/prior.absent" || return 1; fi
  done <"$REL/files.sha256"
  : >"$REL/prior.done" && sync "$REL"
}
place() { # source, path below ROOT: a file already the same keeps its inode, and with it every mount of it
  rm -f "$ROOT/$2.vpai-new" # of a runner that was killed before its rename
  if cmp -s "$1" "$ROOT/$2"; then chmod "$(stat -c %a "$1")" "$ROOT/$2"; return; fi
  (umask 022 && mkdir -p "$(dirname "$ROOT/$2")") || return 1
  cp -p "$1" "$ROOT/$2.vpai-new" || { rm -f "$ROOT/$2.vpai-new"; return 1; } # a full disk gets back what it gave
  chown "$(stat -c %u:%g "$ROOT/$2" 2>/dev/null || echo 0:0)" "$ROOT/$2.vpai-new" && mv -T "$ROOT/$2.vpai-new" "$ROOT/$2"
}
install_files() {
  while read -r _ mode path; do
    chmod "$mode" "$REL/files/$path" && place "$REL/files/$path" "$path" || return 1
  done <"$REL/files.sha256"
  [ ! -s "$REL/files.sha256" ] || sync -f "$ROOT"
}
keep_edits() { # live values edited while this release was tried: the host's file stays beside the one put back
  while read -r path; do
    [ -f "$ROOT/$path" ] || continue
    if cmp -s "$ROOT/$path" "$REL/files/$path" || cmp -s "$ROOT/$path" "$REL/prior/$path"; then continue; fi
    cp -p "$ROOT/$path" "$ROOT/$path.vpai-kept-$ID" || return 1
    J kept_aside - "$path.vpai-kept-$ID was edited meanwhile"
  done <"$REL/lives"
}
restore_files() {
  [ -e "$REL/prior.done" ] || return 0
  keep_edits || return 1
  (cd "$REL/prior" && find . -type f) | while read -r path; do place "$REL/prior/${path#./}" "${path#./}" || exit 1; done || return 1
  while read -r path; do rm -f "$ROOT/$path" "$ROOT/$path.vpai-new"; done <"$REL/prior.absent"
}
tag_images() { # RELEASE-DIR
  while IFS="$TAB" read -r _ ref id digest _; do
    case $ref in *@*) # a digest takes no tag: it names its bits by itself
      dk image inspect "$ref" >/dev/null 2>&1 || dk pull -q "$ref" >>"$REL/out.log" 2>&1 || return 1
      continue ;;
    esac
    dk tag "$id" "$ref" 2>/dev/null && continue
    [ "$digest" != - ] && dk pull -q "$digest" >>"$REL/out.log" 2>&1 && dk tag "$id" "$ref" 2>>"$REL/out.log" || return 1
  done <"$1/images.lock"
}
repair() { # leftovers of a Compose that died between creating and renaming a container
  look
  while IFS="$TAB" read -r id name state _; do
    case $name in
      [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]_*) ;;
      *) continue ;;
    esac
    if [ "$state" = created ]; then J repaired - "removed $name"; dk rm "$id" >>"$REL/out.log" 2>&1
    elif ! dk inspect "${name#*_}" >/dev/null 2>&1; then J repaired - "renamed $name"; dk rename "$id" "${name#*_}"; fi
  done <"$LISTING"
}
mark_envs() { # so that the next plan can name the keys that changed
  [ -s "$DEPLOY/hmac.key" ] || { head -c 32 /dev/urandom >"$DEPLOY/hmac.key"; }
  old=$HOME_OF/current/env.marks
  cat "$REL/envs" "$REL/envs.optional" | while read -r path; do
    [ -f "$path" ] || continue
    mark=$(file_mark "$path")
    printf 'file %s %s\n' "$path" "$mark"
    if [ -r "$old" ] && grep -qxF "file $path $mark" "$old"; then awk -v p="$path" '$1 == "key" && $2 == p' "$old"
    else env_marks "$path" | sed "s|^|key $path |"; fi
  done >"$REL/env.marks"
}

carry_in() { # values edited since a deploy was interrupted, merged by the laptop, go into its files there and back
  [ -e "$REL/carried.tar" ] || return 0
  rm -rf "$REL/carried"; mkdir "$REL/carried" && tar -xf "$REL/carried.tar" -C "$REL/carried" || return 1
  (cd "$REL/carried" && find . -type f) | while read -r path; do cat "$REL/carried/$path" >"$REL/$path" || exit 1; done || return 1
  rm -rf "$REL/carried" "$REL/carried.tar"
}

# --- services ----------------------------------------------------------------------------------------------------
gate() { # service kind timeout_s: 0 when it may pass; else REASON
  deadline=$(($(date +%s) + $3)); good=0; first=; seen=; REASON="not healthy after $3 s"; polls=0
  while [ "$(date +%s)" -lt "$deadline" ]; do
    [ -n "$seen" ] || id=$(dk ps -aq --no-trunc --filter "label=$LABEL.project=$PROJECT" --filter "label=$LABEL.service=$1" --filter "label=$LABEL.oneoff=False" | head -n 1)
    seen=$(dk inspect -f '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.RestartCount}} {{.State.ExitCode}}' "$id" 2>/dev/null)
    state=${seen%% *}; rest=${seen#* }; health=${rest%% *}; rest=${rest#* }; restarts=${rest%% *}; code=${rest##* }
    [ -n "$seen" ] && : "${first:=$restarts}"
    case $2:$state:$health in
      oneshot:exited:*) [ "$code" = 0 ] && return 0; REASON="exited $code"; return 1 ;;
      service:exited:* | service:dead:*) REASON="exited $code"; return 1 ;;
      *:restarting:*) REASON="restarts again and again (exit $code)"; return 1 ;;
      service:running:unhealthy) REASON="unhealthy by its own check"; return 1 ;;
      service:running:healthy) return 0 ;;
      service:running:none) good=$((good + 1)) ;;
      *) good=0 ;;
    esac
    [ -n "$seen" ] && [ "$restarts" != "$first" ] && { REASON="restarted $restarts times"; return 1; }
    if [ "$good" -ge 3 ]; then return 0; fi
    polls=$((polls + 1))
    if [ "$health" = starting ] && [ "$polls" -lt 60 ]; then sleep 0.2; else sleep 1; fi
  done
  return 1
}
no_deps() { # before 2.29.3 --no-deps changes the hash of an unchanged service (docker/compose#12069)
  v=$(sed -n 's/^compose=v\{0,1\}\([0-9.]*\).*/\1/p' "$REL/manifest")
  older "$v" 2.29.3 || echo --no-deps
}
failed() { # service reason: what Compose and the container said last is kept beside the journal
  if [ ! -e "$REL/failure.log" ]; then # the first failure is the one that counts, not what a revert met
    { tail -n 3 "$REL/out.log"; echo "--- last lines of $1:"; } >"$REL/failure.log"
    look; for id in $(ids "$1"); do dk logs --tail 20 "$id" >>"$REL/failure.log" 2>&1; done
  fi
  FAILURE="$1: $(printf '%s\n' "$2" | hide)"; J step_failed "$1" "${FAILURE#*: }"; return 1
}
step() { # COMPOSE-DIR verb service kind timeout_s command
  J step_started "$3" "$2"
  case $2 in
    up)
      # shellcheck disable=SC2046 # a group is several services
      compose_in "$1" up -d $ND --no-build --pull never $(printf '%s' "$3" | tr , ' ') >>"$REL/out.log" 2>&1 ||
        { failed "$3" "compose: $(grep . "$REL/out.log" | tail -n 1)"; return 1; } ;;
    restart) look || { failed "$3" "the containers cannot be listed"; return 1; }
      for id in $(ids "$3"); do dk restart "$id" >>"$REL/out.log" 2>&1 || { failed "$3" "cannot restart"; return 1; }; done ;;
    reload) look || { failed "$3" "the containers cannot be listed"; return 1; }
      for id in $(ids "$3"); do
        (eval "set -- $6"; DOCKER_TIMEOUT_S=60; dk exec "$id" "$@") >>"$REL/out.log" 2>&1 || { failed "$3" "the reload command failed"; return 1; }
      done ;;
    rm) look || { failed "$3" "the containers cannot be listed"; return 1; }
      for id in $(ids "$3"); do dk stop "$id" >>"$REL/out.log" 2>&1; dk rm -f "$id" >>"$REL/out.log" 2>&1 || { failed "$3" "cannot remove"; return 1; }; done
      J service_removed "$3"; return 0 ;;
  esac
  J service_started "$3"
  for one in $(printf '%s' "$3" | tr , ' '); do
    gate "$one" "$4" "$5" || { failed "$one" "$REASON"; return 2; }
  done
  J service_healthy "$3"
}
bring() { # COMPOSE-DIR STEPS-FILE: stops at the first step that fails
  ND=$(no_deps)
  while IFS="$TAB" read -r what service kind limit command <&3; do
    [ -z "$LOST" ] || { FAILURE=$LOST; return 1; }
    step "$1" "$what" "$service" "$kind" "$limit" "$command" || return 1
  done 3<"$2"
}
touched() { # SERVICE[,SERVICE…]: whether a step of this release was begun for one of them
  printf '%s\n' "$1" | tr , '\n' | grep -qxFf "$REL/touched"
}
free_of() { # after=SERVICE[,SERVICE…]: whether what took a service's place is gone; two would write to one data
  case $1 in after=*) ;; *) return 0 ;; esac
  look || return 1
  for one in $(printf '%s' "${1#after=}" | tr , ' '); do [ -z "$(ids "$one")" ] || return 1; done
}
bring_back() { # COMPOSE-DIR STEPS-FILE: every step is tried; 1 when one could not be taken, 2 when all were and one is not healthy
  ND=$(no_deps); worst=0
  awk -F "$TAB" '$2 == "step_started" { gsub(/,/, "\n", $3); print $3 }' "$REL/journal" >"$REL/touched"
  while IFS="$TAB" read -r what service kind limit command <&3; do
    touched "$service" || continue
    free_of "$command" || { failed "$service" "${command#after=} is still there in its place"; worst=1; continue; }
    step "$1" "$what" "$service" "$kind" "$limit" "$command"
    case $? in 0) ;; 2) [ "$worst" = 1 ] || worst=2 ;; *) worst=1 ;; esac
  done 3<"$2"
  return "$worst"
}

# --- the ways it can end -----------------------------------------------------------------------------------------
undo() { # reason [refused 78]: how it is called in the end, when nothing was touched and nothing failed
  why=$1; spend; J revert_started "${BASE:-none}" "$why"
  from=$HOME_OF/releases/${BASE:-none}; FAILURE='an image of it is gone'
  repair
  if ! restore_files; then FAILURE='its files could not be put back'; revert_failed; return; fi
  if [ -r "$from/images.lock" ] && ! tag_images "$from"; then revert_failed; return; fi
  bring_back "$from/compose" "$REL/steps.revert"; back=$?
  [ "$back" = 1 ] && { revert_failed; return; }
  [ -n "$BASE" ] || drop_networks
  # all of the base is back; that it does not run well is for its health to tell, and no reason to refuse the next deploy
  [ "$back" = 2 ] && { settled revert_failed 3 "$why; it was taken back, but then $FAILURE"; return 3; }
  settled "${2:-reverted}" "${3:-2}" "$why"; return "${3:-2}"
}
revert_failed() { rm -f "$LISTING"; finish revert_failed 3 "$why; then the revert failed: $FAILURE"; return 3; }
networks() { dk network ls -q --no-trunc --filter "label=$LABEL.project=$PROJECT"; }
drop_networks() { # those a first deploy made
  [ -e "$REL/networks.before" ] || return 0
  networks | grep -vxFf "$REL/networks.before" | while read -r net; do dk network rm "$net" >>"$REL/out.log" 2>&1; done
}
confirm() { # another connection must show that the host can still be reached
  limit=$(sed -n 's/^confirm_timeout_s=//p' "$REL/manifest"); [ "${limit:-0}" -gt 0 ] || return 0
  rm -f "$REL/confirmed"; J confirm_awaited - "$limit"; deadline=$(($(date +%s) + limit))
  while [ ! -e "$REL/confirmed" ]; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 0.5
  done
  J confirmed
}
keep() { # tags and never-started containers hold the images of the restorable releases against every prune
  wanted_keepers=; have_keepers=$(dk ps -a --filter label=vpai.keep=1 --filter "label=vpai.stack=$STACK" --format '{{.Names}}')
  for id in $1; do
    [ -r "$HOME_OF/releases/$id/images.lock" ] || continue
    while IFS="$TAB" read -r svc _ image _; do
      short=${image#sha256:}; short=$(printf '%.12s' "$short"); name=vpai-keep-$STACK-$svc-$short
      wanted_keepers="$wanted_keepers $name"
      printf '%s\n' "$have_keepers" | grep -qxF "$name" && continue
      have_keepers=$(printf '%s\n%s' "$have_keepers" "$name")
      dk tag "$image" "vpai.keep/$STACK-$svc:$short" 2>/dev/null &&
        dk create --name "$name" --network none --label vpai.keep=1 --label "vpai.stack=$STACK" "vpai.keep/$STACK-$svc:$short" true >/dev/null 2>&1
    done <"$HOME_OF/releases/$id/images.lock"
  done
  printf '%s\n' "$have_keepers" | grep . | while read -r name; do
    case " $wanted_keepers " in *" $name "*) ;; *)
      ref=$(dk inspect -f '{{.Config.Image}}' "$name"); dk rm "$name" >/dev/null 2>&1; dk rmi "$ref" >/dev/null 2>&1 ;;
    esac
  done
}
retain() { # five committed releases besides the current one, and its base; what never took effect goes first
  kept=0; keepers=; base=$(sed -n 's/^base=//p' "$REL/manifest") # of a commit that is finished later $BASE is the release
  for id in $(cd "$HOME_OF/releases" && printf '%s\n' * | sort -r); do
    dir=$HOME_OF/releases/$id; status=$(cut -d ' ' -f 1 "$dir/status" 2>/dev/null)
    [ "$id" = "$ID" ] && { keepers="$keepers $id"; continue; }
    case $status in
      ok | adopted) kept=$((kept + 1)); if [ "$kept" -le 5 ] || [ "$id" = "$BASE" ] || [ "$id" = "$base" ]; then keepers="$keepers $id"; else rm -rf "$dir"; fi ;;
      reverted | revert_failed) find "$dir" -maxdepth 0 -mmin +10080 -exec rm -rf {} + ;;
      *) find "$dir" -maxdepth 0 -mmin +60 -exec rm -rf {} + ;;
    esac
  done
  keep "$keepers"
}
commit() {
  mark_dumps
  [ "$BASE" = "$ID" ] || point "releases/$ID" "$HOME_OF/current" || { undo "the release could not be committed"; return; }
  settled ok 0 || return 1
  own "$TIDIES after $STACK" # the next deployer waits for this instead of being refused
  rm -rf "$LISTING" "$REL/prior" "$REL/prior.done" "$REL/prior.absent"
  retain
}
forward() {
  FAILURE=; rm -f "$REL/failure.log"
  [ -e "$REL/networks.before" ] || networks >"$REL/networks.before" || rm -f "$REL/networks.before"
  { save_prior && install_files; } || { undo "the files could not be installed"; return; }
  J files_installed
  tag_images "$REL" || { undo "an image is missing"; return; }
  repair; mark_envs
  [ -e "$REL/dumps.before" ] || known_dumps || { undo "the dumps there are could not be noted"; return; }
  hooks before || { undo "$FAILURE; no container was touched"; return; }
  dumped || { undo "$FAILURE; no container was touched" refused 78; return; }
  bring "$REL/compose" "$REL/steps" || { undo "$FAILURE"; return; }
  hooks after || { undo "$FAILURE"; return; }
  confirm || { undo "nobody confirmed"; return; }
  [ -z "$LOST" ] || { undo "$LOST"; return; }
  commit
}

trap '' HUP INT TERM PIPE
mkdir -p "$HOME_OF/releases"; LOCKED=
if [ "$verb" = mind ]; then await "$3"; else take_lock; fi
[ "$verb" != apply ] || [ ! -e "$DEPLOY/hold" ] || held
BASE=$(link_id "$HOME_OF/current")
case $verb in
  apply)
    [ -L "$HOME_OF/pending" ] && refuse 76 "release $(link_id "$HOME_OF/pending") was interrupted"
    look || refuse 78 "the containers cannot be listed"
    [ "$(fingerprint "$REL/services" "$REL/lives")" = "$(sed -n 's/^fingerprint=//p' "$REL/manifest")" ] || refuse 77 "the host changed since the plan was made"
    preflight
    grep -qx adopts=1 "$REL/manifest" && adopt
    J begin "${BASE:-none}" "$WHO" || refuse 78 "$LOST"
    point "releases/$ID" "$HOME_OF/pending" || refuse 78 "the pending mark could not be written"
    J pending
    forward ;;
  adopt) record ;;
  start) start_run ;;
  stop) stop_run ;;
  mind) [ -e "$REL/status" ] || take_down "the start was killed" ;;
  resume | revert)
    [ "$(link_id "$HOME_OF/pending")" = "$ID" ] || refuse 77 "release $ID is not pending any more"
    carry_in || refuse 78 "the values edited on the host could not be carried over"
    look; J "$verb" - "$WHO"; end_hooks
    if [ "$BASE" = "$ID" ]; then commit # it died after its commit
    elif [ "$verb" = resume ]; then forward
    else undo "on request of $WHO"; fi ;;
esac
code=$?; [ -L "$HOME_OF/pending" ] || reserve
rm -f "$HOME_OF/runs/$ID/.listing"
own "$TIDIES after $STACK"; exit "$code" # stays there: to take it away would be to touch the next one's
