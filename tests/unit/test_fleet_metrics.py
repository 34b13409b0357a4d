"""The metrics script really run, and the parser against what it prints and against garbage."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.fleet.metrics import MetricsParser, Sample, script
from vpai_tui.fleet.model import Disk, Usage

NOW = datetime(2026, 2, 26, 23, 4, tzinfo=UTC)
ONE = b"""date 1772147040.5
df
Filesystem 1024-blocks Used Available Capacity Mounted on
udev 100 0 100 0% /dev
tmpfs 100 1 99 1% /run
/dev/sda1 1000 450 500 48% /
/dev/sda1 1000 450 500 48% /var/lib/docker
/dev/sdb1 2000 100 1900 5% /mnt/back up
overlay 2000 100 1900 5% /mnt/overlay
/dev/mapper/x 2000 100 1900 5% /mnt/very/long
/dev/loop3 50 50 0 100% /snap/core/1
df-end
cpus 4
uptime 100.00 380.00
load 0.50 0.40 0.30 1/99 1234
cpu  100 0 100 700 100 0 0 0 50 0
mem MemTotal: 8000
mem MemAvailable: 2000
mem SwapTotal: 1000
mem SwapFree: 250
temp 20000 iwlwifi
temp 51500 cpu-thermal
cg aaa 1048576 2000000 us
stack r2 - apps
stack r1 r3 edge
lock busy
owner op=apply stack=edge who=ana
end"""
TWO = b"""uptime 105.00 390.00
load 0.50 0.40 0.30 1/99 1234
cpu  200 0 200 850 150 0 0 0 50 0
mem MemTotal: 8000
mem MemAvailable: 1000
cg aaa 2097152 4500000 us
cg bbb 10 4500000000 ns
end"""


def read(parser: MetricsParser, text: bytes, rtt_s: float | None = None) -> list[Sample]:
    samples = [parser.feed(line, at_boot_s=7.0, now=NOW, rtt_s=rtt_s) for line in text.splitlines()]
    return [sample for sample in samples if sample is not None]


def test_a_sample_is_read() -> None:
    (sample,) = read(MetricsParser("sese"), ONE, rtt_s=0.1)
    metrics = sample.metrics
    assert metrics is not None
    assert (metrics.load1, metrics.load5, metrics.load15, metrics.cpus) == (0.5, 0.4, 0.3, 4)
    assert metrics.cpu_percent is None, "a share needs two samples"
    assert (metrics.memory_total_bytes, metrics.memory_available_bytes) == (8_192_000, 2_048_000)
    assert (metrics.swap_total_bytes, metrics.swap_used_bytes) == (1_024_000, 768_000)
    assert metrics.disks == (
        Disk("/", 1_024_000, 460_800, 512_000),
        Disk("/mnt/back up", 2_048_000, 102_400, 1_945_600),
    )
    assert metrics.disks[0].used_percent == pytest.approx(100 * 450 / 950)
    assert metrics.temperature_c == 51.5
    assert metrics.clock_skew_s == pytest.approx(0.55)
    assert sample.usage == {"aaa": Usage(1_048_576, None)}


def test_the_deploy_state_tells_busy_from_interrupted() -> None:
    (sample,) = read(MetricsParser("sese"), ONE)
    apps, edge = sample.deploys
    assert (apps.stack, apps.current, apps.pending, apps.busy) == ("sese/apps", "r2", None, False)
    assert (edge.pending, edge.busy, edge.interrupted, edge.owner) == (
        "r3",
        True,
        False,
        "op=apply stack=edge who=ana",
    )
    (free,) = read(MetricsParser("sese"), ONE.replace(b"lock busy", b"lock free"))
    assert free.deploys[1].interrupted


def test_the_lock_of_another_stack_does_not_hide_an_interrupted_one() -> None:
    text = ONE.replace(b"stack r2 - apps", b"stack r2 r4 apps")
    (sample,) = read(MetricsParser("sese"), text)
    assert [deploy.interrupted for deploy in sample.deploys] == [True, False]


def test_shares_come_from_two_samples_and_slow_parts_stay() -> None:
    first, second = read(MetricsParser("sese"), ONE + b"\n" + TWO)
    assert second.metrics is not None and first.metrics is not None
    assert second.metrics.cpu_percent == pytest.approx(50.0)
    assert second.metrics.disks == first.metrics.disks
    assert second.metrics.clock_skew_s == first.metrics.clock_skew_s
    assert second.metrics.swap_total_bytes == 0
    assert second.usage == {"aaa": Usage(2_097_152, pytest.approx(50.0)), "bbb": Usage(10, None)}


def test_a_restarted_container_has_no_negative_share() -> None:
    later = TWO.replace(b"cg aaa 2097152 4500000 us", b"cg aaa 5 1 us")
    assert read(MetricsParser("x"), ONE + b"\n" + later)[1].usage["aaa"] == Usage(5, None)


def test_a_host_that_tells_no_memory_has_no_metrics_but_its_deploys() -> None:
    (sample,) = read(MetricsParser("x"), ONE.replace(b"MemAvailable", b"Other"))
    assert sample.metrics is None
    assert len(sample.deploys) == 2


KEYS = [b"date", b"df", b"df-end", b"cpus", b"uptime", b"load", b"cpu", b"mem", b"temp", b"cg", b"stack", b"lock"]
WORD = st.one_of(
    st.binary(max_size=12),
    st.integers(-(10**400), 10**400).map(lambda n: str(n).encode()),
    st.sampled_from([b"-", b"nan", b"inf", b"1e999", b"/", b"\x1b[2J", b"MemTotal:", b"MemAvailable:", b"us", b"ns"]),
)
LINE = st.builds(lambda key, words: b" ".join([key, *words]), st.sampled_from([*KEYS, b"end"]), st.lists(WORD))


@given(st.lists(st.one_of(LINE, st.binary(max_size=80), st.sampled_from(ONE.splitlines())), max_size=60))
def test_garbage_never_raises_and_never_makes_unsafe_text(lines: list[bytes]) -> None:
    parser = MetricsParser("x")
    for line in [*lines, b"df-end", *ONE.splitlines()]:
        sample = parser.feed(line, at_boot_s=1.0, now=NOW)
        for deploy in sample.deploys if sample else ():
            assert all(part is None or part.isprintable() for part in (deploy.current, deploy.pending, deploy.owner))
    assert sample is not None and sample.metrics is not None, "a good sample after garbage is read"


def machine(tmp_path: Path) -> Path:
    """A made-up /proc, /sys and host root."""
    files = {
        "proc/uptime": "100.00 380.00\n",
        "proc/loadavg": "0.50 0.40 0.30 1/99 1234\n",
        "proc/stat": "cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1 1 1\ncpu1 1 1 1\nintr 1\n",
        "proc/meminfo": "MemTotal: 8000 kB\nMemFree: 1 kB\nMemAvailable: 2000 kB\nSwapTotal: 10 kB\nSwapFree: 5 kB\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "51500\n",
        "sys/fs/cgroup/system.slice/docker-aaa.scope/memory.current": "5000\n",
        "sys/fs/cgroup/system.slice/docker-aaa.scope/memory.stat": "anon 1\ninactive_file 1000\nshmem 2\n",
        "sys/fs/cgroup/system.slice/docker-aaa.scope/cpu.stat": "usage_usec 2000\n",
        "sys/fs/cgroup/memory/docker/bbb/memory.usage_in_bytes": "7000\n",
        "sys/fs/cgroup/memory/docker/bbb/memory.stat": "cache 1\ntotal_inactive_file 500\n",
        "sys/fs/cgroup/cpuacct/docker/bbb/cpuacct.usage": "2000000\n",
        "root/deploy/lock": "",
        "root/deploy/owner": "stack=two who=ana\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for stack in ("one", "two"):
        release = tmp_path / f"root/deploy/stacks/{stack}/releases/r1"
        release.mkdir(parents=True)
        (release.parents[1] / "current").symlink_to("releases/r1")
    (tmp_path / "root/deploy/stacks/two/pending").symlink_to("releases/gone")
    return tmp_path


def run_script(tmp_path: Path, shell: str, count: int) -> list[Sample]:
    env = os.environ | {"VPAI_PROC": f"{tmp_path}/proc", "VPAI_SYS": f"{tmp_path}/sys"}
    process = subprocess.Popen(
        [shell, "-s", "--", "0.1", f"{tmp_path}/root"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(script())
    process.stdin.close()
    parser, samples = MetricsParser("pi"), []
    while len(samples) < count:
        sample = parser.feed(process.stdout.readline().rstrip(b"\n"), at_boot_s=1.0, now=datetime.now(UTC))
        samples += [sample] if sample else []
    process.stdout.close()
    assert process.wait(timeout=5) is not None, "it ends when nobody reads it any more"
    return samples


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_script_tells_what_the_parser_reads(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    first, second = run_script(machine(tmp_path), shell, 2)
    for sample in (first, second):
        metrics = sample.metrics
        assert metrics is not None
        assert (metrics.load1, metrics.cpus, metrics.uptime_s, metrics.temperature_c) == (0.5, 2, 100.0, 51.5)
        assert (metrics.memory_total_bytes, metrics.swap_used_bytes) == (8_192_000, 5120)
        assert metrics.disks and metrics.disks[0].size_bytes > 0
        assert metrics.clock_skew_s is not None and abs(metrics.clock_skew_s) < 2
        assert {key: usage.memory_bytes for key, usage in sample.usage.items()} == {"aaa": 4000, "bbb": 6500}
        one, two = sample.deploys
        assert (one.current, one.pending, one.busy) == ("r1", None, False)
        assert (two.current, two.pending, two.interrupted) == ("r1", "gone", True)


@pytest.mark.parametrize(("status", "failed"), [("revert_failed 3 x", True), ("reverted 2", False), ("", False)])
def test_the_script_tells_a_revert_that_failed(tmp_path: Path, status: str, failed: bool) -> None:
    release = machine(tmp_path) / "root/deploy/stacks/two/releases/gone"
    release.mkdir()
    (release / "status").write_text(f"{status}\n")
    (sample,) = run_script(tmp_path, "sh", 1)
    assert [deploy.revert_failed for deploy in sample.deploys] == ["", str(release) if failed else ""]


def test_the_script_sees_a_held_lock(tmp_path: Path) -> None:
    lock = machine(tmp_path) / "root/deploy/lock"
    holder = subprocess.Popen(
        ["flock", lock, "sh", "-c", "echo held; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None and holder.stdout is not None
    holder.stdout.readline()
    try:
        (sample,) = run_script(tmp_path, "sh", 1)
    finally:
        holder.stdin.close()
        holder.wait(timeout=5)
        holder.stdout.close()
    assert [deploy.busy for deploy in sample.deploys] == [False, True]
    assert sample.deploys[1].owner == "stack=two who=ana"
