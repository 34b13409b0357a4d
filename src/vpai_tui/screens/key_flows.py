"""Users and pre-auth keys: lists, and the wizard that ends in the line to type on the new machine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vpai_tui.clock import duration
from vpai_tui.errors import UsageError
from vpai_tui.screens.vpn_ask import Question, VpnDesk
from vpai_tui.vpn import words
from vpai_tui.vpn.model import PreAuthKey, User
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import Choice, Confirm, named
from vpai_tui.widgets.form import Field
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import Column, Row, widest
from vpai_tui.widgets.vpn_dialogs import KeyDialog, ListDialog

_USER_COLUMNS = (
    Column("name", "user", 20),
    Column("nodes", "nodes", 5, right=True),
    Column("id", "id", 5),
    Column("from", "comes from", least=12),
)


def _key_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """As narrow as these keys allow: what a key is for stands last and is long."""

    def fitted(name: str, most: int) -> Column:
        return Column(name, name, max(len(name), min(most, widest(rows, name))))

    parts = (("id", 6), ("state", 8), ("user", 16), ("key", 12), ("ends", 8))
    return (*(fitted(name, most) for name, most in parts), Column("kind", "is", least=12))


class KeyFlows:
    """Flows about who may join."""

    def __init__(self, desk: VpnDesk) -> None:
        self._desk = desk

    @property
    def _cannot(self) -> dict[str, str]:
        found = self._desk.found
        return dict(found.server.cannot) if found and found.server else {}

    def _may(self, capability: str) -> bool:
        return not self._desk.context.read_only and not {"write", capability} & set(self._cannot)

    # -- users ---------------------------------------------------------------------------------------------------

    def users(self) -> None:
        """The users, and what can be done to them."""
        found = self._desk.found
        if found is None or found.server is None:
            self._desk.warn("the users are not known")
            return
        rows = [_user_row(user, sum(1 for it in found.nodes if it.node.user == user)) for user in found.users]
        choices = [Choice("rename", "Rename")] if self._may("") else []
        choices += [Choice("delete", "Delete", "error")] if self._may("delete_user") else []
        choices += [Choice("new", "New user", "primary")] if self._may("") else []
        dialog = ListDialog("Users", _USER_COLUMNS, rows, choices, "no user yet")
        self._desk.app.push_screen(dialog, lambda answer: self._user(*answer) if answer else None)

    def _user(self, answer: str, name: str) -> None:
        match answer:
            case "new":
                self.new_user()
            case "rename" if name:
                self._rename_user(name)
            case "delete" if name:
                self._delete_user(name)

    def new_user(self) -> None:
        """A user of a name that Headscale accepts."""

        async def run(values: dict[str, str]) -> str:
            return f"user {(await self._desk.vpn.nodes.create_user(values['name'])).name} is there"

        body: list[Line] = [(("Nodes belong to users; policy rules name them.", "dim"),)]
        fields = [Field("name", "name", "", "letters, digits, - . _")]
        self._desk.ask(Question("New user", body, fields, "Create", "creating a user", run))

    def _rename_user(self, name: str) -> None:
        async def run(values: dict[str, str]) -> str:
            return f"{name} is now {(await self._desk.vpn.nodes.rename_user(name, values['name'])).name}"

        body = [named("user", name), named("effect", "policy rules that name it stop matching")]
        self._desk.ask(
            Question(f"Rename {name}", body, [Field("name", "new name", name)], "Rename", f"renaming {name}", run)
        )

    def _delete_user(self, name: str) -> None:
        async def run() -> str:
            await self._desk.vpn.nodes.delete_user(name, typed=(name,))
            return f"user {name} is gone"

        rows = [named("user", name), named("effect", "its pre-auth keys go with it; it must have no node")]
        rows.append(named("way back", "none: a new user has another id"))
        self._desk.app.push_screen(
            Confirm(f"Delete user {name}?", rows, [Choice("delete", f"Delete {name}", "error")], word=name),
            lambda answer: self._desk.go(f"deleting user {name}", run) if answer == "delete" else None,
        )

    # -- keys ----------------------------------------------------------------------------------------------------

    def keys(self) -> None:
        """The pre-auth keys, masked, and what can be done to them."""

        async def show() -> None:
            now = self._desk.context.clock.now()
            rows = [_key_row(key, now) for key in await self._desk.vpn.nodes.keys()]
            choices = [Choice("expire", "Expire", "error")] if self._may("") else []
            choices += [Choice("delete", "Delete", "error")] if self._may("delete_key") else []
            choices += [Choice("new", "New key", "primary")] if self._may("") else []
            dialog = ListDialog("Pre-auth keys", _key_columns(rows), rows, choices, "no key")
            self._desk.app.push_screen(dialog, lambda answer: self._key(*answer) if answer else None)

        self._desk.look("asking for the keys", show)

    def _key(self, answer: str, key: str) -> None:
        if answer == "new":
            self.new_key()
        elif key:
            self._end_key(answer, int(key))

    def _end_key(self, how: str, id_: int) -> None:
        nodes = self._desk.vpn.nodes

        async def run() -> str:
            await (nodes.delete_key(id_) if how == "delete" else nodes.expire_key(id_))
            return f"key #{id_} is {'gone' if how == 'delete' else 'expired'}"

        rows = [
            named("key", f"#{id_}"),
            named("effect", "no machine can join with it any more"),
            named("", "those that did stay"),
            named("way back", "none: make another key"),
        ]
        choice = Choice("end", f"{how.capitalize()} key #{id_}", "error")
        self._desk.app.push_screen(
            Confirm(f"{how.capitalize()} key #{id_}?", rows, [choice]),
            lambda answer: self._desk.go(f"{how} key #{id_}", run) if answer == "end" else None,
        )

    def new_key(self) -> None:
        """The wizard: whose, how long, how often; then the line for the new machine."""
        found = self._desk.found
        if found is None or found.server is None:
            self._desk.warn("Headscale does not answer")
            return
        users = [it.name for it in found.users]
        body = [named("users", ", ".join(users) or "none yet: make one first")]
        body.append(named("a key", "lets in whoever has it: short and once is best"))
        needs_user = "key_without_user" in self._cannot
        fields = [
            Field("user", "user", users[0] if users else "", "whose nodes they become", needed=needs_user),
            Field("life", "lives for", "1h", "30m, 24h, 90d"),
            Field("uses", "uses", "once", "once or many"),
            Field("ephemeral", "ephemeral", "no", "yes: the node goes when it is off"),
            Field("tags", "tags", "", "tag:server …; empty for none", needed=False),
        ]

        async def run(values: dict[str, str]) -> str:
            await self._make_key(values)
            return ""

        self._desk.ask(Question("A pre-auth key", body, fields, "Make the key", "making a key", run))

    async def _make_key(self, values: dict[str, str]) -> None:
        reusable = _one_of(values["uses"], "many", "once")
        ephemeral = _one_of(values["ephemeral"], "yes", "no")
        made = await self._desk.vpn.nodes.create_key(
            values["user"] or None,
            life=words.span(values["life"]),
            reusable=reusable,
            ephemeral=ephemeral,
            tags=tuple(values["tags"].replace(",", " ").split()),
        )
        key = made.key
        facts = [
            named("key", key.shown, f"of {key.user.name if key.user else ', '.join(key.tags)}"),
            named("lives for", values["life"]),
            named(
                "lets in",
                ("any number of machines" if key.reusable else "one machine")
                + (", ephemeral" if key.ephemeral else ""),
            ),
        ]
        self._desk.app.push_screen(KeyDialog(made, facts))


def _one_of(text: str, yes: str, no: str) -> bool:
    if text not in (yes, no):
        raise UsageError(f"{text!r} is neither {yes} nor {no}")
    return text == yes


def _user_row(user: User, nodes: int) -> Row:
    origin = user.provider or "made here"
    return Row(
        user.name,
        {
            "name": (user.name, "name"),
            "nodes": (str(nodes), ""),
            "id": (f"#{user.id}", "dim"),
            "from": (" ".join(part for part in (origin, user.display_name, user.email) if part), "dim"),
        },
    )


def _key_row(key: PreAuthKey, now: datetime) -> Row:
    usable = key.usable(now)
    left = (key.expires_at - now).total_seconds() if key.expires_at else 0
    kinds: Sequence[str] = [
        "for many" if key.reusable else "used" if key.used else "for one",
        *(["ephemeral"] if key.ephemeral else []),
        *key.tags,
    ]
    return Row(
        str(key.id),
        {
            "id": (f"#{key.id}", "dim"),
            "state": (f"{paint.OK} usable", "ok") if usable else (f"{paint.STALE} over", "stale"),
            "user": (key.user.name if key.user else "–", ""),
            "key": (key.shown, "dim"),
            "ends": (duration(left) if left > 0 else "is over", "" if usable else "dim"),
            "kind": (", ".join(kinds), "dim"),
        },
    )
