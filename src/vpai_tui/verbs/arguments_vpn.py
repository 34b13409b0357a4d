"""What may be typed for the VPN: `nodes`, `users`, `keys`, `dns`, each with its actions."""

from __future__ import annotations

import argparse
from collections.abc import Callable

Add = Callable[[str, str], argparse.ArgumentParser]

# Actions that change nothing, on the laptop or elsewhere.
READS = {
    "nodes": ("list",),
    "users": ("list",),
    "keys": ("list",),
    "dns": ("list", "diff", "export", "check"),
}
_NODE = "its name, host name, address or #id"


def add_vpn(verb: Add, confirm: Callable[[argparse.ArgumentParser], None], common: argparse.ArgumentParser) -> None:
    """Adds the four verbs."""

    def group(name: str, text: str) -> Add:
        parent = verb(name, text)
        actions = parent.add_subparsers(dest="action", metavar="ACTION", required=True)
        return lambda action, what: actions.add_parser(
            action, parents=[common], help=what, description=what, epilog=parent.epilog
        )

    _nodes(
        group("nodes", "the machines of the VPN: list, rename, expire, delete, tag, routes, move, register"), confirm
    )
    _users(group("users", "the users of the VPN: list, create, rename, delete"), confirm)
    _keys(group("keys", "pre-auth keys, which let machines join: list, create, expire, delete"), confirm)
    _dns(group("dns", "split DNS: list, add, remove, retarget, undo, discard, diff, apply, export, check"), confirm)


def _nodes(action: Add, confirm: Callable[[argparse.ArgumentParser], None]) -> None:
    action("list", "all machines with addresses, routes, expiry, and the records that point at them")
    one = action("rename", "another MagicDNS name")
    one.add_argument("name", metavar="NAME", help=_NODE)
    one.add_argument("new", metavar="NEW", help="2 to 63 characters of a-z, 0-9 and -")
    confirm(one)
    for name, text in (("expire", "end the key: the machine must log in again"), ("delete", "remove the machine")):
        one = action(name, text)
        one.add_argument("names", nargs="*", metavar="NAME", help=_NODE)
        one.add_argument("--offline", type=float, metavar="DAYS", help="all that are offline for longer than that")
        one.add_argument("--expired", action="store_true", help="all whose key has expired")
        one.add_argument("--force", action="store_true", help="also the machine you come through, and the hub itself")
        if name == "expire":
            one.add_argument("--in", dest="life", metavar="SPAN", help="not now but then (90d); from 0.27.1 on")
            one.add_argument("--never", action="store_true", help="no expiry any more; from 0.29 on")
        confirm(one)
    one = action("tag", "add and take away tags")
    one.add_argument("name", metavar="NAME", help=_NODE)
    one.add_argument("--add", action="append", default=[], metavar="TAG", help="server, or tag:server; again for more")
    one.add_argument("--remove", action="append", default=[], metavar="TAG", help="the same")
    confirm(one)
    one = action("routes", "approve and reject routes; without any, show them")
    one.add_argument("name", metavar="NAME", help=_NODE)
    one.add_argument("--approve", action="append", default=[], metavar="PREFIX", help="10.0.0.0/24, or exit")
    one.add_argument("--reject", action="append", default=[], metavar="PREFIX", help="the same")
    confirm(one)
    one = action("move", "to another user (not from 0.28 on)")
    one.add_argument("name", metavar="NAME", help=_NODE)
    one.add_argument("user", metavar="USER", help="a name or #id")
    confirm(one)
    one = action("register", "let in the machine whose `tailscale up` printed this URL")
    one.add_argument("url", metavar="URL", help="as the new machine shows it, or only the id in it")
    one.add_argument("--user", required=True, metavar="USER", help="whose machine it will be")
    confirm(one)


def _users(action: Add, confirm: Callable[[argparse.ArgumentParser], None]) -> None:
    action("list", "all users")
    one = action("create", "a new user")
    one.add_argument("name", metavar="NAME", help="letters, digits, - . _; at least 2, no digit first")
    confirm(one)
    one = action("rename", "another name for a user")
    one.add_argument("name", metavar="NAME", help="a name or #id")
    one.add_argument("new", metavar="NEW", help="as for create")
    confirm(one)
    one = action("delete", "remove a user that has no machine")
    one.add_argument("name", metavar="NAME", help="its name")
    confirm(one)


def _keys(action: Add, confirm: Callable[[argparse.ArgumentParser], None]) -> None:
    action("list", "all keys, masked")
    one = action("create", "a new key, and the `tailscale up` line for it")
    one.add_argument("--user", metavar="USER", help="whose machine it will be")
    one.add_argument("--life", default="1h", metavar="SPAN", help="how long it lets in: 30m, 24h, 7d (1h)")
    one.add_argument("--reusable", action="store_true", help="more than one machine may use it")
    one.add_argument("--ephemeral", action="store_true", help="its machines are forgotten when they go away")
    one.add_argument("--tag", action="append", default=[], metavar="TAG", help="what its machines are tagged with")
    one.add_argument("--show", action="store_true", help="print the key itself, once")
    confirm(one)
    for name, text in (("expire", "nobody can join with it any more"), ("delete", "remove it (from 0.28 on)")):
        one = action(name, text)
        one.add_argument("id", type=int, metavar="ID", help="as keys list shows it")
        confirm(one)


def _dns(action: Add, confirm: Callable[[argparse.ArgumentParser], None]) -> None:
    action("list", "the records: in the file, loaded, resolving, and what is wrong with them")
    one = action("add", "stage one more record")
    one.add_argument("name", metavar="NAME", help="the whole name: app.example.org")
    one.add_argument("type", metavar="TYPE", help="A or AAAA")
    one.add_argument("value", metavar="VALUE", help="an address, or a machine's name")
    one = action("remove", "stage the removal of a name's records")
    one.add_argument("name", metavar="NAME", help="the whole name")
    one.add_argument("value", nargs="?", metavar="VALUE", help="only the record with this address")
    one = action("retarget", "stage all records of one address onto another: after a machine has joined again")
    one.add_argument("old", metavar="OLD", help="the address that they have")
    one.add_argument("new", metavar="NEW", help="an address, or a machine's name")
    action("undo", "take the last staged step back")
    action("discard", "forget everything that is staged")
    action("diff", "what an apply would change, as records and as YAML")
    confirm(action("apply", "put what is staged in place: tested, one restart, taken back if it does not work"))
    action("export", "the records as YAML for the inventory that writes config.yaml")
    action("check", "look for mistakes in the records; exit 1 when there is an error")
