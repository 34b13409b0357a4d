"""The relay (DERP) map, which Headscale makes at every start: it does not start without, and a configtest sees none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from vpai_tui.errors import OperatorError, PreflightRefused
from vpai_tui.remote.connection import Connection
from vpai_tui.text import clean_line
from vpai_tui.vpn.dns.settings import Settings
from vpai_tui.vpn.files import read_host_file
from vpai_tui.vpn.hub import Hub
from vpai_tui.vpn.versions import Version

_ENV = "HEADSCALE_DERP_"


@dataclass(frozen=True, slots=True)
class Relays:
    """What a start needs beyond the host. `urls` must be fetched for one; `hosts` are names of relays in map files."""

    urls: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


async def relays_of(connection: Connection, hub: Hub, settings: Settings, version: Version | None) -> Relays:
    """What the next start of this Headscale needs for its relay map.

    0.26 passes over a source that it cannot read and wants one region in the end; from 0.27 on it does not start when
    a single file or URL cannot be read; a version that is not known is taken for such a one.

    Raises:
        PreflightRefused: it would find no map.
    """
    if any(name.startswith(_ENV) for name in hub.env):
        return Relays()  # the container's environment overrides the file: what holds there is not known
    lenient = version is not None and version.series <= (0, 26)
    derp = settings.derp
    local, names = derp.embedded, list[str]()
    for path in derp.paths:
        try:
            found = await _regions(connection, hub, path)
        except OperatorError as error:
            if not lenient:
                raise _refused(f"derp.paths: {error.message}", hub) from error
            break  # as it does itself
        local = local or bool(found)
        names += [it for it in found if it]
    if not local and not derp.urls:
        raise _refused("there is neither an embedded relay nor a relay in derp.paths, and no derp.urls", hub)
    needed = derp.urls if not lenient else () if local else derp.urls[:1]
    if odd := next((url for url in needed if any(char.isspace() for char in url)), ""):
        raise _refused(f"{odd!r} in derp.urls is no URL", hub)
    return Relays(needed, tuple(names))


async def _regions(connection: Connection, hub: Hub, path: str) -> list[str]:
    """The names of the relays in a map file; one empty name where there are regions whose names are not known.

    Raises:
        OperatorError: the file is not there, or no YAML.
    """
    where = hub.on_host(path) if path.startswith("/") else None
    if where is None:
        return [""]  # a file of the image, which does not change
    file = await read_host_file(connection, where)
    try:
        found = yaml.safe_load(file.content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise OperatorError(f"{where} is no YAML") from error
    regions = found.get("regions") if isinstance(found, dict) else None
    if not isinstance(regions, dict) or not regions:
        return []
    return list(_hosts(regions)) or [""]


def _hosts(regions: dict[Any, Any]) -> Iterator[str]:
    for region in regions.values():
        nodes = region.get("nodes") if isinstance(region, dict) else None
        for node in nodes if isinstance(nodes, list) else ():
            if isinstance(node, dict) and isinstance(node.get("hostname"), str):
                yield clean_line(node["hostname"], 253).lower().rstrip(".")


def _refused(why: str, hub: Hub) -> PreflightRefused:
    return PreflightRefused(
        f"Headscale would not start again: {why}",
        host=hub.host,
        step="derp",
        remedy="mend derp in config.yaml: server.enabled: true needs neither file nor URL",
    )
