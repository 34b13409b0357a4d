"""`stack.yaml`: what Compose does not say of a stack, as types (the keys are explained in docs/configuration.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from vpai_tui.config import ONE_LINE, Title

ServiceName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]*$", description="a service's name")]
ProjectName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="a Compose project: a-z, 0-9, - and _")]
# Paths become lines of manifests and words of shell commands on the host.
RelativePath = Annotated[
    str,
    Meta(
        pattern=r"^(?!.{1025})(?!.*[^/]{256})(?!.*(?:^|/)\.\.?(?:/|$))[A-Za-z0-9_.@+-]+(?:/[A-Za-z0-9_.@+-]+)*$",
        description="a path below the stack's folder, without .., spaces or special characters",
    ),
]
DottedKey = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$", description="a key such as dns.extra_records")
]
UnitName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9:_.@-]*\.(?:service|timer|socket|path|target)$",
        description="a systemd unit such as caddy.service",
    ),
]
ProgramName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}$", description="a program's name, without path or arguments")
]
Label = Annotated[
    str, Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$", description="one label of a domain name, in lower case")
]
Text = Annotated[str, Meta(pattern=ONE_LINE, min_length=1, description="one line of text")]
Seconds = Annotated[float, Meta(gt=0, le=86400)]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]


class ShippedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file or directory that a deploy installs below the host's root, and what a change in it needs."""

    path: RelativePath
    on_change: Literal["recreate", "restart", "none"] = "recreate"  # of the services that bind it
    reload: Text | None = None  # a command run inside each service that binds it, in place of on_change


class LiveValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Values of a shipped YAML file that are edited on the host: every deploy carries the host's over."""

    file: RelativePath
    keys: Annotated[tuple[DottedKey, ...], Meta(min_length=1)]


class Hook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A command run once by sh, under the lock, on the host (in its root directory) or in a container of a service."""

    run: Text
    service: ServiceName | None = None
    # which one of the service: one made for this with the release's image, or the one that runs (a dump needs that);
    # default: new in `before`, running in `after`, where it is the new one
    container: Literal["new", "running"] | None = None
    timeout_s: Seconds = 60


class Fresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Files that must be recent: of those that `glob` finds on the host the newest is looked at."""

    glob: Text  # absolute, or below the host's root
    max_age_s: Annotated[float, Meta(gt=0)]
    min_size_bytes: Annotated[int, Meta(ge=0)] = 1
    dump_of: ServiceName | None = None  # they are dumps of this service of `data`


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where one service answers, and to whom."""

    service: ServiceName
    port: PortNumber
    reach: Literal["public", "vpn", "internal"] = "internal"
    subdomain: Label | None = None  # of the fleet's domain
    needs: tuple[Text, ...] = ()  # what a caller must bring besides: "API key", "CouchDB user"


class StackSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One stack.yaml. Times are seconds, sizes bytes; every key may be left out."""

    title: Title = ""
    project: ProjectName | None = None  # Compose project; default the stack's name
    order: Annotated[int, Meta(ge=-9999, le=9999)] = 0  # where it stands among the stacks of its host on screen
    on_demand: bool = False  # stopped is its normal state
    # services whose image, or what it is built from (a folder, a git address), is the operator's own; None: off
    source: dict[ServiceName, Text | None] = {}
    data: tuple[ServiceName, ...] = ()  # services that are databases: a deploy asks for the stack's name
    one_shots: tuple[ServiceName, ...] = ()  # services that run to their end (migrations)
    health_timeout_s: Seconds = 120  # per service, from start to healthy
    confirm: Literal["none", "reconnect"] | None = None  # default: reconnect on the VPN hub, none elsewhere
    confirm_timeout_s: Seconds = 90
    files: tuple[ShippedFile, ...] = ()
    live: tuple[LiveValues, ...] = ()
    before: tuple[Hook, ...] = ()
    after: tuple[Hook, ...] = ()
    units: tuple[UnitName, ...] = ()  # shown and restartable, not deployed
    programs: tuple[ProgramName, ...] = ()  # of the host, asked for their `--version`
    fresh: tuple[Fresh, ...] = ()
    access: tuple[Access, ...] = ()
