"""Mode 5: the nodes of the VPN and its DNS records, each with what is known of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget

from vpai_tui.command_table import COMMANDS
from vpai_tui.commands import Situation, bindings_of
from vpai_tui.screens.detailed import DetailedScreen
from vpai_tui.screens.shell import Shell
from vpai_tui.screens.vpn_watch import SCREEN_EVERY_S
from vpai_tui.vpn.view import NodeView, RecordView, VpnSnapshot, matching
from vpai_tui.widgets.backend import Description
from vpai_tui.widgets.canvas import LineView, SafeStatic
from vpai_tui.widgets.context import Context
from vpai_tui.widgets.detail import description_lines
from vpai_tui.widgets.dns_rows import (
    RECORD_SORTS,
    pick_records,
    record_columns,
    record_note,
    record_rows,
    record_sections,
)
from vpai_tui.widgets.filter_row import FilterRow
from vpai_tui.widgets.node_rows import NODE_SORTS, node_columns, node_rows, node_sections, pick_nodes
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.safe_table import Row, SafeTable
from vpai_tui.widgets.vpn_banner import banner_lines, head_line

if TYPE_CHECKING:
    from vpai_tui.vpn.dns.changes import Edit

PARTS = ("nodes", "dns")
_SORTS = {"nodes": NODE_SORTS, "dns": RECORD_SORTS}
_STALE_DAYS = 30.0
# What a server of this version cannot do, as commands: one is refused when the server lacks all that is named.
_NEEDS: dict[str, tuple[str, ...]] = {
    "node.move": ("move",),
    "node.expiry": ("set_expiry", "never_expire"),
}
_OURS = ("node", "key", "user", "vpn", "dns", "apply")
_WAYS_BACK = ("vpn.undo", "dns.discard", "dns.settle")
_WRITES = tuple(it.id for it in COMMANDS if it.mutates and it.id.partition(".")[0] in _OURS and it.id not in _WAYS_BACK)


class VpnScreen(DetailedScreen):
    """Two tables, one seen at a time, and the detail of the row under the cursor."""

    KIND = "vpn"
    CSS_PATH = "vpn.tcss"
    AUTO_FOCUS = "#nodes"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("vpn")]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.part = PARTS[0]
        self.orders = {part: sorts[0] for part, sorts in _SORTS.items()}
        self.marks: dict[str, frozenset[str]] = dict.fromkeys(PARTS, frozenset())
        self._picked: dict[str, RecordView] = {}
        self._sought: Edit | None = None

    def body(self) -> Iterable[Widget]:
        nodes, records = SafeTable(node_columns(()), id="nodes"), SafeTable(record_columns(()), id="dns")
        records.display = False
        detail = LineView(id="detail")
        detail.display = False
        yield SafeStatic(id="vpn-head")
        yield SafeStatic(id="banner")
        yield Container(
            Vertical(nodes, records, FilterRow(id="filter"), SafeStatic(id="note"), id="list"), detail, id="panes"
        )

    # -- drawing -------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        cast("Shell", self.app).vpn_watch.due(SCREEN_EVERY_S, resolve=self.part == "dns")
        look, now = self.context.vpn, self.context.clock.boot_s()
        self.query_one("#vpn-head", SafeStatic).show([head_line(look, self.part, now, self.size.width)])
        self.query_one("#banner", SafeStatic).show(banner_lines(look, self.part, now, self.size.width))
        stale, needle = look.stale(now), self.query_one(FilterRow).text
        self._draw_nodes(look.snapshot, needle, stale=stale)
        self._draw_records(look.snapshot, needle, stale=stale)
        self._draw_note()
        self.draw_detail(top=False)

    def _draw_nodes(self, found: VpnSnapshot | None, needle: str, *, stale: bool) -> None:
        now, table = self.context.clock.now(), self.query_one("#nodes", SafeTable)
        picked = pick_nodes(found.nodes if found else (), needle, self.orders["nodes"], now)
        rows = node_rows(picked, now, stale=stale)
        table.set_columns(node_columns(rows))
        table.empty_line = self._empty("node", needle, unknown=bool(found and found.error))
        self._fill(table, "nodes", rows, {str(it.node.id) for it in found.nodes} if found else set())

    def _draw_records(self, found: VpnSnapshot | None, needle: str, *, stale: bool) -> None:
        table, dns = self.query_one("#dns", SafeTable), found.dns if found else None
        self._picked = dict(pick_records(dns, needle, self.orders["dns"])) if dns else {}
        rows = record_rows(list(self._picked.items()), stale=stale)
        table.set_columns(record_columns(rows))
        table.empty_line = self._empty("record", needle, unknown=bool(found and found.dns is None))
        self._fill(table, "dns", rows, set(self._picked) if not needle else set(self._picked) | self.marks["dns"])
        if self._sought is not None and dns is not None and self._sought in dns.staged.edits:
            wanted = self._sought.new or self._sought.old
            table.select(next((key for key, it in self._picked.items() if it.record == wanted and it.staged), ""))
            self._sought = None

    def _fill(self, table: SafeTable, part: str, rows: list[Row], known: set[str]) -> None:
        table.sorted_by = self.orders[part]
        table.show(rows)
        self.marks[part] &= known
        table.set_marks(self.marks[part])

    def _empty(self, what: str, needle: str, *, unknown: bool) -> Line:
        if self.context.vpn.snapshot is None:
            if self.context.vpn.failure is not None:
                return ((f" the {what}s are not known", "dim"),)
            return ((f" {self.context.failure}" if self.context.failure else " … asking Headscale", "busy"),)
        if unknown:
            return ((f" ◌ the {what}s are not known", "stale"),)
        return ((f" no {what} holds “{needle}”" if needle else f" no {what} yet: a adds one", "dim"),)

    def _draw_note(self) -> None:
        note = self.query_one("#note", SafeStatic)
        rows: list[Line] = []
        record = self.record() if self.part == "dns" else None
        if record is not None:
            rows = record_note(record, self.query_one("#list").size.width)
        note.show(rows)
        note.display = bool(rows) and not (self._detail.display and not self.has_class("-wide"))

    def draw_detail(self, *, top: bool) -> None:
        if not self._detail.display:
            return
        width = 56 if self.has_class("-wide") else self.size.width
        found, now = self.context.vpn.snapshot, self.context.clock.now()
        node, record = self.node(), self.record()
        if found is None:
            return
        if self.part == "nodes" and node is not None:
            sections = node_sections(node, found, now, width - 2)
        elif self.part == "dns" and record is not None and found.dns is not None:
            sections = record_sections(record, found, found.dns, width - 2)
        else:
            sections = ()
        self._detail.show(description_lines(Description("", sections)), top=top)

    def hint(self) -> str:
        parts = [f"{len(self.marks[self.part])} marked"] if self.marks[self.part] else []
        order = self.orders[self.part]
        if self._detail.display and not self._detail.has_focus:
            parts.append("↵ scrolls")
        return " · ".join([*parts, f"by {order}"] if order != _SORTS[self.part][0] else parts)

    def crumbs(self) -> tuple[str, ...]:
        return ("vpn", self.part)

    # -- what a command means here -------------------------------------------------------------------------------

    def situation(self) -> Situation:
        found = self.context.vpn.snapshot
        lacks = dict(found.server.cannot) if found and found.server else {}
        cannot = {name: lacks[needs[0]] for name, needs in _NEEDS.items() if all(it in lacks for it in needs)}
        if "write" in lacks:
            cannot |= dict.fromkeys(_WRITES, lacks["write"])
        staged = bool(found and found.dns and not found.dns.staged.empty)
        return replace(super().situation(), staged=staged, cannot=cannot)

    @property
    def table(self) -> SafeTable:
        """The one that is seen."""
        return self.query_one(f"#{self.part}", SafeTable)

    def node(self) -> NodeView | None:
        """The node under the cursor."""
        key = self.query_one("#nodes", SafeTable).cursor_key
        found = self.context.vpn.snapshot
        return next((it for it in found.nodes if str(it.node.id) == key), None) if found else None

    def nodes(self) -> list[NodeView]:
        """The marked nodes, else the one under the cursor."""
        found, one = self.context.vpn.snapshot, self.node()
        if found and self.marks["nodes"]:
            return [it for it in found.nodes if str(it.node.id) in self.marks["nodes"]]
        return [one] if one else []

    def record(self) -> RecordView | None:
        """The record under the cursor."""
        return self._picked.get(self.query_one("#dns", SafeTable).cursor_key or "")

    def records(self) -> list[RecordView]:
        """The marked records, else the one under the cursor."""
        one = self.record()
        if self.marks["dns"]:
            return [view for key, view in self._picked.items() if key in self.marks["dns"]]
        return [one] if one else []

    def copy_text(self) -> str:
        if self._detail.display and self._detail.has_focus:
            return self._detail.text
        if self.part == "nodes":
            return "\n".join(" ".join((it.node.name, *it.node.addresses[:1])) for it in self.nodes())
        return "\n".join(str(it.record) for it in self.records())

    def view(self, command: str, argument: str) -> bool:
        match command:
            case "describe":
                self.describe()
            case "vpn.part":
                self.show_part(PARTS[1 - PARTS.index(self.part)])
            case "sort":
                sorts = _SORTS[self.part]
                self.orders[self.part] = sorts[(sorts.index(self.orders[self.part]) + 1) % len(sorts)]
            case "mark":
                self._mark()
            case "node.stale":
                self._mark_stale(argument)
            case "filter":
                self.query_one(FilterRow).open(argument or None)
            case _:
                return False
        self.redraw()
        return True

    def show_part(self, part: str) -> None:
        """Turn to the nodes or to the records."""
        self.part = part
        for name in PARTS:
            self.query_one(f"#{name}").display = name == part
        self.focus_main()

    def reveal(self, node: str) -> None:
        """Put the cursor on the node of this name and describe it."""
        self.show_part("nodes")
        found = self.context.vpn.snapshot
        view = next((it for it in found.nodes if it.node.name == node), None) if found else None
        self.draw()
        if view is not None and self.query_one("#nodes", SafeTable).select(str(view.node.id)):
            self._detail.display = True
            self.redraw()

    def seek(self, edit: Edit) -> None:
        """Put the cursor on what was just staged, as soon as a look shows it."""
        self._sought = edit

    def _mark(self) -> None:
        key = self.table.cursor_key
        if key:
            self.marks[self.part] ^= {key}
            self.table.action_move(1)

    def _mark_stale(self, argument: str) -> None:
        found = self.context.vpn.snapshot
        days = argument.removesuffix("d").strip()
        if argument and not days.isdigit():
            self.notify("mark stale DAYS: a number of days", severity="warning", markup=False)
            return
        limit = float(days) if days else _STALE_DAYS
        chosen = matching(found.nodes if found else (), self.context.clock.now(), offline_days=limit, expired=True)
        self.show_part("nodes")
        self.marks["nodes"] = frozenset(str(it.node.id) for it in chosen)
        self.notify(
            f"{len(chosen)} node{'' if len(chosen) == 1 else 's'} expired or off for more than {limit:.0f} days",
            markup=False,
        )

    def describable(self) -> bool:
        return bool(self.table.cursor_key)

    def take_back(self) -> bool:
        """The marks."""
        marked = bool(self.marks[self.part])
        self.marks[self.part] = frozenset()
        return marked

    def cursor_moved(self) -> None:
        self._draw_note()
        super().cursor_moved()

    def focus_main(self) -> None:
        self.table.focus()

    # -- messages ------------------------------------------------------------------------------------------------

    @on(SafeTable.HeaderClicked)
    def _header_clicked(self, event: SafeTable.HeaderClicked) -> None:
        sorts = _SORTS[self.part]
        self.orders[self.part] = event.column if event.column in sorts else sorts[0]
        self.redraw()

    @on(FilterRow.Changed)
    def _filtered(self) -> None:
        self.redraw()
