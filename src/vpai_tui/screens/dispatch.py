"""What each command does, by key, palette or click. Views belong to the screen; the rest is here or in the flows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING

from vpai_tui.command_table import BY_ID, Arg, Command
from vpai_tui.commands import refusal
from vpai_tui.errors import OperatorError
from vpai_tui.screens.budget_run import BUDGET
from vpai_tui.screens.dispatch_hands import HandsCommands
from vpai_tui.screens.dispatch_machine import MachineCommands
from vpai_tui.screens.dispatch_studio import StudioCommands
from vpai_tui.screens.dispatch_upkeep import UpkeepCommands
from vpai_tui.screens.flows import Flows
from vpai_tui.screens.shell import Shell
from vpai_tui.text import clean
from vpai_tui.widgets.dialogs import Choice, Confirm, ScopePrompt
from vpai_tui.widgets.help import Help
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.palette import Palette
from vpai_tui.widgets.themes import THEME_NAMES

if TYPE_CHECKING:
    from vpai_tui.screens.budget_flows import BudgetFlows
    from vpai_tui.screens.env import EnvFlows
    from vpai_tui.screens.vpn_flows import VpnFlows

_QUIT = "Quit the cockpit?"
_COPY_LIMIT = 74_000  # bytes: terminals drop longer clipboard sequences


class Dispatcher(StudioCommands, UpkeepCommands, HandsCommands, MachineCommands):
    """Runs commands on a shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._flows = Flows(shell)

    @property
    def flows(self) -> Flows:
        return self._flows

    @cached_property
    def _env(self) -> EnvFlows:
        """Made when first wanted, as `_vpn_flows`."""
        from vpai_tui.screens.env import EnvFlows

        return EnvFlows(self._shell, self._flows.work)

    @cached_property
    def _budget_flows(self) -> BudgetFlows:
        """Made when first wanted, as `_vpn_flows`."""
        from vpai_tui.screens.budget_flows import BudgetFlows

        return BudgetFlows(self._shell, self._flows.work, self._flows.show)

    @cached_property
    def _vpn_flows(self) -> VpnFlows:
        """Made when first wanted: what it imports would keep the first key waiting."""
        from vpai_tui.screens.vpn_ask import VpnDesk
        from vpai_tui.screens.vpn_flows import VpnFlows

        return VpnFlows(VpnDesk(self._shell, self._flows.work, self._flows.show))

    def run_command(self, name: str, argument: str = "") -> Awaitable[object] | None:
        """Do a command, by key, palette or click; says why when it may not run.

        Returns what ends when the thing it opened is there, if it opened something to type into.
        """
        command, now = BY_ID[name], self._shell.cockpit.situation()
        why = refusal(command, now)
        if why:
            self._shell.toast(why, severity="warning")
            return None
        argument = argument.strip()
        if argument and command.arg in (Arg.SERVICE, Arg.STACK):
            found = self._resolve(command, argument)
            if found is None:
                return None
            argument = found
        if argument and command.arg is Arg.SERVICE and not command.mutates and self._shell.cockpit.KIND != "fleet":
            self._go("fleet")
        if name == "logs":
            self._open_log(argument)
            return None
        if self._shell.cockpit.view(name, argument):
            return None
        if self._shell.cockpit.KIND == "vpn" and (command.only == ("vpn",) or name == "apply"):
            self._vpn_flows.run(name, argument)
            return None
        handler: Callable[[str], Awaitable[object] | None] | None = getattr(self, f"do_{name.replace('.', '_')}", None)
        if handler is None:
            self._shell.toast(f"{command.words}: not on this screen", severity="warning")
            return None
        return handler(argument)

    def _resolve(self, command: Command, argument: str) -> str | None:
        """A full id for an id or an unambiguous short form of it."""
        snapshot = self._shell.context.snapshot
        known = [s.id for s in (snapshot.services if command.arg is Arg.SERVICE else snapshot.stacks)]
        head, *rest = argument.split(" ", 1)
        fits = [item for item in known if item == head] or [item for item in known if item.endswith(f"/{head}")]
        if len(fits) != 1:
            what = "no such" if not fits else "more than one"
            self._shell.toast(f"{command.words}: {what} {command.arg.value}: {argument}", severity="warning")
            return None
        return " ".join([fits[0], *rest])

    def do_go_fleet(self, _argument: str) -> None:
        self._go("fleet")

    def do_go_deploy(self, _argument: str) -> None:
        self._go("deploy")

    def do_go_budget(self, _argument: str) -> None:
        self._go("budget")

    def do_budget_cap(self, argument: str) -> None:
        self._budget_flows.cap(argument)

    def do_budget_eco(self, argument: str) -> None:
        self._budget_flows.eco(argument)

    def do_budget_prove(self, argument: str) -> None:
        self._budget_flows.prove(argument)

    def do_budget_undo(self, _argument: str) -> None:
        self._budget_flows.undo()

    def do_go_logs(self, _argument: str) -> None:
        self._go("logs")

    def _open_log(self, argument: str) -> None:
        """The live log of what is named, else of the row's service or stack; of what failed, as it was then."""
        moment = None if argument else self._shell.cockpit.target_moment()
        cockpit = self._shell.cockpit
        named = (argument, moment.subject if moment else "", *cockpit.target_services(), cockpit.target_stack() or "")
        if not (wanted := next(filter(None, named), "")):
            self._shell.toast("logs: name a service, a stack, a host, or LogQL", severity="warning")
            return

        def known() -> None:
            self._shell.log_watch.open(wanted, moment)
            self._go("logs") if self._shell.cockpit.KIND != "logs" else self._shell.redraw()

        def unknown(error: OperatorError) -> None:
            if self._shell.context.service(wanted) is None:
                self._shell.toast(f"logs: {error}", severity="warning")
                return
            self._shell.toast(f"{error}: its last lines instead", severity="warning")
            self._go("fleet") if self._shell.current_mode != "fleet" else None
            self._shell.cockpit.view("logs", wanted)

        self._shell.log_watch.find(wanted, known, unknown)

    def do_go_vpn(self, _argument: str) -> None:
        self._go("vpn")

    def do_go_studio(self, _argument: str) -> None:
        self._go("studio")

    def _go(self, mode: str) -> None:
        """Switch to a mode; the key of the mode one is in goes to its first screen."""
        if self._shell.current_mode != mode:
            self._shell.switch_mode(mode)
            return
        while len(self._shell.screen_stack) > 1:
            self._shell.pop_screen()

    def do_deploy(self, argument: str) -> None:
        self._plan("deploy", argument)

    def do_rollback(self, argument: str) -> None:
        self._plan("rollback", argument)

    def _plan(self, kind: str, argument: str) -> None:
        stack, _, release = argument.partition(" ")
        stack = stack or self._shell.cockpit.target_stack() or ""
        if not stack:
            self._shell.toast(f"{kind}: this row belongs to no stack of ours", severity="warning")
            return
        release = release.strip() or (self._release_under_cursor() if not argument else "")
        self._flows.plan(stack, kind, release or None)

    def _release_under_cursor(self) -> str:
        wanted = getattr(self._shell.cockpit, "target_release", None)
        return (wanted() or "") if wanted is not None else ""

    def do_env_check(self, argument: str) -> None:
        self._env.check(argument or self._shell.cockpit.target_stack() or "")

    def do_env_init(self, argument: str) -> None:
        self._env.init(argument or self._shell.cockpit.target_stack() or "")

    def do_env_edit(self, argument: str) -> None:
        stack, _, file = (argument or self._shell.cockpit.target_stack() or "").partition(" ")
        self._env.edit(stack, file.strip())

    def do_resume(self, argument: str) -> None:
        self._flows.settle(argument or self._shell.cockpit.target_stack() or "", "resume")

    def do_revert(self, argument: str) -> None:
        self._flows.settle(argument or self._shell.cockpit.target_stack() or "", "revert")

    def do_hold(self, argument: str) -> None:
        if host := self._host(argument, "hold"):
            self._flows.hold(host)

    def do_adopt(self, argument: str) -> None:
        if host := self._host(argument, "adopt"):
            self._flows.adoption.adopt(host)

    def do_lift(self, argument: str) -> None:
        if host := self._host(argument, "release hold"):
            self._flows.lift(host)

    def _host(self, argument: str, words: str) -> str:
        """The host that is named, shown, or that the row under the cursor is on; says so when there is none."""
        known = [host.name for host in self._shell.context.snapshot.hosts]
        row = [*self._shell.cockpit.target_services(), self._shell.cockpit.target_stack() or ""]
        host = argument or self._shell.context.scope or row[0].partition("/")[0]
        if host in known:
            return host
        self._shell.toast(f"{words}: name one of {', '.join(known)}", severity="warning")
        return ""

    def do_history(self, _argument: str) -> None:
        from vpai_tui.screens.history import HistoryScreen

        if not isinstance(self._shell.cockpit, HistoryScreen):
            self._shell.push_screen(HistoryScreen(self._shell.context))

    def do_watch(self, argument: str) -> None:
        self._flows.watch(argument or self._shell.cockpit.target_stack())

    # -- the cockpit itself --------------------------------------------------------------------------------------

    def do_scope(self, argument: str) -> Awaitable[object] | None:
        hosts = [host.name for host in self._shell.context.snapshot.hosts]
        if argument in hosts or argument == "all":
            self._scoped(argument)
        elif argument:
            self._shell.toast(f"scope: no host {argument}", severity="warning")
        else:
            return self._shell.push_screen(ScopePrompt(hosts, self._shell.context.scope), self._scoped)
        return None

    def _scoped(self, answer: str | None) -> None:
        if answer and self._shell.cockpit.KIND == "logs":
            self._shell.log_watch.open(answer)
            self._shell.redraw()
        elif answer:
            self._shell.context.scope = None if answer == "all" else answer
            self._shell.redraw()

    def do_refresh(self, argument: str) -> None:
        backend = self._shell.context.backend
        if backend is not None:
            backend.reconnect(None if argument in ("", "all") else argument)
            self._shell.context.refreshes += 1
            if self._shell.cockpit.KIND == "budget":
                self._shell.budget_watch.again()
            if self._shell.cockpit.KIND == "logs":
                self._shell.log_watch.again()
            if self._shell.cockpit.KIND == "studio":
                self._shell.studio_watch.again()
            if self._shell.cockpit.KIND == "checks":
                self._shell.upkeep_watch.again()
            if self._shell.cockpit.KIND == "vpn":
                self._shell.context.vpn.answered_boot_s = None
                self._shell.vpn_watch.again()
            self._shell.redraw()
            self._shell.toast(f"asking {argument or 'every host'} again")

    def do_log(self, _argument: str) -> None:
        self._shell.cockpit.toggle_log()

    def do_help(self, _argument: str) -> None:
        self._shell.push_screen(Help(self._shell.cockpit.situation()))

    def do_palette(self, _argument: str) -> Awaitable[object]:
        return self._shell.push_screen(Palette(self._arguments(), self._shell.cockpit.situation()), self._from_palette)

    def _from_palette(self, answer: tuple[str, str] | None) -> None:
        if answer is not None:
            self.run_command(*answer)

    def _arguments(self) -> dict[Arg, list[str]]:
        snapshot, vpn = self._shell.context.snapshot, self._shell.context.vpn.snapshot
        hosts = [host.name for host in snapshot.hosts]
        return {
            Arg.HOST: hosts,
            Arg.HOSTS: ["all", *hosts],
            Arg.STACK: [stack.id for stack in snapshot.stacks],
            Arg.SERVICE: [service.id for service in snapshot.services],
            Arg.LOG: ["all", *hosts, *(stack.id for stack in snapshot.stacks), *(s.id for s in snapshot.services)],
            **self.places(),
            Arg.QUERY: list(self._shell.context.logs.kept),
            Arg.RULE: self._shell.context.logs.rule_names,
            Arg.SPAN: ["15m", "1h", "6h", "24h", "7d"],
            Arg.LEVEL: ["all", "debug", "info", "warn", "error"],
            Arg.NODE: [it.node.name for it in vpn.nodes] if vpn else [],
            Arg.ECO: ["auto", "on", "off", "block"],
            Arg.THEME: list(THEME_NAMES),
        }

    def do_theme(self, argument: str) -> None:
        names = list(THEME_NAMES)
        if argument and argument not in names:
            self._shell.toast(f"theme: one of {', '.join(names)}", severity="warning")
            return
        at = names.index(self._shell.theme) if self._shell.theme in names else -1
        self._shell.theme = argument or names[(at + 1) % len(names)]

    def do_demo(self, argument: str) -> None:
        self._flows.demo(argument)

    def do_copy(self, _argument: str) -> None:
        text = clean(self._shell.cockpit.copy_text())  # it may be pasted into a shell
        if not text:
            self._shell.toast("nothing to copy here", severity="warning")
        elif len(text.encode()) > _COPY_LIMIT:
            self._shell.toast("too much for the terminal's clipboard", severity="warning")
        else:
            self._shell.copy_to_clipboard(text)
            self._shell.toast(f"copied {text.splitlines()[0][:60]}" + (" …" if "\n" in text else ""))

    def do_back(self, _argument: str) -> None:
        if not self._shell.cockpit.go_back() and len(self._shell.screen_stack) > 1:
            self._shell.pop_screen()

    def do_leave(self, _argument: str) -> None:
        if self._shell.cockpit.go_back():
            return
        if len(self._shell.screen_stack) > 1:
            self._shell.pop_screen()
        else:
            self.do_quit("")

    def do_quit(self, _argument: str) -> None:
        if isinstance(self._shell.screen, Confirm) and self._shell.screen.heading == _QUIT:
            return
        body = [*self.still_forwarded(), *quit_question(self._shell.context.operations.running)]
        dialog = Confirm(_QUIT, body, [Choice("quit", "Quit", "primary")])
        self._shell.push_screen(dialog, lambda answer: self._shell.exit() if answer == "quit" else None)


def quit_question(running: tuple[Operation, ...]) -> list[Line]:
    """What still runs where, and what quitting means for it."""
    if not running:
        return [(("Nothing runs. The hosts go on as they are.", "dim"),)]
    rows: list[Line] = []
    for operation in running:
        host = operation.stack.partition("/")[0]
        goes_on = operation.progress.on_host
        half_done = operation.kind == BUDGET and bool(operation.progress.told)  # a key is set before anything else
        rows.append((("… ", "busy"), (operation.title, "strong"), (f"  {operation.progress.phase}", "dim")))
        rows.append(
            ((f"  goes on by itself on {host}; the next look says how it ended", ""),)
            if goes_on
            else (("  what it has set acts already; quitting leaves the rest undone", "warn"),)
            if half_done
            else ((f"  not on {host} yet: quitting ends it, nothing was changed", "warn"),)
        )
    return rows
