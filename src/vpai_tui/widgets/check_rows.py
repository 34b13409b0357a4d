"""The findings of the checks as rows and lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vpai_tui.clock import duration
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.widgets import paint
from vpai_tui.widgets.dialogs import wrap
from vpai_tui.widgets.paint import Line, Span
from vpai_tui.widgets.safe_table import Column, Row, widest
from vpai_tui.widgets.upkeep_look import UpkeepLook

if TYPE_CHECKING:
    from vpai_tui.upkeep.table import Check

_ORDER = (Standing.ERROR, Standing.WARN, Standing.UNKNOWN, Standing.OK)
_WORDS = {
    Standing.OK: (f"{paint.OK} ok", "ok"),
    Standing.WARN: (f"{paint.WARN} warn", "warn"),
    Standing.ERROR: (f"{paint.DOWN} error", "error"),
    Standing.UNKNOWN: (f"{paint.STALE} unknown", "stale"),
}


def standing(value: Standing) -> Span:
    """Glyph and word."""
    return _WORDS[value]


def check_columns(rows: Sequence[Row], width: int = 120) -> tuple[Column, ...]:
    """Columns wide enough for these rows; the standing and the check never leave. On a narrow screen a check's title
    is cut (the lines below have it whole), so that it can be seen which of six databases a row is of."""
    title, subject = (26, 20) if width >= 100 else (20, 14)
    return (
        Column("standing", "", 9),
        Column("check", "check", max(12, min(title, widest(rows, "check")))),
        Column("host", "host", max(4, min(10, widest(rows, "host"))), drop=2),
        Column("subject", "what", max(4, min(subject, widest(rows, "subject"))), drop=3),
        Column("detail", "", least=16),
    )


def pick_findings(findings: Sequence[Finding], scope: str | None, needle: str) -> list[Finding]:
    """The findings of `scope` (without one: all) that hold every word of `needle`, the worst first."""
    words = needle.lower().split()
    kept = [
        it
        for it in findings
        if scope in (None, it.host)
        and all(
            word in f"{_check(it).title} {it.check} {it.standing} {it.host} {it.subject} {it.detail}".lower()
            for word in words
        )
    ]
    return sorted(kept, key=lambda it: _ORDER.index(it.standing))


def check_rows(findings: Sequence[Finding]) -> list[Row]:
    """One row per finding, as given; their keys outlast a new look, so that the cursor stays on what it stood on."""
    same: Counter[tuple[str, str, str]] = Counter()
    return [
        Row(
            _key(it, same),
            {
                "standing": standing(it.standing),
                "check": (_check(it).title, "name" if it.bad else ""),
                "host": (it.host, ""),
                "subject": (it.subject, ""),
                "detail": (_told(it), "dim" if it.standing is Standing.UNKNOWN else ""),
            },
        )
        for it in findings
    ]


def _key(finding: Finding, same: Counter[tuple[str, str, str]]) -> str:
    """What it is of; numbered where a check says several things of one."""
    subject = (finding.check, finding.host, finding.subject)
    same[subject] += 1
    return "\t".join((*subject, str(same[subject])))


def _told(finding: Finding) -> str:
    return f"cannot be known: {finding.detail}" if finding.standing is Standing.UNKNOWN else finding.detail


def _check(finding: Finding) -> Check:
    from vpai_tui.upkeep.table import BY_ID

    return BY_ID[finding.check]


def check_head(look: UpkeepLook, now_boot_s: float) -> Line:
    """How many stand how, and how old that is."""
    if look.morning is None:
        return ((" … running the checks" if look.asking else " the checks have not run yet", "busy"),)
    findings = look.morning.report.findings
    spans: list[Span] = [(" ", "")]
    for value in _ORDER:
        if count := sum(1 for it in findings if it.standing is value):
            text, role = standing(value)
            spans.append((f"{text.split()[0]} {count} {text.split()[1]}  ", role))
    age = duration(now_boot_s - look.taken_boot_s)
    spans.append(
        (f"STALE {age}" if look.stale(now_boot_s) else f"asked {age} ago", "warn" if look.stale(now_boot_s) else "dim")
    )
    return (*spans, (", asking again", "busy")) if look.asking else tuple(spans)


def check_detail(finding: Finding | None, width: int, height: int) -> list[Line]:
    """The whole of one finding, and what its check is about; less of it on a low screen."""
    if finding is None:
        return []
    check = _check(finding)
    rows: list[Line] = [
        ((f" {check.title}  ", "strong"), standing(finding.standing), (f"  {finding.host} {finding.subject}", ""))
    ]
    rows += _wrapped("", _told(finding), width, 3)
    remedy = finding.remedy or (check.remedy if finding.bad else "")
    rows += _wrapped("→ ", remedy, width, 2) if remedy else []
    if height >= 32:
        rows += _wrapped("unseen   ", check.incident, width, 2) if check.incident else []
        rows += _wrapped("read     ", check.source, width, 2)
        rows += _wrapped("bad when ", check.threshold, width, 2)
    return rows


def _wrapped(label: str, text: str, width: int, most: int) -> list[Line]:
    pieces = wrap(text, max(20, width - 2 - len(label)))[:most]
    return [((f" {label if not at else ' ' * len(label)}", "dim"), (piece, "")) for at, piece in enumerate(pieces)]
