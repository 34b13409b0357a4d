"""Small images under the real references of the shipped stacks: they listen where the real ones do, and carry what the
healthchecks call. The compose files run with them unmodified.

A stand-in's healthcheck is true only while all of its service's ports answer: whatever program the real image has for
that (`curl`, `pg_isready`, `node -e …`) asks them.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lab_registry import Registry

from vpai_tui.deploy.builds import builds_of
from vpai_tui.fleet.compose import services_of
from vpai_tui.fleet.stacks import Stack

SERVE = """#!/bin/sh
# Whatever command the stack gives is the real image's: it is not run here.
trap 'exit 0' TERM INT
for port in $(cat /etc/ports); do nc -ll -p "$port" -e /bin/answer & done
while :; do sleep 1 & wait $!; done
"""
ANSWER = """#!/bin/sh
end=$(printf '\\r')
while read -r line; do [ "$line" = "$end" ] && break; done
printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n'
"""
PROBE = """#!/bin/sh
for port in $(cat /etc/ports); do
    nc -w 2 127.0.0.1 "$port" </dev/null >/dev/null || { echo "nobody listens on $port" >&2; exit 1; }
done
"""
PONG = PROBE + "echo PONG\n"
CURL = PROBE + "case $* in *http_code*) printf 201 ;; esac\n"
# Programs that are no part of busybox, wherever a healthcheck or a one-shot names them.
PROGRAMS = ("bash", "node", "pg_isready", "psql", "python", "python3", "ruby")
PONGS = ("redis-cli", "valkey-cli")
# A builder's tool that leaves the file that the next stage copies.
XCADDY = (
    "#!/bin/sh\nmkdir -p /usr/bin; printf '#!/bin/sh\\nexec /bin/serve\\n' >/usr/bin/caddy; chmod 755 /usr/bin/caddy\n"
)
_URL_PORT = re.compile(r"(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1\])[:/](\d{2,5})\b")
_SETTINGS: dict[str, object] = {"Env": ["PATH=/bin:/usr/bin"], "Entrypoint": ["/bin/serve"]}


def push(registry: Registry, stacks: Iterable[Stack]) -> None:
    """A stand-in for every image that the stacks run or build upon."""
    ports: dict[str, set[int]] = defaultdict(set)
    programs: dict[str, set[str]] = defaultdict(set)
    for stack in stacks:
        for name, body in services_of(stack.compose).items():
            for image in _images(stack, body):
                ports[image] |= ports_of(stack, name, body)
                programs[image] |= _programs(body)
    for image, own in ports.items():
        registry.push_files(image, _files(own, programs[image]), _SETTINGS)


def built_elsewhere(stacks: Iterable[Stack]) -> Iterator[tuple[str, str]]:
    """Image and the tag that its build from an address would have got: with that, nothing is left to build."""
    for stack in stacks:
        for build in builds_of(stack):
            if build.remote:
                yield str(stack.image(build.service)), build.tag


def ports_of(stack: Stack, name: str, body: Mapping[str, Any]) -> set[int]:
    """Where a service listens: by its entries of `access`, by what it publishes, by what its healthcheck asks."""
    found = {access.port for access in stack.spec.access if access.service == name}
    for entry in body.get("ports") or ():
        inner = entry.get("target") if isinstance(entry, dict) else str(entry).partition("/")[0].rpartition(":")[2]
        found.add(int(inner))
    for text in _words((body.get("healthcheck") or {}).get("test")):
        found |= {int(port) for port in _URL_PORT.findall(text)}
    return found


def _images(stack: Stack, body: Mapping[str, Any]) -> Iterator[str]:
    """What is pulled for a service: its image, or those that its Dockerfile is made from.

    What is built from an address cannot be had here: its image stands for it, see `built_elsewhere`.
    """
    build = body.get("build")
    if build is None or "://" in str(build if isinstance(build, str) else build.get("context")):
        yield str(body["image"])
        return
    context = build if isinstance(build, str) else build.get("context", ".")
    dockerfile = (
        stack.dir / str(context) / ("Dockerfile" if isinstance(build, str) else build.get("dockerfile", "Dockerfile"))
    )
    yield from _bases(dockerfile)


def _bases(dockerfile: Path) -> Iterator[str]:
    text = dockerfile.read_text() if dockerfile.is_file() else ""
    arguments = dict(re.findall(r"(?mi)^ARG\s+(\w+)=(\S+)", text))
    stages: set[str] = set()
    for image, stage in re.findall(r"(?mi)^FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", text):
        found = re.sub(r"\$\{?(\w+)\}?", lambda match: arguments.get(match[1], ""), image)
        if found.lower() not in stages and found != "scratch":
            yield found
        stages.add(stage.lower())


def _programs(body: Mapping[str, Any]) -> set[str]:
    """The first words of a healthcheck, wherever they lie."""
    words = _words((body.get("healthcheck") or {}).get("test"))
    return {words[1]} if len(words) > 1 and words[0] == "CMD" else set()


def _words(test: object) -> list[str]:
    if isinstance(test, str):
        return ["CMD-SHELL", *shlex.split(test, posix=False)]
    return [str(word) for word in test] if isinstance(test, list) else []


def _files(ports: set[int], programs: set[str]) -> dict[str, str]:
    named = {
        word.lstrip("/") if "/" in word else f"usr/bin/{word}"
        for word in programs
        if word not in ("sh", "wget", "true")
    }
    return {
        "bin/serve": SERVE,
        "bin/answer": ANSWER,
        "run.sh": "#!/bin/sh\nexec /bin/serve\n",  # Grafana's own start, behind the stack's
        "tmp/.keep": "",
        "usr/bin/xcaddy": XCADDY,
        "etc/ports": " ".join(map(str, sorted(ports))),
        **{f"usr/bin/{name}": PROBE for name in PROGRAMS},
        **{path: PROBE for path in named if path.rpartition("/")[2] not in (*PONGS, "curl")},
        "usr/bin/curl": CURL,
        **{f"usr/bin/{name}": PONG for name in PONGS},
    }
