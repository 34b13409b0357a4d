"""When a command of the table may run, which keys it has here, and what the palette makes of a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from textual.binding import Binding

from vpai_tui.command_table import BY_ID, COMMANDS, Arg, Command
from vpai_tui.errors import UsageError
from vpai_tui.strict import ConfigError, read_yaml

_KEY = re.compile(r"(?:[a-z]+\+)*\w+|[!-~]").fullmatch  # `ctrl+r`, `question_mark`, `G`, `?`
_KEY_NAMES: Mapping[str, str] = {
    "question_mark": "?",
    "slash": "/",
    "equals_sign": "=",
    "exclamation_mark": "!",
    "colon": ":",
    "escape": "esc",
    "space": "space",
    "enter": "enter",
}

# What each screen's footer may show, most wanted first; at most six are shown.
FOOTERS: Mapping[str, tuple[str, ...]] = {
    "fleet": ("describe", "logs", "deploy", "restart", "filter", "help", "shell", "scope", "palette"),
    "deploy": ("deploy", "rollback", "watch", "describe", "filter", "help", "scope", "stack.edit"),
    "logs": ("logs.follow", "filter", "logs.level", "describe", "logs.wrap", "help", "scope"),
    "vpn": ("vpn.part", "apply", "vpn.diff", "describe", "vpn.add", "vpn.remove", "filter", "help"),
    "budget": ("budget.part", "describe", "budget.cap", "budget.eco", "budget.undo", "help"),
    "forwards": ("forward.close", "help", "palette"),
    "trends": ("scope", "refresh", "help", "palette"),
    "history": ("filter", "scope", "help", "palette"),
    "backups": ("describe", "backups.run", "backups.restore", "filter", "refresh", "help"),
    "checks": ("describe", "filter", "scope", "refresh", "help", "palette"),
    "plan": ("apply", "help", "palette"),
    "operation": ("rollback", "help", "palette"),
    "vpn-run": ("help", "palette"),
    "budget-run": ("help", "palette"),
    "studio": ("start", "stop", "studio.idle", "describe", "logs", "help"),
    "disk": ("disk.prune", "refresh", "help", "palette"),
    "disk-run": ("help", "palette"),
    "guard": ("unit.restart", "guard.unban", "refresh", "help", "palette"),
    "studio-run": ("logs", "help", "palette"),
}
FOOTER_KEYS = 6

_STAGED = ("apply", "vpn.diff", "vpn.undo", "dns.discard")  # on the VPN screen only while something is staged

# They open something that is typed into: they run before the next key is looked at, so that no letter is lost.
OPENERS = frozenset({"palette", "filter", "scope"})


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether a command may run now."""

    screen: str
    connected: bool = True
    read_only: bool = False
    demo: bool = False
    finished: bool = True  # the operation shown has ended
    watchable: bool = False  # a deploy runs on the stack shown
    staged: bool = False  # DNS edits wait to be applied
    cannot: Mapping[str, str] = field(default_factory=dict)  # command id → why the server shown cannot do it
    keymap: Mapping[str, str] = field(default_factory=dict)  # the operator's keys by command id

    def keys(self, command: Command) -> tuple[str, ...]:
        """The keys of a command here."""
        return keys_of(command, self.keymap)

    def key_text(self, command: Command) -> str:
        """The first key as people write it."""
        keys = self.keys(command)
        return key_text(keys[0]) if keys else ""


def key_text(key: str) -> str:
    """A key as people write it: `?` for `question_mark`."""
    return _KEY_NAMES.get(key, key)


def refusal(command: Command, now: Situation) -> str:
    """Why `command` may not run in this situation; empty when it may."""
    if command.mutates and now.read_only:
        return f"read-only: {command.words} is refused"
    if command.mutates and not now.connected:
        return f"{command.words}: the fleet is still being connected"
    if command.id == "demo" and not now.demo:
        return "demo: this is the real fleet"
    if command.id in now.cannot:
        return f"{command.words}: {now.cannot[command.id]}"
    if command.id == "rollback" and now.screen == "operation" and not now.finished:
        return "rollback: the deploy is still running"
    return ""


def visible(command: Command, now: Situation) -> bool:
    """Whether palette, footer and help show the command: what read-only or the server refuses is hidden too."""
    if (command.only and now.screen not in command.only) or command.id in now.cannot:
        return False
    if command.id in _STAGED and now.screen == "vpn" and not now.staged:
        return False
    if command.id == "watch" and now.screen in ("deploy", "studio") and not now.watchable:
        return False
    return not (command.mutates and now.read_only) and not (command.id == "demo" and not now.demo)


def commands_of(screen: str) -> list[Command]:
    """The commands whose keys are bound on `screen`, the screen's own first."""
    own = [command for command in COMMANDS if screen in command.screens]
    return own + [command for command in COMMANDS if not command.screens]


def footer_of(now: Situation) -> list[Command]:
    """The commands the footer shows, at most six, the most wanted first."""
    wanted = [BY_ID[name] for name in FOOTERS.get(now.screen, ("help", "palette"))]
    return [command for command in wanted if visible(command, now) and not refusal(command, now)][:FOOTER_KEYS]


def bindings_of(screen: str) -> list[Binding]:
    """Textual bindings of one screen: binding ids are command ids, so an operator's keymap can replace keys."""
    return [
        Binding(
            ",".join(command.keys),
            f"app.command('{command.id}')",
            command.help,
            show=False,
            priority=command.id in OPENERS,
            id=command.id,
        )
        for command in commands_of(screen)
        if command.keys
    ]


def key_clashes(screen: str, keymap: Mapping[str, str] | None = None) -> list[str]:
    """Keys that two commands of one screen claim, as sentences."""
    owners: dict[str, str] = {}
    clashes: list[str] = []
    for command in commands_of(screen):
        for key in keys_of(command, keymap or {}):
            if key in owners:
                clashes.append(f"{screen}: {key_text(key)} is both {owners[key]} and {command.id}")
            owners[key] = command.id
    return clashes


def keys_of(command: Command, keymap: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of a command under an operator's keymap."""
    return tuple(keymap[command.id].split(",")) if command.id in keymap else command.keys


def check_keymap(keymap: Mapping[str, str], source: str) -> None:
    """Refuse a keymap with unknown commands or clashing keys; raises UsageError naming all of them."""
    problems = [f"{name}: no such command" for name in keymap if name not in BY_ID]
    known = {name: keys for name, keys in keymap.items() if name in BY_ID}
    problems += [
        f"{name}: no such key: {key!r}" for name in known for key in keys_of(BY_ID[name], known) if not _KEY(key)
    ]
    for screen in FOOTERS:
        problems.extend(key_clashes(screen, known))
    if problems:
        raise UsageError(
            f"{source}: " + "; ".join(dict.fromkeys(problems)), remedy="Give each command of a screen a key of its own."
        )


def load_keymap(path: Path) -> dict[str, str]:
    """An operator's keys, `command id: keys`, several separated by commas; raises UsageError when wrong."""
    document, problems = read_yaml(path)
    if problems:
        raise ConfigError(problems, remedy="Write lines such as `logs: L`.")
    found = document.value or {}
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found.values()):
        raise UsageError(f"{path}: expected lines of `command: keys`", remedy="Quote digits: `go.fleet: '1'`.")
    keymap = {str(name): str(keys).replace(" ", "") for name, keys in found.items()}
    check_keymap(keymap, str(path))
    return keymap


def parse(line: str) -> tuple[Command | None, str]:
    """`deploy sese/apps` → (deploy, "sese/apps"): the longest words that match win."""
    text = " ".join(line.split())
    fitting = [c for c in COMMANDS if text == c.words or text.startswith(c.words + " ")]
    if not fitting:
        return None, text
    command = max(fitting, key=lambda c: len(c.words))
    return command, text[len(command.words) :].strip()


def suggestions(line: str, arguments: Mapping[Arg, Iterable[str]], now: Situation) -> list[tuple[Command, str]]:
    """What the palette offers for `line`: (command, argument) pairs, best first."""
    command, argument = parse(line)
    if command is not None and command.in_palette and visible(command, now) and command.arg is not Arg.NONE:
        values = [value for value in arguments.get(command.arg, ()) if argument.lower() in value.lower()]
        bare = [] if argument else [(command, "")]
        free = (
            command.arg in (Arg.TEXT, Arg.USD, Arg.LOG, Arg.SPAN, Arg.RULE, Arg.PORT, Arg.EDIT)
            and bool(argument)
            and argument not in values
        )
        typed = [(command, argument)] if free else []
        return bare + typed + [(command, value) for value in values]
    wanted = " ".join(line.split()).lower()
    hits = [c for c in COMMANDS if c.in_palette and visible(c, now) and _matches(wanted, c)]
    return [(c, "") for c in sorted(hits, key=lambda c: not c.words.startswith(wanted))]


def _matches(wanted: str, command: Command) -> bool:
    return all(part in f"{command.words} {command.help}".lower() for part in wanted.split())
