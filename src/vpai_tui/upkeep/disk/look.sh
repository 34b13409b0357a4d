# Read-only: what fills the disks of this host, one TSV record a line, ended by `end`. Run by `sh -s` as root.
# usage: sh -s -- ROOT DOCKER SECONDS [deep]   SECONDS: the most that measuring the rest of the disk may take (`deep`)
# $VPAI_FS stands before the machine's own paths (empty on a real one).
# shellcheck shell=sh disable=SC2086,SC2046 # $DOCKER is words; ids have no blanks
export LC_ALL=C
ROOT=$1 DOCKER=$2 LIMIT=$3 DEEP=${4:-}
FS=${VPAI_FS:-}
TAB=$(printf '\t')

rec() { printf '%s' "$1"; shift; for field in "$@"; do printf '\t%s' "$field"; done; echo; }
quiet() { # nothing here may slow down what the host is for
  if command -v ionice >/dev/null 2>&1; then set -- ionice -c 3 "$@"; fi
  if command -v nice >/dev/null 2>&1; then set -- nice -n 19 "$@"; fi
  "$@"
}
sizes() { # KIND PATH…: KiB of each, as far as there is time
  kind=$1; shift; [ $# -eq 0 ] || quiet timeout -k 5 "$LIMIT" du -xsk -- "$@" 2>/dev/null | while read -r size path; do
    rec "$kind" "${path#"$FS"}" "$size"
  done
}
there() { for path in "$@"; do [ ! -e "$path" ] || [ -L "$path" ] || printf '%s\n' "$path"; done; }
dk() { timeout -k 5 40 $DOCKER "$@" </dev/null 2>/dev/null; }

filesystems() {
  df -P -k -l 2>/dev/null | awk -v OFS="$TAB" 'NR > 1 && NF >= 6 { mount = $6; for (i = 7; i <= NF; i++) mount = mount " " $i; print "fs", $1, $2, $3, $4, mount }'
}
where() { # NAME PATH: the filesystem that a directory lies on
  [ -d "$2" ] || return 0
  df -P -k "$2" 2>/dev/null | awk -v OFS="$TAB" -v name="$1" -v path="${2#"$FS"}" 'NR == 2 { mount = $6; for (i = 7; i <= NF; i++) mount = mount " " $i; print "on", name, path, $1, $2, $3, $4, mount }'
}

engine() {
  told=$(dk info -f "{{.DockerRootDir}}$TAB{{.Driver}}") || { rec error docker "the engine does not answer"; return; }
  DATA=$FS${told%%"$TAB"*}
  rec engine "$told"
  ids=$(dk ps -aq --no-trunc) || { rec error docker "the containers cannot be listed"; return; }
  [ -z "$ids" ] || dk inspect -f "container$TAB{{.Id}}$TAB{{.Name}}$TAB{{.Image}}$TAB{{.State.Status}}$TAB{{json (index .Config.Labels \"vpai.keep\")}}$TAB{{.HostConfig.LogConfig.Type}}$TAB{{json .HostConfig.LogConfig.Config}}$TAB{{.LogPath}}" $ids
  rec listed containers
  ids=$(dk image ls -aq --no-trunc | sort -u)
  [ -z "$ids" ] || dk image inspect -f "image$TAB{{.Id}}$TAB{{json .Metadata.LastTagTime}}" $ids
  # when each came to this host, where the engine keeps it so; many files, one command
  set -- "$DATA"/image/*/imagedb/content/sha256/*
  [ ! -f "$1" ] || stat -c "came${TAB}sha256:%n$TAB%Y" -- "$@" 2>/dev/null | sed 's|:/.*/|:|'
  set -- "$DATA"/containers/*/*-json.log*
  [ -f "$1" ] || shift
  set -- "$DATA"/containers/*/local-logs/container.log* "$@"
  [ -f "$1" ] || shift
  [ $# -eq 0 ] || du -k -- "$@" 2>/dev/null | awk -v OFS="$TAB" '{ path = $2; sub(/^.*\/containers\//, "", path); sub(/\/.*/, "", path); print "log", path, $1 }'
  where docker "$DATA"
}

releases() { # the images that each release names, and what of ours lies on the disk
  for lock in "$ROOT"/deploy/stacks/*/releases/*/images.lock; do
    [ -r "$lock" ] || continue
    dir=${lock%/images.lock}; home=${dir%/releases/*}; mark=-
    [ "$(readlink "$home/current" 2>/dev/null)" != "releases/${dir##*/}" ] || mark=current
    [ "$(readlink "$home/pending" 2>/dev/null)" != "releases/${dir##*/}" ] || mark=pending
    status=; { read -r status _ <"$dir/status"; } 2>/dev/null
    while IFS="$TAB" read -r service ref id _; do rec lock "${home##*/}" "${dir##*/}" "${status:--}" "$mark" "$service" "$ref" "$id"; done <"$lock"
  done
  rec listed releases
  set -- "$ROOT"/deploy/stacks/*/ "$ROOT"/deploy/bin/ "$ROOT"/deploy/budget/ "$ROOT"/deploy/dns/ "$ROOT"/deploy/upkeep/
  for home in "$@"; do shift; [ ! -d "$home" ] || set -- "$@" "${home%/}"; done
  [ $# -eq 0 ] || du -sk -- "$@" 2>/dev/null | while read -r size home; do
    n=0; for dir in "$home"/releases/*/; do [ ! -d "$dir" ] || n=$((n + 1)); done
    rec own "${home#"$ROOT/deploy/"}" "$size" "$n"
  done
}

system() {
  sizes place $(there "$FS/var/log/journal" "$FS/run/log/journal")
  if command -v apt-get >/dev/null 2>&1; then sizes apt $(there "$FS/var/cache/apt/archives"); fi
}

deep() { # all else on the disk: what has an owner by its place
  where containerd "$FS/var/lib/containerd"
  sizes containerd $(there "$FS/var/lib/containerd")
  set -- "$FS"/var/lib/*
  for path in "$@"; do
    shift
    case $path in "${DATA:-none}" | "$FS/var/lib/docker" | "$FS/var/lib/containerd") ;; *) set -- "$@" "$path" ;; esac
  done
  # one du, so that what a second one would find again (a hard link, a mount) counts once
  wanted=$(there "$FS"/usr "$FS"/opt "$FS"/home "$FS"/root "$FS"/srv "$FS"/boot "$FS"/etc "$FS"/snap "$FS"/tmp "$FS"/swapfile "$FS"/swap.img \
    "$FS"/var/log "$FS"/var/cache "$FS"/var/tmp "$FS"/var/www "$FS"/var/snap "$FS"/var/backups "$FS"/var/spool "$FS"/var/opt "$FS"/var/mail "$@")
  old=$IFS; IFS='
'
  set -f; set -- $wanted; set +f
  IFS=$old
  printf 'wanted\t%s\n' "$#"
  # what lies on another filesystem than Docker's is no part of it
  disk=$(stat -c %d "${DATA:-$FS/}" 2>/dev/null || stat -c %d "$FS/")
  for path in "$@"; do
    shift
    if [ "$(stat -c %d "$path" 2>/dev/null)" = "$disk" ]; then set -- "$@" "$path"; else rec elsewhere "${path#"$FS"}"; fi
  done
  sizes other "$@"
}

{
  filesystems
  engine
  releases
  system
  [ -z "$DEEP" ] || deep
  rec end
} </dev/null
exit
