"""The idle stop: a script on the host that watches network bytes and stops the stack, with the laptop closed too."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files as package_files

from vpai_tui.errors import LockHeld, OperatorError, PreflightRefused, UsageError
from vpai_tui.ondemand.model import Idle, IdleState, OnDemandStack
from vpai_tui.redact import redact
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.job import script_name, with_lock
from vpai_tui.text import clean, clean_line, last_lines, number

EVERY_S = 30  # between two looks
# What a look may find and still call quiet: who is at home on a bridge network hears ARP, neighbours and keepalives.
QUIET_BYTES = 4096
LEAST_MIN, MOST_MIN = 1, 7 * 24 * 60
OFF = "off"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
_STATES = {it.value: it for it in (IdleState.WATCHING, IdleState.STOPPED, IdleState.ENDED)}


def script(name: str) -> bytes:
    """One of the shipped sh scripts; `idle.sh` behind the words of the lock."""
    content = package_files("vpai_tui.ondemand").joinpath(name).read_bytes()
    return with_lock(content) if name == "idle.sh" else content


def minutes_of(text: str) -> int | None:
    """`30` (minutes); None for `off`.

    Raises:
        UsageError: it is neither.
    """
    word = text.strip().lower().removesuffix("m").strip()
    if word == OFF:
        return None
    found = number(word, LEAST_MIN, MOST_MIN)
    if found is None:
        raise UsageError(
            f'an idle stop after "{clean_line(text, 40)}" minutes',
            remedy=f"minutes without network bytes, {LEAST_MIN} to {MOST_MIN}, such as 30; or off",
        )
    return found


async def set_idle(connection: Connection, stack: OnDemandStack, minutes: int, stop: str, by: str) -> None:
    """Has the host stop `stack` by the sh words `stop` after so many minutes without network bytes; replaces another.

    Raises:
        UsageError: its bytes cannot be told from the host's.
        LockHeld: something runs on the host.
        PreflightRefused: the stack does not run.
    """
    if stack.on_host_network:
        raise UsageError(
            f"{', '.join(stack.on_host_network)} shares the host's network: its bytes cannot be told from the host's",
            remedy="stop it by hand",
        )
    more = {
        "MINUTES": str(minutes),
        "FRONT": " ".join(stack.front),
        "STOP": stop,
        "EVERY_S": str(min(EVERY_S, minutes * 60)),
        "QUIET_BYTES": str(QUIET_BYTES),
    }
    await _run(connection, stack, "set", by, more)


async def cancel_idle(connection: Connection, stack: OnDemandStack, by: str) -> None:
    """Ends the idle stop of `stack`; none is no error. LockHeld while something runs on the host."""
    await _run(connection, stack, "cancel", by, {})


async def _run(connection: Connection, stack: OnDemandStack, verb: str, by: str, more: dict[str, str]) -> None:
    host, program = connection.host, script("idle.sh")
    deploy = f"{host.root.rstrip('/')}/deploy"
    path = shlex.quote(f"{deploy}/bin/{script_name(program)}")
    pairs = {
        "ROOT": host.root.rstrip("/"),
        "STACK": stack.name,
        "PROJECT": stack.project,
        "DOCKER": host.docker,
        "WHO": by,
        **more,
    }
    words = " ".join(f"{key}={shlex.quote(value)}" for key, value in pairs.items())
    command = (
        f"umask 077 && mkdir -p {shlex.quote(deploy)}/bin && cat >{path}.$$ && mv -f {path}.$$ {path} && "
        f'exec env -i PATH={_PATH} HOME="$HOME" LC_ALL=C {words} sh {path} {verb} </dev/null'
    )
    label = f"idle stop {verb} {stack.name}"
    done = await connection.run(["sh", "-c", command], root=True, stdin=program, check=False, label=label)
    if done.exit_status == 0:
        return
    said = redact(last_lines(done.stderr, 1)) or "no reason told"
    if done.exit_status == 75:
        remedy = "try again when it ended"
        raise LockHeld(f"something runs on the host: {said}", host=connection.name, step="idle", remedy=remedy)
    if done.exit_status == 78:
        raise PreflightRefused(said, host=connection.name, step="idle", remedy=f"start {stack.id} first")
    raise OperatorError(
        f"the idle stop could not be {'set' if verb == 'set' else 'cancelled'}: {said}",
        host=connection.name,
        step="idle",
        remedy="look again: vpai-tui ondemand " + stack.id + " status",
    )


def idle_of(cells: list[str]) -> tuple[str, Idle] | None:
    """One record of `look.sh` (stack, alive, key=value…) read; None where it is none of ours."""
    if len(cells) < 2:
        return None
    pairs = dict(cell.split("=", 1) for cell in cells[2:] if "=" in cell)
    minutes, quiet_s = number(pairs.get("minutes", ""), 1), number(pairs.get("quiet_s", ""))
    state = _STATES.get(pairs.get("state", ""))
    if minutes is None or quiet_s is None or state is None:
        return None
    if state is IdleState.WATCHING and cells[1] != "alive":
        state = IdleState.REBOOTED if cells[1] == "rebooted" else IdleState.GONE
    left = max(0.0, minutes * 60.0 - quiet_s) if state is IdleState.WATCHING else None
    return cells[0], Idle(
        state,
        minutes,
        clean_line(pairs.get("by", ""), 80) or "somebody",
        _time(pairs.get("at", "")),
        _time(pairs.get("told", "")),
        left,
        redact(clean_line(pairs.get("why", ""), 200)),
    )


def _time(text: str) -> str:
    return text if _TIME.match(text) else ""


def read_look(raw: bytes, host: str) -> tuple[str, dict[str, Idle]]:
    """Who holds the lock (empty: nobody), and the idle stops by stack. Records that cannot be read are passed over.

    Raises:
        OperatorError: the answer is cut.
    """
    rows = [clean(line).split("\t") for line in raw.split(b"\n") if line.strip()]
    if not rows or rows[-1] != ["end"]:
        raise OperatorError("the answer is cut", host=host, step="look", output=clean_line(raw[-200:]))
    owner, idles = "", {}
    for kind, *cells in rows[:-1]:
        if kind == "lock" and cells[:1] == ["held"]:
            owner = redact(clean_line(cells[1] if len(cells) > 1 else "", 200)) or "somebody who is not named"
        elif kind == "idle" and (found := idle_of(cells)):
            idles[found[0]] = found[1]
    return owner, idles
