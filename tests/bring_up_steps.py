"""docs/bring-up.md as what it has typed: each line of its shell blocks, and where."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs/bring-up.md"
LAPTOP = "laptop"
# How the document calls a place, at the beginning of a comment, and whose it is.
PLACES = {
    "each host": ("sese", "seko", "pi"),
    "the machine": ("sese", "seko", "pi"),
    "Sese-AI": ("sese",),
    "seko": ("seko",),
    "the Pi": ("pi",),
}
_BLOCK = re.compile(r"(?ms)^```sh\n(.*?)^```")
_PLACE = re.compile(rf"# on ({'|'.join(PLACES)}), as root\b")


@dataclass(frozen=True)
class Step:
    """One line. `places` are hosts, where it is root's, or `laptop`; `block` counts the document's blocks."""

    block: int
    places: tuple[str, ...]
    line: str

    @property
    def words(self) -> list[str]:
        """Of a `vpai-tui` line what follows; empty for another one."""
        return shlex.split(self.line)[1:] if self.line.startswith("vpai-tui ") else []


def steps(text: str | None = None) -> list[Step]:
    """All lines in order. A comment that names no place is a remark. ValueError: a place nobody knows."""
    found = []
    for block, body in enumerate(_BLOCK.findall(DOCUMENT.read_text() if text is None else text)):
        places: tuple[str, ...] = (LAPTOP,)
        for line in body.splitlines():
            if line.startswith("# on "):
                if (named := _PLACE.match(line)) is None:
                    raise ValueError(f"where is this? {line}")
                places = PLACES[named[1]]
            elif line and not line.startswith("#"):
                found.append(Step(block, places, line))
    return found
