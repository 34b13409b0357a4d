"""What a proxy's log says of used-up credit: read from Loki, or from the container's own log where Loki has nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.logs.buffer import Buffer
from vpai_tui.logs.model import SECOND_NS, Line
from vpai_tui.logs.query import containing
from vpai_tui.logs.session import Choice, Logs
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

CREDIT = "provider-credit"
LOOK_BACK_S = 3600.0
_MOST = 500  # lines of used-up credit that are counted; of a container's own log twenty times as many are read
_OWN = 10_000
# How providers say it, each in words of its own; 402 alone is a number like any other.
PATTERN = (
    r"(?i)(insufficient[_ ](credits?|funds|balance|quota)|requires more credits|credit balance is too low"
    r"|exceeded your current quota|out of credits?\b|payment required|billing_hard_limit|account_?overdue"
    r"|(\b|_)(code|status|error|http(/[0-9.]+)?)\W{1,6}402\b)"
)
_FITS = re.compile(PATTERN)
_PROVIDERS = ("openrouter", "anthropic", "openai", "gemini", "vertex", "byteplus", "bytedance", "z-ai", "zai")


async def credit(logs: Logs, service: str) -> list[Finding]:
    """`provider-credit` of one service (host/stack/service) over the last hour.

    Raises:
        OperatorError: neither Loki nor the container's engine answers.
    """
    target = logs.target(service)
    choice = await logs.choose(target)
    to_ns = logs.now_ns()
    from_ns = to_ns - int(LOOK_BACK_S * SECOND_NS)
    if choice.query is not None and not await logs.link.count(choice.query, from_ns, to_ns):
        choice = Choice(target, None, "Loki has no line of its last hour")
    if choice.query is not None:
        choice = replace(choice, query=containing(choice.query, PATTERN))
        found = await logs.read(choice, Buffer(_MOST + 1), from_ns, to_ns, _MOST)
        return [judged(service, found.lines, f"Loki on {logs.host}", whole=found.complete)]
    found = await logs.read(choice, Buffer(_OWN + 1), from_ns, to_ns, _OWN)
    where = f"the container's own log ({clean_line(choice.reason, 100)})"
    if not found.lines:
        why = f"{where} has no line of the last hour"
        return [Finding(CREDIT, service.partition("/")[0], "", Standing.UNKNOWN, why, target=service)]
    return [judged(service, found.lines, where, whole=found.complete)]


def judged(service: str, lines: Iterable[Line], where: str, *, whole: bool) -> Finding:
    """Any line is an error; its own words are shown, without what may be a key. `whole`: all of the hour was read."""
    host = service.partition("/")[0]
    bad = [text for line in lines if _FITS.search(text := line.text[:20_000])]
    if not bad:
        span = "the last hour" if whole else f"the newest {_OWN:,} lines of the last hour"
        return Finding(CREDIT, host, "", Standing.OK, f"no word of used-up credit in {span}; read from {where}")
    said = redact(clean_line(_around(bad[-1]), 160))
    count = f"{len(bad)}{'' if whole else ' or more'} line{'s' if len(bad) > 1 else ''}"
    detail = f"{count} of used-up credit in the last hour, the newest: {said}"
    return Finding(CREDIT, host, ", ".join(providers_of(bad)), Standing.ERROR, detail, target=service)


def providers_of(lines: Sequence[str]) -> list[str]:
    """Whose credit it is, as far as the lines name one; each once."""
    text = "\n".join(lines).lower()
    return [it for it in _PROVIDERS if it in text]


def _around(line: str) -> str:
    """The part of a long line that says it."""
    at = _FITS.search(line)
    if at is None or len(line) <= 160:
        return line
    return line[line.find(" ", max(0, at.start() - 70)) + 1 : at.end() + 80]
