"""The guard bites: each attempt to leave this machine fails the test that made it, also when its error is swallowed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import network_guard
import pytest

TESTS = Path(__file__).resolve().parents[1]

# One test per way out. None of them lets its error escape: only the guard's own memory can fail them.
ATTEMPTS = """
import asyncio, contextlib, socket, subprocess, sys
import pytest

OUTSIDE = "192.0.2.77"

def test_connect():
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.connect((OUTSIDE, 22))

def test_connect_ex():
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.connect_ex((OUTSIDE, 22))

def test_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as sock:
        sock.connect(("2001:db8::1", 22))

def test_datagram():
    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (OUTSIDE, 53))

def test_event_loop():
    async def go():
        with contextlib.suppress(OSError):
            await asyncio.open_connection(OUTSIDE, 22)
    asyncio.run(go())

def test_thread():
    async def go():
        with contextlib.suppress(OSError):
            await asyncio.to_thread(socket.create_connection, (OUTSIDE, 22))
    asyncio.run(go())

def test_name():
    with contextlib.suppress(OSError):
        socket.getaddrinfo("host.example", 22)

def test_name_in_connect():
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.connect(("host.example", 22))

def test_reverse_name():
    with contextlib.suppress(OSError):
        socket.gethostbyaddr(OUTSIDE)

def test_lab_range_without_marker():
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.connect(("198.18.0.14", 804))

def test_child_process():
    code = f"import socket; socket.socket().connect_ex(('{OUTSIDE}', 22))"
    subprocess.run([sys.executable, "-c", code], capture_output=True)

@pytest.fixture
def on_the_way_out():
    yield
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.connect((OUTSIDE, 22))

def test_after_the_test(on_the_way_out):
    pass
"""


def test_every_way_out_fails_its_test(tmp_path: Path) -> None:
    (tmp_path / "test_attempts.py").write_text(ATTEMPTS)
    (tmp_path / "conftest.py").write_text(
        (TESTS / "conftest.py").read_text().replace("Path(__file__).parent", f"Path({str(TESTS)!r})")
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rfE",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
    )
    failed = set(re.findall(r"^(?:FAILED|ERROR) .*::(test_\w+)", done.stdout, re.MULTILINE))
    assert failed == set(re.findall(r"^def (test_\w+)", ATTEMPTS, re.MULTILINE)), done.stdout
    assert done.stdout.count("left this machine, or tried to") >= len(failed)


def test_loopback_is_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as there,
    ):
        assert there.getpeername() == server.getsockname()
    assert socket.getaddrinfo("localhost", 22)


def test_a_reserved_name_is_unknown_and_nobody_is_asked() -> None:
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("sese.invalid", 22)


@pytest.mark.parametrize(
    ("host", "plain", "in_the_lab"),
    [
        ("127.0.0.1", True, True),
        ("127.8.8.8", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("localhost", True, True),
        ("198.18.0.14", False, True),
        ("198.19.0.1", False, False),
        ("100.64.0.14", False, False),
        ("192.168.1.8", False, False),
        ("::ffff:192.0.2.1", False, False),
        ("host.example", False, False),
        (None, False, False),
    ],
)
def test_what_counts_as_this_machine(host: object, plain: bool, in_the_lab: bool) -> None:
    assert network_guard.allowed_address(host, lab=False) is plain
    assert network_guard.allowed_address(host, lab=True) is in_the_lab
