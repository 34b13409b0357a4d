"""A story of lives under Compose, as commands and what must come of them: one-shots, sickness, dependencies.

Nothing here knows which host answers. `<dir>` is a folder on it with FILE in it as `lives.yaml`; `<image>` is an image
it has, whose own command goes on for ever. Told in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FILE = """
name: lives
services:
  once: {image: <image>, entrypoint: [sh, -c, exit 0]}
  fails: {image: <image>, entrypoint: [sh, -c, exit 3]}
  sick:
    image: <image>
    entrypoint: [sh, -c, sleep 600]
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, "false"], interval: 1s, retries: 1}
  well:
    image: <image>
    entrypoint: [sh, -c, sleep 600]
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, "true"], interval: 1s}
    volumes: ["kept:/kept"]
  after:
    image: <image>
    entrypoint: [sh, -c, sleep 600]
    stop_signal: SIGKILL
    depends_on: {once: {condition: service_completed_successfully}, well: {condition: service_healthy}}
  stuck:
    image: <image>
    depends_on: {fails: {condition: service_completed_successfully}}
  held:
    image: <image>
    depends_on: {sick: {condition: service_healthy}}
volumes: {kept: {}}
"""


@dataclass(frozen=True)
class Case:
    """One command and what must come of it; patterns are searched for, `same_as` names a case with equal output."""

    name: str
    command: str
    status: int | None = 0  # None: any but 0
    out: str | None = None
    err: str | None = None
    same_as: str = ""
    differs_from: str = ""


LIVES = "docker compose --ansi never --progress plain -f <dir>/lives.yaml"


def _state(service: str) -> str:
    return "docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' lives-" + service + "-1"


def _until(question: str, answer: str) -> str:
    """Ask until the answer begins so, for 30 s at most; the last answer is printed."""
    return (
        f"n=0; while said=$({question}); case $said in {answer}) false ;; *) [ $n -lt 100 ] ;; esac; "
        "do n=$((n + 1)); sleep 0.3; done; echo $said"
    )


def _health(service: str) -> str:
    return "docker inspect -f '{{.State.Health.Status}}' lives-" + service + "-1"


CASES = (
    Case(
        "up in order",
        LIVES + " up -d --pull never after",
        err=r"(?s)Volume .*Created.*once-1 +Exited.*after-1 +Started",
    ),
    Case("a one-shot has ended", _state("once"), out="^exited 0$"),
    Case("what it waited for", _health("well"), out="^healthy$"),
    Case("it runs", _state("after"), out="^running 0$"),
    Case("first run", "docker inspect -f '{{.State.StartedAt}}' lives-once-1", out=r"^\d{4}-"),
    Case("up runs a one-shot again", LIVES + " up -d --pull never once", err="Started"),
    Case("second run", "docker inspect -f '{{.State.StartedAt}}' lives-once-1", differs_from="first run"),
    Case("what fails is started too", LIVES + " up -d --pull never fails sick"),
    Case("its status", _until(_state("fails"), "exited*"), out="^exited 3$"),
    Case("unhealthy", _until(_health("sick"), "unhealthy"), out="^unhealthy$"),
    Case("but running", _state("sick"), out="^running 0$"),
    Case(
        "a failed dependency",
        LIVES + " up -d --pull never stuck",
        None,
        err=r'service "fails" didn.t complete successfully: exit 3',
    ),
    Case("an unhealthy dependency", LIVES + " up -d --pull never held", None, err="lives-sick-1 is unhealthy"),
    Case("what needs it is created only", _state("held"), out="^created 0$"),
    Case("all down", LIVES + " down -t 1", err=r"(?s)well-1 +Stopped.*well-1 +Removed.*lives_default +Removed"),
    Case("the volume stays", "docker volume inspect -f '{{.Name}}' lives_kept", out="^lives_kept$"),
    Case("volume gone", "docker volume rm lives_kept", out="^lives_kept$"),
)


def filled(text: str, words: Mapping[str, str]) -> str:
    """A command or file with its words put in."""
    for word, value in words.items():
        text = text.replace(f"<{word}>", value)
    return text
