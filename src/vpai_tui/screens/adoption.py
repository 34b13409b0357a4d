"""Taking over what a host runs: look, correct, read the file, confirm, write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpai_tui.errors import OperatorError
from vpai_tui.screens.shell import Shell, Work
from vpai_tui.widgets.dialogs import Choice, Confirm, error_lines, headline, named
from vpai_tui.widgets.paint import Line

if TYPE_CHECKING:
    from vpai_tui.deploy.adopt import Proposal
    from vpai_tui.deploy.survey import Survey

_SHOWN = 12  # lines of the file, or of its difference


class AdoptionFlow:
    """`work` runs what is slow, and shows its error."""

    def __init__(self, shell: Shell, work: Work) -> None:
        self._app = shell
        self._context = shell.context
        self._work = work

    def offer(self, error: OperatorError, host: str, doing: str) -> None:
        """A collision, with the way out of it as a button."""
        choice = Choice("adopt", f"Adopt {host}", "primary")
        dialog = Confirm(headline(error, doing), error_lines(error), [choice])
        self._app.push_screen(dialog, lambda answer: self.adopt(host) if answer == "adopt" else None)

    def adopt(self, host: str) -> None:
        """Look what runs there and have it mapped."""
        backend = self._context.backend
        if backend is None or self._context.read_only:
            return

        async def look() -> None:
            from vpai_tui.widgets.adopt_dialog import AdoptDialog

            dialog = AdoptDialog(await backend.survey(host))
            self._app.push_screen(dialog, lambda decided: self._propose(decided) if decided else None)

        self._work(f"looking at what runs on {host}", look)

    def _propose(self, survey: Survey) -> None:
        backend = self._context.backend
        if backend is None:
            return

        async def make() -> None:
            proposal = await backend.propose(survey)
            choice = Choice("adopt", f"Adopt {survey.host}", "warning")
            dialog = Confirm(f"Adopt {survey.host}?", proposal_question(proposal), [choice])
            self._app.push_screen(dialog, lambda answer: self._write(proposal) if answer == "adopt" else None)

        self._work(f"adopting {survey.host}", make)

    def _write(self, proposal: Proposal) -> None:
        backend = self._context.backend
        if backend is None:
            return

        async def write() -> None:
            said = await backend.adopt(proposal)
            self._app.toast(f"{proposal.host} is adopted: D plans what differs")
            if said:
                self._app.toast(said, severity="warning")

        self._work(f"adopting {proposal.host}", write)


def proposal_question(proposal: Proposal) -> list[Line]:
    """What the dialog says before a file is written."""
    rows: list[Line] = [
        named("file", proposal.path.name, f"in {proposal.path.parent.name}/, beside fleet.yaml"),
        named("root", proposal.adopted.root),
        named("host", "nothing is touched; what runs is recorded as r0"),
        (),
    ]
    if proposal.unchanged:
        rows.append((("the file says so already and is left as it is", "dim"),))
    elif proposal.before is not None:
        rows.append((("it changes so; the one before is kept beside it:", "warn"),))
        rows += _excerpt([line for line in proposal.diff if line[:3] not in ("---", "+++") and line[:2] != "@@"])
    else:
        lines = [line for line in proposal.text.splitlines() if line and not line.startswith("#")]
        rows += _excerpt(lines)
    return rows + [((note, "warn"),) for note in proposal.notes]


def _excerpt(lines: list[str]) -> list[Line]:
    rows: list[Line] = [((line, "dim"),) for line in lines[:_SHOWN]]
    return [*rows, ((f"… {len(lines) - _SHOWN} more lines", "dim"),)] if lines[_SHOWN:] else rows
