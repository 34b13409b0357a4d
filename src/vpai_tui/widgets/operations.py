"""The operations that run: owned by the app, watched by screens. Popping a screen never ends one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpai_tui.clock import Clock
from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.redact import redact
from vpai_tui.text import clean_line

if TYPE_CHECKING:  # the first frame knows no operation, and does without 30 classes
    from vpai_tui.fleet.operation import Event, Outcome, Plan
    from vpai_tui.widgets.progress import Progress


@dataclass(slots=True, eq=False)
class Operation:
    """One deploy, rollback, resume or revert, from its start until long after its end."""

    number: int
    kind: str
    stack: str
    plan: Plan | None
    started_boot_s: float
    progress: Progress
    ended_boot_s: float | None = None
    error: OperatorError | None = None
    events: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        return self.ended_boot_s is None

    @property
    def outcome(self) -> Outcome | None:
        return self.progress.outcome

    @property
    def title(self) -> str:
        return f"{self.kind} {self.stack}"

    def elapsed_s(self, now_boot_s: float) -> float:
        return (self.ended_boot_s if self.ended_boot_s is not None else now_boot_s) - self.started_boot_s


class Operations:
    """Starts operations as tasks of the app and tells listeners of each event and each end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all: list[Operation] = []
        self._listeners: list[Callable[[Operation], None]] = []

    @property
    def all(self) -> tuple[Operation, ...]:
        """Every operation of this session, oldest first."""
        return tuple(self._all)

    @property
    def running(self) -> tuple[Operation, ...]:
        return tuple(item for item in self._all if item.running)

    def of(self, stack: str) -> Operation | None:
        """The newest operation on a stack."""
        return next((item for item in reversed(self._all) if item.stack == stack), None)

    def on_host(self, host: str) -> Operation | None:
        """The operation that runs on a host, if any: a host does one at a time."""
        return next((item for item in self.running if item.stack.partition("/")[0] == host), None)

    def listen(self, listener: Callable[[Operation], None]) -> Callable[[], None]:
        """Call `listener` after each event and each end; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def start(self, kind: str, stack: str, events: AsyncIterator[Event], plan: Plan | None = None) -> Operation:
        """Run `events` to their end as a task of the app."""
        from vpai_tui.widgets.progress import Progress

        operation = Operation(len(self._all) + 1, kind, stack, plan, self._clock.boot_s(), Progress(plan))
        self._all.append(operation)
        operation.task = asyncio.create_task(self._run(operation, events), name=f"operation {kind} {stack}")
        self._tell(operation)
        return operation

    async def stop(self) -> None:
        """Stop watching: what runs detached on a host goes on there."""
        tasks = [item.task for item in self._all if item.task is not None and not item.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, operation: Operation, events: AsyncIterator[Event]) -> None:
        try:
            async for event in events:
                operation.events += 1
                operation.progress.add(event)
                self._tell(operation)
            if operation.outcome is None:
                self._end(operation, OperatorError("it ended without an outcome"))
        except OperatorError as error:
            self._end(operation, error)
        except Exception as error:  # a defect: the operation must be seen to end, and what is known of its end
            text = clean_line(redact(f"{type(error).__name__}: {error}"), 300)
            self._end(operation, OperatorError(f"a defect of the cockpit: {text}"))
        finally:
            operation.ended_boot_s = self._clock.boot_s()
            self._tell(operation)

    def _end(self, operation: Operation, error: OperatorError) -> None:
        """An end without a `Finished`: unknown once the host does it by itself or the link was lost, else failed."""
        from vpai_tui.fleet.operation import Finished, Outcome

        operation.error = error
        if operation.outcome is not None:
            return
        unknown = operation.progress.on_host or isinstance(error, LinkLost)
        outcome = Outcome.UNKNOWN if unknown else Outcome.FAILED
        at = self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        operation.progress.add(Finished(at, outcome, operation.progress.release, str(error), error.output))

    def _tell(self, operation: Operation) -> None:
        for listener in tuple(self._listeners):
            listener(operation)
