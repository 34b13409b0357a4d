"""The commands of a simulated host: a directory of shims and of links to coreutils, and nothing else on its PATH."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from vpai_tui.demo import machine
from vpai_tui.demo.hosts import HostProfile

# What a script on a host may use of this machine. No shell but `sh`, nothing that reaches a network or a device;
# and what `env edit` finds to edit with.
_BORROWED = """
    sh awk sed grep egrep fgrep tar gzip find xargs cmp diff flock setsid getopt
    base32 base64 basename cat chmod cksum comm cp csplit cut dd dir dirname echo expand expr factor false fmt
    fold head join link ln ls md5sum mkdir mkfifo mktemp mv nl nohup numfmt od paste pr printenv printf pwd readlink
    realpath rm rmdir seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stdbuf stty
    sum tac tail tee test timeout touch tr true truncate tsort tty uniq unlink wc yes
    editor nano vim vi
"""
_LOOKED_IN = "/usr/bin:/bin:/usr/local/bin:/usr/sbin:/sbin"

# The words before a command are dropped; a command named by a path of this machine becomes the host's own.
_RESOLVE = """
resolve() {
  case $1 in
    /usr/*|/bin/*|/sbin/*)
      CMD=$BIN/${1##*/}
      [ -x "$CMD" ] || { echo "$1: command not found" >&2; exit 127; } ;;
    *) CMD=$1 ;;
  esac
}
"""
_SUDO = """
edit=
while :; do
  case ${1-} in
    -u|-g) shift 2 ;;
    -e) edit=1; shift ;;
    -v|-l|-K|-k) exit 0 ;;
    --) shift; break ;;
    -*) shift ;;
    *) break ;;
  esac
done
while :; do case ${1-} in [A-Za-z_]*=*) export "$1"; shift ;; *) break ;; esac; done
[ $# -gt 0 ] || exit 1
if [ -n "$edit" ]; then # as sudoedit: a copy in the caller's hands, put back when it was changed
  copy=$(mktemp) && cp "$1" "$copy" || exit 1
  trap 'rm -f "$copy"' EXIT; trap 'exit 129' HUP
  (eval "exec ${SUDO_EDITOR:-editor} \"\\$copy\"") || exit
  cmp -s "$copy" "$1" || cat "$copy" >"$1"
  exit
fi
PATH=$BIN HOME=$ROOT_HOME VPAI_DEMO_UID=0 USER=root LOGNAME=root
export PATH HOME VPAI_DEMO_UID USER LOGNAME
resolve "$1"; shift
exec "$CMD" "$@"
"""
_ENV = """
clear=
while :; do
  case ${1-} in
    -i|-|--ignore-environment) clear=-i; shift ;;
    -u) unset "$2"; shift 2 ;;
    --) shift; break ;;
    -*) echo "env: option not simulated: $1" >&2; exit 125 ;;
    *) break ;;
  esac
done
command=
for word do
  shift
  if [ -z "$command" ]; then
    case $word in
      PATH=*|HOME=*|TMPDIR=*) continue ;;
      [A-Za-z_]*=*) ;;
      *) command=1
         set -- "$@" "PATH=$BIN" "HOME=$HOME" "TMPDIR=$TMPDIR" "VPAI_PROC=$VPAI_PROC" \\
           "VPAI_SYS=$VPAI_SYS" "VPAI_FS=$FS" "VPAI_DEMO_UID=${VPAI_DEMO_UID:-1000}" "VPAI_DOCKER=${VPAI_DOCKER-}"
         resolve "$word"; word=$CMD ;;
    esac
  fi
  set -- "$@" "$word"
done
[ -n "$command" ] || set -- "$@" "PATH=$BIN" "HOME=$HOME"
exec REAL_ENV $clear "$@"
"""
_ID = """
uid=${VPAI_DEMO_UID:-1000}; name=mobuone; [ "$uid" = 0 ] && name=root
case ${1-} in
  -u|-g) echo "$uid" ;;
  -un|-gn|-nu|-ng) echo "$name" ;;
  -Gn|-nG) echo "$name sudo docker" ;;
  *) echo "uid=$uid($name) gid=$uid($name) groups=$uid($name),27(sudo),998(docker)" ;;
esac
"""
# Files of a host belong to whoever runs the demo; the host's scripts see root there.
_STAT = """
for word do
  shift
  case $word in *%U*|*%G*|*%u*|*%g*) word=$(printf '%s' "$word" | sed 's/%[UG]/root/g; s/%[ug]/0/g') ;; esac
  set -- "$@" "$word"
done
exec REAL_STAT "$@"
"""
_DF = """
unit=k; paths=
for word do
  case $word in
    -B1|--block-size=1|-PB1) unit=1 ;;
    -*) ;;
    *) paths=1 ;;
  esac
done
if [ -n "$paths" ]; then head -n 2 "$VPAI_PROC/df.$unit"; else cat "$VPAI_PROC/df.$unit"; fi
"""
# A login that reads no profile: the one of this machine would bring its own PATH.
_LOGIN = """
PS1="$USER@HOST_NAME:\\$PWD\\$ "
export PS1
unset ENV
exec "$BIN/sh" -i
"""
_UNAME = """
case ${1-} in
  -n) echo HOST_NAME ;;
  -m|-p|-i) echo MACHINE ;;
  -r) echo 6.12.48 ;;
  -nm) echo "HOST_NAME MACHINE" ;;
  -a) echo "Linux HOST_NAME 6.12.48 #1 SMP MACHINE GNU/Linux" ;;
  *) echo Linux ;;
esac
"""
# The clock of a host is this machine's, moved as the demo's clock is.
_DATE = """
read -r moved <CLOCK 2>/dev/null || moved=0
moved=${moved%.*}
[ "${moved#-}" -lt 2 ] 2>/dev/null && exec REAL_DATE "$@"
exec REAL_DATE -d "$moved seconds" "$@"
"""


# A host of the demo reaches nobody; the VPN's control plane is found at its container's address and at its public one.
_CURL = """
for word do url=$word; done
format='{{.State.Running}}{{range .NetworkSettings.Networks}} {{.IPAddress}}{{end}}'
case $url in
  */health)
    id=$(docker ps -q --filter label=com.docker.compose.service=headscale)
    set -- $(docker container inspect -f "$format" "$id" 2>/dev/null)
    case "${1-} $url" in
      "true http://${2-}:"*|"true https://"*) echo '{"status":"pass"}'; exit ;;
    esac
    echo "curl: (7) Failed to connect" >&2; exit 7 ;;
esac
echo "curl: (6) Could not resolve host" >&2; exit 6
"""


def build(home: Path, profile: HostProfile) -> None:
    """Make (or renew) the host's `bin/`. Cheap when it is already what it should be."""
    folder = home / "bin"
    scripts = _scripts(home, folder, profile)
    made = repr((sys.executable, scripts, _BORROWED))
    stamp = home / "bin.made"
    if stamp.exists() and stamp.read_text() == made:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in _BORROWED.split():
        found = _find(name)
        if found:
            (folder / name).symlink_to(found)
    for name, text in scripts.items():
        path = folder / name
        path.write_text(text)
        path.chmod(0o755)
    stamp.write_text(made)


def _find(name: str) -> str:
    """Where a tool of this machine is; "" when it has none. The usual places first, then (NixOS) its own PATH."""
    return shutil.which(name, path=_LOOKED_IN) or shutil.which(name) or ""


def _scripts(home: Path, folder: Path, profile: HostProfile) -> dict[str, str]:
    head = "".join(
        f"{name}={shlex.quote(str(value))}\n"
        for name, value in {"BIN": folder, **environment(home)}.items()
        if name in ("BIN", "VPAI_PROC", "VPAI_SYS", "TMPDIR")
    )
    head += f"BOX={shlex.quote(str(home / machine.FOLDER))}\nFS={shlex.quote(str(home / machine.ROOT))}\n"
    head += f"ROOT_HOME={shlex.quote(str(home / 'root'))}\n"
    words = {
        "HOST_NAME": profile.name,
        "MACHINE": "aarch64" if profile.arch == "arm64" else "x86_64",
        "CLOCK": shlex.quote(str(home.parent / "clock")),
        **{f"REAL_{name.upper()}": _find(name) for name in ("env", "stat", "date", "du")},
    }
    bodies = {
        "sudo": _RESOLVE + _SUDO,
        "env": _RESOLVE + _ENV,
        "id": _ID,
        "whoami": '[ "${VPAI_DEMO_UID:-1000}" = 0 ] && echo root || echo mobuone\n',
        "stat": _STAT,
        "df": _DF,
        "uname": _UNAME,
        "login": _LOGIN,
        "date": _DATE,
        "hostname": "echo HOST_NAME\n",
        "nproc": f"echo {profile.cpus}\n",
        "chown": "exit 0\n",
        "chgrp": "exit 0\n",
        "sync": "exit 0\n",
        "uptime": 'cat "$VPAI_PROC/loadavg"\n',
        "curl": _CURL,
        "nc": _nc(),
        "install": "echo 'install: not simulated' >&2; exit 1\n",
        "docker": _docker(home),
        **machine.shims(),
    }
    scripts = {}
    for name, body in bodies.items():
        for word, value in words.items():
            body = body.replace(word, value)
        scripts[name] = "#!/bin/sh\n" + head + body
    return scripts


def _docker(home: Path) -> str:
    words = [*_python("shim.py"), str(home)]
    return "exec " + " ".join(map(shlex.quote, words)) + ' "$@"\n'


def fork_server(path: Path) -> list[str]:
    """The command that has `docker` commands of all hosts done by forks; where VPAI_DOCKER says `path`, they ask it."""
    return [*_python("forkserver.py"), str(path)]


def _python(script: str) -> list[str]:
    """A script of the simulated engine: with our own sources, and PyYAML."""
    import yaml

    import vpai_tui

    sources, packages = Path(vpai_tui.__file__).parents[1], Path(yaml.__file__).parents[1]
    found = Path(__file__).parent / "engine" / script
    return [sys.executable, "-I", "-S", "-X", "utf8", str(found), str(sources), str(packages)]


def _nc() -> str:
    """To an address of the host's own networks; VPAI_NET says where these are to be had, while the demo runs."""
    words = [sys.executable, "-I", "-S", Path(__file__).parent / "reach.py"]
    return "exec " + " ".join(shlex.quote(str(word)) for word in words) + ' "${VPAI_NET-}" "$@"\n'


def environment(home: Path) -> dict[str, str]:
    """The whole environment of a login on the host; nothing of the laptop's is in it."""
    return {
        "PATH": str(home / "bin"),
        "HOME": str(home / "home" / "mobuone"),
        "USER": "mobuone",
        "LOGNAME": "mobuone",
        "SHELL": str(home / "bin" / "login"),
        "LANG": "C.UTF-8",
        "TMPDIR": str(home / "tmp"),
        "VPAI_PROC": str(home / "proc"),
        "VPAI_SYS": str(home / "sys"),
        "VPAI_FS": str(home / machine.ROOT),
        # The operator comes through the VPN, from the PC that seed.py of headscale has.
        "SSH_CONNECTION": "100.64.0.2 50022 100.64.0.5 22",
    }
