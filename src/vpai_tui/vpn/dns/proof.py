"""Whether what was applied is answered: a resolver of the VPN is asked, which is a client of Headscale too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from vpai_tui.remote.job import Patience
from vpai_tui.remote.resolve import Question
from vpai_tui.vpn.dns.states import resolves
from vpai_tui.vpn.model import Record

PROVED = 2  # records that are asked for
ANSWERED_WITHIN_S = 12.0  # clients are back 5 to 10 s after a restart
Ask = Callable[[], Awaitable[Mapping[Question, tuple[str, ...]]]]


async def answered(ask: Ask, records: Sequence[Record]) -> str:
    """Of these records, as the end of a sentence: they resolve, not yet, or nobody could be asked. `ask` asks for all.

    Never an error: a client may keep what it knew for 600 s.
    """
    if not records:
        return ""
    patience = Patience(ANSWERED_WITHIN_S)
    while True:
        answers = dict(await ask())
        if not answers:
            return "; no resolver of the VPN could be asked"
        missing = [it.name for it in records if not resolves(it, answers)]
        if not missing:
            return f"; {' and '.join(it.name for it in records)} resolve{'s' if len(records) == 1 else ''}"
        if not await patience.pause():
            return f"; not answered yet: {', '.join(missing)}"
