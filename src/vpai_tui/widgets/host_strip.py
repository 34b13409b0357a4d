"""The hosts on top of every screen: state, link, load, memory, disk, services, and how old all of it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from textual.geometry import Size

from vpai_tui.clock import duration
from vpai_tui.fleet.model import Disk, FleetSnapshot, Health, HostSnapshot, HostState, Service
from vpai_tui.widgets import paint
from vpai_tui.widgets.canvas import SafeStatic
from vpai_tui.widgets.paint import Line, Span, spread, width_of
from vpai_tui.widgets.you import YOU_CELL

CELL = 26  # the narrowest cell with three rows
STALE_S = 12.0  # metrics come every few seconds: older than this, they are history
_ROWS = 3
_MANY = 6  # more hosts than this are told by a word each, the bad ones first
_HOT_C = 75  # a Raspberry Pi 5 slows down at 80 °C


class HostStrip(SafeStatic):
    """One cell per host, three rows high; one row per host when the screen is too narrow for that."""

    DEFAULT_CSS = "HostStrip { width: 100%; height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._snapshot: FleetSnapshot | None = None
        self._scope: str | None = None
        self._now = 0.0
        self._you: Sequence[Line] = ()

    def show_fleet(
        self, snapshot: FleetSnapshot, scope: str | None, now_boot_s: float, you: Sequence[Line] = ()
    ) -> bool:
        """Draw the fleet as of `now_boot_s`, and the laptop's own cell where there is room; says whether anything
        differed."""
        self._snapshot, self._scope, self._now, self._you = snapshot, scope, now_boot_s, you
        return self.show(strip_lines(snapshot, scope, now_boot_s, self.size.width, you)) if self.size.width else False

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return strip_height(len(self._snapshot.hosts), width) if self._snapshot else _ROWS

    def on_resize(self) -> None:
        if self._snapshot is not None:
            self.show_fleet(self._snapshot, self._scope, self._now, self._you)


def strip_height(hosts: int, width: int) -> int:
    """Rows the strip takes: three, or one per host while there are few."""
    if hosts * CELL + hosts - 1 <= width or hosts > _MANY:
        return _ROWS
    return hosts


def has_room(hosts: int, width: int) -> bool:
    """Whether a cell of the laptop's own fits beside those of the hosts."""
    return hosts * CELL + hosts - 1 + YOU_CELL <= width


def strip_lines(
    snapshot: FleetSnapshot, scope: str | None, now_boot_s: float, width: int, you: Sequence[Line] = ()
) -> list[Line]:
    """The strip in `width` cells; `you` are the three rows of the laptop's own cell, left out where they do not fit."""
    hosts = snapshot.hosts
    if you and has_room(len(hosts), width):
        rest = strip_lines(snapshot, scope, now_boot_s, width - YOU_CELL)
        return [
            (*row, ("▏", "track"), *spread(mine, (), YOU_CELL - 2), (" ", ""))
            for row, mine in zip(rest, you, strict=True)
        ]
    if len(hosts) > _MANY and len(hosts) > width // CELL:
        return _crowd(snapshot, scope, now_boot_s, width)
    if strip_height(len(hosts), width) != _ROWS or len(hosts) > width // CELL:
        return [_compact(host, snapshot, scope, now_boot_s, width) for host in hosts]
    cells = [_widths(len(hosts), width)[at] for at in range(len(hosts))]
    columns = [_cell(host, snapshot, scope, now_boot_s, cells[at] - 2) for at, host in enumerate(hosts)]
    rows: list[Line] = []
    for y in range(_ROWS):
        spans: list[Span] = []
        for at, column in enumerate(columns):
            spans += [("▏" if at else " ", "track"), *spread(column[y], (), cells[at] - 2), (" ", "")]
        rows.append(tuple(spans))
    return rows


def _crowd(snapshot: FleetSnapshot, scope: str | None, now: float, width: int) -> list[Line]:
    """Many hosts in three rows: how many are well, then one word each, those that are not well first."""
    bad = Counter(service.host for service in snapshot.services if is_bad(service))
    ill = {host.name: bool(bad[host.name]) or _ill(host, now) for host in snapshot.hosts}
    hosts = sorted(snapshot.hosts, key=lambda host: not ill[host.name])
    well = len(hosts) - sum(ill.values())
    words = [_word(host, bad[host.name], scope, now) for host in hosts]
    cell = min(width, 2 + max(width_of(word) for word in words))
    fits = max(1, width // cell)
    shown = words[: fits * (_ROWS - 1)]
    left: Line = ((f" {well} of {len(hosts)} hosts are well", "ok" if well == len(hosts) else "warn"),)
    more = len(hosts) - len(shown)
    rows = [spread(left, ((f"{more} more below in the table ", "dim"),) if more else (), width)]
    for at in range(0, fits * (_ROWS - 1), fits):
        spans = [span for word in shown[at : at + fits] for span in spread(word, (), cell)]
        rows.append(spread(tuple(spans), (), width))
    return rows


def _ill(host: HostSnapshot, now: float) -> bool:
    return host.link.state is not HostState.READY or _stale(host, now)


def _word(host: HostSnapshot, bad: int, scope: str | None, now: float) -> Line:
    glyph, role = paint.host_glyph(host.link.state)
    faded = scope is not None and scope != host.name
    count: Line = ((f" {paint.WARN}{bad}", "warn"),) if bad else ()
    age: Line = ((" STALE", "warn"),) if _stale(host, now) else ()
    return ((f" {glyph} ", role), (host.name, "dim" if faded else "strong"), *count, *age)


def _widths(count: int, width: int) -> list[int]:
    share, extra = divmod(width, count)
    return [share + (1 if at < extra else 0) for at in range(count)]


def _cell(host: HostSnapshot, snapshot: FleetSnapshot, scope: str | None, now: float, width: int) -> list[Line]:
    head = spread(_name(host, scope), _age(host, now), width)
    if not host.live and host.link.state is not HostState.CONNECTING:
        return [
            head,
            spread(_reason(host, width, _retry(host, now)), (), width),
            spread(_meters(host, 0, gone=True), _counts(host, snapshot), width),
        ]
    if host.metrics is None:
        return [head, ((host.title, "dim"),), ((host.link.step, "busy"),)]
    old = _stale(host, now)
    second = spread(_load(host, old, width), _memory(host, width, old), width)
    third = spread((*_counts(host, snapshot), *_heat(host, width)), _disk(host, width, old), width)
    return [head, second, third]


def _name(host: HostSnapshot, scope: str | None) -> Line:
    glyph, role = paint.host_glyph(host.link.state)
    faded = scope is not None and scope != host.name
    held = host.hold is not None and host.link.state is HostState.READY  # ready goes without saying then
    state = (f" {paint.OFF} held", "warn") if held else (f" {host.link.state.value}", role)
    return ((f"{glyph} ", role), (host.name, "dim" if faded else "strong"), state)


def _age(host: HostSnapshot, now: float) -> Line:
    rtt = f"{host.link.rtt_s * 1000:.0f}ms " if host.link.rtt_s is not None and host.live else ""
    if host.seen_boot_s is None:
        return ((rtt, "dim"),)
    age = now - host.seen_boot_s
    if age > STALE_S:
        return ((f"STALE {duration(age)}", "warn"),)
    return ((rtt, "dim"), (f"{duration(age)}", "dim"))


def _stale(host: HostSnapshot, now: float) -> bool:
    return host.metrics is not None and now - host.metrics.at_boot_s > STALE_S


def _reason(host: HostSnapshot, width: int, again: Line = ()) -> Line:
    """Why a host is gone: all of it when it fits, else the step; the alert has the rest."""
    where = f"{host.link.step}: " if host.link.step else ""
    full = f"{where}{host.link.error or 'no connection'}"
    if width_of(((full, ""), *again)) > width and host.link.step:
        full = f"{host.link.step} failed"
    return ((full, "error"), *again)


def _retry(host: HostSnapshot, now: float) -> Line:
    at = host.link.retry_at_boot_s
    return ((f", again in {duration(at - now)}", "dim"),) if at is not None and at > now else ()


def _load(host: HostSnapshot, old: bool, width: int = 0) -> Line:
    metrics = host.metrics
    if metrics is None:
        return ()
    busy = metrics.load1 > metrics.cpus
    load: Line = (("load ", "dim"), (_load_figure(metrics.load1), "stale" if old else "warn" if busy else ""))
    if width < 36 or metrics.cpu_percent is None:
        return load
    return (*load, ("  cpu ", "dim"), (f"{metrics.cpu_percent:.0f}%", "stale" if old else ""))


def _heat(host: HostSnapshot, width: int) -> Line:
    degrees = host.metrics.temperature_c if host.metrics else None
    if degrees is None or width < 36:
        return ()
    return ((f"  {degrees:.0f}°C", "warn" if degrees >= _HOT_C else "dim"),)


def _load_figure(load: float) -> str:
    """Four characters, whatever the load."""
    return f"{load:.2f}" if load < 10 else f"{load:.1f}"[:4]


def _memory(host: HostSnapshot, width: int, old: bool) -> Line:
    metrics = host.metrics
    if metrics is None or not metrics.memory_total_bytes:
        return ()
    used = metrics.memory_total_bytes - metrics.memory_available_bytes
    return _gauge("mem", 100 * used / metrics.memory_total_bytes, width, old)


def fullest(disks: tuple[Disk, ...]) -> Disk | None:
    """The fullest filesystem: the one that will hurt first."""
    return max(disks, key=lambda disk: disk.used_percent, default=None)


def _disk(host: HostSnapshot, width: int, old: bool) -> Line:
    disk = fullest(host.metrics.disks) if host.metrics else None
    return _gauge("dsk", disk.used_percent, width, old) if disk else ()


def _gauge(label: str, percent: float, width: int, old: bool) -> Line:
    bar = max(4, width - 19) if width < 36 else min(16, width - 30)
    role = "stale" if old else paint.level(percent)
    return (
        (f"{label} ", "dim"),
        *paint.meter(percent, bar, "stale" if old else None),
        (f"{percent:>4.0f}%"[0:5], role),
    )


def _counts(host: HostSnapshot, snapshot: FleetSnapshot) -> Line:
    services = [service for service in snapshot.services if service.host == host.name]
    if not services:
        return (("no services yet", "dim"),) if host.containers is None else (("no services", "dim"),)
    bad = [service for service in services if is_bad(service)]
    down = sum(1 for service in bad if service.health is Health.DOWN)
    gone = not host.live
    good = len(services) - len(bad)
    spans: list[Span] = [(f"{paint.STALE if gone else paint.OK}{good}", "stale" if gone else "ok")]
    if len(bad) - down:
        spans.append((f" {paint.WARN}{len(bad) - down}", "stale" if gone else "warn"))
    if down:
        spans.append((f" {paint.DOWN}{down}", "stale" if gone else "error"))
    return tuple(spans)


def is_bad(service: Service) -> bool:
    """Whether a service needs somebody: stopped on purpose is not bad."""
    return service.health in (Health.DEGRADED, Health.DOWN)


def _meters(host: HostSnapshot, width: int, *, gone: bool) -> Line:
    metrics = host.metrics
    if metrics is None:
        return ()
    used = 100 * (1 - metrics.memory_available_bytes / metrics.memory_total_bytes) if metrics.memory_total_bytes else 0
    disk = fullest(metrics.disks)
    text = f"mem {used:.0f}%" + (f" dsk {disk.used_percent:.0f}%" if disk else "")
    return ((text, "stale" if gone else ""),)


def _compact(host: HostSnapshot, snapshot: FleetSnapshot, scope: str | None, now: float, width: int) -> Line:
    left = (*_name(host, scope), ("  ", ""), *_counts(host, snapshot), ("  ", ""))
    middle = _reason(host, width) if not host.live else (*_load(host, False), ("  ", ""), *_meters(host, 0, gone=False))
    return spread(((" ", ""), *left, *middle), (*_age(host, now), (" ", "")), width)
