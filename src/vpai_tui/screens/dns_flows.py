"""Editing DNS records: staged on the laptop with undo, read as a diff, applied once, followed to the proof."""

from __future__ import annotations

from collections.abc import Sequence

from vpai_tui.errors import OperatorError
from vpai_tui.screens.vpn_ask import Question, VpnDesk
from vpai_tui.screens.vpn_run import DNS
from vpai_tui.vpn.dns.changes import Diff, Edit, Staged
from vpai_tui.vpn.model import Record
from vpai_tui.widgets.dialogs import Choice, Confirm, named, wrap
from vpai_tui.widgets.form import Field
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line

_LISTED = 8
_WARNED = 3  # of one step


class DnsFlows:
    """Flows about records. Nothing on the host changes before `apply`."""

    def __init__(self, desk: VpnDesk) -> None:
        self._desk = desk
        self._followed: Operation | None = None
        desk.context.operations.listen(self._moved)

    # -- staging -------------------------------------------------------------------------------------------------

    def add(self) -> None:
        """One more record."""
        body: list[Line] = [(("Staged on this laptop; the host changes only by an apply.", "dim"),)]

        async def run(values: dict[str, str]) -> str:
            return self._staged(await self._desk.vpn.dns.add(values["name"], values["type"], values["value"]))

        self._desk.ask(Question("Add a record", body, _fields(Record("", "A", "")), "Stage it", "staging", run))

    def edit(self) -> None:
        """Another name, type or value for the record under the cursor; of marked ones another value."""
        screen = self._desk.screen
        if screen is not None and screen.marks["dns"]:
            self._edit_all([it.record for it in screen.records() if it.staged in ("", "add")])
            return
        view = screen.record() if screen else None
        if view is None:
            self._desk.warn("no record under the cursor")
            return
        if view.staged in ("remove", "change"):
            self._desk.warn("it goes with the next apply; u undoes that first")
            return
        old = view.record
        body = [named("record", str(old), f"on {view.node}" if view.node else "")]

        async def run(values: dict[str, str]) -> str:
            return self._staged(await self._desk.vpn.dns.change(old, values["name"], values["type"], values["value"]))

        self._desk.ask(Question("Edit a record", body, _fields(old), "Stage it", "staging", run))

    def _edit_all(self, records: Sequence[Record]) -> None:
        if not records:
            self._desk.warn("they go with the next apply; u undoes that first")
            return
        body = [named("record" if not at else "", str(it)) for at, it in enumerate(records[:_LISTED])]
        body += [named("", f"… {len(records) - _LISTED} more")] if records[_LISTED:] else []
        fields = [Field("value", "value of all", "", "an IP address, or a node's name")]

        async def run(values: dict[str, str]) -> str:
            done = await self._desk.vpn.dns.change_all(records, values["value"])
            if self._desk.screen is not None:
                self._desk.screen.marks["dns"] = frozenset()
            return self._staged(done)

        self._desk.ask(Question(f"Edit {len(records)} records", body, fields, "Stage it", "staging", run))

    def remove(self) -> None:
        """Stage the removal of the records that are marked or under the cursor.

        Nothing is asked: it is on this laptop alone, and `u` takes it back. The question comes with the apply.
        """
        screen = self._desk.screen
        views = [it for it in screen.records() if it.staged in ("", "add")] if screen else []
        if not views:
            self._desk.warn("nothing to remove here")
            return
        records = [it.record for it in views]

        async def run() -> str:
            done = await self._desk.vpn.dns.remove_all(records)
            if screen is not None:
                screen.marks["dns"] = frozenset()
            return self._staged(done)

        self._desk.go("staging", run)

    def undo(self) -> None:
        """Take the last staged step back."""

        async def run() -> str:
            staged = self._desk.vpn.dns.staged
            if staged.empty:
                return "nothing is staged"
            what = ", ".join(str(edit) for edit in staged.steps[-1])
            self._desk.vpn.dns.undo()
            return f"undone: {what}"

        self._desk.go("undoing", run)

    def discard(self) -> None:
        """Forget everything staged, after a dialog that names it."""
        staged = self._desk.found.dns.staged if self._desk.found and self._desk.found.dns else Staged()
        rows = [_edit_line(it) for it in staged.edits[:_LISTED]]
        rows += [((f"… {len(staged.edits) - _LISTED} more", "dim"),)] if staged.edits[_LISTED:] else []
        rows += [(), named("way back", "none: they must be typed again")]

        async def run() -> str:
            self._desk.vpn.dns.discard()
            return "nothing is staged any more"

        self._desk.app.push_screen(
            Confirm("Discard what is staged?", rows, [Choice("discard", "Discard", "warning")]),
            lambda answer: self._desk.go("discarding", run) if answer == "discard" else None,
        )

    def retarget(self) -> None:
        """Every record of one address onto another: after a machine has joined again."""
        view = self._desk.screen.record() if self._desk.screen else None
        body: list[Line] = [(("For a machine that joined again: all its records at once.", "dim"),)]
        fields = [
            Field("old", "old address", view.record.value if view else "", "100.64.0.9"),
            Field("new", "new address", "", "an address, or a node's name"),
        ]

        async def run(values: dict[str, str]) -> str:
            return self._staged(await self._desk.vpn.dns.retarget(values["old"], values["new"]))

        self._desk.ask(Question("Retarget records", body, fields, "Stage it", "staging", run))

    def _staged(self, staged: Staged) -> str:
        """What is said when something was staged: nothing but warnings, which would cover the rows that show it."""
        for warning in staged.warnings[:_WARNED]:
            self._desk.warn(warning)
        if self._desk.screen is not None and staged.steps:
            self._desk.screen.seek(staged.steps[-1][0])
        return ""

    # -- reading -------------------------------------------------------------------------------------------------

    def diff(self) -> None:
        """What an apply would do, as records and as YAML."""

        async def show() -> None:
            from vpai_tui.widgets.vpn_dialogs import DiffDialog

            diff, conflicts = await self._desk.vpn.dns.diff()
            dialog = DiffDialog(diff, conflicts, may_apply=not self._desk.context.read_only)
            self._desk.app.push_screen(dialog, lambda answer: self.apply() if answer == "apply" else None)

        self._desk.look("comparing", show)

    def export(self) -> None:
        """The records as YAML, into the clipboard."""

        async def copy() -> None:
            self._desk.app.copy_to_clipboard(await self._desk.vpn.dns.export())
            self._desk.app.toast("copied the records as YAML (nodes_extra_records)")

        self._desk.look("reading the records", copy)

    # -- applying ------------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Compare once more, ask, apply, follow."""
        host = self._desk.found.host if self._desk.found else ""
        running = self._desk.context.operations.on_host(host)
        if running is not None:
            self._desk.warn(f"{running.title} is still running on {host}")
            return

        async def compare() -> None:
            diff, conflicts = await self._desk.vpn.dns.diff()
            if conflicts:
                raise OperatorError(
                    f"staged, but does not fit any more: {'; '.join(conflicts)}",
                    host=host,
                    step="dns",
                    remedy="u undoes the last step, `:dns discard` all of them",
                )
            if diff.empty:
                self._desk.app.toast("nothing to apply: the file says so already")
                return
            dialog = Confirm(
                f"Apply {_count(diff)} on {host}?", apply_rows(diff, host), [Choice("apply", "Apply", "warning")]
            )
            self._desk.app.push_screen(dialog, lambda answer: self._apply(host) if answer == "apply" else None)

        self._desk.look("comparing", compare)

    def _apply(self, host: str) -> None:
        events = self._desk.vpn.dns.apply()
        self._follow(self._desk.context.operations.start(DNS, f"{host}/{DNS}", events))

    def settle(self) -> None:
        """Take an interrupted apply back, after a dialog."""
        found = self._desk.found
        interrupted = found.dns.interrupted if found and found.dns else None
        if found is None or interrupted is None:
            self._desk.app.toast("no apply was interrupted")
            return
        rows = [
            named("apply", interrupted, f"on {found.host}"),
            named("effect", "the host puts the records before it back"),
            named("interrupts", "one restart of Headscale"),
            named("", "clients are back after 5 to 10 s"),
        ]

        def answered(answer: str | None) -> None:
            if answer == "settle":
                events = self._desk.vpn.dns.settle(interrupted)
                self._follow(self._desk.context.operations.start(DNS, f"{found.host}/{DNS}", events))

        choice = Choice("settle", "Take it back", "warning")
        self._desk.app.push_screen(Confirm("Settle the interrupted apply?", rows, [choice]), answered)

    def _follow(self, operation: Operation) -> None:
        self._followed = operation
        self._desk.show(operation)

    def _moved(self, operation: Operation) -> None:
        """The end of an apply: what is shown of the VPN is old now."""
        if operation is self._followed and not operation.running:
            self._followed = None
            self._desk.app.vpn_watch.again()


def _fields(record: Record) -> list[Field]:
    return [
        Field("name", "name", record.name, "app.example.org, lower case"),
        Field("type", "type", record.type or "A", "A or AAAA"),
        Field("value", "value", record.value, "an IP address, or a node's name"),
    ]


def _count(diff: Diff) -> str:
    count = len(diff.added) + len(diff.removed) + len(diff.changed)
    return f"{count} record{'s' if count != 1 else ''}"


def _edit_line(edit: Edit) -> Line:
    old, new = edit.old, edit.new
    if old is None:
        return ((f"+ {new}", "add"),)
    if new is None:
        return ((f"- {old}", "del"),)
    return ((f"~ {old} → {new.value if new.name == old.name else new}", "warn"),)


def apply_rows(diff: Diff, host: str) -> list[Line]:
    """What the dialog says before records are put in place."""
    found = [*(Edit(None, it) for it in diff.added), *(Edit(it, None) for it in diff.removed)]
    edits = [_edit_line(it) for it in (*found, *(Edit(old, new) for old, new in diff.changed))]
    rows = edits[:_LISTED]
    rows += [((f"… {len(edits) - _LISTED} more: d shows all", "dim"),)] if edits[_LISTED:] else []
    rows.append(())
    if diff.restart_needed:
        rows += [
            named("interrupts", f"one restart of Headscale on {host}"),
            named("", "clients are back after 5 to 10 s"),
            named("", "machines that wait to be registered must ask again"),
        ]
    else:
        rows.append(named("interrupts", "nothing: Headscale watches the file"))
    for warning in diff.warnings:
        rows += [((f"{'▲' if not at else ' '} {piece}", "warn"),) for at, piece in enumerate(wrap(warning, 58))]
    return [
        *rows,
        named("patience", "clients keep old answers for up to 600 s"),
        named("way back", "if it fails, the host itself puts the old file back"),
    ]
