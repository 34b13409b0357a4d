# Applies, reverts or resumes one release, detached from whoever started it. See docs/architecture.md, "A deploy".
# usage: run.sh apply|resume|revert RELEASE   with ROOT STACK PROJECT DOCKER WHO in the environment.
verb=$1; ID=$2
REL=$HOME_OF/releases/$ID
LISTING=$REL/.listing

J() { # event, service or -, detail: one journal line, on the disk before anything follows
  printf '%s\t%s\t%s\t%s\n' "$(now)" "$1" "${2:--}" "${3:--}" >>"$REL/journal"
  sync -d "$REL/journal" 2>/dev/null || sync
}
finish() { # outcome, exit code, reason
  printf '%s %s %s\n' "$1" "$2" "${3:-}" >"$REL/status"; sync -d "$REL/status" 2>/dev/null
  J finished - "$1 $2 ${3:-}"
}
refuse() { finish refused "$1" "$2"; rm -f "$LISTING"; exit "$1"; }
point() { # target, link: replaced in one rename
  ln -sfn "$1" "$2.new" && mv -T "$2.new" "$2" && sync "$(dirname "$2")"
}
take_lock() {
  exec 9>>"$DEPLOY/lock"
  flock -w 3 9 || refuse 75 "$(head -n 1 "$DEPLOY/owner" 2>/dev/null)"
  printf 'pid=%s %s %s by %s since %s\n' "$$" "$verb" "$STACK" "$WHO" "$(now)" >"$DEPLOY/owner"
}
ids() { awk -F "$TAB" -v s="$1" '$4 == s { print $1 }' "$LISTING"; }
look() { containers >"$LISTING"; }

# --- before anything changes -------------------------------------------------------------------------------------
preflight() {
  for link in current pending; do [ -L "$HOME_OF/$link" ] && [ ! -d "$HOME_OF/$link/" ] && refuse 78 "$link names a release that is gone"; done
  while read -r path; do [ -f "$path" ] || refuse 78 "env file $path is missing"; done <"$REL/envs"
  while read -r name; do
    $DOCKER network inspect "$name" >/dev/null 2>&1 || refuse 78 "network $name does not exist; deploy the stack that defines it first"
  done <"$REL/networks"
  while IFS="$TAB" read -r _ ref id _; do
    $DOCKER image inspect "$id" >/dev/null 2>&1 || refuse 78 "image $ref ($id) is not on the host"
  done <"$REL/images.lock"
  compose_in "$REL/compose" config -q >>"$REL/out.log" 2>&1 || refuse 78 "compose refuses the files: $(tail -n 1 "$REL/out.log")"
  free=$(df -Pk "$DEPLOY" | awk 'NR == 2 { print $4 }')
  [ "${free:-0}" -ge 65536 ] || refuse 78 "only ${free:-0} KiB are free below $DEPLOY"
}
adopt() { # what runs now, without a release of ours, becomes r0: the way back exists before the first change
  first=$(wanted "$REL/services" | head -n 1); [ -n "$first" ] || return 0
  r0=$HOME_OF/releases/00000000T000000-r0
  rm -rf "$r0.part"; mkdir -p "$r0.part/compose" "$r0.part/files"
  n=0; old_ifs=$IFS; IFS=,
  for f in $(printf '%s' "$first" | cut -f 9); do
    [ -r "$f" ] || { IFS=$old_ifs; refuse 78 "the running containers were made from $f, which is not on the host: no way back"; }
    cp "$f" "$r0.part/compose/$(printf '%02d' $n)-adopted.yaml"; n=$((n + 1))
  done
  IFS=$old_ifs
  printf '%s\n' "$first" | cut -f 10 >"$r0.part/project_dir"
  printf '%s\n' "$PROJECT" >"$r0.part/project"
  wanted "$REL/services" | cut -f 4 | sort -u >"$r0.part/services"
  wanted "$REL/services" | while IFS="$TAB" read -r id _ _ svc _; do
    $DOCKER inspect -f "$svc$TAB{{.Config.Image}}$TAB{{.Image}}" "$id"
  done | while IFS="$TAB" read -r svc ref image; do
    digest=$($DOCKER image inspect -f '{{range .RepoDigests}}{{.}} {{end}}' "$image" 2>/dev/null | cut -d ' ' -f 1)
    printf '%s\t%s\t%s\t%s\t%s\n' "$svc" "$ref" "$image" "${digest:--}" "$([ -n "$digest" ] && echo 0 || echo 1)"
  done >"$r0.part/images.lock"
  : >"$r0.part/files.sha256"; : >"$r0.part/envs"; : >"$r0.part/envs.optional"; : >"$r0.part/lives"; : >"$r0.part/networks"
  printf 'id=00000000T000000-r0\nstack=%s\nkind=adopted\nby=%s\ncreated_at=%s\n' "$STACK" "$WHO" "$(now)" >"$r0.part/manifest"
  echo "adopted 0" >"$r0.part/status"; : >"$r0.part/journal"
  rm -rf "$r0"; mv -T "$r0.part" "$r0"; sync "$HOME_OF/releases"
  point releases/00000000T000000-r0 "$HOME_OF/current"
  BASE=00000000T000000-r0; J adopted - "$BASE"
}

# --- files and images --------------------------------------------------------------------------------------------
save_prior() { # the host's own copies of what will be replaced: a revert puts back exactly these
  [ -e "$REL/prior.done" ] && return 0
  rm -rf "$REL/prior"; mkdir -p "$REL/prior"; : >"$REL/prior.absent"
  while read -r _ _ path; do
    if [ -e "$ROOT/$path" ]; then
      mkdir -p "$REL/prior/$(dirname "$path")" && cp -p "$ROOT/$path" "$REL/prior/$path" || return 1
    else printf '%s\n' "$path" >>"$REL/prior.absent"; fi
  done <"$REL/files.sha256"
  : >"$REL/prior.done"; sync "$REL"
}
place() { # source, path below ROOT: a file already the same keeps its inode, and with it every mount of it
  cmp -s "$1" "$ROOT/$2" && return 0
  (umask 022 && mkdir -p "$(dirname "$ROOT/$2")") || return 1
  cp -p "$1" "$ROOT/$2.vpai-new" && chown "$(stat -c %u:%g "$ROOT/$2" 2>/dev/null || echo 0:0)" "$ROOT/$2.vpai-new" 2>/dev/null
  mv -T "$ROOT/$2.vpai-new" "$ROOT/$2"
}
install_files() {
  while read -r _ mode path; do
    chmod "$mode" "$REL/files/$path" && place "$REL/files/$path" "$path" || return 1
  done <"$REL/files.sha256"
}
restore_files() {
  [ -e "$REL/prior.done" ] || return 0
  (cd "$REL/prior" && find . -type f) | while read -r path; do place "$REL/prior/${path#./}" "${path#./}" || exit 1; done || return 1
  while read -r path; do rm -f "$ROOT/$path"; done <"$REL/prior.absent"
}
tag_images() { # RELEASE-DIR
  while IFS="$TAB" read -r _ ref id digest _; do
    $DOCKER image inspect "$id" >/dev/null 2>&1 || { [ "$digest" != - ] && $DOCKER pull -q "$digest" >>"$REL/out.log" 2>&1; } || return 1
    $DOCKER tag "$id" "$ref" || return 1
  done <"$1/images.lock"
}
repair() { # leftovers of a Compose that died between creating and renaming a container
  look
  while IFS="$TAB" read -r id name state _; do
    case $name in
      [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]_*) ;;
      *) continue ;;
    esac
    if [ "$state" = created ]; then J repaired - "removed $name"; $DOCKER rm "$id" >>"$REL/out.log" 2>&1
    elif ! $DOCKER inspect "${name#*_}" >/dev/null 2>&1; then J repaired - "renamed $name"; $DOCKER rename "$id" "${name#*_}"; fi
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

# --- services ----------------------------------------------------------------------------------------------------
gate() { # service kind timeout_s: 0 when it may pass; else REASON
  deadline=$(($(date +%s) + $3)); good=0; first=; REASON="not healthy after $3 s"; polls=0
  while [ "$(date +%s)" -lt "$deadline" ]; do
    id=$($DOCKER ps -aq --no-trunc --filter "label=$LABEL.project=$PROJECT" --filter "label=$LABEL.service=$1" --filter "label=$LABEL.oneoff=False" | head -n 1)
    seen=$($DOCKER inspect -f '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.RestartCount}} {{.State.ExitCode}}' "$id" 2>/dev/null)
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
  v=$($DOCKER compose version --short 2>/dev/null | sed 's/^v//; s/[^0-9.].*//')
  oldest=$(printf '%s\n2.29.3\n' "$v" | sort -t . -k 1,1n -k 2,2n -k 3,3n | head -n 1)
  [ "$oldest" = 2.29.3 ] && echo --no-deps
}
failed() { # service reason: what Compose and the container said last is kept beside the journal
  { tail -n 3 "$REL/out.log"; echo "--- last lines of $1:"; } >"$REL/failure.log"
  look; for id in $(ids "$1"); do $DOCKER logs --tail 20 "$id" >>"$REL/failure.log" 2>&1; done
  J step_failed "$1" "$2"; FAILURE="$1: $2"; return 1
}
step() { # COMPOSE-DIR verb service kind timeout_s command
  J step_started "$3" "$2"
  case $2 in
    up)
      # shellcheck disable=SC2046 # a group is several services
      compose_in "$1" up -d $ND --no-build --pull never $(printf '%s' "$3" | tr , ' ') >>"$REL/out.log" 2>&1 ||
        { failed "$3" "compose: $(grep . "$REL/out.log" | tail -n 1)"; return 1; } ;;
    restart) look; for id in $(ids "$3"); do $DOCKER restart "$id" >>"$REL/out.log" 2>&1 || { failed "$3" "cannot restart"; return 1; }; done ;;
    reload) look
      for id in $(ids "$3"); do
        (eval "set -- $6"; timeout 60 $DOCKER exec "$id" "$@") >>"$REL/out.log" 2>&1 || { failed "$3" "the reload command failed"; return 1; }
      done ;;
    rm) look
      for id in $(ids "$3"); do $DOCKER stop "$id" >>"$REL/out.log" 2>&1; $DOCKER rm -f "$id" >>"$REL/out.log" 2>&1 || { failed "$3" "cannot remove"; return 1; }; done
      J service_removed "$3"; return 0 ;;
  esac
  J service_started "$3"
  for one in $(printf '%s' "$3" | tr , ' '); do
    gate "$one" "$4" "$5" || { failed "$one" "$REASON"; return 1; }
  done
  J service_healthy "$3"
}
bring() { # COMPOSE-DIR STEPS-FILE
  ND=$(no_deps)
  while IFS="$TAB" read -r what service kind limit command <&3; do
    step "$1" "$what" "$service" "$kind" "$limit" "$command" || return 1
  done 3<"$2"
}

# --- the ways it can end -----------------------------------------------------------------------------------------
undo() { # reason
  J revert_started "${BASE:-none}" "$1"
  from=$HOME_OF/releases/${BASE:-none}
  repair
  if restore_files && { [ ! -r "$from/images.lock" ] || tag_images "$from"; } && bring "$from/compose" "$REL/steps.revert"; then
    rm -f "$HOME_OF/pending" "$LISTING"; sync "$HOME_OF"; finish reverted 2 "$1"; return 2
  fi
  rm -f "$LISTING"; finish revert_failed 3 "$1; then the revert failed at $FAILURE"; return 3
}
confirm() { # another connection must show that the host can still be reached
  limit=$(sed -n 's/^confirm_timeout_s=//p' "$REL/manifest"); [ "${limit:-0}" -gt 0 ] || return 0
  J confirm_awaited - "$limit"; deadline=$(($(date +%s) + limit))
  while [ ! -e "$REL/confirmed" ]; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 0.5
  done
  J confirmed
}
keep() { # tags and never-started containers hold the images of the restorable releases against every prune
  wanted_keepers=
  for id in $1; do
    [ -r "$HOME_OF/releases/$id/images.lock" ] || continue
    while IFS="$TAB" read -r svc _ image _; do
      short=${image#sha256:}; short=$(printf '%.12s' "$short"); name=vpai-keep-$STACK-$svc-$short
      wanted_keepers="$wanted_keepers $name"
      $DOCKER inspect "$name" >/dev/null 2>&1 && continue
      $DOCKER tag "$image" "vpai.keep/$STACK-$svc:$short" 2>/dev/null &&
        $DOCKER create --name "$name" --network none --label vpai.keep=1 --label "vpai.stack=$STACK" "vpai.keep/$STACK-$svc:$short" true >/dev/null 2>&1
    done <"$HOME_OF/releases/$id/images.lock"
  done
  $DOCKER ps -a --filter label=vpai.keep=1 --filter "label=vpai.stack=$STACK" --format '{{.Names}}' | while read -r name; do
    case " $wanted_keepers " in *" $name "*) ;; *)
      ref=$($DOCKER inspect -f '{{.Config.Image}}' "$name"); $DOCKER rm "$name" >/dev/null 2>&1; $DOCKER rmi "$ref" >/dev/null 2>&1 ;;
    esac
  done
}
retain() { # five committed releases besides the current one; what never took effect goes first
  kept=0; keepers=
  for id in $(cd "$HOME_OF/releases" && printf '%s\n' * | sort -r); do
    dir=$HOME_OF/releases/$id; status=$(cut -d ' ' -f 1 "$dir/status" 2>/dev/null)
    [ "$id" = "$ID" ] && { keepers="$keepers $id"; continue; }
    case $status in
      ok | adopted) kept=$((kept + 1)); if [ "$kept" -le 5 ]; then keepers="$keepers $id"; else rm -rf "$dir"; fi ;;
      reverted | revert_failed) find "$dir" -maxdepth 0 -mmin +10080 -exec rm -rf {} + ;;
      *) find "$dir" -maxdepth 0 -mmin +60 -exec rm -rf {} + ;;
    esac
  done
  keep "$keepers"
}
commit() {
  point "releases/$ID" "$HOME_OF/current"
  rm -f "$HOME_OF/pending"; sync "$HOME_OF"
  finish ok 0; rm -rf "$LISTING" "$REL/prior" "$REL/prior.done" "$REL/prior.absent"
  retain
}
forward() {
  FAILURE=
  { save_prior && install_files; } || { undo "the files could not be installed"; return; }
  J files_installed
  tag_images "$REL" || { undo "an image is missing"; return; }
  repair; mark_envs
  bring "$REL/compose" "$REL/steps" || { undo "$FAILURE"; return; }
  confirm || { undo "nobody confirmed"; return; }
  commit
}

trap '' HUP INT TERM PIPE
mkdir -p "$HOME_OF/releases"
take_lock
BASE=$(link_id "$HOME_OF/current")
case $verb in
  apply)
    [ -L "$HOME_OF/pending" ] && refuse 76 "release $(link_id "$HOME_OF/pending") was interrupted"
    look
    [ "$(fingerprint "$REL/services" "$REL/lives")" = "$(sed -n 's/^fingerprint=//p' "$REL/manifest")" ] || refuse 77 "the host changed since the plan was made"
    preflight
    grep -qx adopts=1 "$REL/manifest" && adopt
    J begin "${BASE:-none}" "$WHO"
    point "releases/$ID" "$HOME_OF/pending"; J pending
    forward ;;
  resume | revert)
    [ "$(link_id "$HOME_OF/pending")" = "$ID" ] || refuse 77 "release $ID is not pending any more"
    look; J "$verb" - "$WHO"
    if [ "$BASE" = "$ID" ]; then rm -f "$HOME_OF/pending"; finish ok 0
    elif [ "$verb" = resume ]; then forward
    else undo "on request of $WHO"; fi ;;
esac
code=$?; rm -f "$DEPLOY/owner"; exit "$code"
