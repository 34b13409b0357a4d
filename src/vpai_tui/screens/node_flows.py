"""Changing nodes, users and keys: judged first, shown with all that depends on them, then asked, then done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vpai_tui.errors import UsageError
from vpai_tui.screens.vpn_ask import Question, VpnDesk
from vpai_tui.vpn import words
from vpai_tui.vpn.guard import HARD, Action, Verdict
from vpai_tui.vpn.view import NodeView
from vpai_tui.widgets.dialogs import Choice, Confirm, named, wrap
from vpai_tui.widgets.form import Field
from vpai_tui.widgets.node_rows import expiry, marks, state
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from vpai_tui.vpn.model import Node

_EDITS = ("rename", "tag", "routes", "move", "expiry")


class NodeFlows:
    """Flows about nodes. The guards are repeated inside each write."""

    def __init__(self, desk: VpnDesk) -> None:
        self._desk = desk

    def run(self, name: str, argument: str) -> None:
        """`delete`, `rename`, … of the node that is named, marked or under the cursor."""
        nodes = self._chosen(argument)
        if not nodes:
            return
        if name in ("delete", "expire", "remove"):
            self._remove(nodes, HARD if name == "remove" else (Action(name),))
        elif len(nodes) > 1:
            self._desk.warn(f"{name}: one node at a time; esc forgets the marks")
        else:
            flow: Callable[[NodeView], None] = getattr(self, f"_{name}")
            flow(nodes[0])

    def _chosen(self, argument: str) -> list[NodeView]:
        found, screen = self._desk.found, self._desk.screen
        if found is None or screen is None:
            self._desk.warn("the nodes are not known yet")
            return []
        if found.server is None:
            self._desk.warn(f"Headscale does not answer: {found.error}")
            return []
        if not argument:
            return screen.nodes()
        try:
            return [found.find(argument)]
        except UsageError as error:
            self._desk.warn(f"{error.message}: {error.remedy}")
            return []

    # -- delete and expire ---------------------------------------------------------------------------------------

    def _remove(self, nodes: Sequence[NodeView], actions: Sequence[Action]) -> None:
        ids = [it.node.id for it in nodes]

        async def judge() -> None:
            self._ask_hard(nodes, await self._desk.vpn.nodes.judge(actions, ids))

        self._desk.look(f"looking at what depends on {_names(nodes)}", judge)

    def _ask_hard(self, nodes: Sequence[NodeView], verdicts: Sequence[Verdict]) -> None:
        verbs = " or ".join(it.action.value for it in verdicts)
        refused = next((it.refused for it in verdicts if it.refused), "")
        if refused:
            rows = [*((((row, "error"),)) for row in wrap(refused)), (), *_refusal_way(verdicts[0])]
            self._desk.app.push_screen(Confirm(f"✖ Refused: {verbs} {_names(nodes)}", rows, []))
            return
        now = self._desk.context.clock.now()
        rows = [_fact(it, now) for it in nodes[:4]] + _more(len(nodes) - 4)
        for verdict in verdicts:
            rows += _warning_rows(verdict)
        rows += _needed(verdicts[0].dependants)
        choices = [Choice(it.action.value, _label(it.action, nodes), "error") for it in verdicts]
        word = " ".join(verdicts[0].words) or None
        ids = [it.node.id for it in nodes]

        def answered(answer: str | None) -> None:
            chosen = next((it for it in verdicts if it.action.value == answer), None)
            if chosen is not None:
                self._desk.go(f"{answer} {_names(nodes)}", lambda: self._hard(ids, chosen))

        self._desk.app.push_screen(
            Confirm(f"{verbs.capitalize()} {_names(nodes)}?", rows, choices, word=word), answered
        )

    async def _hard(self, ids: Sequence[int], verdict: Verdict) -> str:
        nodes = self._desk.vpn.nodes
        act = nodes.delete if verdict.action is Action.DELETE else nodes.expire
        await act(ids, typed=verdict.words)
        if self._desk.screen is not None:
            self._desk.screen.marks["nodes"] = frozenset()
        return f"{'deleted' if verdict.action is Action.DELETE else 'expired'}: {', '.join(verdict.nodes)}"

    # -- edits ---------------------------------------------------------------------------------------------------

    def edit(self) -> None:
        """Which edit of the node under the cursor."""
        nodes, screen = self._chosen(""), self._desk.screen
        if len(nodes) != 1 or screen is None:
            return
        cannot = screen.situation().cannot
        labels = {"rename": "Rename", "tag": "Tags", "routes": "Routes", "move": "Move", "expiry": "Key's end"}
        choices = [Choice(name, labels[name]) for name in _EDITS if f"node.{name}" not in cannot]
        now = self._desk.context.clock.now()
        rows = [_fact(nodes[0], now), named("tags", ", ".join(nodes[0].node.tags) or "–")]
        for name in (it for it in _EDITS if f"node.{it}" in cannot):
            rows += [((piece, "dim"),) for piece in wrap(f"no {labels[name].lower()}: {cannot[f'node.{name}']}")]
        self._desk.app.push_screen(
            Confirm(f"Edit {nodes[0].node.name}", rows, choices),
            lambda answer: self.run(answer, "") if answer else None,
        )

    def _rename(self, view: NodeView) -> None:
        node = view.node
        body = [named("node", node.name, node.addresses[0]), named("effect", "its MagicDNS name changes for everybody")]
        fields = [Field("name", "new name", node.name, "a-z, 0-9 and -")]

        async def run(values: dict[str, str]) -> str:
            return f"{node.name} is now {(await self._desk.vpn.nodes.rename(node.id, values['name'])).name}"

        self._desk.ask(Question(f"Rename {node.name}", body, fields, "Rename", f"renaming {node.name}", run))

    def _tag(self, view: NodeView) -> None:
        node = view.node
        body = [named("node", node.name), named("effect", "policy rules that name a tag apply at once")]
        fields = [Field("tags", "tags", " ".join(node.tags), "tag:web tag:db; empty for none", needed=False)]

        async def run(values: dict[str, str]) -> str:
            wanted = {words.tag(it) for it in values["tags"].replace(",", " ").split()}
            plus, minus = sorted(wanted - set(node.tags)), sorted(set(node.tags) - wanted)
            done = await self._desk.vpn.nodes.tag(node.id, plus, minus)
            return f"{done.name}: {', '.join(done.tags) or 'no tags'}"

        self._desk.ask(Question(f"Tags of {node.name}", body, fields, "Set the tags", f"tagging {node.name}", run))

    def _move(self, view: NodeView) -> None:
        node, users = view.node, self._users()
        body = [named("node", node.name), named("user", node.user.name if node.user else "–"), named("known", users)]

        async def run(values: dict[str, str]) -> str:
            await self._desk.vpn.nodes.move(node.id, values["user"])
            return f"{node.name} belongs to {values['user']}"

        fields = [Field("user", "to user", "", "a user's name or #id")]
        self._desk.ask(Question(f"Move {node.name}", body, fields, "Move", f"moving {node.name}", run))

    def _expiry(self, view: NodeView) -> None:
        node = view.node
        now = self._desk.context.clock.now()
        body = [named("node", node.name), named("key ends", expiry(view, now)[0])]

        async def run(values: dict[str, str]) -> str:
            done = await self._desk.vpn.nodes.set_expiry(node.id, _moment(values["until"], now))
            return (
                f"the key of {done.name} ends {done.expires_at:%Y-%m-%d}" if done.expires_at else f"{done.name}: never"
            )

        fields = [Field("until", "until", "", "90d, 2027-01-31 or never")]
        self._desk.ask(Question(f"Key's end of {node.name}", body, fields, "Set it", f"key's end of {node.name}", run))

    def _routes(self, view: NodeView) -> None:
        from vpai_tui.widgets.vpn_dialogs import RoutesDialog

        node = view.node
        if not node.routes:
            self._desk.warn(f"{node.name} advertises no route")
            return

        def decided(answer: tuple[tuple[str, ...], tuple[str, ...]] | None) -> None:
            if answer is None:
                return
            approve, reject = answer

            async def judge() -> None:
                self._ask_routes(
                    node, approve, reject, await self._desk.vpn.nodes.judge_routes(node.id, approve, reject)
                )

            self._desk.look(f"looking at the routes of {node.name}", judge)

        self._desk.app.push_screen(RoutesDialog(node), decided)

    def _ask_routes(self, node: Node, approve: Sequence[str], reject: Sequence[str], verdict: Verdict) -> None:
        rows = [
            named("node", node.name),
            named("approve", ", ".join(approve) or "–"),
            named("reject", ", ".join(reject) or "–"),
        ]
        rows += [*_warning_rows(verdict), *_needed(verdict.dependants), named("way back", "node routes, the other way")]

        def answered(answer: str | None) -> None:
            if answer == "routes":
                self._desk.go(f"routes of {node.name}", run)

        async def run() -> str:
            await self._desk.vpn.nodes.routes(node.id, approve, reject, typed=verdict.words)
            return f"the routes of {node.name} are set"

        word = " ".join(verdict.words) or None
        choice = Choice("routes", f"Set the routes of {node.name}", "warning")
        self._desk.app.push_screen(Confirm(f"Routes of {node.name}?", rows, [choice], word=word), answered)

    def register(self) -> None:
        """Let a machine in by the URL that its `tailscale up` printed."""
        body = [
            named("effect", "the machine joins as a node of this user"),
            named("users", self._users()),
        ]

        async def run(values: dict[str, str]) -> str:
            node = await self._desk.vpn.nodes.register(values["url"], values["user"])
            return f"{node.name} is in, at {node.addresses[0] if node.addresses else 'no address'}"

        fields = [
            Field("url", "URL", "", "https://…/register/…"),
            Field("user", "user", self._first_user(), "a name or #id"),
        ]
        self._desk.ask(Question("Register a machine", body, fields, "Register", "registering a machine", run))

    def _users(self) -> str:
        return ", ".join(it.name for it in self._desk.found.users) if self._desk.found else ""

    def _first_user(self) -> str:
        users = self._desk.found.users if self._desk.found else ()
        return users[0].name if users else ""


def _moment(text: str, now: datetime) -> datetime | None:
    """`never`, a span from now, or a date (UTC). UsageError otherwise."""
    if text == "never":
        return None
    if text[:4].isdigit() and "-" in text:
        try:
            return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise UsageError(f"{text!r} is no date", remedy="2027-01-31, 90d or never") from None
    return now + words.span(text)


def _names(nodes: Sequence[NodeView]) -> str:
    return nodes[0].node.name if len(nodes) == 1 else f"{len(nodes)} nodes"


def _label(action: Action, nodes: Sequence[NodeView]) -> str:
    return f"{action.value.capitalize()} {_names(nodes)}"


def _fact(view: NodeView, now: datetime) -> Line:
    node = view.node
    what = ", ".join(
        part for part in (state(view, now)[0], marks(view), node.addresses[0] if node.addresses else "") if part
    )
    return named("node", node.name, what)


def _more(count: int) -> list[Line]:
    return [named("", f"… {count} more")] if count > 0 else []


def _warning_rows(verdict: Verdict) -> list[Line]:
    rows: list[Line] = []
    for warning in verdict.warnings[:4]:
        for at, piece in enumerate(wrap(warning, 50)):
            rows.append(named(verdict.action.value if not at else "", piece))
    return rows + _more(len(verdict.warnings) - 4)


def _needed(dependants: Sequence[str]) -> list[Line]:
    """Who would miss them."""
    if not dependants:
        return [named("needed by", "nothing that is known")]
    rows: list[Line] = [((f"needed by {len(dependants)}:", "warn"),)]
    return rows + [((f"  {piece}", "warn"),) for it in dependants for piece in wrap(it, 58)]


def _refusal_way(verdict: Verdict) -> list[Line]:
    command = f"vpai-tui nodes {verdict.action.value} {verdict.nodes[0]} --force"
    return [(("→ ", "accent"), ("if you must, from elsewhere:", "")), ((f"  {command}", ""),)]
