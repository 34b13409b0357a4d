"""Pieces of the lab that need no lab."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from lab_image import debian_mirror
from lab_registry import split
from lab_wan import moved


def _sum(packet: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _packet(source: str, target: str) -> bytes:
    return b"\x45" + bytes(11) + socket.inet_aton(source) + socket.inet_aton(target) + b"payload!"


@pytest.mark.parametrize(
    ("source", "target", "source_after", "target_after"),
    [
        ("198.18.41.254", "198.18.41.14", "198.18.42.254", "198.18.40.14"),
        ("198.18.40.14", "198.18.42.254", "198.18.41.14", "198.18.41.254"),
    ],
)
def test_the_link_moves_addresses_and_keeps_the_checksums(
    source: str, target: str, source_after: str, target_after: str
) -> None:
    packet = _packet(source, target)
    there = moved(packet, 40)
    assert there == _packet(source_after, target_after)
    assert _sum(packet) == _sum(there)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x45" * 19,
        b"\x60" + bytes(40),
        _packet("198.18.40.254", "198.18.41.14"),
        _packet("198.18.41.254", "192.0.2.1"),
        _packet("192.0.2.1", "198.18.42.254"),
    ],
)
def test_the_link_drops_what_is_not_between_laptop_and_host(packet: bytes) -> None:
    assert moved(packet, 40) is None


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("redis", ("library/redis", "latest")),
        ("redis:8.0", ("library/redis", "8.0")),
        ("docker.io/redis:8.0", ("library/redis", "8.0")),
        ("docker.io/lab/web:1", ("lab/web", "1")),
        ("lab/web", ("lab/web", "latest")),
        ("ghcr.io/berriai/litellm:v1.81.3", ("berriai/litellm", "v1.81.3")),
        ("localhost:5000/web", ("web", "latest")),
        ("registry.example:5000/a/web:2", ("a/web", "2")),
    ],
)
def test_references_lose_their_host(reference: str, expected: tuple[str, str]) -> None:
    assert split(reference) == expected


def test_the_mirror_is_the_machines_own(tmp_path: Path) -> None:
    lists = tmp_path / "sources.list.d"
    lists.mkdir()
    with pytest.raises(LookupError, match="no Debian mirror"):
        debian_mirror(tmp_path)
    (tmp_path / "sources.list").write_text("# deb x y\ndeb [signed-by=/k] http://old.example/debian/ bookworm main\n")
    assert debian_mirror(tmp_path) == "http://old.example/debian/"
    (lists / "a.sources").write_text("Types: deb\nURIs: http://other.example/x http://new.example/debian\nSuites: a\n")
    assert debian_mirror(tmp_path) == "http://new.example/debian"
