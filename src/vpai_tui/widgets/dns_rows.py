"""DNS records as rows and lines: in the file, loaded, resolving, staged, wrong; and why records are not used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vpai_tui.fleet.model import Severity
from vpai_tui.vpn.view import DnsView, RecordView, VpnSnapshot
from vpai_tui.widgets import paint
from vpai_tui.widgets.backend import Section
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.paint import Line, Span
from vpai_tui.widgets.safe_table import Column, Row, widest

if TYPE_CHECKING:
    from vpai_tui.vpn.dns.lint import Problem
    from vpai_tui.vpn.dns.settings import Settings

RECORD_SORTS = ("file", "name", "value", "problem")
_STAGED: dict[str, tuple[str, str, str]] = {  # sign, role, words
    "add": ("+", "add", "staged: comes with the next apply; u takes it back"),
    "remove": ("-", "del", "staged: goes with the next apply; u takes it back"),
    "change": ("~", "warn", "staged: changes with the next apply; u takes it back"),
}
_LABEL = 16
_ROLES = {Severity.ERROR: "error", Severity.WARN: "warn", Severity.INFO: "dim"}


def record_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Columns wide enough for these records; sign, name and value never leave."""

    def fitted(name: str, title: str, most: int) -> int:
        return max(len(title), min(most, widest(rows, name)))

    return (
        Column("sign", "", 1),
        Column("flag", "", 1),
        Column("name", "name", fitted("name", "name", 34)),
        Column("type", "type", 4, drop=4),
        Column("value", "value", fitted("value", "value", 20)),
        Column("in_file", "file", 5, drop=3),
        Column("loaded", "loaded", 6, drop=2),
        Column("resolves", "resolves", 8, drop=1),
        Column("node", "node", fitted("node", "node", 16), drop=5),
        Column("problem", "problem", least=12, drop=6),
    )


def record_keys(records: Sequence[RecordView]) -> list[str]:
    """A key for each record that stays when others come and go; twins are counted."""
    seen: dict[str, int] = {}
    keys = []
    for view in records:
        text = f"{view.record}{' new' if view.staged == 'add' else ''}"
        seen[text] = seen.get(text, 0) + 1
        keys.append(f"{text}#{seen[text]}")
    return keys


def record_rows(picked: Sequence[tuple[str, RecordView]], *, stale: bool) -> list[Row]:
    """One row per record."""
    return [_row(key, view, stale=stale) for key, view in picked]


def _row(key: str, view: RecordView, *, stale: bool) -> Row:
    sign, role, _ = _STAGED.get(view.staged, ("", "", ""))
    first = view.problems[0] if view.problems else None
    return Row(
        key,
        {
            "sign": (sign, role),
            "flag": paint.severity(first.severity) if first else ("", ""),
            "name": (view.record.name, role or "name"),
            "type": (view.record.type or "–", role or "dim"),
            "value": (view.record.value, role),
            "in_file": three(view.in_file),
            "loaded": three(view.loaded, bad="dim" if not view.in_file else "warn"),
            "resolves": three(view.resolves, bad="dim" if not view.in_file else "error"),
            "node": (view.node or "–", "" if view.node else "dim"),
            "problem": problem_span(first, len(view.problems)),
        },
        dim=stale,
    )


def three(value: bool | None, *, bad: str = "dim") -> Span:
    """Yes, no, or not known."""
    if value is None:
        return (f"{paint.STALE} ?", "stale")
    return (f"{paint.OK} yes", "ok") if value else (f"{paint.DOWN} no", bad)


def problem_span(first: Problem | None, count: int) -> Span:
    """The worst problem up to its first pause, and how many more there are; the note below has all of it."""
    if first is None:
        return ("", "")
    more = f" (+{count - 1})" if count > 1 else ""
    return (f"{paint.severity(first.severity)[0]} {first.message.partition('; ')[0]}{more}", _ROLES[first.severity])


def pick_records(dns: DnsView, needle: str, order: str) -> list[tuple[str, RecordView]]:
    """The records that hold every word of `needle`, with their keys, in `order`; a change before its new form."""
    words = needle.lower().split()
    pairs = _paired(dns, list(zip(record_keys(dns.records), dns.records, strict=True)))
    kept = [pair for pair in pairs if all(word in _text(pair[1]) for word in words)]
    key = _SORT_KEYS.get(order)
    return sorted(kept, key=key) if key else kept


def _paired(dns: DnsView, pairs: list[tuple[str, RecordView]]) -> list[tuple[str, RecordView]]:
    """In the file's order, each staged new form right after the record it replaces."""
    after = {edit.old: edit.new for edit in dns.staged.edits if edit.old is not None and edit.new is not None}
    followers = {new for new in after.values() if new is not None}
    rows: list[tuple[str, RecordView]] = []
    for pair in pairs:
        view = pair[1]
        if view.staged == "add" and view.record in followers:
            continue
        rows.append(pair)
        if view.staged == "change":
            rows += [it for it in pairs if it[1].staged == "add" and it[1].record == after.get(view.record)]
    return rows + [it for it in pairs if it not in rows]


def _text(view: RecordView) -> str:
    parts = [str(view.record), view.node or "", view.staged and "staged", *(it.message for it in view.problems)]
    return " ".join(parts).lower()


def _worst(pair: tuple[str, RecordView]) -> tuple[int, str]:
    problems = pair[1].problems
    return (-list(Severity).index(problems[0].severity) if problems else 1, pair[1].record.name)


_SORT_KEYS: dict[str, Callable[[tuple[str, RecordView]], tuple[int, str]]] = {
    "name": lambda pair: (0, pair[1].record.name),
    "value": lambda pair: (0, pair[1].record.value),
    "problem": _worst,
}


def record_note(view: RecordView, width: int) -> list[Line]:
    """Below the table: what is wrong with the record under the cursor, in full."""
    rows: list[Line] = []
    for problem in view.problems:
        glyph, role = paint.severity(problem.severity)
        for at, piece in enumerate(wrap(problem.message, max(20, width - 4))):
            rows.append(((f" {glyph if not at else ' '} ", role), (piece, _ROLES[problem.severity])))
    if view.staged:
        sign, role, words = _STAGED[view.staged]
        rows.append(((f" {sign} ", role), (words, "")))
    if not rows:
        behind = f"{view.record.value} is {view.node}" if view.node else "nothing is known against it"
        rows.append(((f" {paint.OK} ", "ok"), (behind, "dim")))
    return rows[:3]


def record_sections(view: RecordView, found: VpnSnapshot, dns: DnsView, width: int) -> tuple[Section, ...]:
    """All that is known of a record, and what decides whether clients use it."""
    room = max(20, width - _LABEL)
    notes = {note.partition(":")[0]: note.partition(": ")[2] for note in found.notes}

    def known(name: str, value: bool | None) -> str:
        text = three(value)[0]
        return "\n".join(wrap(f"{text}  {notes[name]}" if value is not True and notes.get(name) else text, room))

    facts = [
        ("value", f"{view.record.type or 'by family'} {view.record.value}"),
        ("behind it", view.node or "nobody known"),
        ("in the file", three(view.in_file)[0]),
        ("loaded", known("loaded", view.loaded)),
        ("resolves", known("resolves", view.resolves)),
    ]
    if view.staged:
        facts.append(("staged", _STAGED[view.staged][2].partition(": ")[2]))
    parts = [Section(view.record.name, tuple(facts))]
    if view.problems:
        parts.append(_problems("what is wrong", view.problems, room))
    parts.append(Section("how clients look it up", _lookup(view.record.name, dns.settings, room)))
    if dns.problems:
        parts.append(_problems("the settings", dns.problems, room))
    where = "extra_records_path: no restart" if dns.source == "path" else "config.yaml: an apply restarts Headscale"
    parts.append(Section("where it lives", (("file", "\n".join(wrap(dns.path, room))), ("source", where))))
    return tuple(parts)


def _problems(title: str, problems: Sequence[Problem], room: int) -> Section:
    rows = (f"{paint.severity(it.severity)[0]} {it.message}" for it in problems)
    return Section(title, tuple(("", "\n".join(wrap(row, room))) for row in rows))


def _lookup(name: str, settings: Settings, room: int) -> tuple[tuple[str, str], ...]:
    """The traps where they bite: which resolver a client asks for this name."""
    rows: list[tuple[str, str]] = []

    def say(label: str, text: str) -> None:
        rows.append((label, "\n".join(wrap(text, room))))

    if not settings.magic_dns:
        say("magic_dns", f"{paint.WARN} false: clients are sent no records at all")
    zone = next((it for it in settings.split if name == it[0] or name.endswith(f".{it[0]}")), None)
    if settings.override_local_dns:
        servers = ", ".join(settings.nameservers) or "none given"
        say("override", f"{paint.OK} true: clients ask the VPN first, which sends other names to {servers}")
    elif settings.base_domain and name.endswith(f".{settings.base_domain}"):
        say("override", f"{paint.OK} false, but names below {settings.base_domain} always go through the VPN")
    elif zone is None:
        say(
            "override",
            f"{paint.WARN} override_local_dns is false and no split zone holds this name: a client asks its own "
            "resolver, which knows nothing of the record",
        )
    else:
        say("override", f"{paint.OK} false; the split zone {zone[0]} brings this name to the VPN")
    if zone is not None:
        to = ", ".join(zone[1])
        say(
            "split",
            f"names below {zone[0]} that no record lists go to {to}"
            if to
            else f"{paint.DOWN} {zone[0]} has no servers: every name below it that no record lists is gone for clients",
        )
    say("patience", "clients keep an old answer for up to 600 s; each answers only the first address of a family")
    return tuple(rows)


def diff_yaml_lines(yaml: str) -> list[Line]:
    """The unified diff of the file in colour; its signs carry it without."""
    rows: list[Line] = []
    for row in yaml.splitlines():
        role = "accent" if row.startswith("@@") else {"+": "add", "-": "del"}.get(row[:1], "dim")
        rows.append(((f" {row}", role),))
    return rows
