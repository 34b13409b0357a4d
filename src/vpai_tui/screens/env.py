"""Env files on their hosts: what they lack, writing it, and the editor that takes the terminal for a while."""

from __future__ import annotations

from vpai_tui.deploy.envfiles import EnvReport
from vpai_tui.deploy.envinit import EnvPlan, still_to_fill
from vpai_tui.deploy.envwords import report_lines, step_lines, warning
from vpai_tui.errors import OperatorError
from vpai_tui.screens.away import away
from vpai_tui.screens.shell import Shell, Work
from vpai_tui.widgets.backend import Backend
from vpai_tui.widgets.dialogs import Choice, Confirm, wrap
from vpai_tui.widgets.paint import Line

_ROWS = 11  # of a dialog at 80x24
_ROLES = {"ok": ("✔", "ok"), "warn": ("▲", "warn"), "error": ("✖", "error")}


class EnvFlows:
    """Flows about the env files of one stack. `work` runs something slow and shows its error."""

    def __init__(self, shell: Shell, work: Work) -> None:
        self._app = shell
        self._context = shell.context
        self._work = work

    def check(self, stack: str) -> None:
        """Look, and offer what can be done."""
        backend = self._backend(stack)
        if backend is not None:
            self._work(f"looking at the env files of {stack}", lambda: self._check(backend, stack))

    async def _check(self, backend: Backend, stack: str, after: tuple[Line, ...] = ()) -> None:
        report = await backend.env_check(stack)
        choices = []
        if report.files and not self._context.read_only:
            choices.append(Choice("edit", "Edit one"))
            if any(key.lacking for file in report.files for key in file.keys) or not report.ok:
                choices.append(Choice("init", "Write what is missing", "warning"))
        rows = _cut([*after, *_report_rows(report)], stack)
        dialog = Confirm(f"Env files of {stack}", rows, choices)
        self._app.push_screen(dialog, lambda answer: self._next(answer, stack, report))

    def _next(self, answer: str | None, stack: str, report: EnvReport) -> None:
        if answer == "init":
            self.init(stack)
        elif answer == "edit":
            self._choose(stack, [file.path for file in report.files])

    def init(self, stack: str) -> None:
        """Show what would be written, ask, write."""
        backend = self._backend(stack)
        if backend is not None and not self._context.read_only:
            self._work(f"looking at the env files of {stack}", lambda: self._plan(backend, stack))

    async def _plan(self, backend: Backend, stack: str) -> None:
        plan = await backend.env_plan(stack)
        if plan.empty:
            self._app.toast(f"{stack}: nothing to write")
            return
        choice = Choice("init", f"Write the env files of {stack}", "warning")
        dialog = Confirm(f"Write env files on {plan.host}?", _plan_rows(plan), [choice], word=plan.confirm_word)

        def answered(answer: str | None) -> None:
            if answer == "init":
                self._work(f"writing env files of {stack}", lambda: self._write(backend, plan))

        self._app.push_screen(dialog, answered)

    async def _write(self, backend: Backend, plan: EnvPlan) -> None:
        done = await backend.env_init(plan)
        self._app.toast(f"{plan.stack}: wrote {len(done.wrote)} env files")
        left = still_to_fill(done)
        await self._check(backend, plan.stack, tuple(_rows("warn", f"yours to fill in: {item}") for item in left))

    def edit(self, stack: str, file: str) -> None:
        """Edit one file; which of several is asked."""
        backend = self._backend(stack)
        if backend is None or self._context.read_only:
            return
        if file:
            self._work(f"editing {file}", lambda: self._edit(backend, stack, file))
        else:
            self._work(f"looking at the env files of {stack}", lambda: self._ask(backend, stack))

    async def _ask(self, backend: Backend, stack: str) -> None:
        report = await backend.env_check(stack)
        self._choose(stack, [file.path for file in report.files])

    def _choose(self, stack: str, paths: list[str]) -> None:
        if len(paths) == 1:
            self.edit(stack, paths[0])
            return
        if not paths or len(paths) > 4:
            self._app.toast(f"which file? env edit {stack} FILE" if paths else f"{stack} has no env files")
            return
        choices = [Choice(f"{at}", path.rpartition("/")[2]) for at, path in enumerate(paths)]
        rows: list[Line] = [((path, ""),) for path in paths]

        def answered(answer: str | None) -> None:
            if answer is not None and answer.isdigit():
                self.edit(stack, paths[int(answer)])

        self._app.push_screen(Confirm(f"Edit which env file of {stack}?", rows, choices), answered)

    async def _edit(self, backend: Backend, stack: str, file: str) -> None:
        status = await away(self._app, lambda: backend.env_edit(stack, file), "vpai-tui env STACK edit")
        if status:
            raise OperatorError(
                f"the editor ended with status {status}", step="env edit", remedy="nothing else was done"
            )
        try:
            plan = await backend.plan(stack)
            told = _rows("ok" if plan.empty else "warn", f"a deploy would now: {plan.summary}")
        except OperatorError as error:
            told = _rows("error", f"a deploy would now be refused: {error}")
        await self._check(backend, stack, (told,))

    def _backend(self, stack: str) -> Backend | None:
        if not stack:
            self._app.toast("env: this row belongs to no stack of ours", severity="warning")
            return None
        return self._context.backend


def _rows(severity: str, text: str) -> Line:
    glyph, role = _ROLES[severity]
    return ((f"{glyph} ", role), (text, ""))


def _report_rows(report: EnvReport) -> list[Line]:
    rows: list[Line] = []
    for severity, text in report_lines(report):
        indent = "  " if text.startswith(" ") else ""
        glyph, role = _ROLES[severity]
        for at, piece in enumerate(wrap(text.strip(), 56)):
            rows.append(((f"{indent}{glyph if not at else ' '} ", role), (piece, "dim" if indent else "")))
    return rows


def _plan_rows(plan: EnvPlan) -> list[Line]:
    lines = [line for step in plan.steps for line in step_lines(step)]
    rows: list[Line] = [
        ((f"{'  ' if line.startswith(' ') and at else ''}{piece}", "dim" if line.startswith(" ") else ""),)
        for line in lines
        for at, piece in enumerate(wrap(line, 60))
    ]
    rows = _cut(rows, plan.stack)
    return [*rows, *(((piece, "error"),) for piece in wrap(warning(plan), 60))] if plan.confirm_word else rows


def _cut(rows: list[Line], stack: str) -> list[Line]:
    if len(rows) <= _ROWS:
        return rows
    return [*rows[: _ROWS - 1], ((f"… {len(rows) - _ROWS + 1} more: vpai-tui env {stack} check", "dim"),)]
