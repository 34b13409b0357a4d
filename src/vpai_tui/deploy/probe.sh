# Read-only: what the laptop needs to plan, one TSV record a line; nothing on the host changes.
# usage: probe.sh VERB   with ROOT STACK PROJECT DOCKER in the environment; `bundle/` beside this script for `plan`.
# shellcheck shell=sh disable=SC2086 # $DOCKER is words
HERE=$(pwd)
# shellcheck source=/dev/null
. ./common.sh

rec() { printf '%s' "$1"; shift; for field in "$@"; do printf '\t%s' "$field"; done; echo; }
b64() { base64 | tr -d '\n'; }

state() {
  rec current "$(link_id "$HOME_OF/current")"
  rec pending "$(link_id "$HOME_OF/pending")"
  if lock_free; then rec lock free; else rec lock held "$(head -n 1 "$DEPLOY/owner" 2>/dev/null)"; fi
  [ ! -e "$DEPLOY/hold" ] || rec hold "$(head -c 1000 "$DEPLOY/hold" | head -n 1)"
}

resolve() { # DIR: the resolved configuration into $json: it has secrets in it and stays in memory
  json=$(compose_in "$1" config --format json 2>"$HERE/config.err") || { rec error config "$(mask bundle "$HOME_OF/current" <"$HERE/config.err" | b64)"; return 1; }
  unset_in "$1" <"$HERE/config.err" | sed "s/^/unset$TAB/"
}

references() { # image and shared network of each service in $json
  printf '%s\n' "$json" | awk -v OFS='\t' '
    /^  "services": \{/ { inside = 1; next }
    /^  [}"]/ { inside = 0 }
    inside && /^    "/ { split($0, part, "\""); service = part[2] }
    inside && /^      "image": "/ { sub(/^      "image": "/, ""); sub(/",?$/, ""); print "image", service, $0 }
    inside && /^      "network_mode": "service:/ { sub(/^      "network_mode": "service:/, ""); sub(/",?$/, ""); print "netns", service, $0 }'
}

holdings() { # what each service of $json would hold of the host: container name, published ports, mounts; volumes' names
  printf '%s\n' "$json" | awk -v OFS='\t' '
    function value(line) { sub(/^ *"[a-z_]+": "?/, "", line); sub(/"?,?$/, "", line); return line }
    /^  "services": \{/ { part = "services"; next }
    /^  "volumes": \{/ { part = "volumes"; next }
    /^  [}"]/ { part = "" }
    part == "volumes" && /^    "/ { split($0, word, "\""); key = word[2] }
    part == "volumes" && /^      "name": / { print "volume", key, value($0) }
    part != "services" { next }
    /^    "/ { split($0, word, "\""); service = word[2]; list = "" }
    /^      "container_name": / { print "named", service, value($0) }
    /^      []"}]/ { list = "" }
    /^      "volumes": \[$/ { list = "mount" }
    /^      "ports": \[$/ { list = "port" }
    list != "" && /^        \{/ { split("", field); next }
    list != "" && /^          "/ { split($0, word, "\""); field[word[2]] = value($0) }
    list == "mount" && /^        \}/ && field["source"] != "" {
      print "mount", service, field["type"], field["source"], field["target"], (field["read_only"] == "true" ? "ro" : "rw")
    }
    list == "port" && /^        \}/ && field["published"] != "" { print "port", service, field["host_ip"], field["published"], field["protocol"] }'
}

occupants() { # every container of the host but the keepers: name, whose it is, published ports, mounts, image
  ids=$($DOCKER ps -aq --no-trunc 2>/dev/null); [ -n "$ids" ] || return 0
  label() { printf '{{json (index .Config.Labels "%s")}}' "$1"; }
  $DOCKER inspect -f "occupant$TAB{{.Id}}$TAB{{.Name}}$TAB{{.State.Status}}$TAB$(label $LABEL.project)$TAB$(label $LABEL.service)$TAB$(label $LABEL.project.config_files)$TAB$(label vpai.keep)$TAB{{json .HostConfig.PortBindings}}$TAB{{json .Mounts}}$TAB{{json .Config.Image}}" $ids 2>/dev/null
  return 0 # one that is gone by now is nobody's neighbour
}

hashes() { # kind: the hash Compose would put on each service of $json; from the resolved form, as the label's is
  parents=$(printf '%s\n' "$json" | sed -n 's/^      "network_mode": "service:\(.*\)",\{0,1\}$/\1/p' | sort -u)
  for parent in $parents; do # the label holds the parent's container id
    id=$(awk -F "$TAB" -v s="$parent" '$4 == s { print $1; exit }' "$LISTING")
    [ -n "$id" ] && json=$(printf '%s\n' "$json" | sed "s/^\(      \"network_mode\": \"\)service:$parent\"/\1container:$id\"/")
  done
  printf '%s\n' "$json" | timeout -k 10 120 $DOCKER compose -p "$PROJECT" --project-directory "$ROOT" -f - config --hash '*' 2>"$HERE/hash.err" |
    sed "s/^/$1$TAB/; s/ /$TAB/"
}

before_us() { # the hashes that the files on the host would give to what runs without a release of ours: the way back
  [ -z "$(link_id "$HOME_OF/current")" ] || return 0
  mkdir -p was/compose; n=0
  wanted bundle/services | cut -f 9 | tr , '\n' | awk 'NF && !seen[$0]++' | while read -r f; do
    n=$((n + 1)); cp "$f" "was/compose/$(printf '%02d' "$n")-was.yaml" 2>/dev/null || { rm -rf was/compose; break; }
  done
  wanted bundle/services | head -n 1 | cut -f 10 >was/project_dir; [ -s was/project_dir ] || return 0
  json=$(compose_in was/compose config --format json 2>/dev/null) && hashes was
}

structure() { # the configuration without any value in it; the base release's own where its files are the same
  if diff -rq bundle/compose "$HOME_OF/current/compose" >/dev/null 2>&1 && [ -s "$HOME_OF/current/structure.json" ]; then
    cat "$HOME_OF/current/structure.json"
  else compose_in bundle/compose config --no-interpolate --format json 2>"$HERE/structure.err"; fi
}

images() { # what the host has of each reference the plan names, and of what runs; one record an image, absent ones none
  {
    cat "$HERE/refs"
    [ -r bundle/images.lock ] && cut -f 3 bundle/images.lock
    [ -r bundle/refs ] && cat bundle/refs
    wanted bundle/services "$HOME_OF/current/services" | cut -f 6
  } | sort -u | grep . >"$HERE/refs.all" || return 0
  # shellcheck disable=SC2046 # references have no blanks
  $DOCKER image inspect -f "local$TAB{{.Id}}$TAB{{.Os}}/{{.Architecture}}$TAB{{range .RepoTags}}{{.}} {{end}}$TAB{{range .RepoDigests}}{{.}} {{end}}" $(cat "$HERE/refs.all") 2>/dev/null
  return 0
}

files() { # PATHS-FILE
  while read -r path; do
    if [ -d "$ROOT/$path" ]; then rec file "$path" dir -
    elif [ -e "$ROOT/$path" ]; then rec file "$path" "$(sha256sum <"$ROOT/$path" | cut -d ' ' -f 1)" "$(stat -c %a "$ROOT/$path")"
    else rec file "$path" missing -; fi
  done <"$1"
}

envs() { # PATHS-FILE: state of each env file, and which keys differ from the base release's
  marks=$HOME_OF/current/env.marks
  while read -r f; do
    if [ ! -f "$f" ]; then rec env "$f" missing; continue; fi
    rec env "$f" "$(stat -c '%a %U' "$f")"
    lacking "$f" bundle/envs.keys
    [ -r "$marks" ] || continue
    old=$(awk -v p="$f" '$1 == "file" && $2 == p { print $3 }' "$marks")
    [ "$old" = "$(file_mark "$f")" ] && continue
    awk -v p="$f" '$1 == "key" && $2 == p { print $3, $4 }' "$marks" >"$HERE/env.old"
    env_marks "$f" >"$HERE/env.new"
    awk -v p="$f" -v OFS='\t' '
      FILENAME == ARGV[1] { old[$1] = $2; next }
      !($1 in old) { print "envkey", p, "+", $1 } ($1 in old) && old[$1] != $2 { print "envkey", p, "~", $1 } { seen[$1] = 1 }
      END { for (key in old) if (!(key in seen)) print "envkey", p, "-", key }' "$HERE/env.old" "$HERE/env.new"
  done <"$1"
}

of_release() { # RELEASE [PATH…]: its files on the host are the bundle; those of PATH, live for the laptop, are so too
  [ -d "$HOME_OF/releases/$1/compose" ] || { rec error release ''; return 1; }
  cp -R "$HOME_OF/releases/$1" bundle
  cut -d ' ' -f 3- bundle/files.sha256 >bundle/paths
  for list in binds refs envs.optional envs.keys dumps; do : >>"bundle/$list"; done
  shift
  for path in "$@"; do
    if grep -qxF -- "$path" bundle/paths && ! grep -qxF -- "$path" bundle/lives; then printf '%s\n' "$path" >>bundle/lives; fi
  done
  for kept in files.sha256 $KEPT; do [ -r "bundle/$kept" ] && rec "bundle.$kept" "$(b64 <"bundle/$kept")"; done
  while read -r path; do rec "bundle.live" "$path" "$(b64 <"bundle/files/$path")"; done <bundle/lives
}

surroundings() { # what the stack stands on
  files bundle/paths
  cat bundle/envs bundle/envs.optional >"$HERE/envs.all"; envs "$HERE/envs.all"
  while read -r path; do [ -f "$ROOT/$path" ] && rec live "$path" "$(b64 <"$ROOT/$path")"; done <bundle/lives
  if [ -s bundle/networks ]; then
    $DOCKER network ls --format '{{.Name}}' | grep -vxFf - bundle/networks | sed "s/^/network$TAB/; s/\$/${TAB}missing/"
  fi
  # the engine that answers is there, wherever its socket is seen from
  own=$($DOCKER context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null)
  while read -r path; do
    if [ "unix://$path" = "$own" ]; then rec bind "$path" file
    elif [ -d "$path" ]; then rec bind "$path" dir; elif [ -e "$path" ]; then rec bind "$path" file; else rec bind "$path" missing; fi
  done <bundle/binds
  dump_rows bundle/dumps | newest_dumps | awk -F "$TAB" -v OFS="$TAB" -v now="$(date +%s.%N)" '{ print "dump", $1, now - $2, $3, $5 }'
  rec disk "$(df -Pk "$([ -d "$ROOT" ] && echo "$ROOT" || echo /)" | awk 'NR == 2 { print $4 }')"
  for kept in $KEPT; do [ -r "$HOME_OF/current/$kept" ] && rec "base.$kept" "$(b64 <"$HOME_OF/current/$kept")"; done
  return 0
}

KEPT='structure.json services images.lock bundle.json envs envs.optional networks dumps manifest project'

plan() { # [RELEASE [PATH…]]; each docker command takes its time to start, so those that do not wait for each other run together
  for tool in flock setsid timeout sha256sum awk tar; do
    command -v "$tool" >/dev/null 2>&1 || rec error "tool $tool" ''
  done
  if [ -n "${1:-}" ]; then of_release "$@" || return; fi
  LISTING=$HERE/listing
  { containers >"$LISTING" 2>"$HERE/ps.err" || : >"$HERE/ps.failed"; } &
  listed=$!
  rec compose "$($DOCKER compose version --short 2>/dev/null)" >"$HERE/version" &
  structure >"$HERE/structure" &
  resolve bundle/compose; resolved=$?
  wait "$listed"
  [ ! -e "$HERE/ps.failed" ] || { rec error docker "$(b64 <"$HERE/ps.err")"; return; }
  state
  wanted bundle/services "$HOME_OF/current/services" | sed "s/^/container$TAB/"
  : >"$HERE/refs"
  if [ "$resolved" = 0 ]; then
    references | tee "$HERE/references"
    holdings
    awk -F "$TAB" '$1 == "image" { print $3 }' "$HERE/references" >"$HERE/refs"
  fi
  print=$(fingerprint bundle/services bundle/lives) # before live files are read: an edit in between makes the plan stale
  images >"$HERE/images" &
  surroundings >"$HERE/surroundings" &
  [ "$resolved" = 0 ] && hashes hash
  if [ -d bundle/compose.plain ] && wanted bundle/services | awk -F "$TAB" '$8 == "" { found = 1 } END { exit !found }'; then
    resolve bundle/compose.plain && hashes plain
  fi
  before_us
  wait
  cat "$HERE/images" "$HERE/surroundings" "$HERE/version"
  rec fingerprint "$print"
  if older "$(sed 's/^compose.v\{0,1\}//; s/[^0-9.].*//' "$HERE/version")" 2.26.0; then # it may hold values of env files
    rec error structure "$(echo 'before 2.26 it could show values of env files' | b64)"
  elif [ -s "$HERE/structure" ]; then rec structure "$(b64 <"$HERE/structure")"; else rec error structure "$(b64 <"$HERE/structure.err")"; fi
}

releases() {
  state
  for dir in "$HOME_OF"/releases/*/; do
    [ -r "$dir/manifest" ] || continue
    id=$(basename "$dir")
    [ -s "$dir/dumps.then" ] && rec dumps.then "$id" "$(b64 <"$dir/dumps.then")"
    rec release "$id" "$(head -n 1 "$dir/status" 2>/dev/null)" "$(b64 <"$dir/manifest")" "$([ -r "$dir/images.lock" ] && b64 <"$dir/images.lock")"
  done
  $DOCKER images -a -q --no-trunc 2>/dev/null | sort -u | sed "s/^/have$TAB/"
}

settling() { # RELEASE: the live files of an interrupted deploy, as they are, as it brings them, as they were before it
  state
  dir=$HOME_OF/releases/$1
  rec bundle.bundle.json "$(b64 <"$dir/bundle.json")"
  while read -r path; do
    [ -f "$ROOT/$path" ] && rec live "$path" "$(b64 <"$ROOT/$path")"
    [ -f "$dir/files/$path" ] && rec bundle.live "$path" "$(b64 <"$dir/files/$path")"
    [ -f "$dir/prior/$path" ] && rec prior.live "$path" "$(b64 <"$dir/prior/$path")"
  done <"$dir/lives"
}

tail_of() { # RELEASE: what the runner and Compose printed last
  said=$HOME_OF/releases/$1/failure.log; [ -s "$said" ] || said=$HOME_OF/releases/$1/out.log
  rec out "$(tail -n 60 "$said" 2>/dev/null | mask "$HOME_OF/releases/$1" "$HOME_OF/current" | b64)"
  rec status "$(head -n 1 "$HOME_OF/releases/$1/status" 2>/dev/null)"
  state
}

verb=$1; shift
"$verb" "$@"
rec end
