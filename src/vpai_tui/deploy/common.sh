# Shared by probe.sh and runner.sh; POSIX sh, coreutils, util-linux, docker with Compose >= 2.21.
# Set before this is read: ROOT STACK PROJECT DOCKER (the docker command, words).
# shellcheck shell=sh disable=SC2086,SC2317,SC2329 # $DOCKER is words; each of the two uses other functions of these
set -u
umask 077
export COMPOSE_IGNORE_ORPHANS=1 COMPOSE_PROGRESS=plain
TAB=$(printf '\t')
DEPLOY=$ROOT/deploy
HOME_OF=$DEPLOY/stacks/$STACK
LABEL=com.docker.compose

now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }
link_id() { # the release a link names, or nothing
  l=$(readlink "$1" 2>/dev/null) && printf '%s' "${l##*/}"
}
lock_free() { # the probe takes the lock for a moment; a missing lock file is a free one
  [ -e "$DEPLOY/lock" ] || return 0
  flock -n -E 75 "$DEPLOY/lock" true || tidying
}
TIDIES='tidies up'
tidying() { # a runner that has told its end and only removes what nobody needs: the next one waits for it
  grep -qs " $TIDIES " "$DEPLOY/owner"
}
compose_in() { # DIR of yaml files, then compose's own arguments; the files' order is their names' order
  dir=$1; shift
  place=$ROOT; [ -r "$dir/../project_dir" ] && read -r place <"$dir/../project_dir"
  owner_project=$PROJECT; [ -r "$dir/../project" ] && read -r owner_project <"$dir/../project"
  n=$#
  for f in "$dir"/*.yaml; do set -- "$@" -f "$f"; done
  # rotate: the arguments given go behind the -f list
  while [ "$n" -gt 0 ]; do set -- "$@" "$1"; shift; n=$((n - 1)); done
  timeout -k "${COMPOSE_KILL_S:-10}" "${COMPOSE_TIMEOUT_S:-900}" $DOCKER compose --ansi never -p "$owner_project" --project-directory "$place" "$@" </dev/null
}
unset_in() { # DIR of yaml files: the variables in them that Compose, whose words are on stdin, found no value for
  # a `$` in an env file's value is told by Compose the same way; what follows it there is no name to be repeated
  sed -n 's/.*The \\\{0,1\}"\([A-Za-z_][A-Za-z0-9_]*\)\\\{0,1\}" variable is not set.*/\1/p' | sort -u | while read -r name; do
    if cat "$1"/*.yaml | grep -qE "[$][{]?$name([^A-Za-z0-9_]|\$)"; then printf '%s\n' "$name"; fi
  done
}
older() { # VERSION OTHER: whether the first, dotted numbers, comes before the second
  [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -t . -k 1,1n -k 2,2n -k 3,3n | head -n 1)" = "$1" ]
}
containers() { # every container of the project, one TSV line each
  $DOCKER ps -a --no-trunc --filter "label=$LABEL.project=$PROJECT" --filter "label=$LABEL.oneoff=False" \
    --format "{{.ID}}$TAB{{.Names}}$TAB{{.State}}$TAB{{.Label \"$LABEL.service\"}}$TAB{{.Label \"$LABEL.config-hash\"}}$TAB{{.Label \"$LABEL.image\"}}$TAB{{.Label \"$LABEL.version\"}}$TAB{{.Label \"vpai.files\"}}$TAB{{.Label \"$LABEL.project.config_files\"}}$TAB{{.Label \"$LABEL.project.working_dir\"}}$TAB{{.Image}}"
}
wanted() { # stdin: containers; only those of the services listed in the given files
  cat "$@" /dev/null 2>/dev/null | awk -F "$TAB" -v OFS="$TAB" 'NR == FNR { want[$1] = 1; next } ($4 in want)' - "$LISTING"
}
live_digest() { # FILE listing paths below ROOT: their contents' hashes
  sort -u "$1" | while read -r path; do
    if [ -f "$ROOT/$path" ]; then sha256sum <"$ROOT/$path"; else echo missing; fi
  done
}
fingerprint() { # SERVICES-FILE LIVES-FILE; needs LISTING: a file with the output of containers()
  base=$(link_id "$HOME_OF/current")
  {
    echo "base=$base"
    wanted "$1" "$HOME_OF/current/services" | cut -f 1,4-6 | sort
    live_digest "$2"
  } | sha256sum | cut -d ' ' -f 1
}
dump_rows() { # DUMPS-FILE of `service min_bytes glob` [SERVICE]: its dumps, newest first: service, mtime, size, inode, path
  while read -r of least glob; do
    [ "${2:-$of}" = "$of" ] || continue
    case $glob in /*) ;; *) glob=$ROOT/$glob ;; esac
    # only wildcards are expanded, in one word
    (IFS=; set -- $glob; stat -L -c "$of$TAB%.9Y$TAB%s$TAB%i$TAB%n$TAB%F" "$@" 2>/dev/null) |
      awk -F "$TAB" -v OFS="$TAB" -v least="$least" '$6 == "regular file" && $3 >= least + 0 { print $1, $2, $3, $4, $5 }'
  done <"$1" | sort -t "$TAB" -k 2,2rn
}
newest_dumps() { awk -F "$TAB" '!seen[$1]++'; } # of dump_rows: one a service
env_marks() { # FILE: `KEY mark` per key; marks are keyed hashes, so that equal values can be seen and values cannot
  [ -s "$DEPLOY/hmac.key" ] || return 0
  sed -n 's/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}\([A-Za-z_][A-Za-z0-9_.]*\)=\(.*\)$/\2=\3/p' "$1" | sort |
    while IFS= read -r pair; do
      inner=$({ cat "$DEPLOY/hmac.key"; printf '%s' "${pair#*=}"; } | sha256sum)
      mark=$({ cat "$DEPLOY/hmac.key"; printf '%s' "$inner"; } | sha256sum)
      printf '%s %.16s\n' "${pair%%=*}" "$mark"
    done
}
mask() ( # LIST…: stdin, without what secret-looking keys have for values in the env files that the lists name
  IFS='
'; set -f
  # shellcheck disable=SC2046 # one path a line
  set -- $(cat "$@" /dev/null 2>/dev/null | while IFS= read -r file; do if [ -r "$file" ]; then printf '%s\n' "$file"; fi; done)
  awk '
    FILENAME ~ /^\// {
      at = index($0, "="); key = toupper(substr($0, 1, at - 1)); value = substr($0, at + 1)
      sub(/^["\047]/, "", value); sub(/["\047\r]*$/, "", value)
      if (key !~ /PASS|SECRET|TOKEN|KEY|CREDENTIAL|DSN|AUTH|URL|URI/ || length(value) < 4) next
      secret[++n] = value
      if (match(value, /:[^:@\/]+@/)) secret[++n] = substr(value, RSTART + 1, RLENGTH - 2)
      next
    }
    {
      left = $0
      for (i = 1; i <= n; i++) {
        done = ""
        while ((at = index(left, secret[i])) > 0) { done = done substr(left, 1, at - 1) "•••"; left = substr(left, at + length(secret[i])) }
        left = done left
      }
      print left
    }' "$@" -
)
file_mark() { # FILE: one keyed hash of the whole file
  { cat "$DEPLOY/hmac.key" "$1"; } | sha256sum | cut -c 1-16
}
