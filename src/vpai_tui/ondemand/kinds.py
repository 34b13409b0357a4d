"""The services whose work is shown beside a stack on demand, and how they are known."""

from __future__ import annotations

from enum import StrEnum

from vpai_tui.fleet.model import Service


class Kind(StrEnum):
    COMFYUI = "comfyui"
    REMOTION = "remotion"


PORTS = {Kind.COMFYUI: 8188, Kind.REMOTION: 3200}


def kind_of(service: Service) -> Kind | None:
    """Which of the two a service is, by its name or its image's; None for others."""
    image = (service.image or "").partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    return next((kind for kind in Kind if kind in (service.service.lower(), image) or image.startswith(kind)), None)
