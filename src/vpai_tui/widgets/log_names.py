"""How much room the names of a log's sources need: found anew only as streams come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from vpai_tui.widgets.log_style import source_name

if TYPE_CHECKING:
    from vpai_tui.logs.buffer import Buffer
    from vpai_tui.logs.save import SourceOf


class Names:
    """Remembers what it found of one buffer."""

    def __init__(self) -> None:
        self._buffer: ref[Buffer] | None = None
        self._key: tuple[int, SourceOf] | None = None
        self._longest, self._with_host = 0, False

    def of(self, buffer: Buffer | None, source_of: SourceOf | None, most: int) -> tuple[int, bool]:
        """Cells of a name, `most` at most, 0 where all lines are of one source; whether a name has its host."""
        if buffer is None or source_of is None:
            return 0, False
        key = (buffer.streams_version, source_of)
        if self._buffer is None or self._buffer() is not buffer or key != self._key:
            self._buffer, self._key = ref(buffer), key
            sources = {source_of(labels) for labels in buffer.streams}
            self._with_host = len({it.host for it in sources}) > 1
            names = [source_name(it, with_host=self._with_host) for it in sources]
            self._longest = max(map(len, names)) if len(names) > 1 else 0
        return min(self._longest, most), self._with_host
