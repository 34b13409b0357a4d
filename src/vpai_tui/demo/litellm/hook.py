"""What the simulated engine asks on every `docker exec`: quick where the container is none of the three."""

from __future__ import annotations

from collections.abc import Sequence

from vpai_tui.demo.engine.store import Doc, Engine

_MARKS = {"litellm": ("litellm",), "redis": ("redis", "valkey"), "postgres": ("postgres", "postgresql", "pgvector")}


def kind_of(container: Doc) -> str:
    """Which of the three it is, by its image; empty for others."""
    name = str(container["image"]).partition("@")[0].rpartition("/")[2].partition(":")[0]
    return next((kind for kind, marks in _MARKS.items() if name.removesuffix("-database") in marks), "")


def command(engine: Engine, container: Doc, argv: Sequence[str]) -> tuple[int, str, str] | None:
    """Exit status, stdout and stderr; None: it is for others to answer."""
    if not kind_of(container):
        return None
    from vpai_tui.demo.litellm import box

    return box.command(engine, kind_of(container), argv)


def boot(engine: Engine, container: Doc) -> bool:
    """Have the proxy notice that it was started; whether there may be one."""
    if not kind_of(container):
        return False
    from vpai_tui.demo.litellm import box

    box.boot(engine)
    return True
