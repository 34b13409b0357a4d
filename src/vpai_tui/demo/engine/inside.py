"""What a command run inside a simulated container answers: a few that operators and gates use, the rest succeed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable

from vpai_tui.demo import backups
from vpai_tui.demo.engine import containers
from vpai_tui.demo.engine.life import life
from vpai_tui.demo.engine.store import Doc, Engine, EngineError
from vpai_tui.demo.headscale import box as headscale
from vpai_tui.demo.litellm import hook as litellm
from vpai_tui.demo.talk import command as talk

_QUIET = ("true", "test", "[", "kill", "nginx", "pg_isready", "wget", "curl", "caddy", "psql", "python3")

_SHELLS = ("sh", "bash", "ash")
_NO_SHELL = ("loki", "headscale")  # by the last word of their image's name
_BASH = ("postgres", "redis", "qdrant", "alloy", "litellm")
_FIND_SHELL = "command -v bash || "

_DUMP = "-- PostgreSQL database dump\n" + "COPY public.workflow (id, name) FROM stdin;\n" * 40
_SAYS: dict[str, Callable[[Doc], str]] = {
    "hostname": lambda container: str(container["id"])[:12] + "\n",
    "env": lambda container: "".join(f"{entry}\n" for entry in container["env"]),
    "printenv": lambda container: "".join(f"{entry}\n" for entry in container["env"]),
    "cat": lambda container: f"{container['image']}\n",  # whatever file: an image has none here
    "redis-cli": lambda _: "PONG\n",
    "pg_dump": lambda _: _DUMP,
    "pg_dumpall": lambda _: _DUMP,
}


def answer(engine: Engine, container: Doc, command: list[str]) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `command` in `container`."""
    if command[:1] == ["headscale"] and headscale.is_headscale(container):
        return headscale.command(engine, container, command[1:])
    if (said := backups.command(engine, container, command)) is not None:
        return said
    if (said := litellm.command(engine, container, command)) is not None:
        return said
    if (said := talk(engine, container, command)) is not None:
        return said
    return _answer(container, command)


def _answer(container: Doc, command: list[str]) -> tuple[int, str, str]:
    word = command[0].rsplit("/", 1)[-1] if command else ""
    if word in _SHELLS and _image(container) in _NO_SHELL:
        return _not_found(word)
    if word in _SHELLS and len(command) > 2 and command[1] in ("-c", "-lc"):
        if command[2].startswith(_FIND_SHELL):
            return 0, "/bin/bash\n" if _image(container) in _BASH else "/bin/sh\n", ""
        return _answer(container, command[2].split())
    if word == "echo":
        return 0, " ".join(command[1:]) + "\n", ""
    if word == "false":
        return 1, "", ""
    if word in _SAYS:
        return 0, _SAYS[word](container), ""
    if word == "exit":
        return int(command[1]) if len(command) > 1 and command[1].isdigit() else 0, "", ""
    if word in _QUIET or word in _SHELLS:
        return 0, "", ""
    return _not_found(word)


def _image(container: Doc) -> str:
    return str(container["image"]).partition("@")[0].rpartition("/")[2].partition(":")[0]


def _not_found(word: str) -> tuple[int, str, str]:
    said = f'exec: "{word}": executable file not found in $PATH'
    return 127, "", f"OCI runtime exec failed: exec failed: unable to start container process: {said}: unknown\n"


def need_running(engine: Engine, name: str) -> Doc:
    """The container, which must run. EngineError(409) otherwise."""
    container = containers.need(engine.read(), name)
    if headscale.is_headscale(container) and container["started"] is not None:
        headscale.boot(engine, container)
        container = containers.need(engine.read(), name)
        if container["behaviour"] == "crash":  # also in the moment before its process ends
            raise EngineError(409, f"Container {container['id']} is restarting, wait until the container is running")
    elif litellm.boot(engine, container):
        container = containers.need(engine.read(), name)
    status = life(container, engine.now()).status
    if status == "restarting":
        raise EngineError(409, f"Container {container['id']} is restarting, wait until the container is running")
    if status != "running":
        raise EngineError(409, f"container {container['id']} is not running")
    return container


def converse(engine: Engine, name: str) -> int:
    """`docker exec -it … sh`: a few commands answer, one a line, until `exit`; its status."""
    status = 0
    print("(a simulated container: a few commands answer, `exit` leaves)")
    while True:
        print("/ # ", end="", flush=True)
        line = sys.stdin.readline()
        try:
            words = shlex.split(line)
        except ValueError:
            words = ["sh"]
        if not line or words[:1] == ["exit"]:
            return int(words[1]) if len(words) > 1 and words[1].isdigit() else status
        if words:
            status, out, error = answer(engine, need_running(engine, name), words)
            print(out + error.replace("OCI runtime exec failed: ", "sh: "), end="", flush=True)


def run(engine: Engine, name: str, command: list[str], *, terminal: bool = False) -> int:
    """`docker exec`."""
    container = need_running(engine, name)
    if terminal and len(command) == 1 and command[0] in _SHELLS and _image(container) not in _NO_SHELL:
        return converse(engine, name)
    status, out, error = answer(engine, container, command)
    sys.stdout.write(out)
    sys.stderr.write(error)
    return status
