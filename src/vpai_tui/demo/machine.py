"""A simulated host beside its engine: sockets, addresses, units, firewall, bans, what lies on its disk.

All of it are files in `DIR/<host>/machine/` that the shims below print or change, so that a test (and `:demo break`)
can break each. `DIR/<host>/fs` stands for the machine's own root where a script looks for a file.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from vpai_tui.demo.engine import usage
from vpai_tui.demo.engine.store import Doc
from vpai_tui.demo.hosts import GIB, HostProfile

FOLDER = "machine"
ROOT = "fs"
_PUBLIC = {"sese": "137.74.114.167", "seko": "87.106.30.160", "pi": "192.168.1.8"}
_SSH = {"sese": 804}
_PROGRAMS = {"opencode": "1.2.8", "claude": "2.1.47 (Claude Code)"}  # of the Pi
_GUARDED = ("sese",)
_UNITS = {
    "sese": ("tailscaled", "ssh", "fail2ban", "crowdsec"),
    "seko": ("tailscaled", "ssh"),
    "pi": ("tailscaled", "ssh", "opencode", "node_exporter"),
}

_COMMANDS = ("ss", "sshd", "ip", "systemctl", "ufw", "fail2ban-client", "cscli", "du", "journalctl", "ionice")


def shims() -> dict[str, str]:
    """The commands of a host that show or change these files, by name."""
    folder = Path(__file__).parent / "shims"
    found = {name: (folder / f"{name}.sh").read_text() for name in _COMMANDS}
    program = (folder / "program.sh").read_text()
    found |= {name: program.replace("NAME", name) for name in _PROGRAMS}
    return {**found, "nice": found["ionice"]}


def seed(home: Path, profile: HostProfile, state: Doc, now: float) -> None:
    """The files of one host as they are on a good day."""
    folder, name = home / FOLDER, profile.name
    folder.mkdir(parents=True, exist_ok=True)
    for path in (
        "usr",
        "opt",
        "home",
        "etc",
        "var/log/journal",
        "var/cache",
        "var/lib/apt",
        "var/lib/docker",
        "run/systemd/system",
    ):
        (home / ROOT / path).mkdir(parents=True, exist_ok=True)
    for container in state["containers"].values():
        if container["started"]:
            log = home / ROOT / "var/lib/docker/containers" / container["id"] / f"{container['id']}-json.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.touch()
    (folder / "ss").write_text("".join(f"{row}\n" for row in _sockets(profile)))
    (folder / "sshd").write_text(
        f"port {_SSH.get(name, 22)}\nlistenaddress 0.0.0.0:{_SSH.get(name, 22)}\nmaxsessions 10\n"
    )
    addresses = (
        ("lo", "127.0.0.1/8"),
        ("eth0", f"{_PUBLIC[name]}/24"),
        ("tailscale0", f"{profile.vpn}/32"),
        ("docker0", "172.17.0.1/16"),
    )
    (folder / "ip").write_text(
        "".join(
            f"{at}: {card}    inet {address} scope global {card}\\       valid_lft forever\n"
            for at, (card, address) in enumerate(addresses, 1)
        )
    )
    since = int(now - profile.up_days * 86400)
    rows = [
        f"{unit}.service|loaded|active|running|enabled|{since + 20 + at}|{(18 + 7 * at) << 20}|0\n"
        for at, unit in enumerate(_UNITS[name])
    ]
    (folder / "units").write_text("".join(rows))
    (folder / "du").write_text("".join(f"{int(size) >> 10} {path}\n" for path, size in _places(profile, state).items()))
    for program, version in _PROGRAMS.items() if name == "pi" else ():
        (folder / f"{program}.version").write_text(f"{version}\n")
    if name in _GUARDED:
        _guard(folder)


def _sockets(profile: HostProfile) -> list[str]:
    port = _SSH.get(profile.name, 22)
    rows = [
        f'tcp   LISTEN 0      128    0.0.0.0:{port}       0.0.0.0:*    users:(("sshd",pid=711,fd=3))',
        'udp   UNCONN 0      0      127.0.0.53%lo:53    0.0.0.0:*    users:(("systemd-resolve",pid=488,fd=12))',
        'udp   UNCONN 0      0      0.0.0.0:41641    0.0.0.0:*    users:(("tailscaled",pid=640,fd=17))',
        'udp   UNCONN 0      0      [::]:41641    [::]:*    users:(("tailscaled",pid=640,fd=18))',
        f'tcp   LISTEN 0      4096   {profile.vpn}:58312    0.0.0.0:*    users:(("tailscaled",pid=640,fd=21))',
    ]
    if profile.name in ("pi", "seko"):  # their Caddy is in the host's network
        rows += [f'tcp   LISTEN 0      4096   *:{web}    *:*    users:(("caddy",pid=905,fd=6))' for web in (80, 443)]
    if profile.name == "pi":
        rows.append('tcp   LISTEN 0      4096   127.0.0.1:9100    0.0.0.0:*    users:(("node_exporter",pid=803,fd=3))')
        rows.append('tcp   LISTEN 0      511    127.0.0.1:3456    0.0.0.0:*    users:(("opencode",pid=870,fd=20))')
    return rows


def _places(profile: HostProfile, state: Doc) -> dict[str, float]:
    """What lies where, so that nearly all of the disk has an owner."""
    known = {"/usr": 3.1, "/home": 0.9, "/etc": 0.02, "/var/log": 1.6, "/var/cache": 0.3, "/var/lib/apt": 0.2}
    sizes = {path: size * GIB for path, size in known.items()}
    taken = sum(sizes.values()) + usage.volumes_bytes(state) + 1.3 * GIB
    sizes["/opt"] = max(0.5 * GIB, profile.disk_bytes * profile.disk_used - taken)
    sizes["/var/log/journal"] = 0.9 * GIB
    return sizes


def _guard(folder: Path) -> None:
    (folder / "ufw").write_text(
        "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), deny (routed)\n"
        "New profiles: skip\n\n"
        "To                         Action      From\n--                         ------      ----\n"
        "804/tcp                    LIMIT IN    Anywhere\n443/tcp                    ALLOW IN    Anywhere\n"
        "41641/udp                  ALLOW IN    Anywhere\n"
    )
    jails = folder / "fail2ban"
    jails.mkdir(exist_ok=True)
    for jail, banned in {
        "sshd": "203.0.113.7\n203.0.113.90\n",
        "caddy-auth": "",
        "caddy-botsearch": "198.51.100.23\n",
    }.items():
        (jails / jail).write_text(banned)
    decision = {
        "id": 12,
        "origin": "crowdsec",
        "type": "ban",
        "scope": "Ip",
        "value": "198.51.100.77",
        "duration": "3h12m",
    }
    (folder / "crowdsec").write_text(
        json.dumps([{"decisions": [{**decision, "scenario": "crowdsecurity/http-probing"}]}]) + "\n"
    )


def extra_bytes(home: Path) -> int:
    """What lies on the disk besides, since it was broken."""
    try:
        return int((home / FOLDER / "extra").read_text())
    except (OSError, ValueError):
        return 0


def break_(home: Path, profile: HostProfile, word: str) -> None:
    """Break one thing of a host, by the check that is to show it."""
    folder = home / FOLDER
    match word:
        case "open-ports":
            row = 'tcp   LISTEN 0      511    0.0.0.0:6379    0.0.0.0:*    users:(("redis-server",pid=99,fd=6))'
            _append(folder / "ss", row)
        case "sshd-listen":
            (folder / "sshd").write_text("port 22\nlistenaddress 100.64.0.99:22\n")
        case "disk-unaccounted":
            (folder / "extra").write_text(f"{22 * GIB}\n")
            (home / ROOT / "var/lib/containerd").mkdir(exist_ok=True)
            _append(folder / "du", f"{22 * GIB >> 10} /var/lib/containerd")
        case "units":
            _down(folder, _UNITS[profile.name][-1])
        case "guard":
            (folder / "ufw").write_text("Status: inactive\n")
        case "memory":
            line = "Out of memory: Killed process 4711 (python3) total-vm:9000000kB, anon-rss:4000000kB"
            _append(folder / "journal", line)


def mend(home: Path, profile: HostProfile, state: Doc, now: float) -> None:
    """All of it as on a good day."""
    for name in ("extra", "journal", "ufw"):
        (home / FOLDER / name).unlink(missing_ok=True)
    shutil.rmtree(home / ROOT / "var/lib/containerd", ignore_errors=True)
    seed(home, profile, state, now)


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")


def _down(folder: Path, unit: str) -> None:
    rows = (
        (folder / "units")
        .read_text()
        .replace(f"{unit}.service|loaded|active|running|", f"{unit}.service|loaded|failed|failed|")
    )
    (folder / "units").write_text(rows)
