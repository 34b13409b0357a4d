"""Secrets of a host that turn up nowhere else: a canary in every place that holds one, then all is searched."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy_kit import WEB, Laptop, compose, laptop, push, service, until, whole, wire
from lab_host import LabHost
from lab_registry import Registry

from ui.pty_cockpit import PtyCockpit, plain
from vpai_tui.errors import OperatorError
from vpai_tui.fleet.operation import Outcome

pytestmark = pytest.mark.lab

PASSWORD, PLAIN, DOTENV = "cnryPw8Kq3ZtLmVx", "cnryPlain5Wd9RbHs", "cnryDot7Yn2GcJfA"
INLINE, LINES, BROKEN = "cnryInline4Uo1TeXp", "cnryLines6Mb0QsZk", "cnryBroken3Fv8NiDw"
COMMAND = "cnryCommand9Gt1JyPk"  # Docker itself puts a container's command on a command line of the host
HIDDEN = (PASSWORD, PLAIN, DOTENV, INLINE, LINES, BROKEN)
SHOUT = 'env; echo "login with $$DB_PASSWORD failed, $$GREETING"; echo "$$PEM" >&2'
EXAMPLE = "DB_PASSWORD=\n# generate 40 hex\nSIGNING_KEY=\n# optional\nGREETING=\n"


def put(host: LabHost, path: str, text: str) -> None:
    """A file for root alone; its content is on no command line."""
    host.sh(f"umask 077; mkdir -p $(dirname {host.root}/{path}); cat >{host.root}/{path}", stdin=text.encode())


def stack(me: Laptop, *, healthcheck: object = None, spec: dict[str, object] | None = None, crash: bool = True) -> None:
    body = service(
        entrypoint=["sh", "-c", f"{SHOUT}; {'exit 1' if crash else 'sleep 600'}"],
        env_file=["./configs/web.env"],
        environment={"FROM_DOTENV": "${API_TOKEN}", "INLINE_SECRET": INLINE},
        healthcheck=healthcheck,
        command=["--token", "${COMMAND_TOKEN}"],
    )
    me.write("sese/web", compose({"web": body}), spec, {"configs/web.env.example": EXAMPLE})


@contextmanager
def command_lines() -> Iterator[bytearray]:
    """Every command line on this machine while the block runs: the lab's hosts are containers of it."""
    seen, stop = bytearray(), threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    try:
                        seen.extend(Path(entry.path, "cmdline").read_bytes())
                    except OSError:
                        continue

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        stop.set()
        looking.join()


async def test_no_secret_is_found_outside_its_host(sese: LabHost, registry: Registry, tmp_path: Path) -> None:
    said: list[str] = []

    async def cli(*words: str, codes: tuple[int, ...]) -> str:
        code, out, err = await me.run_cli(*words)
        said.extend((out, err))
        assert code in codes, (words, out, err)
        return out

    push(registry, WEB)
    async with laptop(sese, tmp_path, ["sese/web"]) as me, wire() as heard:
        with command_lines() as lines:
            stack(me)
            await cli("env", "web", "check", codes=(1,))
            out = await cli("env", "web", "init", "--yes", "--json", codes=(0,))
            keeper = me.world.env_keeper()
            assert json.loads(out)["files"][0]["generated"] == ["SIGNING_KEY"]
            generated = sese.sh(f"sed -n 's/^SIGNING_KEY=//p' {sese.root}/configs/web.env").strip()
            assert len(generated) == 40
            put(
                sese,
                "configs/web.env",
                f'DB_PASSWORD={PASSWORD}\nSIGNING_KEY={generated}\nGREETING={PLAIN}\nPEM="BEGIN\n{LINES}=\nEND"\n',
            )
            put(sese, ".env", f"API_TOKEN={DOTENV}\nCOMMAND_TOKEN={COMMAND}\n")
            await cli("env", "web", "check", "--json", codes=(0,))
            assert (await keeper.check("web")).ok
            await cli("deploy", "web", "--yes", "--json", codes=(4,))  # it crashes and prints what it knows
            sick = {"test": ["CMD-SHELL", f"{SHOUT}; exit 1"], "interval": "300ms", "timeout": "1s", "retries": 1}
            stack(me, healthcheck=sick, crash=False)
            assert (await me.deploy()).outcome is Outcome.REVERTED
            said.append(str(me.events))
            stack(me, crash=False, spec={"before": [{"run": "cat configs/web.env .env; false"}]})
            end = await me.deploy()
            said.append(str(me.events))
            assert end.outcome is not Outcome.COMMITTED

            stack(me, crash=False)
            await me.committed()
            said.append(str(me.events))
            put(sese, "configs/web.env", f"DB_PASSWORD={PASSWORD}\nSIGNING_KEY={BROKEN}${{oops\nPEM='{LINES}\n")
            with pytest.raises(OperatorError) as caught:
                await me.plan()
            said.extend((str(caught.value), caught.value.output))
            report = await keeper.check("web")
            assert not report.ok
            said.append(str(report))
            quiet = bytes(heard)  # what follows asks Docker, whose answers have the environment in them

            for words in (["describe", "web"], ["describe", "web", "--json"], ["status", "--json"], ["history"]):
                await cli(*words, codes=(0, 1))
            said.append(await asyncio.to_thread(_cockpit, me))
            await until(sese, "! ls -d /tmp/tmp.* 2>/dev/null", 60)  # it was killed while its host was asked
        found = _searched(sese, me, said, quiet, bytes(lines), (*HIDDEN, generated))
    assert found == []


def _cockpit(me: Laptop) -> str:
    """What the cockpit draws of the service: its facts, what Docker keeps of it, its last lines, the command log."""
    with PtyCockpit(me.cli(), {"NO_COLOR": "1"}) as cockpit:
        cockpit.wait_for("sese ready", "✔ running")
        cockpit.press("describe", ":describe sese/web/web\r", "oom killed")
        cockpit.press("yaml", "\x1by", "AppArmorProfile")
        cockpit.press("logs", "\x1bl", "login with")
        cockpit.press("command log", "\x1bv", "docker")
        return plain(cockpit.raw)


def _searched(
    host: LabHost, me: Laptop, said: list[str], heard: bytes, lines: bytes, canaries: tuple[str, ...]
) -> list[str]:
    """Where which canary was found."""
    # the operator wrote INLINE into a file of the laptop
    kept = b"".join(
        content
        for folder in (me.folder, Path(os.environ["XDG_STATE_HOME"]))
        for content in whole(folder)
        if b"INLINE_SECRET" not in content
    )
    places = {"output": "\n".join(said).encode(), "wire": heard, "laptop's files": kept, "command lines": lines}
    found = [f"{name}: {one}" for name, content in places.items() for one in canaries if one.encode() in content]
    found += [f"{name}: {COMMAND}" for name in list(places)[:3] if COMMAND.encode() in places[name]]
    pattern = "\n".join((*canaries, COMMAND)).encode()
    user = "runuser -u mobuone -- "
    open_files = host.sh(
        f"cat >/root/canaries; chmod 644 /root/canaries; cp /root/canaries /run/canaries; chmod 644 /run/canaries; "
        f"{user}grep -rlFf /run/canaries {host.root} /tmp /var/tmp /home /run 2>/dev/null | "
        "grep -vx /run/canaries || true; "
        "rm -f /run/canaries",
        stdin=pattern,
    )
    left = host.sh("grep -rlFf /root/canaries /tmp /var/tmp /dev/shm 2>/dev/null || true; rm -f /root/canaries")
    return found + [f"open to others: {path}" for path in open_files.split()] + [f"left: {it}" for it in left.split()]
