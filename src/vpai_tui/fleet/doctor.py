"""Whether the laptop and the hosts are fit for the work: one line per check, with what to do where one is not."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vpai_tui import config
from vpai_tui.clock import Clock
from vpai_tui.errors import HostUnreachable, OperatorError
from vpai_tui.fleet.alerts import DISK_ERROR_PERCENT, DISK_WARN_PERCENT, SKEW_WARN_S
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

if TYPE_CHECKING:
    from vpai_tui.remote.command_log import CommandLog
    from vpai_tui.remote.connection import Connection
    from vpai_tui.remote.prompts import Prompts

LAPTOP = "laptop"
COMPOSE_FLOOR = (2, 21, 0)
COMPOSE_GOOD = (2, 29, 3)  # since then `up --no-deps` leaves dependants alone
_TOOLS = {
    "sh": "",
    "flock": "util-linux",
    "setsid": "util-linux",
    "timeout": "coreutils",
    "sha256sum": "coreutils",
    "readlink": "coreutils",
    "awk": "mawk",
    "sed": "sed",
    "tar": "tar",
}
# Arguments: the docker command, the root, 1 where `sudo -n` is wanted. All questions to a host's shell in one exec.
_SCRIPT = """
docker=$1 root=$2 sudo=
{ # as one command: nothing in it may read the rest of the script
date "+date %s.%N"
if [ "$3" = 1 ]; then
    if said=$(sudo -n true 2>&1); then sudo='sudo -n'; echo 'sudo ok'; else echo "sudo failed $said" | head -n 1; fi
fi
for tool in TOOLS; do command -v "$tool" >/dev/null 2>&1 && echo "tool $tool"; done
if said=$($sudo $docker version --format '{{.Server.Version}}' 2>&1); then echo "docker $said"
else echo "docker-error $(printf %s "$said" | tail -n 1)"; fi
if said=$($sudo $docker compose version --short 2>&1); then echo "compose $said"
else echo "compose-error $(printf %s "$said" | tail -n 1)"; fi
if $sudo test -d "$root"; then
    $sudo test -w "$root" && echo 'root writable' || echo 'root read-only'
else echo 'root missing'; fi
place=$root
while [ -n "$place" ] && ! $sudo test -d "$place"; do place=${place%/*}; done
$sudo df -P -k "${place:-/}" 2>/dev/null | tail -n 1 | sed 's/^/df /'
} </dev/null
""".replace("TOOLS", " ".join(_TOOLS))


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of `doctor`. `ok` is None for what works but should be looked at, or could not be learnt."""

    host: str
    check: str
    ok: bool | None
    detail: str
    remedy: str = ""


def check_laptop(fleet: config.Fleet, config_path: Path) -> list[CheckResult]:
    """The configuration (it was loaded, or there would be no `fleet`) and the key file of each host."""
    count = len(fleet.hosts)
    summary = f"{config_path}: {count} host{'s' if count != 1 else ''}, {len(fleet.stacks)} stacks"
    results = [CheckResult(LAPTOP, "config", True, summary)]
    checked: set[str] = set()
    for host in fleet.hosts.values():
        key = host.ssh.key
        if key is not None and key not in checked:
            checked.add(key)
            results.append(_key(Path(key).expanduser()))
    return results


async def check_hosts(
    fleet: config.Fleet, *, clock: Clock, prompts: Prompts | None = None, log: CommandLog | None = None
) -> AsyncIterator[CheckResult]:
    """All checks of all hosts, all hosts at once; results come as they are known, one host's in order."""
    queue: asyncio.Queue[CheckResult | None] = asyncio.Queue()

    async def check(name: str, host: config.Host) -> None:
        try:
            async for result in check_host(name, host, clock=clock, prompts=prompts, log=log):
                queue.put_nowait(result)
        finally:
            queue.put_nowait(None)

    tasks = [asyncio.create_task(check(name, host), name=f"doctor {name}") for name, host in fleet.hosts.items()]
    try:
        running = len(tasks)
        while running:
            result = await queue.get()
            if result is None:
                running -= 1
            else:
                yield result
        for task in tasks:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def check_host(
    name: str,
    host: config.Host,
    *,
    clock: Clock,
    prompts: Prompts | None = None,
    log: CommandLog | None = None,
) -> AsyncIterator[CheckResult]:
    """The checks of one host, over a connection of their own: two commands at most."""
    from vpai_tui.remote.connection import connect

    try:
        connection = await connect(name, host, prompts=prompts, log=log)
    except HostUnreachable as error:
        yield CheckResult(name, error.step or "ssh", False, error.message, error.remedy)
        return
    try:
        yield CheckResult(name, "ssh", True, f"{host.ssh.user}@{connection.address}:{host.ssh.port}, host key known")
        try:
            answers, skew_s = await _ask(connection, clock)
        except OperatorError as error:
            yield CheckResult(name, "shell", False, error.output or error.message, error.remedy or "is `sh` there?")
            return
        for result in judge(name, host, answers, skew_s):
            yield result
        yield await _bridge(connection)
    finally:
        await connection.close()


def judge(
    name: str, host: config.Host, answers: Mapping[str, list[str]], skew_s: float | None
) -> Iterator[CheckResult]:
    """What the script's lines (`key` → the rest of each line with it) mean."""
    if host.sudo:
        said = " ".join(answers.get("sudo", [])).removeprefix("failed").strip()
        remedy = f"give {host.ssh.user} NOPASSWD in /etc/sudoers.d, or set hosts.{name}.sudo to false"
        works = said == "ok"
        yield CheckResult(name, "sudo", works, "sudo -n works" if works else said, "" if works else remedy)
    yield _docker(name, answers)
    yield _compose(name, answers)
    yield _tools(name, answers)
    yield _root(name, host, answers)
    yield _disk(name, answers)
    yield _skew(name, skew_s)


async def _ask(connection: Connection, clock: Clock) -> tuple[dict[str, list[str]], float | None]:
    host = connection.host
    argv = ["sh", "-s", "--", host.docker, host.root, "1" if host.sudo else "0"]
    answers: dict[str, list[str]] = {}
    skew_s: float | None = None
    async with connection.stream(argv, stdin=_SCRIPT.encode(), label="doctor") as lines:
        async for raw in lines:
            key, _, rest = redact(clean_line(raw)).partition(" ")
            if key == "date" and re.fullmatch(r"\d{1,12}(\.\d+)?", rest):
                skew_s = float(rest) + (connection.rtt_s or 0.0) / 2 - clock.now().timestamp()
            answers.setdefault(key, []).append(rest)
    return answers, skew_s


def _key(path: Path) -> CheckResult:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        remedy = "correct ssh.key in fleet.yaml, or make the key: ssh-keygen -t ed25519"
        return CheckResult(LAPTOP, "key", False, f"{path}: {error.strerror}", remedy)
    if mode & 0o077:
        return CheckResult(LAPTOP, "key", None, f"{path} may be read by others (mode {mode:03o})", f"chmod 600 {path}")
    return CheckResult(LAPTOP, "key", True, str(path))


def _docker(name: str, answers: Mapping[str, list[str]]) -> CheckResult:
    version = _first(answers, "docker")
    if version:
        return CheckResult(name, "docker", True, f"engine {version}")
    detail = _first(answers, "docker-error") or "no answer"
    return CheckResult(name, "docker", False, detail, "install Docker, start it, and let this user reach it")


def _compose(name: str, answers: Mapping[str, list[str]]) -> CheckResult:
    said = _first(answers, "compose")
    version = compose_version(said)
    install = "install a newer Compose plugin (docker-compose-plugin)"
    if version is None:
        detail = _first(answers, "compose-error") or said or "no answer"
        return CheckResult(name, "compose", False, detail, "install the Compose plugin (docker-compose-plugin)")
    if version < COMPOSE_FLOOR:
        return CheckResult(name, "compose", False, f"{said} is older than 2.21", install)
    if version < COMPOSE_GOOD:
        return CheckResult(name, "compose", None, f"{said} may recreate dependants too (before 2.29.3)", install)
    if version[:2] == (5, 2):
        return CheckResult(name, "compose", None, f"{said} recreates services that share a network again", install)
    return CheckResult(name, "compose", True, said)


def compose_version(text: str) -> tuple[int, int, int] | None:
    """`v2.26.1-4` → (2, 26, 1); None for what is no version."""
    match = re.match(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?", text)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _tools(name: str, answers: Mapping[str, list[str]]) -> CheckResult:
    missing = [tool for tool in _TOOLS if tool not in answers.get("tool", [])]
    if not missing:
        return CheckResult(name, "tools", True, "flock, setsid, timeout, sha256sum, awk and tar are there")
    packages = sorted({_TOOLS[tool] for tool in missing if _TOOLS[tool]})
    remedy = f"install {' '.join(packages)}" if packages else ""
    return CheckResult(name, "tools", False, f"missing: {', '.join(missing)}", remedy)


def _root(name: str, host: config.Host, answers: Mapping[str, list[str]]) -> CheckResult:
    state = _first(answers, "root")
    if state == "writable":
        return CheckResult(name, "root", True, host.root)
    if state == "missing":
        return CheckResult(name, "root", None, f"{host.root} does not exist", "the first deploy makes it")
    remedy = f"make {host.root} writable, or correct hosts.{name}.root or .sudo"
    return CheckResult(name, "root", False, f"{host.root} cannot be written", remedy)


def _disk(name: str, answers: Mapping[str, list[str]]) -> CheckResult:
    words = _first(answers, "df").split()
    if len(words) < 6 or not (words[2].isdecimal() and words[3].isdecimal()):
        return CheckResult(name, "disk", None, "not known", "run df on the host")
    used, free = int(words[2][:18]), int(words[3][:18])
    percent = 100 * used / (used + free) if used + free else 0.0
    detail = f"{words[5]} is {percent:.0f} % full, {free / 2**20:.1f} GiB left"
    if percent > DISK_WARN_PERCENT:
        ok = False if percent > DISK_ERROR_PERCENT else None
        return CheckResult(name, "disk", ok, detail, f"see what fills it: vpai-tui disk {name}")
    return CheckResult(name, "disk", True, detail)


def _skew(name: str, skew_s: float | None) -> CheckResult:
    if skew_s is None:
        return CheckResult(name, "clock", None, "not known", "does `date +%s.%N` work there?")
    detail = f"{skew_s:+.1f} s from this machine's"
    if abs(skew_s) > SKEW_WARN_S:
        return CheckResult(name, "clock", None, detail, "check time synchronisation on both: timedatectl")
    return CheckResult(name, "clock", True, detail)


async def _bridge(connection: Connection) -> CheckResult:
    from vpai_tui.remote.bridge import http_bridge

    name = connection.name
    try:
        kind = await http_bridge(connection)
    except OperatorError as error:
        return CheckResult(name, "http bridge", None, error.message, error.remedy)
    if kind is None:
        remedy = "install bash, netcat-openbsd or socat there, or let its sshd forward TCP"
        return CheckResult(name, "http bridge", False, "no way to reach an HTTP port of a container", remedy)
    return CheckResult(name, "http bridge", True, kind)


def _first(answers: Mapping[str, list[str]], key: str) -> str:
    return next(iter(answers.get(key, [])), "")
