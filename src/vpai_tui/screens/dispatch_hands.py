"""Commands that lay hands on a service: a shell in it, its port on this laptop, how it and its host fared."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vpai_tui.command_table import Arg
from vpai_tui.screens.flows import Flows
from vpai_tui.screens.shell import Shell
from vpai_tui.text import number
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from vpai_tui.screens.hands import HandsFlows


class HandsCommands:
    """A part of the dispatcher."""

    _shell: Shell
    _flows: Flows

    @cached_property
    def _hands(self) -> HandsFlows:
        """Made when first wanted: what it imports would keep the first key waiting."""
        from vpai_tui.screens.hands import HandsFlows

        return HandsFlows(self._shell, self._flows.work, self._flows.show_plan)

    def do_shell(self, argument: str) -> None:
        if place := self._place(argument, "shell"):
            self._hands.shell(place)

    def do_stack_edit(self, argument: str) -> None:
        name, _, file = argument.partition(" ")
        known = [stack.id for stack in self._shell.context.snapshot.stacks]
        wanted = name or self._shell.cockpit.target_stack() or ""
        fits = [it for it in known if it == wanted] or [it for it in known if wanted and it.endswith(f"/{wanted}")]
        if len(fits) == 1:
            self._hands.edit(fits[0], file.strip())
        else:
            self._shell.toast("edit stack: name one stack of ours", severity="warning")

    def do_forward(self, argument: str) -> None:
        name, _, word = argument.partition(" ")
        port = number(word.strip(), least=1, most=65535) if word else None
        if word and port is None:
            self._shell.toast(f"forward: {word.strip()[:20]} is no port", severity="warning")
        elif service := self._place(name, "forward", hosts=False):
            self._hands.forward(service, port)

    def do_forwards(self, _argument: str) -> None:
        self._hands.forwards()

    def do_forward_close(self, _argument: str) -> None:
        self._hands.shut()

    def still_forwarded(self) -> list[Line]:
        """What quitting ends."""
        from vpai_tui.widgets.forward_rows import forward_question

        backend = self._shell.context.backend
        return forward_question(backend.forwards.running) if backend is not None else []

    def do_trends(self, _argument: str) -> None:
        from vpai_tui.screens.trends import TrendsScreen

        if not isinstance(self._shell.cockpit, TrendsScreen):
            self._shell.push_screen(TrendsScreen(self._shell.context))

    def places(self) -> dict[Arg, list[str]]:
        """What the palette offers behind these commands."""
        snapshot = self._shell.context.snapshot
        services = [service.id for service in snapshot.services]
        return {
            Arg.PLACE: [*(host.name for host in snapshot.hosts), *services],
            Arg.PORT: services,
            Arg.EDIT: [it.id for it in snapshot.stacks],
        }

    def _place(self, argument: str, words: str, *, hosts: bool = True) -> str:
        """The host or service that is named, else the service of the row; says so when there is none, or several."""
        snapshot = self._shell.context.snapshot
        known = [host.name for host in snapshot.hosts] if hosts else []
        services = [service.id for service in snapshot.services]
        named = [argument] if argument else self._shell.cockpit.target_services()
        fits = [it for it in (*known, *services) if it in named]
        fits = fits or [it for it in services if argument and it.endswith(f"/{argument}")]
        if len(fits) == 1:
            return fits[0]
        what = "service or host" if hosts else "service"
        why = f"no such {what}" if argument and not fits else f"name one {what}"
        self._shell.toast(f"{words}: {why}", severity="warning")
        return ""
