#!/bin/sh
# Stands before programs of a lab host, under their names: at the point a test has armed it waits until the test has
# struck. /run/fault/point has the program, what its arguments match, which such call, and before|during|after it.
name=${0##*/}
real=/usr/bin/$name
F=/run/fault

hold() { # tells the pid of the deploy's shell (the runner, or what its client runs) and waits
  shell=$PPID parent=$PPID
  while [ "${parent:-1}" -gt 1 ]; do
    case $(tr '\0' '\n' <"/proc/$parent/cmdline" 2>/dev/null | sed -n 2p) in
      */deploy/bin/run-*.sh | probe.sh) shell=$parent ;;
    esac
    parent=$(sed 's/.*) [A-Za-z] \([0-9]*\) .*/\1/' "/proc/$parent/stat" 2>/dev/null)
  done
  echo "$shell" >$F/reached.new && /usr/bin/mv $F/reached.new $F/reached
  while [ -e $F/reached ] && [ ! -e $F/go ]; do /usr/bin/sleep 0.03; done
}

[ -e $F/point ] || exec "$real" "$@"
{ read -r program && read -r pattern && read -r nth && read -r moment; } <$F/point 2>/dev/null || exec "$real" "$@"
[ "$program" = "$name" ] || exec "$real" "$@"
# shellcheck disable=SC2254 # a pattern is meant
case "$*" in $pattern) ;; *) exec "$real" "$@" ;; esac
echo . >>$F/seen
[ "$(wc -l <$F/seen)" -eq "$nth" ] || exec "$real" "$@"
/usr/bin/mv $F/point $F/fired 2>/dev/null || exec "$real" "$@"
case $moment in
  before) hold; exec "$real" "$@" ;;
  after) "$real" "$@"; code=$?; hold; exit "$code" ;;
esac
# during: a container has its temporary name
"$real" "$@" &
child=$!
while kill -0 "$child" 2>/dev/null; do
  if /usr/bin/docker ps -a --format '{{.Names}}' | grep -qE '^[0-9a-f]{12}_'; then hold; break; fi
done
wait "$child"
