"""Typing docs/bring-up.md: a laptop with its own folder, and root on the lab's hosts.

What the lab has not: a package archive, systemd, Tailscale, OVH, providers and bots. What stands in for each is here.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import yaml
from deploy_kit import Laptop
from hub_stand_in import HubStandIn
from lab_host import LabHost
from lab_machines import MACHINES

from bring_up_steps import LAPTOP, Step
from vpai_tui.clock import SystemClock
from vpai_tui.config import load_fleet
from vpai_tui.fleet.history import History
from vpai_tui.fleet.stacks import load_stacks
from vpai_tui.world import World

TOP = Path(__file__).parents[2]
SHIPPED = load_fleet(TOP / "config/fleet.yaml")
DOCUMENT = {"pi": "100.64.0.1", "seko": "100.64.0.5", "sese": "100.64.0.14"}
# In this order they join, and the addresses that Headscale gives out are those of the document's example.
JOINING = {"pi": "100.64.0.1", "seko": "100.64.0.2", "sese": "100.64.0.3"}

# `apt-get install` of what the lab's image got from Debian under the same names; a dockerd that is started again; an
# editor that gives each empty key a value.
PROGRAMS = {
    "apt-get": '#!/bin/sh\nshift 2\ndpkg -s "$@" >/dev/null\n',
    "systemctl": """#!/bin/sh
[ "$*" = "restart docker" ] || exit 1
kill "$(cat /run/docker.pid)"
for i in $(seq 50); do [ -e /run/docker.pid ] || break; sleep 0.1; done
for i in $(seq 100); do docker version >/dev/null 2>&1 && exit 0; sleep 0.1; done
exit 1
""",
    "editor": "#!/bin/sh\nsed -i 's/^\\([A-Z][A-Z0-9_]*\\)=$/\\1=given-by-hand/' \"$1\"\n",
}
_PLACE = "/usr/local/bring-up"


class Walk:
    """One walk over one host, or several. `folder` is the laptop's home, `vpn` what each host's address comes to be."""

    def __init__(self, hosts: Mapping[str, LabHost], folder: Path, vpn: Mapping[str, str] = DOCUMENT) -> None:
        self.hosts = hosts
        self.here = folder
        self.vpn = vpn
        self.hub = HubStandIn()
        self._bin = folder / "bin"
        lab = next(iter(hosts.values())).lab
        addresses = {it: host.lab.near(host.machine) for host in hosts.values() for it in _known_as(host.name)}
        self._programs(addresses, lab.state / "ssh_config")

    def _programs(self, addresses: Mapping[str, str], ssh_config: Path) -> None:
        """`vpai-tui`, and an `ssh` for which the fleet's addresses are the lab's, and no others are there."""
        self._bin.mkdir()
        lines = [f"Host {known}\n  HostName {near}\n  ProxyCommand none\n" for known, near in addresses.items()]
        (self._bin / "config").write_text("".join(lines) + f"Host *\n  ProxyCommand false\n  Include {ssh_config}\n")
        for name, command in (
            ("vpai-tui", f"{sys.executable} -m vpai_tui"),
            ("ssh", f"/usr/bin/ssh -F {self._bin / 'config'}"),
        ):
            (self._bin / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (self._bin / name).chmod(0o755)

    # -- a step --------------------------------------------------------------------------------------------------------

    async def take(self, step: Step) -> None:
        """Type one line where it belongs and print how long it took; AssertionError with what it said when it fails."""
        begun = time.monotonic()
        await self._take(step)
        print(f"{time.monotonic() - begun:6.1f} s  {step.line}")

    async def _take(self, step: Step) -> None:
        if step.line.startswith("tailscale up "):
            for host in self.hosts.values():
                host.sh(f"ip address replace {self.vpn[host.name]}/32 dev lo")
        elif step.places != (LAPTOP,):
            for host in self.hosts.values():
                if host.name in step.places:
                    host.sh(f"PATH={_PLACE}:$PATH\n{step.line}")
        elif step.line.startswith("cd "):
            self.here /= step.line.split()[1]
            self._fleet_by_hand()
        elif step.words[:2] == ["keys", "create"]:
            for name in JOINING:  # each machine with a key of its own
                self._join(name, await self.type(step.line))
        else:
            await self.type(step.line)

    async def type(self, line: str) -> str:
        """At the laptop's shell, on a terminal where the line wants one; what was said."""
        argv = ["bash", "-euo", "pipefail", "-c", line]
        if line.endswith(" edit") or " edit " in line:
            argv = ["script", "-qec", line, "/dev/null"]
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.here,
            env={**os.environ, "PATH": f"{self._bin}:{os.environ['PATH']}", "TERM": "xterm"},
        )
        out, _ = await process.communicate()
        text = out.decode(errors="replace")
        assert process.returncode == 0, f"{line}\nexit {process.returncode}\n{text[-3000:]}"
        return text

    def _join(self, name: str, said: str) -> None:
        """A machine of this name types what `keys create` said."""
        line = re.search(r"tailscale up --login-server \S+ --auth-key \S+", said)
        assert line is not None, said
        assert self.hub.join(line[0], name) == JOINING[name]

    def _fleet_by_hand(self) -> None:
        """Addresses, users and keys: the lab's. A host that this walk has not is not there."""
        path = self.here / "config/fleet.yaml"
        shipped = yaml.safe_load(path.read_text())
        lab = next(iter(self.hosts.values())).lab
        theirs = yaml.safe_load(lab.fleet_yaml(lab.near))["hosts"]
        for name, host in shipped["hosts"].items():
            host |= {key: theirs[name][key] for key in ("addresses", "ssh")}
        shipped["hosts"] = {name: host for name, host in shipped["hosts"].items() if name in self.hosts}
        shipped["stacks"] = [it for it in shipped["stacks"] if it.partition("/")[0] in self.hosts]
        path.write_text(yaml.safe_dump(shipped, sort_keys=False))

    def laptop(self) -> Laptop:
        """The same laptop as other tests hold it."""
        path = self.here / "config/fleet.yaml"
        fleet = load_fleet(path)
        history = History(self.here / "h")
        return Laptop(self.here, World(fleet, load_stacks(self.here / "stacks", fleet), SystemClock(), history, path))

    # -- the host ------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Programs that stand in for what no lab has. Mounts are shared, as systemd has them."""
        for host in self.hosts.values():
            write = "".join(
                f"printf %s {shlex.quote(text)} >{_PLACE}/{name}; chmod 755 {_PLACE}/{name};"
                for name, text in PROGRAMS.items()
            )
            host.sh(f"mount --make-rshared /; mkdir -p {_PLACE}; cp /etc/docker/daemon.json {_PLACE};{write}"
                    f"ln -sf {_PLACE}/editor /usr/local/bin/editor")  # fmt: skip

    def restore(self) -> None:
        """The hosts as other tests expect them."""
        for host in self.hosts.values():
            host.sh(
                "docker ps -aq | xargs -r docker rm -f -v >/dev/null;"
                f"[ ! -e {_PLACE}/daemon.json ] || cmp -s {_PLACE}/daemon.json /etc/docker/daemon.json ||"
                f" {{ cp {_PLACE}/daemon.json /etc/docker/daemon.json; {_PLACE}/systemctl restart docker; }};"
                "rm -f /etc/sysctl.d/60-vpn-address.conf /usr/local/bin/editor; sysctl -qw net.ipv4.ip_nonlocal_bind=0;"
                f"umount /mnt/vpai/* 2>/dev/null || true; rm -rf {_PLACE} /mnt/vpai;"
                f"ip address delete {self.vpn[host.name]}/32 dev lo 2>/dev/null || true"
            )


def concerns(step: Step, host: str) -> bool:
    """Whether a line has to do with this host: it is typed there, or names a stack of it, or its service."""
    if step.places != (LAPTOP,):
        return host in step.places
    words = step.words
    if not words:
        return step.line.startswith("cd ")
    if words[0] in ("env", "deploy"):
        return words[1].startswith(f"{host}/")
    owner = {"opencut": "pi", "users": "seko", "keys": "seko", "nodes": "seko", "dns": "seko"}
    return owner.get(words[0], host) == host


def _known_as(name: str) -> tuple[str, ...]:
    """The addresses that the shipped fleet has for a host."""
    return tuple(SHIPPED.hosts[name].addresses)


assert {machine.name for machine in MACHINES} == set(SHIPPED.hosts)
