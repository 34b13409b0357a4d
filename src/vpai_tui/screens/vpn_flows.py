"""What each command of the VPN screen does: to nodes, to records, to users and keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vpai_tui.screens.dns_flows import DnsFlows
from vpai_tui.screens.key_flows import KeyFlows
from vpai_tui.screens.node_flows import NodeFlows
from vpai_tui.screens.vpn_ask import VpnDesk
from vpai_tui.widgets.dialogs import Choice, Confirm
from vpai_tui.widgets.paint import Line


class VpnFlows:
    """Runs the commands that belong to the VPN screen alone, and `apply` where it is seen."""

    def __init__(self, desk: VpnDesk) -> None:
        self._desk = desk
        self.nodes = NodeFlows(desk)
        self.dns = DnsFlows(desk)
        self.keys = KeyFlows(desk)
        self._by_name: Mapping[str, Callable[[], None]] = {
            "apply": self.dns.apply,
            "vpn.undo": self.dns.undo,
            "vpn.diff": self.dns.diff,
            "dns.retarget": self.dns.retarget,
            "dns.discard": self.dns.discard,
            "dns.settle": self.dns.settle,
            "dns.export": self.dns.export,
            "node.register": self.nodes.register,
            "vpn.users": self.keys.users,
            "vpn.keys": self.keys.keys,
            "key.new": self.keys.new_key,
            "user.new": self.keys.new_user,
        }

    def run(self, name: str, argument: str) -> None:
        """Do it; how it goes is told in a dialog or in the corner."""
        part = self._desk.screen.part if self._desk.screen else "nodes"
        match name:
            case "vpn.add":
                self.dns.add() if part == "dns" else self._add()
            case "vpn.edit":
                self.dns.edit() if part == "dns" else self.nodes.edit()
            case "vpn.remove" if part == "dns" and not argument:
                self.dns.remove()
            case _ if name in self._by_name:
                self._by_name[name]()
            case _:
                self.nodes.run(name.partition(".")[2], argument)

    def _add(self) -> None:
        """What to add to the VPN."""
        choices = [
            Choice("key", "A key"),
            Choice("machine", "A machine"),
            Choice("user", "A user"),
        ]
        rows: list[Line] = [
            (("key      ", "dim"), ("a pre-auth key, as the line to type on a new machine", "")),
            (("machine  ", "dim"), ("one that waits: paste the URL it was given", "")),
            (("user     ", "dim"), ("an owner of nodes", "")),
        ]
        flows = {"key": self.keys.new_key, "machine": self.nodes.register, "user": self.keys.new_user}
        self._desk.app.push_screen(
            Confirm("Add to the VPN", rows, choices), lambda answer: flows[answer]() if answer else None
        )
