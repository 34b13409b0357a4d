# The env files of one stack: what they lack, and writing what is missing. Names and verdicts leave the host, values never.
# usage: env.sh check | init WHO   with ROOT STACK PROJECT DOCKER in the environment. Beside this script lie the lists
# files, others (paths), names (PATH KEY), defaults (PATH KEY VALUE), services, volumes; for init also todo/NN.
# shellcheck shell=sh disable=SC2086 # $DOCKER is words
HERE=$(pwd)
# shellcheck source=/dev/null
. ./common.sh

rec() { printf '%s' "$1"; shift; for field in "$@"; do printf '\t%s' "$field"; done; echo; }
pairs_of() { env_pairs "$1" | awk -F "$TAB" -v OFS="$TAB" -v path="$1" '{ print path, $2, $3 }'; }

# --- check -------------------------------------------------------------------------------------------------------
keys_of() { # FILE: its keys, and what is wrong in it; a name that nobody wants and that is none is not told
  env_pairs "$1" | awk -F "$TAB" -v OFS="$TAB" -v path="$1" '
    FILENAME == ARGV[1] { if ($1 == path) known[$2] = 1; next }
    FILENAME == ARGV[2] { if ($1 == path) default_of[$2] = $3; next }
    function lint(key, what) { print "lint", path, $1, key, what }
    $2 == "-" { lint("-", "junk"); next }
    {
      name = $2; value = $3
      if (!(name in known) && (length(name) > 64 || name ~ /[a-z]/ && name ~ /[A-Z]/)) { lint("-", "odd"); next }
      if (name in state) lint(name, "double"); else order[++n] = name
      state[name] = value == "" || $5 ~ /c/ ? "empty" : "set"
      for (i = 1; i <= length($5); i++) lint(name, substr($5, i, 1))
      if (state[name] == "set" && toupper(name) ~ /PASS|SECRET|TOKEN|KEY|CREDENTIAL|DSN|AUTH|SALT/ && stands_in(name, value)) lint(name, "placeholder")
    }
    function stands_in(name, value,   plain) {
      if (name in default_of && value == default_of[name]) return 1
      plain = tolower(value)
      return plain ~ /^(change[-_ ]?(me|it|this)|replace[-_ ]?(me|it|this)|your[-_ ].*|<.*>|x+|\.\.\.|todo|fixme|tbd|placeholder|example|password|passwd|secret|token|dummy|none|null)[!0-9]*$/
    }
    END { for (i = 1; i <= n; i++) print "key", path, order[i], state[order[i]] }' names defaults -
}
look_at() { # FILE
  if [ -d "$1" ]; then rec file "$1" directory - -
  elif [ -L "$1" ] && [ ! -e "$1" ]; then rec file "$1" link - -
  elif [ ! -e "$1" ]; then rec file "$1" missing - -
  elif [ ! -f "$1" ] || [ ! -r "$1" ]; then rec file "$1" unreadable - -
  else
    # shellcheck disable=SC2046 # two words
    rec file "$1" present $(stat -L -c '%a %U' "$1")
    [ ! -L "$1" ] || rec lint "$1" 0 - link
    keys_of "$1"
  fi
}
shared() { # one secret in two files: which, not what
  cat files others | sort -u | while IFS= read -r path; do if [ -f "$path" ] && [ -r "$path" ]; then pairs_of "$path"; fi; done |
    awk -F "$TAB" -v OFS="$TAB" '
      FILENAME == ARGV[1] { ours[$1] = 1; next }
      toupper($2) !~ /PASS|SECRET|TOKEN|KEY|CREDENTIAL|DSN|AUTH|SALT/ || length($3) < 8 { next }
      !($3 in path) { path[$3] = $1; key[$3] = $2; next }
      path[$3] != $1 && (path[$3] in ours || $1 in ours) { print "same", path[$3], key[$3], $1, $2 }' files -
}
ran() { # whether data may know secrets that are not in the files any more
  LISTING=$HERE/listing; containers >"$LISTING" 2>/dev/null
  if [ -n "$(wanted services)" ]; then echo containers
  elif [ -s volumes ] && $DOCKER volume ls --format '{{.Name}}' 2>/dev/null | grep -qxFf volumes; then echo volumes; fi
}
check() {
  while IFS= read -r path; do look_at "$path"; done <files
  shared
  rec ran "$(ran)"
}

# --- init --------------------------------------------------------------------------------------------------------
draw() { # LENGTH SET
  drawn=$(LC_ALL=C tr -dc "$2" </dev/urandom 2>/dev/null | head -c "$1")
  [ "${#drawn}" = "$1" ] && printf '%s' "$drawn"
}
copied() { # FILE KEY WHOLE: the value as it may stand in another file; with WHOLE empty it goes into a URL
  [ -f "$1" ] && env_pairs "$1" | awk -F "$TAB" -v key="$2" -v whole="$3" '
    $2 == key { value = $3; raw = $4; flags = $5 }
    END {
      if (value == "" || flags != "") exit 1
      if (value ~ /^[A-Za-z0-9_.~-]+$/) printf "%s", value
      else if (whole && value !~ /[\001\002\047]/ && (raw ~ /^\047/ || value !~ /[$"\\#]/)) printf "\047%s\047", value
      else exit 1
    }'
}
value_of() { # HOW KEY and the words of the way: the value on stdout; 1 when there is none to be had
  case $1 in
    generate) drawn=$(draw "$3" "$4") && printf '%s%s' "${5#.}" "$drawn" ;;
    same)
      if [ "$5$6" = .. ]; then copied "$3" "$4" 1
      else copy=$(copied "$3" "$4" '') && printf '%s%s%s' "${5#.}" "$copy" "${6#.}"; fi ;;
    default) printf '%s' "${3#.}" ;;
    *) return 1 ;;
  esac
}
one_line() { # HOW KEY …: `KEY=value`; what came of it goes to the list `told`
  if value=$(value_of "$@"); then rec made "$path" "$2" "$1" >>"$HERE/told"
  else value=; rec left "$path" "$2" "$1" >>"$HERE/told"; fi
  printf '%s=%s\n' "$2" "$value"
}
todo() { # OPERATION TODO: the lines of one operation, without its name
  sed -n "s/^$1$TAB//p" "$2"
}
filled() { # TODO: the old file, with a value where a key had none; its last assignment counts, a comment behind it stays
  {
    env_pairs "$path" | awk -F "$TAB" -v OFS="$TAB" '{ print "E", $1, $2, ($3 == "" || $5 ~ /c/) }' | tee "$HERE/has"
    todo fill "$1" | while IFS="$TAB" read -r how key rest; do
      awk -F "$TAB" -v key="$key" '$3 == key { empty = $4 } END { exit !empty }' "$HERE/has" || continue
      IFS="$TAB"; set -f; set -- $rest
      one_line "$how" "$key" "$@" | sed "s/^/F$TAB$key$TAB/"
    done
    sed 's/^/T/' "$path"
  } | awk -F "$TAB" '
    /^E/ { at[$3] = $2; empty[$3] = $4; next }
    /^F/ { if (empty[$2]) line[at[$2]] = substr($0, length($2) + 4); next }
    {
      text = substr($0, 2); number++
      if (!(number in line)) { print text; next }
      if (match(text, /#.*/)) { comment = substr(text, RSTART); sub(/\r$/, "", comment); print comment }
      print (text ~ /^[ \t]*export[ \t]/ ? "export " : "") line[number]
    }'
}
added() { # TODO: comments and keys the file does not have
  : >"$HERE/has"; [ ! -f "$path" ] || env_pairs "$path" | cut -f 2 >"$HERE/has"
  todo add "$1" | while IFS="$TAB" read -r how key rest; do
    if [ "$how" = text ]; then printf '%s\n' "${key#.}${rest:+$TAB$rest}"; continue; fi
    if grep -qxF -- "$key" "$HERE/has"; then continue; fi
    IFS="$TAB"; set -f; set -- $rest
    one_line "$how" "$key" "$@"
  done
}
values_kept() { # OLD NEW: whether each value of the old file stands in the new one, byte for byte
  {
    env_pairs "$1" | sed "s/^/O$TAB/"; env_pairs "$2" | sed "s/^/N$TAB/"
  } | awk -F "$TAB" '
    $1 == "O" && $4 != "" && $6 !~ /c/ { old[$3] = $5 } $1 == "O" && ($4 == "" || $6 ~ /c/) { delete old[$3] } $1 == "N" { new[$3] = $5 }
    END { for (key in old) if (old[key] != new[key]) exit 1 }'
}
digest() { if [ -f "$1" ]; then sha256sum <"$1"; else echo none; fi; }
write_one() { # TODO: old file or new file, nothing in between; false with WHY
  folder=$(dirname "$path"); : >"$HERE/told"
  WHY='its folder cannot be made'; (umask 022 && mkdir -p "$folder") 2>/dev/null || return 1
  rm -f "$folder/.$(basename "$path").vpai-"??????
  WHY='its folder cannot be written'; tmp=$(mktemp "$folder/.$(basename "$path").vpai-XXXXXX" 2>/dev/null) || return 1
  before=$(digest "$path")
  WHY='it could not be written'
  if [ -f "$path" ]; then { filled "$1" && added "$1"; } >"$tmp" || return 1
  else added "$1" >"$tmp" || return 1; fi
  WHY='it would lose a value'; [ ! -f "$path" ] || values_kept "$path" "$tmp" || return 1
  WHY='it changed meanwhile'; [ "$before" = "$(digest "$path")" ] || return 1
  WHY='it could not be put in its place'
  chmod 600 "$tmp" && chown 0:0 "$tmp" && sync "$tmp" && mv -T "$tmp" "$path" || return 1
  tmp=; sync "$folder"
  cat "$HERE/told"
}
init() { # WHO
  trap 'exit 1' HUP INT TERM PIPE; tmp=
  trap 'rm -f "$tmp"' EXIT
  (umask 022; mkdir -p "$ROOT"; umask 077; mkdir -p "$DEPLOY") 2>/dev/null
  [ -d "$DEPLOY" ] || { rec failed "$DEPLOY" 'it cannot be made'; return; }
  exec 9>>"$DEPLOY/lock"
  flock -w 3 9 || { tidying && flock -w 120 9; } || { rec held "$(head -n 1 "$DEPLOY/owner" 2>/dev/null)"; return; }
  printf 'pid=%s env init %s by %s since %s\n' "$$" "$STACK" "$1" "$(now)" >"$DEPLOY/owner"
  for todo in todo/*; do
    IFS="$TAB" read -r path expected <"$todo"
    found=missing; [ ! -e "$path" ] && [ ! -L "$path" ] || found=present
    if [ "$found" != "$expected" ] || [ -L "$path" ] || [ -d "$path" ]; then rec stale "$path"; return; fi
  done
  for todo in todo/*; do
    IFS="$TAB" read -r path expected <"$todo"
    write_one "$todo" || { rec failed "$path" "$WHY"; return; }
    rec wrote "$path"
  done
}

verb=$1; shift
"$verb" "$@"
rec end
