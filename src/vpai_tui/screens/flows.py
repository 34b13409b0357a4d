"""The ways a command takes: plan → read → confirm → run → watch. Each names its target before it acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import get_args

from vpai_tui.errors import Collision, OperatorError
from vpai_tui.fleet.operation import Command, Effect, Plan, confirm_word, refuse_held, stop_word
from vpai_tui.screens.adoption import AdoptionFlow
from vpai_tui.screens.budget_run import BUDGET, BudgetRunScreen
from vpai_tui.screens.deploy import DeployScreen
from vpai_tui.screens.disk_run import DISK, DiskRunScreen
from vpai_tui.screens.operation import OperationScreen
from vpai_tui.screens.plan import PlanScreen
from vpai_tui.screens.shell import Shell
from vpai_tui.screens.studio_run import START, STOP, StudioRunScreen
from vpai_tui.screens.vpn_run import DNS, VpnRunScreen
from vpai_tui.widgets.backend import Act, Backend, Settle
from vpai_tui.widgets.dialogs import AskLine, Choice, Confirm, ErrorDialog, named, wrap
from vpai_tui.widgets.operations import Operation
from vpai_tui.widgets.paint import Line
from vpai_tui.widgets.plan_view import interruption

# Operations that are no deploy: the mode and the screen they are watched on.
_WATCHED_ON: dict[str, tuple[str, type[OperationScreen]]] = {
    DNS: ("vpn", VpnRunScreen),
    BUDGET: ("budget", BudgetRunScreen),
    START: ("studio", StudioRunScreen),
    STOP: ("studio", StudioRunScreen),
    DISK: ("fleet", DiskRunScreen),
}


class Flows:
    """Flows of one app. None of them waits for the network in a handler: workers do."""

    def __init__(self, shell: Shell) -> None:
        self._app = shell
        self._context = shell.context
        self.adoption = AdoptionFlow(shell, self.work)

    # -- deploy and rollback -------------------------------------------------------------------------------------

    def plan(self, stack: str, kind: str, release: str | None = None) -> None:
        """Make a plan and show it."""
        backend = self._context.backend
        if backend is None or self._in_the_way(stack):
            return
        if kind == "rollback":
            self.work(f"planning a rollback of {stack}", lambda: self._plan(backend.plan_rollback(stack, release)))
        else:
            self.work(f"planning {stack}", lambda: self._plan(backend.plan(stack)))

    async def _plan(self, wanted: Awaitable[Plan]) -> None:
        self.show_plan(await wanted)

    def show_plan(self, plan: Plan) -> None:
        """On the deploy screen, in place of one that is shown there."""
        self._app.switch_mode("deploy")
        if isinstance(self._app.screen, PlanScreen):
            self._app.pop_screen()
        self._app.push_screen(PlanScreen(self._context, plan))

    def _in_the_way(self, stack: str) -> bool:
        """Whether something must end first; then says so, or opens what settles it."""
        host = stack.partition("/")[0]
        running = self._context.operations.on_host(host)
        if running is not None:
            self._app.toast(f"{running.title} is still running on {host}: w follows it", severity="warning")
            return True
        status = next((item for item in self._context.snapshot.stacks if item.id == stack), None)
        if status is not None and status.interrupted:
            self.settle(stack)
            return True
        return False

    def apply(self, plan: Plan) -> None:
        """Ask, then apply a plan."""
        backend = self._context.backend
        if backend is None or self._context.read_only:
            return
        if plan.empty:
            self._app.toast(f"{plan.stack}: nothing to apply")
            return
        verb = "Roll back" if plan.kind == "rollback" else "Deploy"
        try:
            refuse_held(plan)
        except OperatorError as error:
            self.problem(error, f"{verb} {plan.stack}")
            return
        choice = Choice("apply", f"{verb} {plan.stack}", "warning")
        dialog = Confirm(f"{verb} {plan.stack}?", plan_question(plan), [choice], word=plan.confirm_word)
        self._app.push_screen(dialog, lambda answer: self._apply(backend, plan) if answer == "apply" else None)

    def _apply(self, backend: Backend, plan: Plan) -> None:
        operation = self._context.operations.start(plan.kind, plan.stack, backend.apply(plan), plan)
        if isinstance(self._app.screen, PlanScreen):
            self._app.pop_screen()
        self.show(operation)

    def show(self, operation: Operation) -> None:
        """Watch an operation on the screen of its mode."""
        mode, kind = _WATCHED_ON.get(operation.kind, ("deploy", OperationScreen))
        self._app.switch_mode(mode)
        screen = self._app.screen
        if isinstance(screen, OperationScreen):
            if screen.operation is operation:
                return
            self._app.pop_screen()
        self._app.push_screen(kind(self._context, operation))

    def watch(self, stack: str | None) -> None:
        """Follow what runs on a stack: ours, or what somebody else started there."""
        operations, backend = self._context.operations, self._context.backend
        operation = operations.of(stack) if stack else None
        status = next((item for item in self._context.snapshot.stacks if item.id == stack), None)
        if status is not None and status.busy and backend is not None and not (operation and operation.running):
            operation = operations.start("follow", status.id, backend.attach(status.id))
        operation = operation or (operations.all[-1] if operations.all else None)
        if operation is None:
            self._app.toast("nothing runs")
        else:
            self.show(operation)

    def settle(self, stack: str, how: str = "") -> None:
        """Resume or revert an interrupted deploy, after a dialog that says what each does."""
        backend = self._context.backend
        status = next((item for item in self._context.snapshot.stacks if item.id == stack), None)
        if backend is None or self._context.read_only:
            return
        if status is None or not status.interrupted:
            self._app.toast(f"{stack}: nothing was interrupted")
            return
        body = [
            named("stack", stack, f"on {status.host}"),
            named("stopped at", status.pending or "–"),
            named("resume", f"goes on to {status.pending}"),
            named("revert", f"goes back to {status.current or 'nothing'}"),
        ]
        choices = [
            Choice(word, f"{word.capitalize()} {stack}", "warning") for word in get_args(Settle) if how in ("", word)
        ]
        word = confirm_word(stack, data=status.holds_data, hub=self._is_hub([stack]))
        self._app.push_screen(
            Confirm(f"{stack} was interrupted", body, choices, word=word), lambda answer: self._settle(stack, answer)
        )

    def _settle(self, stack: str, answer: str | None) -> None:
        backend = self._context.backend
        if backend is None or answer not in ("resume", "revert"):
            return
        how: Settle = "resume" if answer == "resume" else "revert"
        self.show(self._context.operations.start(how, stack, backend.settle(stack, how)))

    # -- holds ---------------------------------------------------------------------------------------------------

    def hold(self, host: str) -> None:
        """Ask why, then freeze deploys on a host."""
        backend = self._context.backend
        if backend is None or self._context.read_only:
            return
        body = [
            named("host", host),
            named("effect", "deploys and rollbacks are refused, whoever asks"),
            named("way back", "release hold"),
        ]
        dialog = AskLine(f"Hold deploys on {host}?", body, "why (everybody is shown it)", f"Hold {host}")

        def answered(why: str | None) -> None:
            if why:
                self.work(f"holding {host}", lambda: self._held(backend.hold(host, why), f"{host} is held: {why}"))

        self._app.push_screen(dialog, answered)

    def lift(self, host: str) -> None:
        """Let deploys go again after a dialog that names whose hold it is, and why."""
        backend, hold = self._context.backend, self._context.snapshot.host(host).hold
        if backend is None or self._context.read_only:
            return
        if hold is None:
            self._app.toast(f"{host}: nothing is held")
            return
        body = [named("host", host), named("held by", hold.by), named("since", hold.at), named("why", hold.why)]
        dialog = Confirm(f"Release the hold on {host}?", body, [Choice("lift", f"Release {host}", "warning")])

        def answered(answer: str | None) -> None:
            if answer == "lift":
                self.work(f"releasing {host}", lambda: self._held(backend.lift(host, hold), f"{host} is free again"))

        self._app.push_screen(dialog, answered)

    async def _held(self, doing: Awaitable[str], done: str) -> None:
        note = await doing
        self._app.toast(done)
        if note:
            self._app.toast(note, severity="warning")

    # -- services ------------------------------------------------------------------------------------------------

    def act(self, action: Act, services: Sequence[str]) -> None:
        """Restart, stop or start services after a dialog that names them."""
        backend = self._context.backend
        if backend is None or not services or self._context.read_only:
            return
        many = f"{len(services)} services" if len(services) > 1 else services[0]
        word = stop_word(services[0], hub=action == "stop" and self._is_hub(services))
        dialog = Confirm(
            f"{action.capitalize()} {many}?",
            act_question(action, services),
            [Choice("act", f"{action.capitalize()} {many}", "error" if action == "stop" else "warning")],
            word=word,
        )
        self._app.push_screen(dialog, lambda answer: self._act(backend, action, services) if answer == "act" else None)

    def _is_hub(self, things: Sequence[str]) -> bool:
        """Whether one of these services or stacks is on the host that carries the VPN."""
        hosts = self._context.fleet.hosts
        return any(name in hosts and hosts[name].hub for name in (item.partition("/")[0] for item in things))

    def _act(self, backend: Backend, action: Act, services: Sequence[str]) -> None:
        async def run() -> None:
            notes = [await backend.act(service, action) for service in services]
            past = {"restart": "restarted", "stop": "stopped", "start": "started"}[action]
            self._app.toast(f"{past}: {', '.join(services)}")
            for note in dict.fromkeys(filter(None, notes)):
                self._app.toast(note, severity="warning")

        self.work(f"{action} {services[0]}" + (" …" if len(services) > 1 else ""), run)

    # -- errors and workers --------------------------------------------------------------------------------------

    def demo(self, text: str) -> None:
        """`cut pi` on a simulated fleet."""
        backend = self._context.backend
        steer = backend.demo if backend is not None else None
        word, _, host = text.partition(" ")
        if steer is None or not word or not host:
            self._app.toast("demo cut HOST, demo heal HOST, demo budget 92", severity="warning")
            return

        async def run() -> None:
            await steer(word, host)
            if word == "budget":
                self._app.budget_watch.again()
            if word == "studio":
                self._app.studio_watch.again()

        self.work(f"demo {text}", run)

    def work(self, doing: str, make: Callable[[], Awaitable[None]]) -> None:
        """Run something slow as a worker of the app; its error becomes a dialog."""

        async def run() -> None:
            self._context.busy = doing
            self._app.redraw()
            try:
                await make()
            except OperatorError as error:
                self.problem(error, doing)
            finally:
                self._context.busy = ""
                self._app.redraw()

        self._app.run_worker(run(), group=doing, exit_on_error=False, description=doing)

    def problem(self, error: OperatorError, doing: str) -> None:
        """Show an error in full, with its remedy."""
        if isinstance(error, Collision) and error.host and not self._context.read_only:
            self.adoption.offer(error, error.host, doing)
            return
        self._app.push_screen(ErrorDialog(error, doing))

    def deploy_screen(self) -> DeployScreen | None:
        """The deploy screen, when it is the one seen."""
        return next((item for item in self._app.screen_stack if isinstance(item, DeployScreen)), None)


def _commands(plan: Plan) -> list[tuple[str, Command]]:
    return [("before", it) for it in plan.before if not it.skipped] + [("after", it) for it in plan.after]


def plan_question(plan: Plan) -> list[Line]:
    """What the dialog says before a plan is applied: target, effect, interruption, way back."""
    touched = [change for change in plan.changes if change.effect is not Effect.NONE]
    host, _, stack = plan.stack.partition("/")
    target = f"to {plan.rollback_to}, as {plan.release}" if plan.rollback_to else plan.release
    rows: list[Line] = [
        named("target", stack, f"on {host}"),
        named("release", f"{plan.base or 'nothing'} → {target}"),
        named("does", plan.summary),
        named("services", ", ".join(change.service for change in touched[:5]) + (" …" if len(touched) > 5 else "")),
        named("interrupts", interruption(plan)),
        named(
            "way back",
            f"rollback to {plan.base}" if plan.base else "r0, recorded first" if plan.adopts else "none: first deploy",
        ),
    ]
    rows += [named(when, f"{it.where}: {it.run}") for when, it in _commands(plan)]
    rows += [((f"{it.service}: {it.told}", "warn" if it.problem else "dim"),) for it in plan.dumps]
    if any(change.has_data for change in touched):
        rows.append((("touches services with data", "warn"),))
    return rows + [((row, "error"),) for item in plan.dangers for row in wrap(item.detail)]


_EFFECT_OF: dict[Act, str] = {
    "restart": "does not answer for a few seconds",
    "stop": "stays down until it is started",
    "start": "comes up as it was deployed",
}
_UNDO_OF: dict[Act, str] = {"restart": "", "stop": "U starts it again", "start": "S stops it again"}


def act_question(action: Act, services: Sequence[str]) -> list[Line]:
    """What the dialog says before services are touched."""
    rows = [named("service" if not at else "", item) for at, item in enumerate(services[:8])]
    rows += [named("", f"… {len(services) - 8} more")] if len(services) > 8 else []
    rows.append(named("effect", _EFFECT_OF[action]))
    return [*rows, named("way back", _UNDO_OF[action])] if _UNDO_OF[action] else rows
