# Freezes deploys on this host, or lets them go again: the file `hold`, written under the lock that every deploy takes.
# usage: sh -s -- ROOT show | set BY WHY | off AT BY ME     prints the hold that is there afterwards, if one is
# Ends with 65 when the hold is not the one that was meant, with 75 when somebody works under the lock.
# shellcheck shell=sh
set -u
root=$1 verb=$2
deploy=$root/deploy
hold=$deploy/hold
TAB=$(printf '\t')

show() { [ ! -e "$hold" ] || head -c 1000 "$hold" | head -n 1; }
lock() { # WHO: a runner that only tidies up is waited for, as a deploy does
  exec 9>>"$deploy/lock" || exit 1
  flock -w 3 9 || { grep -qs ' tidies up ' "$deploy/owner" && flock -w 120 9; } || { head -n 1 "$deploy/owner" >&2; exit 75; }
  printf 'pid=%s hold by %s since %s\n' "$$" "$1" "$now" >"$deploy/owner"
}
is() { [ "$(show | cut -f "$1")" = "$2" ]; }
other() { show; exit 65; }
tell() { # by, what, why: what was done here, by whichever laptop
  { tail -n 199 "$deploy/hold.log" 2>/dev/null; printf '%s\t%s\t%s\t%s\n' "$now" "$1" "$2" "$3"; } >"$deploy/hold.log.new" &&
    mv -T "$deploy/hold.log.new" "$deploy/hold.log"
}

now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
case $verb in
  show) show ;;
  set)
    (umask 022 && mkdir -p "$root") && umask 077 && mkdir -p "$deploy" && lock "$3" || exit 1
    [ ! -e "$hold" ] || is 2 "$3" || other
    printf '%s\n' "$now$TAB$3$TAB$4" >"$hold.new" && sync "$hold.new" && mv -T "$hold.new" "$hold" && sync "$deploy" || exit 1
    tell "$3" held "$4"
    show ;;
  off)
    umask 077
    [ -e "$hold" ] || exit 65
    lock "$5"
    { is 1 "$3" && is 2 "$4"; } || other
    why=$(show | cut -f 3-)
    rm -f "$hold" && sync "$deploy" || exit 1
    tell "$5" released "$4: $why" ;;
esac
