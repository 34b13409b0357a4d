"""Where LiteLLM runs, and beside it Redis, the database and the configuration: found by what Docker has on the host.

The fleet's stacks come first (an adopted host may use other names, and its stack knows them), then the image, then the
service's name. Of LiteLLM's environment only what is named in `_NAMES` leaves the host.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from vpai_tui.budget.figures import money, name
from vpai_tui.budget.transport import PORT, OverSsh
from vpai_tui.config import Fleet
from vpai_tui.errors import OperatorError, UsageError
from vpai_tui.fleet.box import argument, binds, on_host, single_file
from vpai_tui.fleet.stacks import Stack
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean, clean_line, number

SERVICE = "litellm"
REDIS = ("redis", "valkey", "redis-stack-server", "redis-stack", "keydb", "dragonfly")
DATABASE = ("postgres", "postgresql", "pgvector", "timescaledb", "postgis")
_INSIDE = "/app/config.yaml"
_NAMES = ("ECO_TZ", "ECO_DAILY_CAP", "ECO_FREE_ALIASES", "REDIS_HOST", "PORT", "CONFIG_FILE_PATH")
_LABEL = "com.docker.compose"
_ROWS = "\t".join(
    (
        "{{.ID}}",
        "{{.Names}}",
        "{{.Image}}",
        "{{.State}}",
        *(f'{{{{.Label "{_LABEL}.{it}"}}}}' for it in ("project", "service")),
    )
)
_WANTED = " ".join(f'"{it}"' for it in _NAMES)
_SEEN = (
    '{"entrypoint":{{json .Config.Entrypoint}},"command":{{json .Config.Cmd}},"mounts":{{json .Mounts}},"env":['
    '{{range .Config.Env}}{{if eq (index (split . "=") 0) ' + _WANTED + "}}{{json .}},{{end}}{{end}}null]}"
)


@dataclass(frozen=True, slots=True)
class Place:
    """One container. `state` is Docker's word: running, exited, restarting and so on."""

    id: str
    name: str
    image: str
    state: str
    project: str
    service: str

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def kind(self) -> str:
        """The image's last name without tag and digest."""
        return base_name(self.image)


@dataclass(frozen=True, slots=True)
class Places:
    """What was found on the host; a container is None where there is none that fits.

    `config` is the path of litellm_config.yaml on the host, None when no bind mount shows it; `single_file`: that path
    is mounted by itself. The last three are what the callback's environment says, None where it says nothing.
    """

    host: str
    stack: str | None  # host/stack
    service: str  # host/stack/service, or the container's name
    litellm: Place | None
    redis: Place | None = None
    database: Place | None = None
    inside: str = _INSIDE
    config: str | None = None
    single_file: bool = False
    port: int = PORT
    timezone: str | None = None
    cap_usd: float | None = None
    free: tuple[str, ...] | None = None

    def inside_of(self, connection: Connection) -> OverSsh:
        """The way into the containers."""
        ids = [place.id if place else None for place in (self.litellm, self.redis, self.database)]
        return OverSsh(connection, litellm=ids[0], redis=ids[1], database=ids[2], port=self.port)


def base_name(image: str) -> str:
    """`ghcr.io/berriai/litellm:v1.81.3@sha256:…` is litellm."""
    return image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0].lower()


def host_of(fleet: Fleet, stacks: Sequence[Stack]) -> tuple[str, Stack, str]:
    """The host whose stack has LiteLLM, that stack, and what the service is called there.

    Raises:
        UsageError: none has.
    """
    for stack in stacks:
        service = service_of(stack)
        if service is not None and stack.host in fleet.hosts:
            return stack.host, stack, service
    raise UsageError("no stack of the fleet has LiteLLM", remedy=f"give a stack a service {SERVICE}")


def service_of(stack: Stack) -> str | None:
    """The stack's service that is LiteLLM: of that name, else of such an image."""
    if SERVICE in stack.services:
        return SERVICE
    return next((it for it in stack.services if SERVICE in base_name(stack.image(it) or "")), None)


async def find_places(connection: Connection, stack: Stack | None, service: str = SERVICE) -> Places:
    """Looks at the host's containers.

    Raises:
        OperatorError: Docker does not answer, or strangely.
    """
    docker = shlex.split(connection.host.docker)
    listed = await connection.run(
        [*docker, "ps", "-a", "--no-trunc", "--format", _ROWS], root=True, label="docker ps -a"
    )
    found = places_from_rows(listed.text)
    litellm = _litellm(found, stack.project if stack else None, service)
    shown = f"{stack.id}/{service}" if stack else litellm.name if litellm else SERVICE
    places = Places(connection.name, stack.id if stack else None, shown, litellm)
    seen: Mapping[str, Any] = {}
    if litellm is not None:
        argv = [*docker, "container", "inspect", "-f", _SEEN, litellm.id]
        done = await connection.run(argv, root=True, label=f"inspect {litellm.name}")
        seen = _load(done.stdout, connection.name)
    return with_seen(places, seen, found)


def places_from_rows(listed: str) -> tuple[Place, ...]:
    """The containers of `docker ps`, those that run first."""
    rows = [line.split("\t") for line in listed.splitlines()]
    places = [Place(*(clean_line(part, 300) for part in row)) for row in rows if len(row) == 6 and row[0]]
    return tuple(sorted(places, key=lambda it: not it.running))


def with_seen(places: Places, seen: Mapping[str, Any], found: Sequence[Place]) -> Places:
    """`places` with what LiteLLM's own command line, mounts and environment say.

    Raises:
        OperatorError: Docker's answer is strange.
    """
    try:
        words = [clean(it) for it in [*(seen.get("entrypoint") or ()), *(seen.get("command") or ())]]
        mounts = binds(seen.get("mounts"))
        env = dict(clean(it).partition("=")[::2] for it in seen.get("env") or () if it is not None)
    except (KeyError, TypeError, AttributeError) as error:
        raise OperatorError("Docker's answer of LiteLLM's container is strange", host=places.host) from error
    inside = argument(words, "--config", "-c") or env.get("CONFIG_FILE_PATH") or _INSIDE
    port = number(argument(words, "--port") or env.get("PORT", ""), 1, 65535)
    near = places.litellm.project if places.litellm else ""
    names = [word for it in env.get("ECO_FREE_ALIASES", "").split(",") if (word := name(it.strip()))]
    return Places(
        places.host,
        places.stack,
        places.service,
        places.litellm,
        redis=_beside(found, REDIS, env.get("REDIS_HOST") or "redis", near),
        database=_beside(found, DATABASE, "postgresql", near),
        inside=inside,
        config=on_host(mounts, inside),
        single_file=single_file(mounts, inside),
        port=port or PORT,
        timezone=env.get("ECO_TZ") or None,
        cap_usd=money(env.get("ECO_DAILY_CAP")),
        free=tuple(names) if "ECO_FREE_ALIASES" in env else None,
    )


def _litellm(found: Sequence[Place], project: str | None, service: str) -> Place | None:
    """By the stack's labels, then by image, then by the service's name."""
    labelled = (it for it in found if project is not None and (it.project, it.service) == (project, service))
    by_image = (it for it in found if SERVICE in it.kind)
    by_name = (it for it in found if SERVICE in (it.service, it.name))
    return next(labelled, None) or next(by_image, None) or next(by_name, None)


def _beside(found: Sequence[Place], kinds: Sequence[str], called: str, project: str) -> Place | None:
    """The container of such an image or service that LiteLLM most likely uses: the one it names, then one that runs."""
    fitting = [it for it in found if it.kind in kinds or it.service in kinds]

    def rank(place: Place) -> tuple[bool, ...]:
        named = called in (place.service, place.name)
        return (not named, place.service not in kinds, not place.running, place.project != project)

    return min(fitting, key=rank, default=None)


def _load(printed: bytes, host: str) -> Mapping[str, Any]:
    try:
        found = json.loads(printed)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise OperatorError("Docker's answer of LiteLLM's container is strange", host=host)
    return found


def zone_of(word: str | None) -> ZoneInfo | None:
    """The time zone of that name; None where there is none."""
    try:
        return ZoneInfo(word) if word else None
    except (ValueError, OSError, LookupError):
        return None
