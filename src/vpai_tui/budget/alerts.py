"""What of the budget needs the operator, for the fleet's list: how far the cap is used, and that nothing holds it."""

from __future__ import annotations

from datetime import date

from vpai_tui.budget.model import THRESHOLDS, Enforcement, Mode
from vpai_tui.fleet.model import Alert, Severity

_SEVERITY = {70: Severity.INFO, 90: Severity.WARN, 100: Severity.ERROR}
_ACTS = {
    Mode.NORMAL: "paid models still answer",
    Mode.ECO: "only free models answer",
    Mode.BLOCKED: "paid models are refused",
}
SUBJECT = "AI budget"


def reached(spend_usd: float | None, cap_usd: float | None) -> int | None:
    """The highest of the thresholds that is reached, in percent; None below all, and without a cap."""
    if spend_usd is None or not cap_usd or cap_usd <= 0:
        return None
    return max((step for step in THRESHOLDS if 100 * spend_usd >= step * cap_usd), default=None)


def alerts_of(
    host: str,
    service: str,
    *,
    day: date,
    spend_usd: float | None,
    cap_usd: float | None,
    enforcement: Enforcement,
    mode: Mode | None,
) -> tuple[Alert, ...]:
    """At most one for the cap (the highest threshold: who is told of 90 % knows of 70) and one for the enforcement.

    The subject of the first has threshold and day, so that each is new once a day.
    """
    found = []
    step = reached(spend_usd, cap_usd)
    if step is not None and spend_usd is not None and cap_usd is not None:
        acts = f"; {_ACTS[mode]}" if mode is not None and enforcement is Enforcement.ENFORCED else ""
        found.append(
            Alert(
                severity=_SEVERITY[step],
                host=host,
                subject=f"{SUBJECT}: {step} % on {day.isoformat()}",
                message=f"${spend_usd:.2f} of ${cap_usd:.2f} are spent today{acts}",
                remedy="vpai-tui budget; raise the cap: vpai-tui budget set USD",
                target=service,
            )
        )
    if enforcement is Enforcement.DECLARED:
        found.append(
            Alert(
                severity=Severity.WARN,
                host=host,
                subject=f"{SUBJECT}: not enforced",
                message="LiteLLM runs without the callback that holds cap and eco mode",
                remedy=f"deploy the stack with eco_mode.py: vpai-tui plan {service.rpartition('/')[0] or host}",
                target=service,
            )
        )
    return tuple(found)
