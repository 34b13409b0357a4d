"""The files of the release that runs, as a host keeps them, for a laptop that has none. The host may lie."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from vpai_tui.deploy.facts import manifest
from vpai_tui.deploy.host import script
from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.stacks import COMPOSE_FILE, SPEC_FILE
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean, clean_line

FILES_LIMIT = 2000
FILE_LIMIT = 8 << 20  # bytes
_OWN_COMPOSE = "00-compose.yaml"
_UNSENDABLE = set("\n\r\t\\\"'$`")
_MODES = {"644": 0o644, "755": 0o755}
# A folder with these in it would be a repository to git, whose settings name programs to run.
_OF_GIT = (".git", "head", ".gitmodules")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,80}\Z")
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,40}\Z")


@dataclass(slots=True)
class Kept:
    """What a host keeps of one stack: `files` maps a path below the stack's folder to (content, mode)."""

    release: str
    files: dict[str, tuple[bytes, int]]
    notes: list[str] = field(default_factory=list)
    project: str = ""  # the Compose project that it runs under, where the release tells it


def pull_script() -> bytes:
    """What runs on the host: reads a release, and keeps back what may hold a secret."""
    return script("suspect.sh") + script("pull.sh")


async def fetch(connection: Connection, stack: str) -> Kept:
    """The files of the release of `stack` (its short name) that runs on a host.

    Raises:
        UsageError: the host keeps no such stack; the message names those it keeps.
        PreflightRefused: they cannot be had as a stack, or should not leave the host; the message says why.
    """
    argv = ["sh", "-s", "--", connection.host.root.rstrip("/"), connection.host.docker, stack]
    label = f"pull {stack}"
    done = await connection.run(argv, root=True, stdin=pull_script(), timeout_s=120, label=label)
    return read_kept(done.stdout, connection.name, stack, connection.host.root.rstrip("/"))


@dataclass(slots=True)
class _Answer:
    """The records of `pull.sh`."""

    stacks: list[str] = field(default_factory=list)
    release: str = ""
    texts: dict[str, bytes] = field(default_factory=dict)  # manifest, bundle.json, stack.yaml, project, project_dir
    compose: dict[str, bytes] = field(default_factory=dict)
    files: list[tuple[str, str, bytes]] = field(default_factory=list)  # mode, path, content
    projects: list[str] = field(default_factory=list)
    secrets: list[tuple[str, str, str]] = field(default_factory=list)  # line, what it is, file
    large_kib: int = 0


def read_kept(raw: bytes, host: str, stack: str, root: str) -> Kept:
    """What `pull.sh` printed, checked: see `fetch`."""
    answer = _records(raw, host)
    if not answer.release:
        known = ", ".join(answer.stacks) or "none"
        raise UsageError(f"{host} keeps no release of {stack} that runs", host=host, remedy=f"it keeps: {known}")
    _refuse(answer, host, stack, root)
    kept = Kept(answer.release, {COMPOSE_FILE: (next(iter(answer.compose.values())), 0o644)})
    kept.project = manifest(answer.texts.get("manifest", b"")).get("project", "")
    for mode, path, content in answer.files:
        _check_path(path, kept.files, host)
        if mode not in _MODES or len(content) > FILE_LIMIT:
            raise _lie(f"{clean_line(path, 80)} has mode {clean_line(mode, 9)} and {len(content)} bytes", host)
        kept.files[path] = (content, _MODES[mode])
    if "stack.yaml" in answer.texts:
        kept.files[SPEC_FILE] = (answer.texts["stack.yaml"], 0o644)
    else:
        kept.files[SPEC_FILE] = (_made_spec(answer, host, stack), 0o644)
        kept.notes.append(
            f"release {answer.release} keeps no stack.yaml: one was made of what it recorded (project, data, files, "
            "live values); title, order, timeouts, hooks, access and the like are to be written again"
        )
    return kept


def _records(raw: bytes, host: str) -> _Answer:
    rows = [line.split(b"\t") for line in raw.split(b"\n") if line]
    if not rows or rows[-1] != [b"end"]:
        raise OperatorError("what it keeps of the stack is cut", host=host, step="pull", remedy="try again")
    answer = _Answer()
    for row in rows[:-1]:
        try:
            _take(answer, row[0].decode(), row[1:])
        except (ValueError, IndexError, binascii.Error) as error:
            raise _lie(f"a bad record {clean_line(row[0], 20)}", host) from error
    if len(answer.files) > FILES_LIMIT:
        raise _lie(f"{len(answer.files)} files", host)
    return answer


def _take(answer: _Answer, kind: str, cells: list[bytes]) -> None:
    match kind:
        case "stack":
            answer.stacks.append(clean_line(cells[0], 60))
        case "release":
            answer.release = cells[0].decode()
            if not _ID.match(answer.release):
                raise ValueError(kind)
        case "manifest" | "bundle.json" | "stack.yaml" | "project" | "project_dir" | "unasked":
            answer.texts[kind] = base64.b64decode(cells[0], validate=True)
        case "compose":
            answer.compose[clean_line(cells[0], 60)] = base64.b64decode(cells[1], validate=True)
        case "file":
            answer.files.append((cells[0].decode(), cells[1].decode(), base64.b64decode(cells[2], validate=True)))
        case "made":
            answer.projects.append(cells[0].decode())
        case "secret":
            answer.secrets.append((clean_line(cells[0], 8), clean_line(cells[1], 60), clean_line(cells[2], 100)))
        case "large":
            answer.large_kib = int(cells[0])
        case _:
            raise ValueError(kind)


def _refuse(answer: _Answer, host: str, stack: str, root: str) -> None:
    """What cannot be a stack of this laptop, or must not leave its host."""
    told = manifest(answer.texts.get("manifest", b""))
    if answer.large_kib:
        raise _refusal(f"the files of {answer.release} are {answer.large_kib >> 10} MiB: too much to pull", host)
    if told.get("kind") != "adopted":
        answer.compose = {name: text for name, text in answer.compose.items() if name == _OWN_COMPOSE}
        if not answer.compose:
            raise _lie("no compose file", host)
        return
    if "unasked" in answer.texts:  # what the containers know
        raise _refusal(
            "which values its containers keep secret could not be read, so nothing was sent", host, "try again"
        )
    if answer.secrets:
        raise _refusal(
            f"what {stack} ran with before has values in it that look secret ({_places(answer.secrets)})",
            host,
            "secrets belong in an env file on the host; if what is named is none, copy the files by hand: a name such "
            "as password in a program is enough to keep them there",
        )
    if len(answer.compose) != 1:
        found = ", ".join(sorted(answer.compose)) or "none"
        raise _refusal(f"{stack} was adopted from {len(answer.compose)} compose files ({found}); a stack has one", host)
    if (place := clean_line(answer.texts.get("project_dir", b""))) not in ("", root):
        raise _refusal(f"{stack} was adopted from {place}: its relative paths would mean others below {root}", host)


def _places(secrets: list[tuple[str, str, str]]) -> str:
    told = ", ".join(f"{file} line {line}: {what}" for line, what, file in secrets[:8])
    return told + (f", and {len(secrets) - 8} more" if len(secrets) > 8 else "")


def _check_path(path: str, taken: dict[str, tuple[bytes, int]], host: str) -> None:
    parts = path.split("/")
    strange = not path.isprintable() or _UNSENDABLE & set(path) or len(path) > 400 or path.startswith("-")
    if strange or any(part in ("", ".", "..") for part in parts):
        raise _lie(f"a file {clean_line(path, 80)!r}", host)
    if any(part.lower() in _OF_GIT for part in parts) or parts[-1].endswith(".env"):
        raise _lie(f"a file {path}, which no release ships", host)
    if path in (*taken, SPEC_FILE) or any(_inside(path, other) or _inside(other, path) for other in taken):
        raise _lie(f"a file {path} twice, or in the way of another", host)


def _inside(path: str, other: str) -> bool:
    return path.startswith(f"{other}/")


def _made_spec(answer: _Answer, host: str, stack: str) -> bytes:
    """A stack.yaml of what an older release recorded. Its project is never guessed: another has volumes of its own."""
    told = manifest(answer.texts.get("manifest", b""))
    named = told.get("project") or clean(answer.texts.get("project", b"")).strip()
    known = [named] if named else answer.projects
    if len(known) != 1 or not _PROJECT.match(known[0]):
        found = ", ".join(clean_line(item, 40) for item in known) or "none"
        raise _refusal(
            f"release {answer.release} does not tell its Compose project (found: {found})",
            host,
            f"write stacks/{host}/{stack}/ by hand: a wrong project would begin with empty volumes",
        )
    try:
        body = _spec(known[0], json.loads(answer.texts.get("bundle.json") or b"{}"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _lie("a description of the release that cannot be read", host) from error
    head = f"# Made by `vpai-tui pull` of release {answer.release}, which kept no stack.yaml: only what it recorded.\n"
    return head.encode() + yaml.safe_dump(body, sort_keys=False, allow_unicode=True).encode()


def _spec(project: str, told: dict[str, Any]) -> dict[str, Any]:
    files = told.get("files", [])
    entries = [{"path": str(item["path"]), **_rule(item)} for item in files]
    live = [
        {"file": str(item["path"]), "keys": [str(key) for key in item["live_keys"]]}
        for item in files
        if item["live_keys"]
    ]
    body: dict[str, Any] = {"project": project}
    for name in ("data", "one_shots"):
        if told.get(name):
            body[name] = [str(item) for item in told[name]]
    return body | ({"files": entries} if entries else {}) | ({"live": live} if live else {})


def _rule(item: dict[str, Any]) -> dict[str, str]:
    if item["on_change"] == "reload":
        return {"reload": str(item["reload"])}
    return {} if item["on_change"] == "recreate" else {"on_change": str(item["on_change"])}


def _refusal(
    message: str, host: str, remedy: str = "get the stack's files from git, or write them by hand"
) -> OperatorError:
    return PreflightRefused(message, host=host, step="pull", remedy=remedy)


def _lie(what: str, host: str) -> OperatorError:
    remedy = "nothing was written; look at the release on the host"
    return PreflightRefused(f"it tells {what}: that is no release of ours", host=host, step="pull", remedy=remedy)
