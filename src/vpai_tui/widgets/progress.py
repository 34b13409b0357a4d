"""An operation as its events tell it, folded into what a screen draws: pulls, steps, journal, outcome."""

from __future__ import annotations

from dataclasses import dataclass, field

from vpai_tui.fleet.operation import (
    BuildLine,
    ConfirmAwaited,
    Confirmed,
    Effect,
    Event,
    Finished,
    HookDone,
    HookFailed,
    HookStarted,
    ImageBuilt,
    ImagePulled,
    Journaled,
    LayerPulled,
    Outcome,
    Plan,
    ReleaseUploaded,
    RevertStarted,
    RunnerStarted,
    ServiceHealthy,
    ServiceRemoved,
    ServiceStarted,
    StepFailed,
    StepStarted,
    Verified,
)
from vpai_tui.widgets.paint import size

JOURNAL_LINES = 500


@dataclass(slots=True)
class Step:
    """One step: `state` is waiting, busy, gate, ok, failed or reverted."""

    name: str
    what: str
    state: str = "waiting"
    detail: str = ""


@dataclass(slots=True)
class Pull:
    """One image on its way: bytes per layer as (have, of)."""

    image: str
    layers: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    digest: str = ""

    @property
    def done(self) -> bool:
        return bool(self.digest)

    @property
    def have_bytes(self) -> int:
        return sum(have for have, _ in self.layers.values())

    @property
    def total_bytes(self) -> int | None:
        """None until at least one layer told its size."""
        known = [of for _, of in self.layers.values() if of is not None]
        return sum(known) if known else None

    @property
    def percent(self) -> float | None:
        """Share of the known bytes; 100 only when the image is there."""
        if self.done:
            return 100.0
        total = self.total_bytes
        return None if not total else min(99.0, 100 * self.have_bytes / total)


class Progress:
    """Folds events, one after another. Never goes back: a layer's bytes only grow."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.pulls: dict[str, Pull] = {}
        self.services: dict[str, Step] = {}
        self.journal: list[tuple[str, str, str]] = []  # time, text, role
        self.told: dict[str, str] = {}  # journal lines with no class of their own: what → detail
        self.phase = "starting"
        self.on_host = False
        self.outcome: Outcome | None = None
        self.reason = ""
        self.output = ""
        self.release = plan.release if plan else ""
        self.confirm_s: int | None = None
        self.failed: tuple[str, str] | None = None  # when it failed first, RFC 3339, and which service ("": none alone)
        for change in plan.changes if plan else ():
            if change.effect is not Effect.NONE:
                self.services[change.service] = Step(change.service, change.effect.value)

    def add(self, event: Event) -> None:
        """Fold one event."""
        match event:
            case LayerPulled():
                self._layer(event)
            case ImagePulled():
                self._pull(event.image).digest = event.digest
                self._note(event, f"pulled {event.image}", "")
            case HookStarted() | HookDone() | HookFailed():
                self._hook(event)
            case ImageBuilt() | BuildLine() | ReleaseUploaded() | RunnerStarted() | Journaled():
                self._work(event)
            case StepStarted() | ServiceStarted() | ServiceHealthy() | ServiceRemoved() | StepFailed():
                self._service(event)
            case ConfirmAwaited() | Confirmed() | RevertStarted() | Verified() | Finished():
                self._turn(event)
            case _:
                self._note(event, event.name.replace("_", " "), "dim")

    def _layer(self, event: LayerPulled) -> None:
        self.phase = "pulling images"
        pull = self._pull(event.image)
        have, of = pull.layers.get(event.layer, (0, None))
        of = event.total_bytes if event.total_bytes is not None else of
        have = max(have, event.current_bytes or 0)
        if event.done:
            pull.finished.add(event.layer)
            have = max(have, of or 0)
        pull.layers[event.layer] = (have, of)

    def _pull(self, image: str) -> Pull:
        return self.pulls.setdefault(image, Pull(image))

    def _work(self, event: Event) -> None:
        match event:
            case ImageBuilt():
                self._note(event, f"built {event.service} as {event.tag}", "")
            case BuildLine():
                self.phase = f"building {event.service}"
                self._note(event, f"{event.service}: {event.line}", "dim")
            case ReleaseUploaded():
                self.phase = "uploaded"
                self._note(event, f"uploaded {event.release}, {size(event.size_bytes)}", "")
            case RunnerStarted():
                self.phase, self.on_host, self.release = "runs on the host", True, event.release
                self._note(event, "runner started: the host goes on by itself", "accent")
            case Journaled():
                self.told[event.what] = event.detail
                self._note(event, f"{event.what.replace('_', ' ')} {event.detail}".rstrip(), "dim")

    def _hook(self, event: HookStarted | HookDone | HookFailed) -> None:
        match event:
            case HookStarted():
                self.phase = event.hook
                self._note(event, f"{event.hook} {event.detail}", "")
            case HookDone():
                self._note(event, f"{event.hook} done in {event.detail}", "ok")
            case HookFailed():
                self._note(event, f"{event.hook} failed: {event.reason}", "error")

    def _service(self, event: Event) -> None:
        match event:
            case StepStarted():
                self._step(event.service, "busy", "", event.effect)
                self.phase = f"{event.effect} {event.service}"
                self._note(event, f"{event.effect} {event.service}", "")
            case ServiceStarted():
                self._step(event.service, "gate", "waiting for health")
                self.phase = f"gate: {event.service}"
                self._note(event, f"{event.service} started, gate watches", "")
            case ServiceHealthy():
                self._step(event.service, "ok", event.detail or "healthy")
                self._note(event, f"{event.service} {event.detail or 'healthy'}", "ok")
            case ServiceRemoved():
                self._step(event.service, "ok", "removed")
                self._note(event, f"{event.service} removed", "ok")
            case StepFailed():
                self.failed = self.failed or (event.at, event.service)
                self._step(event.service, "failed", event.reason)
                self._note(event, f"{event.service} failed: {event.reason}", "error")
                for row in event.output.splitlines():
                    self._note(event, f"  {row}", "dim")

    def _turn(self, event: Event) -> None:
        match event:
            case ConfirmAwaited():
                self.phase, self.confirm_s = "waits for a fresh connection", event.timeout_s
                self._note(event, f"waits {event.timeout_s}s for a fresh connection", "warn")
            case Confirmed():
                self.confirm_s = None
                self._note(event, "confirmed over a fresh connection", "ok")
            case RevertStarted():
                self.phase = f"reverting to {event.to}"
                for step in self.services.values():
                    step.state = "reverted" if step.state in ("ok", "gate", "busy") else step.state
                self._note(event, f"reverting to {event.to}: {event.reason}", "warn")
            case Verified():
                text = f"but still differs: {event.detail}" if event.detail else "verified: this is what runs"
                self._note(event, text, "warn" if event.detail else "ok")
            case Finished():
                self.outcome, self.reason, self.output = event.outcome, event.reason, event.output
                self.phase, self.release = event.outcome.value, event.release or self.release
                good = event.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED)
                if event.outcome in (Outcome.REVERTED, Outcome.REVERT_FAILED, Outcome.FAILED) and self.on_host:
                    self.failed = self.failed or (event.at, "")
                self._note(event, f"{event.outcome.value} {event.reason}".rstrip(), "ok" if good else "error")

    def _step(self, service: str, state: str, detail: str, what: str = "") -> None:
        step = self.services.setdefault(service, Step(service, what))
        step.state, step.detail = state, detail
        step.what = step.what or what  # the plan's word says more than the runner's

    def _note(self, event: Event, text: str, role: str) -> None:
        self.journal.append((event.at[11:19], text, role))
        del self.journal[:-JOURNAL_LINES]
