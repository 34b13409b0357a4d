# Read-only: who holds the host's lock, and how the idle stops of its stacks stand. usage: sh -s -- ROOT
# One TSV record a line, the last one `end`: lock free|held OWNER · idle STACK alive|dead|rebooted KEY=VALUE…
# shellcheck shell=sh
set -u
deploy=$1/deploy
PROC=${VPAI_PROC:-/proc}

if [ ! -e "$deploy/lock" ] || flock -n -E 75 "$deploy/lock" true || grep -qs ' tidies up ' "$deploy/owner"; then echo 'lock	free	'
else printf 'lock\theld\t%s\n' "$(head -c 500 "$deploy/owner" 2>/dev/null | head -n 1)"; fi
boot=$(head -n 1 "$PROC/sys/kernel/random/boot_id" 2>/dev/null)
for record in "$deploy"/idle/*; do
  case $record in *.[0-9]*) continue ;; esac # one that is being written
  grep -qs '^token=' "$record" || continue
  pid=$(sed -n 's/^pid=//p' "$record"); token=$(sed -n 's/^token=//p' "$record"); was=$(sed -n 's/^boot=//p' "$record")
  if [ "$was" != "$boot" ]; then alive=rebooted
  elif tr '\0' '\n' 2>/dev/null <"/proc/${pid:-none}/cmdline" | grep -qxF -- "$token"; then alive=alive
  else alive=dead; fi
  printf 'idle\t%s\t%s\t%s\n' "${record##*/}" "$alive" "$(head -c 2000 "$record" | tr '\t\n' ' \t')"
done
echo end
