"""`alert-rules`: Grafana's own word on each of its rules. The password stays where it lies, in the container."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.redact import redact
from vpai_tui.text import clean_line
from vpai_tui.upkeep.asking import running, services_of
from vpai_tui.upkeep.examiner import Source

if TYPE_CHECKING:
    from vpai_tui.upkeep.surface import Surface

CHECK = "alert-rules"
LATE_S = 600.0
_MOST = 2_000  # rules; more is no set that a person keeps
_TOLD = 8  # bad rules that have a finding of their own
_LARGEST = 2 << 20
_TIMEOUT_S = 20.0
PATH = "/api/prometheus/grafana/api/v1/rules"
# `printf` is the shell's own, and what it prints goes through pipes: the password is in no process's arguments.
# HTTP/1.0 has no chunks. Go's server answers no more to a client whose end of input has come, hence the sleep. An
# answer that is cut off is no JSON, and said to be none.
SCRIPT = rf"""
user=${{GF_SECURITY_ADMIN_USER:-admin}} secret=${{GF_SECURITY_ADMIN_PASSWORD-}}
[ -n "$secret" ] || [ -z "${{GF_SECURITY_ADMIN_PASSWORD__FILE-}}" ] || secret=$(cat "$GF_SECURITY_ADMIN_PASSWORD__FILE")
[ -n "$secret" ] || {{ echo "vpai: no password"; exit 0; }}
login=$(printf '%s:%s' "$user" "$secret" | base64 | tr -d '\n')
if command -v curl >/dev/null; then
  printf 'header = "Authorization: Basic %s"\n' "$login" | curl -s -i --http1.0 -m 10 -K - "http://127.0.0.1:3000{PATH}"
elif command -v nc >/dev/null; then
  {{
    printf 'GET {PATH} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Basic %s\r\n\r\n' "$login"
    sleep 4
  }} | nc -w 10 127.0.0.1 3000
else
  echo "vpai: no client"; exit 0
fi | head -c {_LARGEST}
"""
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})\b")
_WORDS = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `states` are those of its instances, in Grafana's words; `evaluated_at` None: never."""

    name: str
    group: str
    health: str  # ok, error, nodata, unknown
    state: str  # inactive, pending, firing
    evaluated_at: datetime | None
    error: str = ""
    paused: bool = False
    states: tuple[str, ...] = ()

    @property
    def no_data(self) -> bool:
        """What Grafana makes an alert of. `Normal (NoData)` is a rule that calls the absence of data fine."""
        return any(it.startswith("nodata") for it in self.states) or (self.health == "nodata" and not self.quiet)

    @property
    def quiet(self) -> bool:
        return any("(nodata)" in it for it in self.states)


def rules_source(surface: Surface) -> Source:
    place = next((stack.host for stack in surface.stacks if "grafana" in stack.services), "")

    async def ask() -> Sequence[Finding]:
        service = next((it for it in services_of(surface.snapshot(), "grafana", "grafana-oss") if running(it)), None)
        if service is None or service.container is None:
            raise OperatorError("no Grafana runs")
        connection = await surface.connection(service.host)
        argv = [*shlex.split(connection.host.docker), "exec", service.container.id, "sh", "-c", SCRIPT]
        label = f"grafana: GET {PATH}"
        done = await connection.run(argv, root=True, check=False, timeout_s=_TIMEOUT_S, label=label)
        rules = rules_of(done.stdout, service.host)
        return list(findings(rules, service.host, service.id, surface.clock.now()))

    return Source("Grafana's rules", (CHECK,), place, ask)


def rules_of(printed: bytes, host: str) -> list[Rule]:
    """What `SCRIPT` printed.

    Raises:
        OperatorError: there is no password, it is not taken, or the answer is none.
    """
    if printed.startswith(b"vpai: no password"):
        raise OperatorError(
            "Grafana's container has no GF_SECURITY_ADMIN_PASSWORD: its rules cannot be asked", host=host
        )
    if printed.startswith(b"vpai: no client"):
        raise OperatorError("Grafana's container has neither curl nor nc: its rules cannot be asked", host=host)
    head, _, body = printed.partition(b"\r\n\r\n")
    status = _STATUS.match(head)
    if status is None:
        raise OperatorError("Grafana does not answer", host=host)
    if status[1] in (b"401", b"403"):
        why = f"Grafana does not take the password of its environment (HTTP {status[1].decode()}): it was changed since"
        raise OperatorError(why, host=host, remedy="grafana cli admin reset-admin-password, with that of grafana.env")
    if status[1] != b"200":
        raise OperatorError(f"Grafana answers {status[1].decode()} to {PATH}", host=host)
    try:
        groups = json.loads(body)["data"]["groups"]
    except (ValueError, RecursionError, KeyError, TypeError):
        groups = None
    if not isinstance(groups, list):
        raise OperatorError("Grafana's answer is no list of rules", host=host)
    found = [_rule(rule, group) for group in groups for rule in _rows(_mapping(group).get("rules"))]
    if len(found) > _MOST:
        raise OperatorError(f"Grafana tells {len(found)} rules: no set that was made by people", host=host)
    return [it for it in found if it.name]


def _rule(raw: Mapping[str, Any], group: object) -> Rule:
    return Rule(
        name=_line(raw.get("name")),
        group=_line(_mapping(group).get("name")),
        health=_word(raw.get("health")),
        state=_word(raw.get("state")),
        evaluated_at=_moment(raw.get("lastEvaluation")),
        error=redact(_line(raw.get("lastError"), 160)),
        paused=raw.get("isPaused") is True,
        states=tuple(_line(it.get("state"), 60).lower() for it in _rows(raw.get("alerts"))),
    )


def findings(rules: Sequence[Rule], host: str, target: str, now: datetime) -> Iterator[Finding]:
    """One for each bad rule, the worst first; else one for all."""
    if not rules:
        yield Finding(CHECK, host, "", Standing.WARN, "Grafana has no alert rule at all", target=target)
        return
    bad = [(standing, rule, why) for rule in rules for standing, why in [judged(rule, now)] if why]
    bad.sort(key=lambda it: it[0] is not Standing.ERROR)
    for standing, rule, why in bad[:_TOLD]:
        yield Finding(CHECK, host, rule.name, standing, why, target=target)
    if len(bad) > _TOLD:
        worst = Standing.ERROR if bad[_TOLD][0] is Standing.ERROR else Standing.WARN
        yield Finding(CHECK, host, "", worst, f"{len(bad) - _TOLD} more rules are bad", target=target)
    if not bad:
        quiet = sum(it.quiet for it in rules)
        told = [f"{len(rules)} rules evaluated", "none firing"]
        told += [f"{quiet} find no series and call that fine"] if quiet else []
        told += [f"{paused} paused"] if (paused := sum(it.paused for it in rules)) else []
        yield Finding(CHECK, host, "", Standing.OK, ", ".join(told))


def judged(rule: Rule, now: datetime) -> tuple[Standing, str]:
    """How one stands, and why; no reason where it is well."""
    if rule.paused:
        return Standing.OK, ""
    if rule.health == "error" or any(it.startswith("error") for it in rule.states):
        return Standing.ERROR, f"cannot be evaluated: {rule.error or 'no reason told'}"
    if rule.evaluated_at is None:
        return Standing.WARN, "was never evaluated"
    age_s = (now - rule.evaluated_at).total_seconds()
    if age_s > LATE_S:
        return Standing.WARN, f"was not evaluated for {age_s / 60:.0f} minutes"
    if rule.state == "firing":
        return Standing.WARN, "is firing"
    return (Standing.WARN, "its query finds no data") if rule.no_data else (Standing.OK, "")


def _moment(value: object) -> datetime | None:
    """RFC 3339; None for the year 1, which means never, and for anything else."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value[:40]))
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if 2000 < at.year < 9000 else None


def _line(value: object, limit: int = 120) -> str:
    return clean_line(value, limit) if isinstance(value, str) else ""


def _word(value: object) -> str:
    found = _WORDS.match(value) if isinstance(value, str) else None
    return found[0][:20].lower() if found else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [it for it in value if isinstance(it, dict)] if isinstance(value, list) else []
