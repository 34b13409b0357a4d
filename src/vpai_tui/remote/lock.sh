# The lock that every change of a host is made under, one at a time; goes before the scripts that take it. $DEPLOY is the
# host's folder of ours, `now` their clock.
# shellcheck shell=sh

lock() { # OWNER [SECONDS]: without a number it waits until it has it; a runner that only tidies up is always waited for
  exec 9>>"$DEPLOY/lock" || return 1
  flock ${2:+-w "$2"} 9 || { grep -qs ' tidies up ' "$DEPLOY/owner" && flock -w 120 9; } || return 1
  printf 'pid=%s %s since %s\n' "$$" "$1" "$(now)" >"$DEPLOY/owner"
}
owner() { head -n 1 "$DEPLOY/owner" 2>/dev/null; }
