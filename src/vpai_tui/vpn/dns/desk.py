"""The records at work: read, stage, undo, compare, apply. Everything staged stays on the laptop until `apply`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vpai_tui.clock import rfc3339
from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.history import who
from vpai_tui.fleet.model import Severity
from vpai_tui.fleet.operation import Event, Finished, Journaled, Outcome, Verified
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.resolve import Question, ask
from vpai_tui.text import clean_line
from vpai_tui.vpn.dns.apply import Order, Run, interrupted, new_id
from vpai_tui.vpn.dns.changes import Diff, Edit, Staged, Store, compare, merge
from vpai_tui.vpn.dns.lint import Surroundings, lint, new_record, of_settings
from vpai_tui.vpn.dns.proof import PROVED, answered
from vpai_tui.vpn.dns.relays import Relays, relays_of
from vpai_tui.vpn.dns.settings import Settings, inventory, read_list, write_list
from vpai_tui.vpn.dns.states import Read, behind, drift, gone, loaded, resolves
from vpai_tui.vpn.files import read_host_file
from vpai_tui.vpn.link import Config, Link
from vpai_tui.vpn.model import Node, Record, same_address
from vpai_tui.vpn.transport import in_container
from vpai_tui.vpn.versions import Can, parse_version
from vpai_tui.vpn.view import DnsView, RecordView

if TYPE_CHECKING:
    from vpai_tui.vpn.session import Surface


_THROUGH_VPN = (
    "you come through the VPN ({}): a link that is relayed drops with the restart; the host goes on by itself"
)


class Dns:
    """Split DNS of one hub."""

    def __init__(self, surface: Surface, link: Link, record: Callable[..., None]) -> None:
        self._surface = surface
        self._link = link
        self._record = record
        self._store = Store(surface.folder, link.host)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def read(self, config: Config | None = None) -> Read:
        """The file that holds the records; works while Headscale is down."""
        config = config or await self._link.config()
        hub, settings = config.hub, config.settings
        if not settings.records_path:
            return Read(hub, settings, config.file, hub.inside, config.document.records)
        inside = settings.records_path
        path = hub.on_host(inside)
        if path is None or not inside.startswith("/"):
            raise OperatorError(
                f"extra_records_path {inside} is no file that the host shares with the container",
                host=self._link.host,
                remedy="give it an absolute path below a mounted directory",
            )
        file = await read_host_file(await self._link.connection(), path)
        return Read(hub, settings, file, inside, read_list(file.content))

    async def view(
        self, nodes: Sequence[Node] | None, notes: list[str], *, resolve: bool = False, config: Config | None = None
    ) -> DnsView:
        """The records with all that is known of each; `nodes` None: unknown, so no address is called an orphan."""
        read = await self.read(config)
        staged = self._store.load()
        merged = merge(read.records, staged.edits)
        is_loaded = loaded(read, notes)
        new = [record for record in merged.records if record not in read.records]
        listed = [*read.records, *new]
        around = self._around(read.settings, nodes)
        problems = lint(listed, around)
        answers = await self._answers(listed, notes) if resolve else {}
        rows = []
        for record, found in zip(listed, problems, strict=True):
            in_file = record in read.records
            rows.append(
                RecordView(
                    record=record,
                    in_file=in_file,
                    loaded=is_loaded if in_file else False,
                    resolves=resolves(record, answers),
                    node=behind(record, around),
                    problems=found,
                    staged="add" if not in_file else "" if record in merged.records else gone(record, staged),
                )
            )
        return DnsView(
            source=read.settings.source,
            path=read.file.path,
            loaded=is_loaded,
            records=tuple(rows),
            problems=tuple(of_settings(read.settings)),
            staged=staged,
            conflicts=merged.conflicts,
            drift=drift(read, staged, self._applied),
            settings=read.settings,
            interrupted=await self._interrupted(),
        )

    async def _interrupted(self) -> str | None:
        try:
            return await interrupted(await self._link.connection())
        except OperatorError:
            return None  # something runs on the host: that is not interrupted

    async def _answers(self, records: Sequence[Record], notes: list[str]) -> dict[Question, tuple[str, ...]]:
        """Of the hub's own VPN client first, else of another host's."""
        asked = [(it.name, "AAAA" if ":" in it.value else "A") for it in records if it.name.isascii()]
        questions = list(dict.fromkeys(asked))
        others = [name for name in self._surface.fleet.hosts if name != self._link.host]
        why = ""
        for host in [self._link.host, *others]:
            try:
                return await ask(await self._surface.connection(host), questions)
            except OperatorError as error:
                why = why or str(error)
        notes.append(f"resolves: no resolver of the VPN could be asked: {why}")
        return {}

    def _around(self, settings: Settings, nodes: Sequence[Node] | None) -> Surroundings:
        domain = self._surface.fleet.domain or ""
        now = self._surface.clock.now()
        return Surroundings(settings, nodes, self._surface.addresses, self._link.host, domain, now)

    # ── staging ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def staged(self) -> Staged:
        """What is staged on the laptop."""
        return self._store.load()

    async def add(self, name: str, kind: str, value: str) -> Staged:
        """Stages one more record. `value` may be the name of a node: its address is taken then."""
        value = await self._address(value, kind)
        record = new_record(name, kind, value)
        return await self._stage([Edit(None, record)])

    async def remove(self, name: str, value: str | None = None) -> Staged:
        """Stages the removal of a name's records, or of the one with this value."""
        present = merge((await self.read()).records, self._store.load().edits).records
        fitting = [it for it in present if it.name.lower().rstrip(".") == name.lower().rstrip(".")]
        chosen = [it for it in fitting if value is None or same_address(it.value, value)]
        if not chosen:
            raise UsageError(
                f"there is no record {clean_line(name, 80)}{f' → {value}' if value else ''}", remedy="vpai-tui dns list"
            )
        return await self._stage([Edit(it, None) for it in chosen])

    async def change(self, old: Record, name: str, kind: str, value: str) -> Staged:
        """Stages another name, type or value of a record."""
        return await self._stage([Edit(old, new_record(name, kind, await self._address(value, kind)))])

    async def change_all(self, records: Sequence[Record], value: str) -> Staged:
        """Stages one address for several records at once (one undo)."""
        edits = []
        for it in records:
            kind = it.type or "A"
            edits.append(Edit(it, new_record(it.name, kind, await self._address(value, kind))))
        return await self._stage([it for it in edits if it.old != it.new])

    async def remove_all(self, records: Sequence[Record]) -> Staged:
        """Stages the removal of several records at once (one undo)."""
        return await self._stage([Edit(it, None) for it in records])

    async def retarget(self, old: str, new: str) -> Staged:
        """Stages every record of one address onto another: after a machine has joined again. One undo."""
        present = merge((await self.read()).records, self._store.load().edits).records
        chosen = [it for it in present if same_address(it.value, old)]
        if not chosen:
            raise UsageError(f"no record points at {clean_line(old, 80)}")
        kind = chosen[0].type
        value = await self._address(new, kind)
        return await self._stage([Edit(it, new_record(it.name, it.type or kind, value)) for it in chosen])

    def undo(self) -> Staged:
        """Takes the last staged step back."""
        staged = self._store.load().undone()
        self._store.save(staged)
        return staged

    def discard(self) -> None:
        """Forgets everything staged, also a file that cannot be read."""
        self._store.path.unlink(missing_ok=True)

    async def _address(self, value: str, kind: str) -> str:
        """An address as it is; for a node's name the node's address of that family."""
        if any(char in value for char in ".:"):
            return value
        nodes = await (await self._link.live()).client.nodes()
        node = next((it for it in nodes if it.name == value), None)
        found = [it for it in (node.addresses if node else ()) if (":" in it) == (kind.upper() == "AAAA")]
        if not found:
            raise UsageError(
                f"{clean_line(value, 80)} is neither an address nor a node with one", remedy="vpai-tui nodes list"
            )
        return found[0]

    async def _stage(self, edits: Sequence[Edit]) -> Staged:
        """Refused when it could lock the operator out: the control plane's, a relay's or an SSH host's own name.

        What is only doubtful (a second address of one name, an address that no machine has) is staged with a warning.
        """
        self._may_change()
        read = await self.read()
        staged = self._store.load()
        before = merge(read.records, staged.edits).records
        new = [it.new for it in edits if it.new is not None]
        self._may_be_set(new, read.settings)
        if known := next((it for it in new if it in before), None):
            raise UsageError(f"{known} is there already")
        staged = staged.plus(read.hash, edits)
        if conflicts := merge(read.records, staged.edits).conflicts:
            raise UsageError(conflicts[-1], remedy="vpai-tui dns list")
        after = merge(read.records, staged.edits).records
        read.edited(after)  # a file that cannot be edited is told now
        nodes = await self._nodes()
        self._store.save(staged)
        return replace(staged, warnings=self._doubts(after, new, self._around(read.settings, nodes)))

    async def _nodes(self) -> Sequence[Node] | None:
        """None while Headscale is down. UsageError when its version is one that is only read."""
        try:
            client = (await self._link.live()).client
            nodes = await client.nodes()
        except OperatorError:
            return None
        client.need(Can.WRITE)
        return nodes

    @staticmethod
    def _doubts(after: Sequence[Record], new: Sequence[Record], around: Surroundings) -> tuple[str, ...]:
        """What is doubtful about new records among those that would stand there then."""
        judged = zip(after, lint(after, around), strict=True)
        return tuple(
            f"{record}: {it.message}"
            for record, problems in judged
            for it in problems
            if record in new and it.severity is Severity.WARN
        )

    # ── applying ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def diff(self) -> tuple[Diff, tuple[str, ...]]:
        """What an apply would do, and the staged edits that do not fit any more."""
        read = await self.read()
        merged = merge(read.records, self._store.load().edits)
        after = read.edited(merged.records)
        found = self._compare(read, merged.records, after)
        if found.restart_needed and (peer := await self._peer_in_vpn(read.settings)):
            found = replace(found, warnings=(_THROUGH_VPN.format(peer),))
        return found, merged.conflicts

    async def _peer_in_vpn(self, settings: Settings) -> str:
        """The VPN address that we come from; empty when we come another way, or nobody can say."""
        try:
            peer = (await self._link.live()).where.peer
        except OperatorError:
            return ""
        return peer if settings.in_vpn(peer) else ""

    def _compare(self, read: Read, wanted: Sequence[Record], after: bytes) -> Diff:
        return compare(read.records, wanted, (read.file.content, after), restart=not read.settings.records_path)

    async def apply(self) -> AsyncIterator[Event]:
        """Puts what is staged in place, on the host and by the host. The last event is `Finished`.

        An apply that was interrupted is settled first.

        Raises:
            PreflightRefused: a conflict, a file that cannot be edited, or one mounted by itself; nothing was changed.
        """
        self._may_change()
        connection = await self._link.connection()
        if old := await interrupted(connection):
            async for event in self.settle(old):
                yield event
                if isinstance(event, Finished) and event.outcome is not Outcome.REVERTED:
                    return
        read = await self.read()
        staged = self._store.load()
        merged = merge(read.records, staged.edits)
        if merged.conflicts:
            raise PreflightRefused(
                "; ".join(merged.conflicts), host=self._link.host, remedy="vpai-tui dns discard, or undo"
            )
        new = [it for it in merged.records if it not in read.records]
        self._may_be_set(new, read.settings)  # as at staging: somebody may have changed server_url since
        if read.hub.single_file(read.inside):
            raise PreflightRefused(
                f"{read.inside} is mounted as a single file: the container would go on reading the old one",
                host=self._link.host,
                remedy="mount its directory, as ./config:/etc/headscale",
            )
        content = read.edited(merged.records)
        run = self._run(new_id(self._surface.clock), connection)
        if content == read.file.content:
            self._store.save(Staged())
            yield Finished(rfc3339(self._surface.clock.now()), Outcome.UNCHANGED, run.id)
            return
        order = await self._order(read, content, connection, new)
        subject = ", ".join(str(edit) for edit in staged.edits)
        async for event in run.apply(order):
            if isinstance(event, Finished):
                if event.outcome is Outcome.COMMITTED:
                    yield await self._proof(merged.records, new)
                    self._keep(merged.records)
                self._journal("dns apply", run.id, event.outcome.value, f"{subject} {event.reason}".strip())
            yield event

    async def _order(self, read: Read, content: bytes, connection: Connection, new: Sequence[Record]) -> Order:
        """What the host is told to do. PreflightRefused for a version not known, or without a relay map."""
        settings, restart = read.settings, not read.settings.records_path
        done = await in_container(connection, read.hub, "version")
        version = parse_version(done.text) if done.exit_status == 0 else None
        if version is not None and (why := version.why_not(Can.WRITE)):
            raise PreflightRefused(why, host=self._link.host, step="dns")
        relays = await relays_of(connection, read.hub, settings, version) if restart else Relays()
        self._may_be_set(new, replace(settings, derp_hosts=(*settings.derp_hosts, *relays.hosts)))
        return Order(
            hub=read.hub,
            path=read.file.path,
            inside=read.inside,
            content=content,
            base=read.hash,
            restart=restart,
            relays=relays.urls,
            port=settings.port,
            public=settings.server_url if settings.server_host else "",
        )

    def _may_be_set(self, new: Sequence[Record], settings: Settings) -> None:
        """PreflightRefused for a record that could lock the operator out."""
        for record, problems in zip(new, lint(new, self._around(settings, None)), strict=True):
            if bad := next((it for it in problems if it.severity is Severity.ERROR), None):
                raise PreflightRefused(f"{record}: {bad.message}", host=self._link.host, step="dns")

    async def settle(self, id_: str) -> AsyncIterator[Event]:
        """Takes an interrupted apply back."""
        self._may_change()
        read = await self.read()
        order = Order(read.hub, read.file.path, read.inside, b"", read.hash, restart=not read.settings.records_path)
        async for event in self._run(id_, await self._link.connection()).settle(order):
            if isinstance(event, Finished):
                self._journal("dns settle", id_, event.outcome.value, event.reason)
            yield event

    def _journal(self, what: str, run: str, result: str, detail: str) -> None:
        self._record(what, f"{self._link.host}/dns", result, f"{detail} ({run})".strip())

    def _may_change(self) -> None:
        if self._surface.read_only:
            raise UsageError("this cockpit is read-only", remedy="open it without --read-only")

    def _run(self, id_: str, connection: Connection) -> Run:
        return Run(connection, id_, who(), self._surface.clock, lambda: self._surface.fresh(self._link.host))

    async def _proof(self, wanted: Sequence[Record], new: Sequence[Record]) -> Event:
        """The file read again, Headscale asked over HTTP, a resolver of the VPN for the first of the new records."""
        at = rfc3339(self._surface.clock.now())
        try:
            read = await self.read()
            if read.records != tuple(wanted):
                return Verified(at, "the file does not say what was applied: another writer was at it")
            count = len(await (await self._link.live()).client.nodes())
        except OperatorError as error:
            return Verified(at, f"could not be looked at again: {error.message}")
        known = await answered(lambda: self._answers(new[:PROVED], []), new[:PROVED])
        return Journaled(at, "verified", f"{len(wanted)} records in the file, {count} nodes answer{known}")

    def _keep(self, wanted: Sequence[Record]) -> None:
        """Nothing is staged any more; what was applied is remembered, so that another writer's work is seen."""
        self._store.save(Staged())
        path = self._applied
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(write_list(wanted))
        except OSError as error:
            self._record("dns", str(path), f"could not be written: {error.strerror}")

    @property
    def _applied(self) -> Path:
        return self._store.path.with_name(f"{self._link.host}.applied.json")

    async def export(self) -> str:
        """The records as `inventory` writes them."""
        return inventory((await self.read()).records)
