# Read-only: what there is of backups on this host. usage: sh -s -- ROOT DOCKER ENV-FILE POSTGRESQL ZEROBYTE GLOB…, where the
# two are names of services (- for none). A TSV record a line, the last one `end`.
# shellcheck shell=sh disable=SC2086 # $DOCKER is words, and a glob is to be one
set -u
ROOT=$1 DOCKER=$2 ENV=$3 POSTGRESQL=$4 ZEROBYTE=$5
shift 5
STATUS=$ROOT/backups/status
LABEL=com.docker.compose
MOST=600 # files of one glob

dk() { timeout -k 2 15 $DOCKER "$@"; }
running() { # SERVICE: id, or WHY
  id='' WHY='Docker does not answer'
  found=$(dk ps -q --no-trunc --filter "label=$LABEL.service=$1" --filter "label=$LABEL.oneoff=False" </dev/null 2>/dev/null) || return
  WHY="$1 does not run"
  for id in $found; do return 0; done
  return 1
}
told() { # FILE TAG: its last lines, each behind the tag
  [ -f "$1" ] && tail -n 400 "$1" | head -c 200000 | awk -v tag="$2" '{ print "line\t" tag "\t" $0 }'
}
cut_off() { tr '\t\n' '  ' | tail -c 200; }

cd "$ROOT" || exit 1
printf 'now\t%s\n' "$(date +%s)"
place=0
for glob; do
  IFS= # a glob is one, whatever blanks are in it
  set -- $glob
  unset IFS
  count=0
  for file do [ -f "$file" ] && count=$((count + 1)); done
  printf 'glob\t%s\t%s\n' "$place" "$count"
  if [ "$count" -gt 0 ]; then
    stat -L -c "file	$place	%Y	%s	%n" "$@" 2>/dev/null | sort -t '	' -k 3,3nr | head -n "$MOST"
  fi
  place=$((place + 1))
done
lock() { if [ ! -e "$STATUS/lock" ] || flock -n "$STATUS/lock" true; then echo 'lock	free'; else echo 'lock	held'; fi; }
if [ -d "$STATUS" ]; then
  lock # and once more behind the journal: a run may begin or end in between, and was not ended in the middle
  told "$STATUS/last-run" last-run
  told "$STATUS/journal" journal
  told "$STATUS/cleanup" cleanup
  for file in "$STATUS"/restore/*; do case $file in *.part) ;; *) told "$file" restore ;; esac; done
  lock
fi
if [ "$ENV" = - ]; then :
elif [ ! -f "$ENV" ]; then echo 'heartbeat	no-file'
elif grep -q '^[[:space:]]*HEARTBEAT_URL=..*' "$ENV"; then echo 'heartbeat	set' # that it is set; never what
else echo 'heartbeat	unset'; fi

if [ "$POSTGRESQL" != - ]; then
  if ! running "$POSTGRESQL"; then printf 'no-databases\t%s\n' "$WHY"
  elif said=$(dk exec "$id" psql -X -q -At -F '	' -U postgres -d postgres -c "$SQL" </dev/null 2>&1); then
    printf '%s\n' "$said" | head -n 1000 | awk 'NF { print "database\t" $0 }'
  else printf 'no-databases\t%s\n' "$(printf '%s' "$said" | cut_off)"; fi
fi
if [ "$ZEROBYTE" != - ]; then
  if ! running "$ZEROBYTE"; then printf 'no-jobs\t%s\n' "$WHY"
  elif said=$(dk exec "$id" bun -e "$JS" </dev/null 2>&1); then
    printf '%s\n' "$said" | head -n 200 | awk 'NF { print "job\t" $0 }'
  else printf 'no-jobs\t%s\n' "$(printf '%s' "$said" | cut_off)"; fi
fi
echo end
