"""What holds for every test: nothing leaves this machine, and nothing of the developer's own set-up leaks in."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

GUARD = Path(__file__).parent / "guard"
sys.path.insert(0, str(GUARD))

import network_guard  # noqa: E402  (found through the line above, as child interpreters find it)

_REMOVED = (
    "NO_COLOR",
    "FORCE_COLOR",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "SSH_AUTH_SOCK",
    "SSH_ASKPASS",
    "VPAI_TUI_CONFIG",
)
# A busy machine is no defect. HYPOTHESIS_PROFILE=long looks twenty times longer; see `make soak`.
_SLOW = [HealthCheck.too_slow]
settings.register_profile("quick", deadline=None, suppress_health_check=_SLOW)
settings.register_profile("long", deadline=None, suppress_health_check=_SLOW, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
_scratch = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    scratch = config.stash[_scratch] = tempfile.TemporaryDirectory(prefix="vpai-tests-")
    _settle_environment(Path(scratch.name))
    network_guard.install()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_scratch].cleanup()


def _settle_environment(scratch: Path) -> None:
    for name in (*_REMOVED, *(name for name in os.environ if name.lower().endswith("_proxy"))):
        os.environ.pop(name, None)
    home = scratch / "home"
    home.mkdir()
    os.environ.update(
        {"HOME": str(home), "TZ": "UTC", "LC_ALL": "C.UTF-8", network_guard.REPORT: str(scratch / "connections")}
    )
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        os.environ[f"XDG_{name}_HOME"] = str(home / name.lower())
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(GUARD), os.environ.get("PYTHONPATH"))))
    time.tzset()


def _check_attempts() -> None:
    report = Path(os.environ[network_guard.REPORT])
    if report.exists():
        attempts = report.read_text().splitlines()
        report.unlink()
        pytest.fail("left this machine, or tried to:\n  " + "\n  ".join(dict.fromkeys(attempts)), pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # a hook, not a fixture: it has to hold before the session's fixtures are made
    if item.get_closest_marker("lab"):
        os.environ[network_guard.LAB] = "1"
    else:
        os.environ.pop(network_guard.LAB, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    yield
    _check_attempts()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    yield
    _check_attempts()
