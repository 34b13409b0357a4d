"""`telegram-channel`: OpenClaw's own command line, asked in its container: are plugin and channel on."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.fleet.model import Service
from vpai_tui.redact import redact
from vpai_tui.text import clean, clean_line
from vpai_tui.upkeep.asking import running, services_of
from vpai_tui.upkeep.examiner import Source

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

CHECK = "telegram-channel"
CHANNEL = "telegram"
_TIMEOUT_S = 60.0  # two starts of node, on a host of few cores
_LARGEST = 1 << 20
_MARK = "vpai-tui: the channels"
# One exec. Usage is left out where the command knows the word: it asks the providers.
SCRIPT = f"""
tell() {{ timeout 25 node /app/openclaw.mjs "$@" 2>&1 </dev/null; }}
tell plugins list --json | head -c {_LARGEST}
echo; echo "{_MARK}"
{{ tell channels list --no-usage || tell channels list; }} | head -c {_LARGEST}
"""
_STATES = ("loaded", "disabled", "error")


def channel_source(surface: Surface) -> Source:
    place = next((stack.host for stack in surface.stacks if "openclaw" in stack.services), "")

    async def ask() -> Sequence[Finding]:
        service = next((it for it in services_of(surface.snapshot(), "openclaw") if running(it)), None)
        if service is None or service.container is None:
            raise OperatorError("no OpenClaw runs")
        connection = await surface.connection(service.host)
        argv = [*shlex.split(connection.host.docker), "exec", service.container.id, "sh", "-c", SCRIPT]
        label = "openclaw: plugins list, channels list"
        done = await connection.run(argv, root=True, check=False, timeout_s=_TIMEOUT_S, label=label)
        return list(findings(done.stdout, service))

    return Source("OpenClaw's channels", (CHECK,), place, ask, within_s=_TIMEOUT_S + 5)


def findings(printed: bytes, service: Service) -> Iterator[Finding]:
    """One for the plugin and one for each account of the channel; unknown where the words are not those we know."""
    plugins, mark, channels = clean(printed).partition(_MARK)
    if not mark:
        yield _finding(service, "", Standing.UNKNOWN, f"OpenClaw says: {_said(plugins)}")
        return
    yield _plugin(service, plugins)
    yield from _accounts(service, channels)


def _plugin(service: Service, text: str) -> Finding:
    state = plugin_state(text)
    if state is None:
        return _finding(service, "Telegram plugin", Standing.UNKNOWN, f"`plugins list` says: {_said(text)}")
    if state == "loaded":
        return _finding(service, "Telegram plugin", Standing.OK, "the plugin is loaded")
    word = "there is no such plugin" if state == "absent" else f"the plugin is {state}"
    return _finding(service, "Telegram plugin", Standing.ERROR, f"{word}: nobody is answered on Telegram")


def plugin_state(text: str) -> str | None:
    """loaded, disabled, error or absent; None: the command did not print what we know. Warnings may stand before."""
    for start in (at.start() for at in re.finditer(r"(?m)^\{", text)):
        try:
            found, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        plugins = found.get("plugins") if isinstance(found, dict) else None
        if isinstance(plugins, list):
            return next((it for it in map(_state, plugins) if it), "absent")
    return None


def _state(plugin: Any) -> str:
    if not isinstance(plugin, dict) or plugin.get("id") != CHANNEL:
        return ""
    state = plugin.get("status")
    return state if state in _STATES else "in no state we know"


def _accounts(service: Service, text: str) -> Iterator[Finding]:
    lines = [line.strip() for line in text.splitlines()]
    if not any(re.fullmatch(r"Chat channels:?", line) for line in lines):
        yield _finding(service, "Telegram channel", Standing.UNKNOWN, f"`channels list` says: {_said(text)}")
        return
    accounts = [found for line in lines if (found := account_of(line))]
    if not accounts:
        yield _finding(service, "Telegram channel", Standing.ERROR, "Telegram is no channel of it")
    for name, words in accounts:
        yield _account(service, name, words)


def account_of(line: str) -> tuple[str, tuple[str, ...]] | None:
    """Name and words of a line `- Telegram default: configured, token=env, enabled`; None for any other line."""
    found = re.fullmatch(r"- Telegram\b([^:]{0,80}): (.{1,300})", line)
    if found is None:
        return None
    return clean_line(found[1].strip(), 60) or "default", tuple(word.strip() for word in found[2].split(","))


def _account(service: Service, name: str, words: Sequence[str]) -> Finding:
    subject = f"Telegram channel {name}"
    bad = [it for it in ("not installed", "not configured", "disabled", "token=none") if it in words]
    if bad:
        return _finding(service, subject, Standing.ERROR, f"the channel is {', '.join(bad)}")
    if "enabled" in words and "configured" in words:
        return _finding(service, subject, Standing.OK, "the channel is configured and enabled")
    return _finding(service, subject, Standing.UNKNOWN, f"`channels list` says: {_said(', '.join(words))}")


def _said(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return redact(clean_line(lines[-1].strip(), 120)) if lines else "nothing"


def _finding(service: Service, subject: str, standing: Standing, detail: str) -> Finding:
    return Finding(CHECK, service.host, subject, standing, detail, target=service.id)
