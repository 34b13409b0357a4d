"""The machines the demo simulates: their size, their manners, and how their figures move."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class HostProfile:
    """One simulated machine. Sizes in bytes; `load` is its mean, `disk_used` the share of `/` before any image."""

    name: str
    title: str
    arch: str
    cpus: int
    memory_bytes: int
    swap_bytes: int
    disk_bytes: int
    disk_used: float
    load: float
    root: str
    vpn: str  # its address in the VPN
    hub: bool = False
    forwarding: bool = True  # whether its sshd forwards TCP
    hot: bool = False  # has a temperature sensor
    up_days: float = 40.0


PROFILES: dict[str, HostProfile] = {
    "sese": HostProfile(
        name="sese",
        title="Sese-AI",
        arch="amd64",
        cpus=6,
        memory_bytes=8 * GIB,
        swap_bytes=2 * GIB,
        disk_bytes=80 * GIB,
        disk_used=0.58,
        load=1.7,
        root="/opt/vpai",
        vpn="100.64.0.14",
        forwarding=False,
        up_days=61.3,
    ),
    "seko": HostProfile(
        name="seko",
        title="Seko-VPN",
        arch="amd64",
        cpus=2,
        memory_bytes=2 * GIB,
        swap_bytes=1 * GIB,
        disk_bytes=40 * GIB,
        disk_used=0.34,
        load=0.2,
        root="/opt/services",
        vpn="100.64.0.5",
        hub=True,
        up_days=118.9,
    ),
    "pi": HostProfile(
        name="pi",
        title="Workstation Pi",
        arch="arm64",
        cpus=4,
        memory_bytes=16 * GIB,
        swap_bytes=0,
        disk_bytes=238 * GIB,
        disk_used=0.41,
        load=0.9,
        root="/opt/workstation",
        vpn="100.64.0.1",
        hot=True,
        up_days=12.2,
    ),
}
