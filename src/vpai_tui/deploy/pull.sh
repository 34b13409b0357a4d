# What a host keeps of the release of STACK that runs: the files with which a laptop has the stack again. No env file is read.
# usage: sh -s -- ROOT DOCKER STACK      one TSV record a line, the last one `end`
# shellcheck shell=sh disable=SC2086 # $docker is words
set -u
umask 077
root=$1 deploy=$1/deploy docker=$2 stack=$3
TAB=$(printf '\t')
MOST_KIB=16384
home=$deploy/stacks/$stack

b64() { base64 | tr -d '\n'; }
link_id() { l=$(readlink "$1" 2>/dev/null) && printf '%s' "${l##*/}"; }
plain() { [ -f "$1" ] && [ ! -L "$1" ]; }
whole() { printf '%s\t%s\n' "$1" "$(b64 <"$2")"; }

withheld() { # what ran before us may have secrets in its files: then nothing of it is sent, only their places are told
  settings=$(settings_known) || { printf 'unasked\t\n'; return; }
  values=$(mktemp) || { printf 'unasked\t\n'; return; }
  printf '%s\n' "$settings" | values_known >"$values"
  for file in "$release"/compose/*.yaml; do
    ! plain "$file" || suspects "$file" "${file##*/}" "$values"
  done
  [ ! -r "$release/files.sha256" ] || while read -r _ _ path; do
    ! plain "$release/files/$path" || suspects "$release/files/$path" "$path" "$values"
  done <"$release/files.sha256"
  rm -f "$values"
}

for dir in "$deploy"/stacks/*/; do
  dir=${dir%/}
  [ ! -L "$dir/current" ] || printf 'stack\t%s\n' "${dir##*/}"
done
release=$home/releases/$(link_id "$home/current")
if [ -L "$home/current" ] && [ -d "$release/compose" ]; then
  printf 'release\t%s\n' "${release##*/}"
  for name in manifest bundle.json stack.yaml project project_dir; do
    ! plain "$release/$name" || whole "$name" "$release/$name"
  done
  if ! plain "$release/stack.yaml"; then # releases before `pull` name no project: what they made does
    $docker ps -a --format "{{.Label \"com.docker.compose.project\"}}$TAB{{.Label \"com.docker.compose.project.config_files\"}}" </dev/null |
      awk -F "$TAB" -v OFS="$TAB" -v at="/deploy/stacks/$stack/releases/" 'index($2, at) && !seen[$1]++ { print "made", $1 }'
  fi
  size=$(du -sk "$release/compose" "$release/files" 2>/dev/null | awk '{ kib += $1 } END { print kib + 0 }')
  if [ "$size" -gt "$MOST_KIB" ]; then printf 'large\t%s\n' "$size"; echo end; exit; fi
  found=
  ! grep -qx kind=adopted "$release/manifest" || found=$(withheld)
  if [ -n "$found" ]; then printf '%s\n' "$found"; echo end; exit; fi
  for file in "$release"/compose/*.yaml; do
    plain "$file" || continue
    printf 'compose\t%s\t%s\n' "${file##*/}" "$(b64 <"$file")"
  done
  [ ! -r "$release/files.sha256" ] || while read -r _ mode path; do
    ! plain "$release/files/$path" || printf 'file\t%s\t%s\t%s\n' "$mode" "$path" "$(b64 <"$release/files/$path")"
  done <"$release/files.sha256"
fi
echo end
