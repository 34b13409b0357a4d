"""Three hosts and a registry as containers, on a network without a way out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lab_image import ensure_image

REPOSITORY = Path(__file__).resolve().parents[2]
USER = "mobuone"

# Every name a stack's image reference may start with ends at the lab's registry.
IMAGE_HOSTS = ("registry-1.docker.io", "docker.io", "index.docker.io", "ghcr.io", "docker.n8n.io", "quay.io", "gcr.io")

# What a host may do, in place of --privileged (refused where the bounding set lacks CAP_SYS_RESOURCE).
RIGHTS = (
    *("--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined"),
    *("--security-opt=apparmor=unconfined", "--security-opt=systempaths=unconfined"),
    *("--device-cgroup-rule=a *:* rwm", "--device=/dev/net/tun"),
)


class LabError(RuntimeError):
    """The lab cannot be had or does not do what it should; the message says why."""


@dataclass(frozen=True)
class Machine:
    """One host of the lab: `number` is the last octet of its address, near and far."""

    name: str
    number: int
    port: int
    root: str
    title: str
    hub: bool = False


MACHINES = (
    Machine("sese", 14, 804, "/opt/vpai", "Lab Sese"),
    Machine("seko", 2, 22, "/opt/services", "Lab Seko", hub=True),
    Machine("pi", 1, 22, "/opt/workstation", "Lab Pi"),
)


@dataclass(frozen=True)
class Shown:
    """What the engine says of a container."""

    running: bool
    image: str


@dataclass(frozen=True)
class Lab:
    """Names, addresses and files of one lab. Another `third` octet makes a second lab beside the first one.

    `near` addresses are the bridge itself; `far` ones lead through the link emulator of `lab_wan` to the same hosts.
    """

    third: int = field(default_factory=lambda: int(os.environ.get("VPAI_LAB_OCTET", "0")))

    @property
    def state(self) -> Path:
        return REPOSITORY / (f".lab/{self.third}" if self.third else ".lab")

    @property
    def prefix(self) -> str:
        return f"lab{self.third}" if self.third else "lab"

    @property
    def bridge(self) -> str:
        return f"br-{self.prefix}"

    @property
    def gateway(self) -> str:
        return f"198.18.{self.third}.254"

    @property
    def registry(self) -> str:
        return f"198.18.{self.third}.250"

    @property
    def key(self) -> Path:
        return self.state / "keys" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.state / "known_hosts"

    def container(self, host: str) -> str:
        """The container that is `host` (`sese`, `seko`, `pi`) or `registry`."""
        return f"{self.prefix}-{host}"

    def near(self, machine: Machine) -> str:
        return f"198.18.{self.third}.{machine.number}"

    def far(self, machine: Machine) -> str:
        return f"198.18.{self.third + 1}.{machine.number}"

    # -- one host ------------------------------------------------------------------------------------------------------

    def root_shell(self, host: str, script: str, *, stdin: bytes = b"", timeout_s: float = 60) -> str:
        """Run a script as root on a host, past its sshd and its link; returns stdout, raises LabError on failure."""
        return self.root_bytes(host, script, stdin=stdin, timeout_s=timeout_s).decode(errors="replace")

    def root_bytes(self, host: str, script: str, *, stdin: bytes = b"", timeout_s: float = 60) -> bytes:
        """`root_shell`, stdout as it came."""
        argv = ["docker", "exec", "-i", self.container(host), "sh", "-euc", script]
        return run(argv, stdin=stdin, timeout_s=timeout_s)

    def cut_command(self, *chains: str) -> str:
        """sh that cuts the host it runs on: `INPUT` loses what comes from the laptop, `OUTPUT` what goes to it."""
        ends = {"INPUT": f"-i eth0 ! -s {self.registry}", "OUTPUT": f"-o eth0 ! -d {self.registry}"}
        return ";".join(
            f"iptables -I {chain} 1 {ends[chain]} -m comment --comment lab-cut -j DROP" for chain in chains or ends
        )

    def cut(self, host: str, *chains: str) -> None:
        """Nothing passes between `host` and the laptop any more, and nobody is told; the registry stays reachable.

        With one of `INPUT` and `OUTPUT` only that direction is lost.
        """
        self.root_shell(host, self.cut_command(*chains))

    def heal(self, host: str) -> None:
        """Undo every `cut` of a host."""
        self.root_shell(
            host, "! iptables-save | grep -q lab-cut || iptables-save | sed '/lab-cut/d' | iptables-restore"
        )

    def forgive(self, host: str) -> None:
        """A fresh sshd: it forgets whom it was refusing for too many failed logins. Sessions that are open stay."""
        self.root_shell(host, 'kill -HUP "$(cat /run/sshd.pid)"; sleep 0.3')
        self.wait_for_sshd(host)

    def wait_for_sshd(self, host: str) -> None:
        """Until sshd listens; asks the kernel's table, a connection would count against this machine."""
        port = _machine(host).port
        self.root_shell(
            host, f"for i in $(seq 100); do ss -Hltn sport = :{port} | grep -q . && exit 0; sleep 0.1; done; exit 1"
        )

    def new_host_key(self, host: str) -> None:
        """Another host key, as after a reinstall; the old one is kept for `old_host_key`."""
        self.root_shell(
            host,
            "cd /etc/ssh; [ -d kept ] || { mkdir kept; cp -p ssh_host_ed25519_key* kept; }; rm ssh_host_ed25519_key*;"
            "ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key",
        )
        self.forgive(host)

    def old_host_key(self, host: str) -> None:
        """The key that `known_hosts` holds, again."""
        back = self.root_shell(host, "cd /etc/ssh; [ ! -d kept ] || { cp -p kept/* .; rm -r kept; echo back; }")
        if back:
            self.forgive(host)

    def crash(self, host: str) -> None:
        """Power off: everything on the host dies at once, nothing is flushed or told."""
        docker("kill", self.container(host))

    def boot(self, host: str) -> None:
        """Start a crashed host and wait until it answers."""
        docker("start", self.container(host))
        self.wait_ready(host)

    def wait_ready(self, host: str, timeout_s: float = 60) -> None:
        """Until sshd listens and the engine answers."""
        deadline = time.monotonic() + timeout_s
        while subprocess.run(
            ["docker", "exec", self.container(host), "docker", "version"], capture_output=True
        ).returncode:
            if time.monotonic() > deadline:
                log = subprocess.run(["docker", "logs", "--tail", "20", self.container(host)], capture_output=True)
                raise LabError(f"{host} is not ready after {timeout_s:.0f} s: {(log.stdout + log.stderr).decode()}")
            time.sleep(0.2)
        self.wait_for_sshd(host)

    def clean(self, host: str) -> None:
        """Back to an empty host without a rebuild: no containers, networks, volumes, releases. Images stay."""
        root = _machine(host).root
        self.root_shell(
            host,
            f"pkill -KILL -f '{root}/[d]eploy/bin/' || true;"  # the brackets keep this very shell out of it
            "docker ps -aq | xargs -r docker rm -f -v >/dev/null;"
            "docker network prune -f >/dev/null; docker volume prune -af >/dev/null;"
            f"! mountpoint -q {root} || umount -l {root}; rm -rf {root}; mkdir -p {root}",
        )

    def forget_images(self, host: str, pattern: str = "*") -> None:
        """Remove images of a host, so that the next deploy has to pull them."""
        self.root_shell(
            host, f"docker images -q --filter 'reference={pattern}' | sort -u | xargs -r docker rmi -f >/dev/null"
        )

    def settle(self, host: str) -> None:
        """Take back every fault a test may have left: powered off, cut, another host key."""
        shown = self._shown(host)
        if shown is not None and not shown.running:
            self.boot(host)
        self.heal(host)
        self.old_host_key(host)

    # -- the whole lab -------------------------------------------------------------------------------------------------

    def running(self) -> bool:
        """All four containers run, for this checkout (LabError when for another), and the files to reach them exist."""
        shown = [self._shown(host) for host in self.containers()]
        return self.known_hosts.exists() and all(state is not None and state.running for state in shown)

    def containers(self) -> tuple[str, ...]:
        """What `container` takes: the three hosts and the registry."""
        return (*(machine.name for machine in MACHINES), "registry")

    def _shown(self, host: str) -> Shown | None:
        """A container of the lab as it is, None where there is none; LabError when it belongs to another checkout."""
        tls = '{{range .Mounts}}{{if eq .Destination "/lab/tls"}}{{.Source}}{{end}}{{end}}'
        argv = ["docker", "inspect", "-f", "{{.State.Running}}\t{{.Config.Image}}\t" + tls, self.container(host)]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            return None
        running, image, source = done.stdout.rstrip("\n").split("\t")
        if Path(source) != self.state / "tls":
            raise LabError(
                f"{self.container(host)} belongs to the lab of {source}: VPAI_LAB_OCTET=40 (say) makes one of your own"
            )
        return Shown(running == "true", image)

    def exists(self) -> bool:
        """Some container of this lab is there, running or not."""
        return any(self._shown(host) is not None for host in self.containers())

    def up(self) -> None:
        """Start what is not running; returns when every host answers. Files of this run are below `state`."""
        image = ensure_image()
        self._make_keys()
        guard_range()
        self._network()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda start: start(), self._starts(image)))
            list(pool.map(lambda machine: self.wait_ready(machine.name), MACHINES))
        self._write_files()

    def down(self) -> None:
        """Remove containers, volumes and network; the images and the keys stay. LabError when they are another's."""
        for host in self.containers():
            self._shown(host)
        names = [self.container(host) for host in self.containers()]
        subprocess.run(["docker", "rm", "-f", "-v", *names], capture_output=True)
        subprocess.run(["docker", "volume", "rm", *(f"{n}-docker" for n in names)], capture_output=True)
        subprocess.run(["docker", "network", "rm", self.prefix], capture_output=True)

    def _network(self) -> None:
        if subprocess.run(["docker", "network", "inspect", self.prefix], capture_output=True).returncode == 0:
            return
        if Path("/sys/class/net", self.bridge).exists():  # an engine that was killed leaves its bridge behind
            subprocess.run(["ip", "link", "delete", self.bridge], check=True)
        docker(
            *("network", "create", "--internal", f"--subnet=198.18.{self.third}.0/24", f"--gateway={self.gateway}"),
            *("-o", f"com.docker.network.bridge.name={self.bridge}", self.prefix),
        )

    def _starts(self, image: str) -> Iterator[object]:
        common = ["--network", self.prefix, "--cap-add=NET_ADMIN", f"-v={self.state}/tls:/lab/tls:ro"]
        common += [f"-e=LAB_GATEWAY={self.gateway}", f"-e=LAB_REGISTRY={self.registry}"]
        yield lambda: self._run("registry", self.registry, [*common], image, "lab-registry")
        names = [f"--add-host={name}:{self.registry}" for name in IMAGE_HOSTS]
        for machine in MACHINES:
            options = [*common, *RIGHTS, *names, f"-v={self.container(machine.name)}-docker:/var/lib/docker"]
            options += [
                "--tmpfs=/run",
                "--tmpfs=/tmp:exec",
                f"-v={self.state}/keys/id_ed25519.pub:/lab/keys/id_ed25519.pub:ro",
            ]
            yield lambda m=machine, o=options: self._run(m.name, self.near(m), o, image, "lab-host")

    def _run(self, host: str, address: str, options: Sequence[str], image: str, command: str) -> None:
        name, shown = self.container(host), self._shown(host)
        if shown is not None:  # kept as it is: somebody may be at work on it
            if shown.image != image:
                print(f"lab: {name} is of an older image; `make lab-down lab` makes it anew", file=sys.stderr)
            if not shown.running:
                docker("start", name)
            return
        named = ["--name", name, "--hostname", host, "--ip", address, "--label=vpai-lab"]
        docker("run", "-d", *named, *options, image, command)

    def _make_keys(self) -> None:
        for folder in ("keys", "tls"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        if not self.key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(self.key)])
        if not (self.state / "tls" / "registry.crt").exists():
            make_certificates(self.state / "tls", [*IMAGE_HOSTS], self.registry)

    def _write_files(self) -> None:
        lines, ssh_config = [], []
        for machine in MACHINES:
            public = self.root_shell(machine.name, "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub").strip()
            for suffix, address in (("", self.near(machine)), ("-far", self.far(machine))):
                lines.append(f"{address if machine.port == 22 else f'[{address}]:{machine.port}'} {public}")
                ssh_config += [f"Host {machine.name}{suffix}", f"  HostName {address}", f"  Port {machine.port}"]
        self.known_hosts.write_text("\n".join(lines) + "\n")
        ssh_config += ["Host *", f"  User {USER}", f"  IdentityFile {self.key}", "  IdentitiesOnly yes"]
        ssh_config += [f"  UserKnownHostsFile {self.known_hosts}", "  GlobalKnownHostsFile /dev/null"]
        ssh_config += ["  StrictHostKeyChecking yes", "  BatchMode yes", "  ConnectTimeout 10", "  LogLevel ERROR"]
        (self.state / "ssh_config").write_text("\n".join(ssh_config) + "\n")
        (self.state / "fleet.yaml").write_text(self.fleet_yaml(self.near))
        (self.state / "fleet-far.yaml").write_text(self.fleet_yaml(self.far))

    def fleet_yaml(self, address: Callable[[Machine], str], stacks: Sequence[str] = ()) -> str:
        """A fleet.yaml of this lab; `address` maps a Machine to the address to write (`lab.near` or `lab.far`)."""
        out = ["hosts:"]
        for machine in MACHINES:
            out += [
                f"  {machine.name}:",
                f"    title: {machine.title}",
                f"    addresses: [{address(machine)}]",
                "    ssh:",
            ]
            out += [f"      user: {USER}", f"      port: {machine.port}", f"      key: {self.key}"]
            out += [f"      known_hosts: {self.known_hosts}", "    sudo: true", f"    root: {machine.root}"]
            out += ["    hub: true"] if machine.hub else []
        out += ["stacks:", *(f"  - {name}" for name in stacks)] if stacks else ["stacks: []"]
        return "\n".join(out) + "\n"


def _machine(host: str) -> Machine:
    return next(m for m in MACHINES if m.name == host)


def run(argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 120) -> bytes:
    """Run a program of this machine; returns stdout, raises LabError with the end of stderr when it fails."""
    done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout_s)
    if done.returncode:
        tail = done.stderr.decode(errors="replace").strip()[-800:]
        raise LabError(f"{' '.join(argv[:5])} … exited with {done.returncode}: {tail}")
    return done.stdout


def docker(*argv: str) -> None:
    """`docker …` against the outer engine (DOCKER_HOST is honoured)."""
    run(["docker", *argv])


def guard_range() -> None:
    """An unreachable route below the lab's own: a client that retries a lab that is gone never leaves this machine.

    It stays after `down` for the same reason, until the machine restarts.
    """
    run(["ip", "route", "replace", "unreachable", "198.18.0.0/16", "metric", "9999"])


def make_certificates(folder: Path, names: Sequence[str], address: str) -> None:
    """An authority for this lab alone and a certificate of it for every name the registry stands in for."""
    alternatives = ",".join([*(f"DNS:{name}" for name in names), f"IP:{address}"])
    common = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "3650",
    ]
    ca, key = str(folder / "ca.crt"), str(folder / "ca.key")
    # Python 3.13 and newer refuse an authority that does not say what its key is for
    own = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    run([*common, *own, "-subj", "/CN=vpai lab authority", "-keyout", key, "-out", ca])
    leaf = ["-CA", ca, "-CAkey", key, "-subj", "/CN=lab registry", "-addext", "basicConstraints=critical,CA:FALSE"]
    out = ["-keyout", str(folder / "registry.key"), "-out", str(folder / "registry.crt")]
    run([*common, *leaf, "-addext", f"subjectAltName={alternatives}", *out])


def missing() -> str | None:
    """Why this machine cannot run the lab, or None."""
    if os.name != "posix" or os.geteuid() != 0:
        return "the lab needs root (it makes a bridge, a route and a TUN device)"
    try:
        done = subprocess.run(
            ["docker", "info", "-f", "{{.ServerVersion}}"], capture_output=True, text=True, timeout=20
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return "the lab needs Docker: no docker command, or it does not answer"
    if done.returncode:
        return f"the lab needs a Docker engine: {done.stderr.strip()[:200]}"
    return None
