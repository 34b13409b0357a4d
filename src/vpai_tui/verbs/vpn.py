"""The VPN: nodes, users, keys, and the records of split DNS."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.model import Severity
from vpai_tui.fleet.operation import Finished
from vpai_tui.verbs import say_vpn as show
from vpai_tui.verbs.ask import confirm, confirmed
from vpai_tui.verbs.run import Verb
from vpai_tui.verbs.say_stacks import EventPrinter
from vpai_tui.vpn import words
from vpai_tui.vpn.dns.settings import inventory
from vpai_tui.vpn.guard import Action
from vpai_tui.vpn.session import Vpn
from vpai_tui.vpn.view import NodeView, VpnSnapshot, matching
from vpai_tui.world import World

Act = Callable[[World, Vpn, Namespace], Awaitable[int]]


@asynccontextmanager
async def _vpn(world: World, args: Namespace) -> AsyncIterator[Vpn]:
    vpn = world.vpn(read_only=args.read_only)
    try:
        yield vpn
    finally:
        await vpn.close()


async def _snapshot(vpn: Vpn) -> VpnSnapshot:
    """A read that needs Headscale itself."""
    found = await vpn.snapshot()
    if found.server is None:
        raise OperatorError(found.error, step="headscale", remedy=found.remedy)
    return found


# ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _list(world: World, vpn: Vpn, args: Namespace) -> int:
    show.nodes(await _snapshot(vpn), as_json=args.json)
    return 0


async def _rename(world: World, vpn: Vpn, args: Namespace) -> int:
    words.node_name(args.new)
    node = (await _snapshot(vpn)).find(args.name)
    await _warn(vpn, Action.RENAME, [node], args)
    confirm([None], f"rename {node.node.name} to {args.new}", args)
    show.changed("rename", [await vpn.nodes.rename(node.node.id, args.new)], as_json=args.json)
    return 0


async def _hard(world: World, vpn: Vpn, args: Namespace) -> int:
    """Expire or delete: named ones, or all that a filter means."""
    action = Action(args.action)
    chosen = _chosen(await _snapshot(vpn), args)
    if action is Action.EXPIRE and (args.life or args.never):
        return await _expiry(vpn, chosen, args)
    typed = await _warn(vpn, action, chosen, args)
    confirm(typed, action.value, args)
    ids = [it.node.id for it in chosen]
    do = vpn.nodes.expire if action is Action.EXPIRE else vpn.nodes.delete
    left = await do(ids, typed=[it for it in typed if it], force=args.force)
    gone = [it.node for it in chosen] if action is Action.DELETE else [it for it in left if it.id in ids]
    show.changed(action.value, gone, as_json=args.json)
    return 0


def _chosen(found: VpnSnapshot, args: Namespace) -> list[NodeView]:
    chosen = [found.find(name) for name in args.names]
    filtered = matching(found.nodes, found.at, offline_days=args.offline, expired=args.expired)
    chosen += [it for it in filtered if it not in chosen]
    if not chosen:
        if args.offline is not None or args.expired:
            raise UsageError("no machine fits", remedy="vpai-tui nodes list")
        raise UsageError("no machine is named", remedy="give NAME, --offline DAYS or --expired")
    return chosen


async def _expiry(vpn: Vpn, chosen: list[NodeView], args: Namespace) -> int:
    moment = None if args.never else vpn.clock.now() + words.span(args.life)
    confirm([None], f"let {', '.join(it.node.name for it in chosen)} expire {moment or 'never'}", args)
    show.changed("expiry", [await vpn.nodes.set_expiry(it.node.id, moment) for it in chosen], as_json=args.json)
    return 0


async def _warn(vpn: Vpn, action: Action, chosen: list[NodeView], args: Namespace) -> list[str | None]:
    """Tells what the guards say; the words to type."""
    ids = [it.node.id for it in chosen]
    (verdict,) = await vpn.nodes.judge([action], ids, force=getattr(args, "force", False))
    if verdict.refused:
        raise UsageError(verdict.refused, remedy="do it from another machine, or with --force if you must")
    show.verdict(verdict, as_json=args.json)
    return list(verdict.words) or [None]


async def _tag(world: World, vpn: Vpn, args: Namespace) -> int:
    node = (await _snapshot(vpn)).find(args.name).node
    if not args.add and not args.remove:
        raise UsageError("no tag is named", remedy="--add TAG, --remove TAG")
    confirm([None], f"change the tags of {node.name}", args)
    show.changed("tag", [await vpn.nodes.tag(node.id, args.add, args.remove)], as_json=args.json)
    return 0


async def _routes(world: World, vpn: Vpn, args: Namespace) -> int:
    node = (await _snapshot(vpn)).find(args.name).node
    if args.approve or args.reject:
        verdict = await vpn.nodes.judge_routes(node.id, args.approve, args.reject)
        show.verdict(verdict, as_json=args.json)
        confirm(list(verdict.words) or [None], f"change the routes of {node.name}", args)
        node = await vpn.nodes.routes(node.id, args.approve, args.reject, typed=verdict.words)
    show.routes(node, as_json=args.json)
    return 0


async def _move(world: World, vpn: Vpn, args: Namespace) -> int:
    node = (await _snapshot(vpn)).find(args.name).node
    confirm([None], f"move {node.name} to {args.user}", args)
    show.changed("move", [await vpn.nodes.move(node.id, args.user)], as_json=args.json)
    return 0


async def _register(world: World, vpn: Vpn, args: Namespace) -> int:
    confirm([None], f"let a machine in for {args.user}", args)
    show.changed("register", [await vpn.nodes.register(args.url, args.user)], as_json=args.json)
    return 0


# ── users and keys ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _users(world: World, vpn: Vpn, args: Namespace) -> int:
    if args.action == "create":
        words.user_name(args.name)
        confirm([None], f"create the user {args.name}", args)
        await vpn.nodes.create_user(args.name)
    elif args.action == "rename":
        words.user_name(args.new)
        confirm([None], f"rename the user {args.name} to {args.new}", args)
        await vpn.nodes.rename_user(args.name, args.new)
    elif args.action == "delete":
        confirm([args.name], "delete the user", args)
        await vpn.nodes.delete_user(args.name, typed=[args.name])
    show.users((await _snapshot(vpn)).users, as_json=args.json)
    return 0


async def _keys(world: World, vpn: Vpn, args: Namespace) -> int:
    if args.action == "create":
        return await _create_key(vpn, args)
    if args.action in ("expire", "delete"):
        confirm([None], f"{args.action} the key #{args.id}", args)
        await (vpn.nodes.expire_key(args.id) if args.action == "expire" else vpn.nodes.delete_key(args.id))
    show.keys(await vpn.nodes.keys(), vpn.clock.now(), as_json=args.json)
    return 0


async def _create_key(vpn: Vpn, args: Namespace) -> int:
    if not args.show and (args.json or not sys.stdin.isatty()):
        raise UsageError("the key would be shown to nobody", remedy="give --show to print it, once")
    life = words.span(args.life)
    confirm([None], f"make a pre-auth key for {args.user or 'tagged machines'} that lives {args.life}", args)
    made = await vpn.nodes.create_key(
        args.user, life=life, reusable=args.reusable, ephemeral=args.ephemeral, tags=args.tag
    )
    shown = args.show or confirmed("show the key now, once?", args)
    show.new_key(made, vpn.clock.now(), shown=shown, as_json=args.json)
    return 0


# ── split DNS ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _records(world: World, vpn: Vpn, args: Namespace) -> int:
    show.records(await vpn.snapshot(resolve=True), as_json=args.json)
    return 0


async def _check(world: World, vpn: Vpn, args: Namespace) -> int:
    found = await vpn.snapshot(resolve=True)
    show.check(found, as_json=args.json)
    problems = [problem for row in (found.dns.records if found.dns else ()) for problem in row.problems]
    problems += found.dns.problems if found.dns else ()
    return 1 if found.dns is None or any(it.severity is Severity.ERROR for it in problems) else 0


async def _stage(world: World, vpn: Vpn, args: Namespace) -> int:
    if args.action == "add":
        staged = await vpn.dns.add(args.name, args.type, args.value)
    elif args.action == "remove":
        staged = await vpn.dns.remove(args.name, args.value)
    elif args.action == "retarget":
        staged = await vpn.dns.retarget(args.old, args.new)
    elif args.action == "undo":
        staged = vpn.dns.undo()
    else:
        vpn.dns.discard()
        staged = vpn.dns.staged
    show.staged(staged, as_json=args.json)
    return 0


async def _diff(world: World, vpn: Vpn, args: Namespace) -> int:
    diff, conflicts = await vpn.dns.diff()
    show.diff(diff, conflicts, as_json=args.json)
    return 0


async def _apply(world: World, vpn: Vpn, args: Namespace) -> int:
    diff, conflicts = await vpn.dns.diff()
    if not args.json:
        show.diff(diff, conflicts, as_json=False)
    if not diff.empty:
        confirm([None], "apply it", args)
    printer = EventPrinter(as_json=args.json)
    last: Finished | None = None
    async for event in vpn.dns.apply():
        printer.event(event)
        last = event if isinstance(event, Finished) else last
    if last is None:
        raise OperatorError("the apply ended without an outcome", remedy="vpai-tui dns list")
    if not args.json and not diff.empty and last.exit_code == 0:
        print("clients are back within 5 to 10 s; what they have looked up before they keep for up to 10 minutes")
    return last.exit_code


async def _export(world: World, vpn: Vpn, args: Namespace) -> int:
    found = (await vpn.dns.read()).records
    show.export(inventory(found), found, as_json=args.json)
    return 0


_ACTS: dict[tuple[str, str], Act] = {
    ("nodes", "list"): _list,
    ("nodes", "rename"): _rename,
    ("nodes", "expire"): _hard,
    ("nodes", "delete"): _hard,
    ("nodes", "tag"): _tag,
    ("nodes", "routes"): _routes,
    ("nodes", "move"): _move,
    ("nodes", "register"): _register,
    **{("users", action): _users for action in ("list", "create", "rename", "delete")},
    **{("keys", action): _keys for action in ("list", "create", "expire", "delete")},
    ("dns", "list"): _records,
    ("dns", "check"): _check,
    **{("dns", action): _stage for action in ("add", "remove", "retarget", "undo", "discard")},
    ("dns", "diff"): _diff,
    ("dns", "apply"): _apply,
    ("dns", "export"): _export,
}


async def _run(world: World, args: Namespace) -> int:
    async with _vpn(world, args) as vpn:
        return await _ACTS[args.verb, args.action](world, vpn, args)


VERBS: dict[str, Verb] = {"nodes": _run, "users": _run, "keys": _run, "dns": _run}
