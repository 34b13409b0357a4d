"""A unit restarted over a link that breaks: what becomes of it is found out, and never made up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from vpai_tui.errors import LinkLost, PreflightRefused, UsageError
from vpai_tui.fleet.history import History
from vpai_tui.fleet.operation import Finished, Journaled, Outcome
from vpai_tui.remote.channel import Completed
from vpai_tui.upkeep.hostlook import Ban, HostLook, Unit
from vpai_tui.upkeep.machine import Machine, Machines, Restart
from vpai_tui.upkeep.surface import Surface

ASKED = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = Restart("seko", "tailscaled.service", "active (running)", "tailscaled.service", "")


class Still:
    def boot_s(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return ASKED


class Lossy:
    """Its streams break at once; what it is asked afterwards it answers."""

    def __init__(self, since: int, state: str = "active") -> None:
        self.told = f"ActiveState={state}\nActiveEnterTimestamp=@{since}\n".encode()

    def stream(self, *_: Any, **__: Any) -> Any:
        raise LinkLost("the link was lost", host="seko")

    async def run(self, _argv: Sequence[str], **_: Any) -> Completed:
        return Completed(0, self.told, b"", 0.1)


def machines(tmp_path: Path, link: object = None, *, read_only: bool = False) -> Machines:
    async def connection(_: str) -> Any:
        return link

    known = {name: cast("Any", None) for name in Surface.__dataclass_fields__}
    known |= {"connection": connection, "clock": Still(), "history": History(tmp_path / "h"), "read_only": read_only}
    surface = Surface(**known)
    return Machines(surface)


@pytest.mark.parametrize(
    ("link", "outcome", "said"),
    [
        (Lossy(int(ASKED.timestamp()) + 3), Outcome.COMMITTED, "runs again"),
        (Lossy(int(ASKED.timestamp()) - 9000), Outcome.FAILED, "up since before"),
        (Lossy(0, "failed"), Outcome.FAILED, "is failed"),
    ],
)
async def test_a_restart_whose_link_breaks_is_found_again(
    tmp_path: Path, link: Lossy, outcome: Outcome, said: str
) -> None:
    told = [event async for event in machines(tmp_path, link).restart(PLAN, typed="tailscaled.service")]
    assert isinstance(told[0], Journaled)
    assert isinstance(told[-1], Finished)
    assert (told[-1].outcome, said in told[-1].reason) == (outcome, True)
    (line,), _ = History(tmp_path / "h").read()
    assert (line.what, line.subject, line.result) == ("unit restart", "tailscaled.service", outcome.value)


async def test_a_name_that_is_not_typed_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="type tailscaled"):
        await anext(machines(tmp_path).restart(PLAN, typed="tailscaled"))
    assert History(tmp_path / "h").read()[0] == []


def test_plans(tmp_path: Path) -> None:
    unit = Unit("caddy.service", "loaded", "active", "running", "enabled", None, None, 0)
    look = HostLook(
        units=[unit], listed={"systemd"}, bans=[Ban("203.0.113.7", "fail2ban sshd"), Ban("203.0.113.7", "crowdsec")]
    )
    seen = Machine("pi", 0.0, look, ("caddy.service", "gone.service"), (), ())
    here = machines(tmp_path)
    assert here.plan_restart(seen, "caddy").word == "caddy.service"
    with pytest.raises(UsageError, match="names the unit"):
        here.plan_restart(seen, "sshd")
    with pytest.raises(PreflightRefused, match="not installed"):
        here.plan_restart(seen, "gone")
    plan = here.plan_unban(seen, "203.0.113.7")
    assert plan.places == ["sshd", "crowdsec"]
    assert plan.way_back == "fail2ban-client set sshd banip 203.0.113.7; cscli decisions add --ip 203.0.113.7"
    look.bans.append(Ban("198.51.100.0/24", "crowdsec"))
    with pytest.raises(UsageError, match=r"198\.51\.100\.9 is kept out of pi by a ban of 198\.51\.100\.0/24"):
        here.plan_unban(seen, "198.51.100.9")
    for wrong in ("203.0.113.8", "x; reboot", "--all"):
        with pytest.raises(UsageError):
            here.plan_unban(seen, wrong)
    look.listed.clear()
    with pytest.raises(PreflightRefused, match="no systemd"):
        here.plan_restart(seen, "caddy")
    for ask in (lambda: machines(tmp_path, read_only=True).plan_restart(seen, "caddy"),
                lambda: machines(tmp_path, read_only=True).plan_unban(seen, "203.0.113.7")):  # fmt: skip
        with pytest.raises(UsageError, match="read-only"):
            ask()
