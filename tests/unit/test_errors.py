"""Errors: their exit codes are a contract with scripts, their text names host and step."""

from __future__ import annotations

import pytest

from vpai_tui import errors
from vpai_tui.strict import ConfigError, Problem


def test_exit_codes_are_those_of_the_design() -> None:
    codes = {
        kind.__name__: kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.OperatorError)
    }
    assert codes == {
        "OperatorError": 1,
        "UsageError": 2,
        "HostUnreachable": 1,
        "CommandFailed": 1,
        "LockHeld": 75,
        "Interrupted": 76,
        "StalePlan": 77,
        "PreflightRefused": 78,
        "Collision": 78,
        "LinkLost": 79,
    }


@pytest.mark.parametrize(
    ("host", "step", "text"),
    [
        (None, None, "no answer"),
        ("sese", None, "sese: no answer"),
        ("sese", "tcp", "sese: tcp: no answer"),
        (None, "tcp", "tcp: no answer"),
    ],
)
def test_the_text_says_where(host: str | None, step: str | None, text: str) -> None:
    assert str(errors.OperatorError("no answer", host=host, step=step)) == text


def test_a_failed_command_keeps_its_status_and_output() -> None:
    error = errors.CommandFailed("docker ps", exit_status=125, host="pi", output="no daemon", remedy="start it")
    assert (error.exit_status, error.output, error.remedy, str(error)) == (
        125,
        "no daemon",
        "start it",
        "pi: docker ps",
    )


def test_configuration_errors_are_one_usage_error(tmp_path: object) -> None:
    from pathlib import Path

    problems = [Problem(Path("f.yaml"), "a.b", "expected x, found y", 3), Problem(Path("f.yaml"), "", "empty")]
    error = ConfigError(problems, remedy="mend it")
    assert isinstance(error, errors.UsageError)
    assert str(error) == "f.yaml:3: a.b: expected x, found y\nf.yaml: empty"
    assert error.problems == tuple(problems)
