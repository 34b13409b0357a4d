# What was done on this host, by whichever laptop: of every release who made it and how each run of it ended, of every start
# and stop the same, and the holds.
# usage: sh -s -- ROOT      one TSV record a line, the last one `end`; of many releases only the newest are told
# shellcheck shell=sh
set -u
deploy=$1/deploy
TAB=$(printf '\t')
MOST=60 # releases of a stack; a host keeps fewer, but for what failed lately

b64() { base64 | tr -d '\n'; }
link_id() { l=$(readlink "$1" 2>/dev/null) && printf '%s' "${l##*/}"; }

release() { # STACK DIR
  printf 'release\t%s\t%s\t%s\t%s\n' "$1" "${2##*/}" "$(head -n 1 "$2/status" 2>/dev/null | cut -c 1-300)" "$(head -c 4096 "$2/manifest" | b64)"
  awk -F "$TAB" -v OFS="$TAB" -v s="$1" -v id="${2##*/}" '
    $2 ~ /^(begin|resume|revert|finished|step_failed)$/ && n++ < 40 { print "line", s, id, $1, $2, $2 == "step_failed" ? $3 : substr($4, 1, 300) }' "$2/journal" 2>/dev/null
}

if [ -e "$deploy/lock" ] && ! flock -n -E 75 "$deploy/lock" true; then echo busy; fi
for home in "$deploy"/stacks/*/; do
  [ -d "$home/releases" ] || continue
  home=${home%/}
  printf 'stack\t%s\t%s\n' "${home##*/}" "$(link_id "$home/pending")"
  for id in $(cd "$home/releases" && printf '%s\n' * | sort -r | head -n "$MOST"); do
    [ ! -r "$home/releases/$id/manifest" ] || release "${home##*/}" "$home/releases/$id"
  done
  for run in "$home"/runs/*/; do
    [ ! -r "${run}manifest" ] || release "${home##*/}" "${run%/}"
  done
done
[ ! -r "$deploy/hold.log" ] || tail -n 200 "$deploy/hold.log" | cut -c 1-500 | sed "s/^/hold$TAB/"
echo end
