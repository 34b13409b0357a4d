# The lock that every change of a host is made under, one at a time; goes before the scripts that take it. $DEPLOY is the
# host's folder of ours, `now` their clock.
# What is disabled is so for the scripts behind it: $DOCKER is words; `a && b || refuse` is meant so; names of ours.
# shellcheck shell=sh disable=SC2086,SC2046,SC2015,SC2012

lock() { # OWNER [SECONDS]: without a number it waits until it has it; a runner that only tidies up is always waited for
  exec 9>>"$DEPLOY/lock" || return 1
  flock ${2:+-w "$2"} 9 || { grep -qs ' tidies up ' "$DEPLOY/owner" && flock -w 120 9; } || return 1
  printf 'pid=%s %s since %s\n' "$$" "$1" "$(now)" >"$DEPLOY/owner"
}
owner() { head -n 1 "$DEPLOY/owner" 2>/dev/null; }
