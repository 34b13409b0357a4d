"""Every user command once: its id, keys, words in the palette, help and danger.

Bindings, footer, palette and help screen are all made from `COMMANDS`; nothing else binds a key of the cockpit
(widgets bind only how the cursor moves).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# What the digit row sends without shift on AZERTY, after the digit itself: nothing needs AltGr.
DIGIT_KEYS: Mapping[str, tuple[str, ...]] = {
    "0": ("0", "à"),
    "1": ("1", "ampersand"),
    "2": ("2", "é"),
    "3": ("3", "quotation_mark"),
    "4": ("4", "apostrophe"),
    "5": ("5", "left_parenthesis"),
    "6": ("6", "minus"),
    "7": ("7", "è"),
    "8": ("8", "underscore"),
    "9": ("9", "ç"),
}


class Danger(StrEnum):
    """What a command may do to the fleet."""

    LOOK = "look"  # changes nothing
    FORM = "form"  # opens a form, or changes only what is staged on the laptop
    PLAN = "plan"  # opens a plan: reading it changes nothing, applying it asks again
    CHANGE = "change"  # changes something after its dialog


class Arg(StrEnum):
    """What the palette offers behind the words of a command."""

    NONE = ""
    HOST = "host"
    HOSTS = "host|all"
    STACK = "stack"
    SERVICE = "service"
    PLACE = "service|host"
    PORT = "service port"
    EDIT = "stack file"
    LOG = "service|host|LogQL"
    LEVEL = "level"
    QUERY = "name"
    RULE = "rule"
    SPAN = "time until time"
    NODE = "node"
    USD = "usd"
    ECO = "mode"
    THEME = "theme"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Command:
    """One thing the operator can ask for. `screens` names where its keys are bound; empty: everywhere."""

    id: str
    words: str
    help: str
    keys: tuple[str, ...] = ()
    screens: tuple[str, ...] = ()
    arg: Arg = Arg.NONE
    danger: Danger = Danger.LOOK
    footer: str = ""
    in_palette: bool = True
    only: tuple[str, ...] = ()  # the screens whose palette and help show it; empty: all

    @property
    def mutates(self) -> bool:
        return self.danger is not Danger.LOOK


TABLES = ("fleet", "deploy")
ROWS = (*TABLES, "budget", "vpn")
LISTS = (*ROWS, "logs", "history", "checks", "backups")
OPENED = (*ROWS, "logs", "studio", "checks", "backups")
SCOPED = (*TABLES, "logs", "history", "checks", "backups", "trends")
_COCKPIT: tuple[Command, ...] = (
    Command("go.fleet", "go fleet", "Hosts, services and what needs you", DIGIT_KEYS["1"]),
    Command("go.deploy", "go deploy", "Stacks, releases, plans, deploys", DIGIT_KEYS["2"]),
    Command("go.logs", "go logs", "Live logs of everything, proven complete", DIGIT_KEYS["3"]),
    Command("go.budget", "go budget", "AI spend, its cap and eco mode", DIGIT_KEYS["4"]),
    Command("go.vpn", "go vpn", "Nodes, routes, keys, DNS records", DIGIT_KEYS["5"]),
    Command("go.studio", "go studio", "OpenCut and others on demand", DIGIT_KEYS["6"]),
    Command(
        "describe",
        "describe",
        "Everything known of this row",
        ("enter",),
        OPENED,
        Arg.SERVICE,
        footer="describe",
    ),
    Command("yaml", "yaml", "The container as the engine has it", ("y",), ("fleet",), Arg.SERVICE, footer="yaml"),
    Command(
        "logs",
        "logs",
        "The live log of a service, stack, host, of LogQL",
        ("l",),
        (*TABLES, "operation", "history", "studio", "studio-run"),
        Arg.LOG,
        footer="logs",
    ),
    Command(
        "shell", "shell", "A shell in the service, or on a host", ("s",), ("fleet",), Arg.PLACE, Danger.FORM, "shell"
    ),
    Command("events", "events", "Changes seen since the cockpit looks", (), ("fleet",), Arg.SERVICE),
    Command("deploy", "deploy", "Plan a deploy of this stack", ("D",), TABLES, Arg.STACK, Danger.PLAN, "deploy"),
    Command(
        "rollback",
        "rollback",
        "Plan a way back to a release",
        ("B",),
        (*TABLES, "operation"),
        Arg.STACK,
        Danger.PLAN,
        "roll back",
    ),
    Command(
        "apply",
        "apply",
        "Apply the plan shown or what is staged",
        ("A",),
        ("plan", "vpn"),
        danger=Danger.CHANGE,
        footer="apply",
    ),
    Command(
        "restart",
        "restart",
        "Restart it, or all that are marked",
        ("R",),
        ("fleet",),
        Arg.SERVICE,
        Danger.CHANGE,
        "restart",
    ),
    Command(
        "stop",
        "stop",
        "Stop it, or all that are marked",
        ("S",),
        ("fleet", "studio"),
        Arg.SERVICE,
        Danger.CHANGE,
        "stop",
    ),
    Command(
        "start",
        "start",
        "Start it, or all that are marked",
        ("U",),
        ("fleet", "studio"),
        Arg.SERVICE,
        Danger.CHANGE,
        "start",
    ),
    Command("resume", "resume", "Finish an interrupted deploy", (), ("deploy",), Arg.STACK, Danger.CHANGE),
    Command("revert", "revert", "Take an interrupted deploy back", (), ("deploy",), Arg.STACK, Danger.CHANGE),
    Command("hold", "hold", "Freeze deploys on a host; asks why", (), (), Arg.HOST, Danger.CHANGE),
    Command("adopt", "adopt", "Take over what a host runs already", (), (), Arg.HOST, Danger.PLAN),
    Command("lift", "release hold", "Let deploys on a host go again", (), (), Arg.HOST, Danger.CHANGE),
    Command("history", "history", "Who did what, on every host, from any laptop"),
    Command("checks", "checks", "What fails in silence, and how each stands"),
    Command("backups", "backups", "What is backed up, how fresh, what is not"),
    Command(
        "backups.run",
        "backups run",
        "Back up everything now",
        ("C",),
        ("backups",),
        danger=Danger.CHANGE,
        footer="back up",
    ),
    Command(
        "backups.restore",
        "backups restore-test",
        "Restore a dump to count it, and drop it",
        ("T",),
        ("backups",),
        Arg.TEXT,
        Danger.CHANGE,
        "restore test",
    ),
    Command("seen", "seen", "News are told from this moment on"),
    Command("watch", "watch", "Follow a running deploy", ("w",), ("deploy", "studio"), Arg.STACK, footer="watch"),
    Command("mark", "mark", "Mark or unmark this row", ("space",), ("fleet", "vpn"), in_palette=False),
    Command("sort", "sort", "Sort by the next column", ("o",), ROWS),
    Command(
        "stack.edit",
        "edit stack",
        "compose.yaml, or FILE, in $EDITOR; then the plan",
        ("e",),
        ("deploy",),
        Arg.EDIT,
        Danger.FORM,
        "edit",
    ),
    Command("env.check", "env check", "Env files: what they lack", (), (), Arg.STACK),
    Command("env.init", "env init", "Write what env files lack", (), (), Arg.STACK, Danger.PLAN),
    Command("env.edit", "env edit", "Edit an env file on its host", (), (), Arg.STACK, Danger.CHANGE),
    Command(
        "filter",
        "filter",
        "Keep the rows that hold these words",
        ("slash",),
        LISTS,
        Arg.TEXT,
        footer="filter",
    ),
    Command(
        "scope",
        "scope",
        "Show one host, or all of them",
        ("h",),
        SCOPED,
        Arg.HOSTS,
        footer="host",
    ),
    Command("copy", "copy", "Copy what the row stands for", ("c",)),
    Command(
        "refresh",
        "refresh",
        "Ask again; lost hosts reconnect now",
        ("ctrl+r",),
        (),
        Arg.HOSTS,
        footer="refresh",
    ),
    Command("log", "command log", "Every command run on the hosts", ("v",)),
    Command("help", "help", "Keys and commands of this screen", ("question_mark",), footer="help"),
    Command(
        "palette",
        "palette",
        "Any command, with its argument",
        ("colon", "ctrl+p"),
        in_palette=False,
        footer="command",
    ),
    Command("theme", "theme", "Change the colours", (), (), Arg.THEME),
    Command("demo", "demo", "`demo cut pi`, `heal pi`, `loki lossy 0.3`, `budget 92`, `move IMAGE`", (), (), Arg.TEXT),
    Command("back", "back", "Dialog, filter, marks, detail, back", ("escape",), in_palette=False),
    Command("leave", "leave", "Back; at the top ask to quit", ("q",), in_palette=False),
    Command("quit", "quit", "Quit, saying what still runs where", ("ctrl+q",)),
)

_BUDGET: tuple[Command, ...] = (
    Command("budget.part", "view", "Models, providers, keys, changes", ("tab",), ("budget",), Arg.TEXT,
            footer="tables", only=("budget",)),
    Command("budget.cap", "budget set", "The cap of a day, in dollars", ("M",), ("budget",), Arg.USD, Danger.CHANGE,
            "cap"),
    Command("budget.eco", "budget eco", "Free models: on, off, auto, block", ("E",), ("budget",), Arg.ECO,
            Danger.CHANGE, "eco mode"),
    Command("budget.undo", "budget undo", "Back to the cap or mode before", ("u",), ("budget",), Arg.NONE,
            Danger.FORM, "undo"),
    Command("budget.prove", "budget prove", "A live call: which model answers", (), (), Arg.TEXT, Danger.CHANGE),
)  # fmt: skip

_STUDIO: tuple[Command, ...] = (
    Command("studio.idle", "ondemand idle", "Stop it when idle for MINUTES; off", ("I",), ("studio",), Arg.TEXT,
            Danger.CHANGE, "idle stop"),
    Command("studio.next", "next stack", "The next stack on demand", ("tab",), ("studio",), only=("studio",)),
    Command("studio.start", "ondemand start", "Bring up a stack on demand", (), (), Arg.STACK, Danger.CHANGE),
    Command("studio.stop", "ondemand stop", "Free all it holds; data stays", (), (), Arg.STACK, Danger.CHANGE),
)  # fmt: skip


def _vpn(
    name: str, words: str, help: str, key: str = "", arg: Arg = Arg.NONE, danger: Danger = Danger.CHANGE, foot: str = ""
) -> Command:
    """A command of the VPN screen alone."""
    return Command(name, words, help, (key,) if key else (), ("vpn",) if key else (), arg, danger, foot, only=("vpn",))


_VPN: tuple[Command, ...] = (
    _vpn("vpn.part", "nodes or dns", "The nodes, or the DNS records", "tab", danger=Danger.LOOK, foot="nodes/dns"),
    _vpn("vpn.add", "add", "A record; on nodes a key, machine or user", "a", danger=Danger.FORM, foot="add"),
    _vpn("vpn.edit", "edit", "The record; name, tags, routes of a node", "e", danger=Danger.FORM, foot="edit"),
    _vpn("vpn.remove", "remove", "Delete or expire nodes; stage a removal", "X", Arg.NODE, foot="delete"),
    _vpn("vpn.undo", "undo", "Take the last staged step back", "u", danger=Danger.FORM, foot="undo"),
    _vpn("vpn.diff", "diff", "What an apply would change, as YAML too", "d", danger=Danger.LOOK, foot="diff"),
    _vpn("node.delete", "node delete", "Delete the node, or all marked ones", "", Arg.NODE),
    _vpn("node.expire", "node expire", "Expire its key: it must log in again", "", Arg.NODE),
    _vpn("node.rename", "node rename", "Another MagicDNS name", "", Arg.NODE),
    _vpn("node.tag", "node tags", "Add and take away tags", "", Arg.NODE),
    _vpn("node.routes", "node routes", "Approve and reject its routes", "", Arg.NODE),
    _vpn("node.move", "node move", "To another user", "", Arg.NODE),
    _vpn("node.expiry", "node expiry", "Another end of its key", "", Arg.NODE),
    _vpn("node.register", "register", "Let a machine in by the URL it printed"),
    _vpn("node.stale", "mark stale", "Mark nodes expired or off for DAYS (30)", "", Arg.TEXT, Danger.LOOK),
    _vpn("vpn.users", "users", "Users: create, rename, delete", danger=Danger.LOOK),
    _vpn("vpn.keys", "keys", "Pre-auth keys: list, expire", danger=Danger.LOOK),
    _vpn("key.new", "new key", "A key and its `tailscale up` line"),
    _vpn("user.new", "new user", "A user of Headscale"),
    _vpn("dns.retarget", "dns retarget", "All records of an address to another", danger=Danger.FORM),
    _vpn("dns.discard", "dns discard", "Forget everything that is staged"),
    _vpn("dns.settle", "dns settle", "Take an interrupted apply back"),
    _vpn("dns.export", "dns export", "Copy the records as YAML", danger=Danger.LOOK),
)


def _log(name: str, words: str, help: str, key: str = "", foot: str = "", arg: Arg = Arg.NONE) -> Command:
    """A command of the logs screen alone."""
    return Command(name, words, help, (key,) if key else (), ("logs",) if key else (), arg, footer=foot, only=("logs",))


_LOGS: tuple[Command, ...] = (
    _log("logs.follow", "follow", "Stay at the end, or stay here", "f", "follow"),
    _log("logs.level", "level", "Only lines that bad, or worse", "p", "level", Arg.LEVEL),
    _log("logs.next", "next", "The next line that fits, or error", "n", "next"),
    _log("logs.previous", "previous", "The one before that fits, or error", "N"),
    _log("logs.around", "around", "The filter hides others, or only marks", "z"),
    _log("logs.context", "context", "The lines around this one, by Loki", "x"),
    _log("logs.wrap", "wrap", "Long lines whole, or cut", "w", "wrap"),
    _log("logs.times", "times", "Local, UTC, relative, none", "t", "times"),
    _log("logs.bars", "bars", "How many lines, by time; of a span: `bars 6h`", "b", arg=Arg.SPAN),
    _log("logs.at", "at", "To a time, by Loki if need be: `14:05`, `3h`", arg=Arg.TEXT),
    _log("logs.since", "since", "Past lines: `since 6h`, `since 14:00 until 14:30`", arg=Arg.SPAN),
    _log("logs.push", "ask loki", "Let Loki filter: older lines come too", "i"),
    _log("logs.keep", "keep query", "What Loki is asked, under a name", arg=Arg.TEXT),
    _log("logs.kept", "kept query", "One that was kept", arg=Arg.QUERY),
    _log("logs.highlight", "highlight", "Draw what fits: NAME [STYLE] PATTERN; lists", arg=Arg.TEXT),
    _log("logs.highlights", "highlight list", "The highlight rules, and what is wrong in them"),
    _log("logs.unhighlight", "highlight remove", "Forget a highlight rule", arg=Arg.RULE),
    _log("logs.include", "include", "Only lines that have this field's value", "equals_sign"),
    _log("logs.exclude", "exclude", "No line that has this field's value", "exclamation_mark"),
    _log("logs.back", "widen", "Take the last include or exclude back", "u"),
    _log("logs.mark", "mark lines", "Mark from here on; moving extends it", "space"),
    _log("logs.save", "save", "The lines shown or marked, to a file, masked", arg=Arg.TEXT),
    _log("logs.json", "copy json", "The line, or what is marked, as JSON", "m"),
    _log("logs.pager", "pager", "The lines shown or marked in $PAGER", "r"),
    _log("logs.stop", "stop following", "Close the tail; its lines stay"),
)
_MACHINE: tuple[Command, ...] = (
    Command("disk", "disk", "What fills a host's disk, and when it is full", (), (), Arg.HOST),
    Command("disk.prune", "disk prune", "Free what nobody needs; never a volume", ("X",), ("disk",), Arg.HOST,
            Danger.PLAN, "free"),
    Command("guard", "guard", "Firewall, bans, open ports, units of a host", (), (), Arg.HOST),
    Command("guard.unban", "unban", "Let the address in again", ("X",), ("guard",), Arg.TEXT, Danger.CHANGE, "unban",
            only=("guard",)),
    Command("unit.restart", "unit restart", "Restart this unit", ("R",), ("guard",), Arg.TEXT, Danger.CHANGE,
            "restart", only=("guard",)),
)  # fmt: skip
_HANDS: tuple[Command, ...] = (
    Command("forward", "forward", "A service's port on this laptop", (), (), Arg.PORT, Danger.FORM),
    Command("forwards", "forwards", "The ports that are forwarded, and who uses them"),
    Command("forward.close", "close forward", "End the one under the cursor", ("X",), ("forwards",), Arg.NONE,
            Danger.CHANGE, "close", only=("forwards",)),
    Command("trends", "trends", "The last day of each host: load, memory, disk"),
)  # fmt: skip
COMMANDS: tuple[Command, ...] = (*_COCKPIT, *_LOGS, *_BUDGET, *_VPN, *_STUDIO, *_MACHINE, *_HANDS)
BY_ID: Mapping[str, Command] = {command.id: command for command in COMMANDS}
