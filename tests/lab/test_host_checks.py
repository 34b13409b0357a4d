"""Open ports, where sshd listens, old code: on a real host, by its own `ss`, `sshd -T` and engine, broken and shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from deploy_kit import WEB, compose, laptop, push, service
from lab_host import LabHost
from lab_registry import Registry

from vpai_tui.fleet.checks import Finding, Standing
from vpai_tui.upkeep.examiner import Examiner
from vpai_tui.upkeep.hostchecks import host_sources
from vpai_tui.upkeep.surface import Surface
from vpai_tui.verbs.disk import surface_of

pytestmark = pytest.mark.lab


async def look(surface: Surface, host: str, check: str) -> list[Finding]:
    (source,) = [it for it in host_sources(surface) if it.host == host]
    report = await Examiner([source], surface.clock).look()
    return [it for it in report.findings if it.check == check]


def bad(found: Sequence[Finding]) -> list[tuple[Standing, str]]:
    return [(it.standing, it.subject) for it in found if it.bad]


async def test_ports_sshd_and_old_code(sese: LabHost, registry: Registry, tmp_path: Path) -> None:
    push(registry, WEB)
    async with laptop(sese, tmp_path, ("sese/web",)) as me:
        spec = {"access": [{"service": "web", "port": 8080, "reach": "public"}]}
        body = service(ports=["0.0.0.0:8080:8080"], env_file=["web.env"])
        sese.sh(f"mkdir -p {sese.root} && echo A=1 >{sese.root}/web.env && chmod 600 {sese.root}/web.env")
        me.write("sese/web", compose({"web": body}), spec)
        await me.committed("sese/web")
        async with surface_of(me.world, "sese", read_only=False) as surface:
            found = await look(surface, "sese", "open-ports")
            assert bad(found) == [], found
            assert found[0].standing is Standing.OK
            sese.sh("setsid nc -lk 6379 </dev/null >/dev/null 2>&1 & echo $! >/run/nc.pid; sleep 0.5")
            try:
                assert (Standing.ERROR, "6379/tcp") in bad(await look(surface, "sese", "open-ports"))
            finally:
                sese.sh("kill $(cat /run/nc.pid)")

            assert bad(await look(surface, "sese", "sshd-listen")) == []
            folder = "/etc/ssh/sshd_config.d"
            config = f"{folder}/99-listen.conf"
            try:
                sese.sh(f"mkdir -p {folder} && echo 'ListenAddress 100.64.0.99' >{config}")
                found = await look(surface, "sese", "sshd-listen")
                print(found)
                assert bad(found) == [(Standing.ERROR, "100.64.0.99")]
            finally:
                sese.sh(f"rm -f {config}")

            assert bad(await look(surface, "sese", "stale-code")) == []
            sese.sh(f"touch {sese.root}/web.env")  # written again with what it had
            assert bad(await look(surface, "sese", "stale-code")) == []
            sese.sh(f"echo A=2 >{sese.root}/web.env")
            (finding,) = [it for it in await look(surface, "sese", "stale-code") if it.bad]
            assert (finding.standing, finding.target) == (Standing.WARN, "sese/web/web")
            (unknown,) = await look(surface, "sese", "guard")
            assert unknown.standing is Standing.UNKNOWN
