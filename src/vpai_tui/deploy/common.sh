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
env_pairs() { # FILE: each assignment as Compose reads it, one TSV line: line number, key, value, the raw text behind `=`, flags
  # Line ends inside quotes are \001, tabs \002. A line that is no assignment has `-` for its key and nothing of its text.
  # Flags: o quote never closed, t text behind it, d a $ that is substituted, h cut at a comment, c only a comment, r CRLF.
  awk -v OFS='\t' '
    function closing(text, quote,   i, c) {
      for (i = 1; i <= length(text); i++) { c = substr(text, i, 1); if (c == "\\") i++; else if (c == quote) return i }
      return 0
    }
    function put(value, flags,   shown) {
      shown = value; gsub(/\\./, "", shown); gsub(/\$\$/, "", shown)
      if (quote != "\047" && index(shown, "$")) flags = flags "d"
      gsub(/\t/, "\002", value); gsub(/\t/, "\002", raw)
      print at, key, value, raw, flags; quote = ""
    }
    function quoted(text,   end, tail) { # text: behind the opening quote, as far as it was read
      end = closing(text, quote)
      if (!end) return 0
      tail = substr(text, end + 1); sub(/^[ \t]+/, "", tail); sub(/[ \t\r]+$/, "", tail)
      put(substr(text, 1, end - 1), (text ~ /\r$/ ? "r" : "") (tail == "" || tail ~ /^#/ ? "" : "t"))
      return 1
    }
    quote != "" { raw = raw "\001" $0; text = text "\001" $0; quoted(text); next }
    /^[ \t\r]*(#|$)/ { next }
    !match($0, /^[ \t]*(export[ \t]+)?[A-Za-z_][A-Za-z0-9_.-]*[ \t]*[=:]/) { print NR, "-", "", "", ""; next }
    {
      at = NR; key = substr($0, RSTART, RLENGTH - 1); raw = substr($0, RSTART + RLENGTH)
      sub(/^[ \t]*(export[ \t]+)?/, "", key); sub(/[ \t]+$/, "", key)
      text = raw; sub(/^[ \t]+/, "", text); quote = substr(text, 1, 1)
      if (quote == "\047" || quote == "\"") { text = substr(text, 2); quoted(text); next }
      quote = ""; flags = ""
      if (text ~ /\r$/) { flags = "r"; sub(/[ \t\r]+$/, "", text) }
      if (text ~ /^#/) flags = flags "c"
      else if (match(text, /[ \t]+#/)) { flags = flags "h"; text = substr(text, 1, RSTART - 1) }
      sub(/[ \t]+$/, "", text); put(text, flags)
    }
    END { if (quote != "") put(text, "o") }' "$1"
}
env_marks() { # FILE: `KEY mark` per key; marks are keyed hashes, so that equal values can be seen and values cannot
  [ -s "$DEPLOY/hmac.key" ] || return 0
  env_pairs "$1" | awk -F "$TAB" '$2 != "-" { gsub("\002", "\t", $4); print $2 "=" $4 }' | sort |
    while IFS= read -r pair; do
      inner=$({ cat "$DEPLOY/hmac.key"; printf '%s' "${pair#*=}"; } | sha256sum)
      mark=$({ cat "$DEPLOY/hmac.key"; printf '%s' "$inner"; } | sha256sum)
      printf '%s %.16s\n' "${pair%%=*}" "$mark"
    done
}
env_files() { # RELEASE-DIR…: those that they name, and each .env that Compose reads for them, also where r0 ran before us
  printf '%s\n' "$ROOT/.env"
  for of in "$@"; do
    cat "$of/envs" "$of/envs.optional" 2>/dev/null
    [ ! -s "$of/project_dir" ] || sed '1s|$|/.env|; q' "$of/project_dir"
  done
}
mask() ( # RELEASE-DIR…: stdin, without the secrets of their env files
  # A secret: what stands behind a secret-looking key, and whatever is long and has no blank, slash, dot or colon.
  {
    env_files "$@" | sort -u |
      while IFS= read -r file; do if [ -f "$file" ] && [ -r "$file" ]; then env_pairs "$file"; fi; done | sed 's/^/S\t/'
    sed 's/^/T/'
  } | LC_ALL=C awk -F "$TAB" '
    function add(value) { if (length(value) >= 4 && !(value in seen)) { seen[value] = 1; secret[++n] = value } }
    /^S/ {
      if (toupper($3) !~ /PASS|SECRET|TOKEN|KEY|CREDENTIAL|DSN|AUTH|URL|URI|SALT|PWD|HMAC|PRIVATE|COOKIE/ &&
          (length($4) < 16 || $4 ~ /[ \/.:]/)) next
      gsub("\002", "\t", $4); parts = split($4, part, "\001")
      for (i = 1; i <= parts; i++) { sub(/\r$/, "", part[i]); add(part[i]) }
      if (match($4, /:[^:@\/]+@/)) add(substr($4, RSTART + 1, RLENGTH - 2))
      next
    }
    !sorted { # the longest first: one may be a part of another
      for (i = 2; i <= n; i++) for (j = i; j > 1 && length(secret[j]) > length(secret[j - 1]); j--) {
        other = secret[j]; secret[j] = secret[j - 1]; secret[j - 1] = other
      }
      sorted = 1
    }
    {
      left = substr($0, 2)
      for (i = 1; i <= n; i++) {
        done = ""
        while ((at = index(left, secret[i])) > 0) { done = done substr(left, 1, at - 1) "•••"; left = substr(left, at + length(secret[i])) }
        left = done left
      }
      print left
    }'
)
lacking() { # FILE LIST of `KEY path`: which of the file's keys are missing or empty, one record each
  env_pairs "$1" | awk -F "$TAB" -v OFS="$TAB" -v path="$1" '
    FILENAME == ARGV[1] { key = $0; sub(/ .*/, "", key); if (substr($0, length(key) + 2) == path) want[++n] = key; next }
    { state[$2] = $3 == "" || $5 ~ /c/ ? "empty" : "set" }
    END {
      for (i = 1; i <= n; i++) {
        found = want[i] in state ? state[want[i]] : "missing"
        if (found != "set") print "envlack", path, want[i], found
      }
    }' "$2" -
}
file_mark() { # FILE: one keyed hash of the whole file
  { cat "$DEPLOY/hmac.key" "$1"; } | sha256sum | cut -c 1-16
}
