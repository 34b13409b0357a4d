"""What screens tell the app, as past facts and wishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message
from textual.worker import Worker

from vpai_tui.errors import OperatorError
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

if TYPE_CHECKING:
    from vpai_tui.fleet.operation import Plan


class TargetWanted(Message):
    """An alert was chosen: go where it is fixed (a service, a stack or a host)."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target


class ApplyWanted(Message):
    """The operator wants this plan applied; the dialog comes first."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan


class SettleWanted(Message):
    """The operator wants to settle an interrupted stack."""

    def __init__(self, stack: str) -> None:
        super().__init__()
        self.stack = stack


class Failed(Message):
    """Something failed; the dialog shows all of the error."""

    def __init__(self, error: OperatorError, doing: str) -> None:
        super().__init__()
        self.error = error
        self.doing = doing

    @classmethod
    def unexpected(cls, worker: Worker[object]) -> Failed:
        """An error that is a defect of the cockpit: said as one, without a traceback."""
        found = f"{type(worker.error).__name__}: {worker.error}"
        error = OperatorError(
            redact(clean_line(found)), remedy="This is a defect of the cockpit: report it with these words."
        )
        return cls(error, worker.description or "A task")
