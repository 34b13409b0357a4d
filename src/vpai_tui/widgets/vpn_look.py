"""What is known of the VPN: the last good look, how old it is, and why there is no newer one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.model import Alert

if TYPE_CHECKING:  # the first frame knows nothing of Headscale
    from vpai_tui.vpn.model import Record
    from vpai_tui.vpn.view import DnsView, VpnSnapshot

STALE_S = 45.0  # the screen asks every ten seconds: older than this, it is history
TARGET = "vpn:"  # what the target of a node's alert begins with
_ANSWERS_KEPT_S = 300.0


@dataclass(slots=True)
class VpnLook:
    """Shared by the screens; only the watch writes to it."""

    snapshot: VpnSnapshot | None = None
    taken_boot_s: float = 0.0  # when that was
    failure: OperatorError | None = None  # why the newest look gave nothing
    failed_boot_s: float = 0.0
    asking: bool = False
    answers: dict[Record, bool | None] = field(default_factory=dict)  # of the last time a resolver was asked
    answered_boot_s: float | None = None

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Alerts of the last good look; each leads to its node on the VPN screen."""
        found = self.snapshot.alerts if self.snapshot else ()
        return tuple(replace(alert, target=f"{TARGET}{alert.subject}") for alert in found)

    def take(self, snapshot: VpnSnapshot, now_boot_s: float, *, resolved: bool) -> None:
        """Keep a new look; what a resolver said last is kept beside it for a while."""
        dns = snapshot.dns
        if dns is not None and resolved:
            self.answers = {it.record: it.resolves for it in dns.records}
            self.answered_boot_s = now_boot_s
        elif dns is not None and self._answers_count(now_boot_s):
            snapshot = replace(snapshot, dns=self._answered(dns))
        self.snapshot, self.taken_boot_s, self.failure = snapshot, now_boot_s, None

    def fail(self, error: OperatorError, now_boot_s: float) -> None:
        """The look gave nothing: what was known before stays, with the reason."""
        self.failure, self.failed_boot_s = error, now_boot_s

    def stale(self, now_boot_s: float) -> bool:
        """Whether what is shown is history."""
        return self.failure is not None or now_boot_s - self.taken_boot_s > STALE_S

    def _answers_count(self, now_boot_s: float) -> bool:
        return self.answered_boot_s is not None and now_boot_s - self.answered_boot_s <= _ANSWERS_KEPT_S

    def _answered(self, dns: DnsView) -> DnsView:
        return replace(
            dns, records=tuple(replace(it, resolves=self.answers.get(it.record, it.resolves)) for it in dns.records)
        )
