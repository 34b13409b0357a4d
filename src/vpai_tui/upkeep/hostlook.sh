# Read-only: the machine beside its engine, one TSV record a line, ended by `end`. Run by `sh -s` as root.
# usage: sh -s -- ROOT DOCKER WORD…   WORD: unit:NAME, env:PATH, ref:IMAGE, program:NAME
# $VPAI_FS stands before the machine's own paths (empty on a real one), $VPAI_PROC for /proc.
# shellcheck shell=sh disable=SC2086 # $DOCKER is words
export LC_ALL=C TZ=UTC
ROOT=$1 DOCKER=$2
shift 2
FS=${VPAI_FS:-} PROC=${VPAI_PROC:-/proc}
TAB=$(printf '\t')
rec() { printf '%s' "$1"; shift; for field in "$@"; do printf '\t%s' "$field"; done; echo; }
has() { command -v "$1" >/dev/null 2>&1; }
bound() { timeout -k 2 "$@" </dev/null; }
first() { head -n 1 | tr '\t' ' ' | cut -c 1-300; }

sockets() {
  if ! has ss; then rec none ss; return; fi
  if said=$(bound 10 ss -H -l -t -n -u -p 2>&1); then
    printf '%s\n' "$said" | head -n 2000 | awk -v OFS="$TAB" 'NF >= 6 { name = $0; if (!sub(/.*users:\(\("/, "", name)) name = ""; sub(/".*/, "", name); print "socket", $1, $5, name }'
    rec listed sockets
  else rec error ss "$(printf '%s\n' "$said" | first)"; fi
}
addresses() {
  if has ip; then bound 5 ip -o addr show 2>/dev/null | head -n 500 | awk -v OFS="$TAB" '$3 == "inet" || $3 == "inet6" { sub(/\/.*/, "", $4); print "address", $2, $4 }'
  elif has hostname; then for address in $(bound 5 hostname -I 2>/dev/null); do rec address - "$address"; done; fi
}
sshd_() {
  sshd=$(command -v sshd 2>/dev/null) || for sshd in /usr/sbin/sshd /usr/local/sbin/sshd; do [ ! -x "$sshd" ] || break; done
  if ! has "$sshd"; then rec none sshd; return; fi
  if said=$(bound 10 "$sshd" -T 2>&1); then
    printf '%s\n' "$said" | awk -v OFS="$TAB" '$1 == "listenaddress" || $1 == "port" { print "sshd", $1, $2 }' | head -n 100
  else rec error sshd "$(printf '%s\n' "$said" | tail -n 1 | first)"; fi
}
units() {
  if [ ! -d "$FS/run/systemd/system" ] || ! has systemctl; then rec none systemd; return; fi
  rec listed systemd
  [ $# -eq 0 ] || bound 15 systemctl show --no-pager --timestamp=unix -p Id,LoadState,ActiveState,SubState,UnitFileState,ActiveEnterTimestamp,MemoryCurrent,NRestarts,Result -- "$@" 2>/dev/null |
    head -n 2000 | tr -d '\t' | awk '/^$/ { print "unit-end"; next } { print "unit\t" $0 } END { print "unit-end" }'
}
installed() { # NAME COMMAND…: what it prints, else why not; 127 is not there
  name=$1; shift
  has "$1" || { rec none "$name"; return 1; }
  said=$(bound 10 "$@" 2>&1); code=$?
  case $code in 0) return 0 ;; 127) rec none "$name" ;; *) rec down "$name" "$(printf '%s\n' "$said" | tail -n 1 | first)" ;; esac
  return 1
}
guards() {
  if installed ufw ufw status verbose; then printf '%s\n' "$said" | head -n 200 | tr '\t' ' ' | sed "s/^/ufw$TAB/"; fi
  if installed fail2ban fail2ban-client status; then
    rec up fail2ban
    for jail in $(printf '%s\n' "$said" | sed -n 's/.*Jail list:[[:space:]]*//p' | tr ',' ' '); do
      case $jail in -* | *[!A-Za-z0-9_.-]*) continue ;; esac
      banned=$(bound 5 fail2ban-client status "$jail" 2>/dev/null | sed -n 's/.*Banned IP list:[[:space:]]*//p' | head -c 20000)
      rec jail "$jail" "$banned"
    done
  fi
  if installed crowdsec cscli decisions list -o json; then rec crowdsec "$(printf '%s' "$said" | tr -d '\n\t' | head -c 500000)"; fi
}
marked() { # PATH: whether the file is still what the release that runs was deployed with
  for marks in "$ROOT"/deploy/stacks/*/current/env.marks; do
    if [ ! -r "$marks" ] || [ ! -r "$ROOT/deploy/hmac.key" ]; then continue; fi
    mark=$(awk -v p="$1" '$1 == "file" && $2 == p { print $3; exit }' "$marks")
    [ -n "$mark" ] || continue
    [ "$mark" = "$(cat "$ROOT/deploy/hmac.key" "$1" 2>/dev/null | sha256sum | cut -c 1-16)" ] && echo same || echo other
    return
  done
  echo unknown
}
env_file() {
  path=$1; case $path in /*) ;; *) path=$ROOT/$path ;; esac
  [ ! -f "$path" ] || rec env "$1" "$(stat -c %Y "$path" 2>/dev/null)" "$(marked "$path")"
}
references() {
  [ $# -eq 0 ] || timeout -k 2 20 $DOCKER image inspect -f "image$TAB{{.Id}}$TAB{{json .RepoTags}}" "$@" </dev/null 2>/dev/null
}
kills() {
  { read -r up _ <"$PROC/uptime" && rec uptime "${up%%.*}"; } 2>/dev/null
  rec oom "$(awk '$1 == "oom_kill" { print $2 }' "$PROC/vmstat" 2>/dev/null)"
  if has journalctl && said=$(bound 15 journalctl -k -q --no-pager -o cat --since -24h 2>/dev/null | grep -E 'Out of memory: Killed|Memory cgroup out of memory|oom-kill:' | tail -n 50); [ "${said+x}" ] && bound 5 journalctl -k -q -n 1 >/dev/null 2>&1; then
    rec listed kernel
    [ -z "$said" ] || printf '%s\n' "$said" | grep -v '^oom-kill:' | tr '\t' ' ' | cut -c 1-200 | sed "s/^/kill$TAB/"
  fi
}
program() { # asked as the user who logs in: it is theirs
  case $1 in *[!A-Za-z0-9_.-]* | -*) return ;; esac
  home=$(getent passwd "${SUDO_USER:-root}" 2>/dev/null | cut -d : -f 6); home=${home:-/root}
  set -- "$1" env HOME="$home" PATH="$PATH:$home/.local/bin:$home/.npm-global/bin" timeout -k 2 8 "$1" --version
  if [ -n "${SUDO_USER:-}" ] && has runuser; then program=$1; shift; set -- "$program" runuser -u "$SUDO_USER" -- "$@"; fi
  name=$1; shift
  said=$("$@" </dev/null 2>/dev/null | first)
  rec program "$name" "$said"
}

{
  wanted=; refs=
  for word in "$@"; do case $word in unit:*) wanted="$wanted ${word#unit:}" ;; ref:*) refs="$refs ${word#ref:}" ;; esac; done
  sockets; addresses; sshd_
  units $wanted
  guards
  references $refs
  kills
  for word in "$@"; do case $word in env:*) env_file "${word#env:}" ;; program:*) program "${word#program:}" ;; esac; done
  rec end
} </dev/null
exit
