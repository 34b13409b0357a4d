"""What the command line and the screens do with the env files of stacks, behind one object."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence

from vpai_tui.clock import Clock, rfc3339
from vpai_tui.deploy.envfiles import EnvReport, check, choose
from vpai_tui.deploy.envinit import EnvDone, EnvPlan, init, plan_init
from vpai_tui.deploy.envwanted import WantedFile, wanted_files
from vpai_tui.errors import LinkLost, OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.history import Entry, History, who
from vpai_tui.fleet.stacks import Stack, find_stack
from vpai_tui.remote.connection import Connection
from vpai_tui.remote.terminal import interactive

_NO_EDITOR = 127
# The host's own choice first; a name may have arguments behind it.
_EDITOR = (
    'for e in "${SUDO_EDITOR:-}" "${VISUAL:-}" "${EDITOR:-}" editor nano vim vi; do '
    'if [ -n "$e" ] && command -v "${e%% *}" >/dev/null 2>&1; then printf %s "$e"; exit 0; fi; done; '
    f"exit {_NO_EDITOR}"
)
_WAIT = 's=$?; if [ "$s" != 0 ]; then printf "\\nEnter goes back to the cockpit. "; read -r _; fi; exit "$s"'


class EnvKeeper:
    """Checks, writes and edits env files. `connections` gives the live connection of a host."""

    def __init__(
        self,
        stacks: Sequence[Stack],
        connections: Callable[[str], Awaitable[Connection]],
        clock: Clock,
        history: History,
    ) -> None:
        self._stacks = stacks
        self._connections = connections
        self._clock = clock
        self._history = history
        self._by = who()

    def files(self, stack: str, root: str) -> tuple[str, ...]:
        """The paths of a stack's env files on a host with this root."""
        return tuple(file.path for file in wanted_files(find_stack(self._stacks, stack), root.rstrip("/")))

    async def check(self, stack: str, only: str | None = None) -> EnvReport:
        """What the env files of a stack lack; changes nothing."""
        found = find_stack(self._stacks, stack)
        return await check(await self._connections(found.host), found, self._stacks, only)

    async def plan(self, stack: str, only: str | None = None) -> EnvPlan:
        """What `init` would write; see `plan_init` for what it raises."""
        found = find_stack(self._stacks, stack)
        connection = await self._connections(found.host)
        report = await check(connection, found, self._stacks, only)
        return plan_init(report, found, connection.host.root.rstrip("/"), only)

    async def init(self, plan: EnvPlan) -> EnvDone:
        """Carries a plan out and writes it, names only, into the laptop's journal."""
        found = find_stack(self._stacks, plan.stack)
        result, detail = "failed", ""
        try:
            done = await init(await self._connections(found.host), found, plan, self._by)
            result = "done"
            words = [f"generated {key}" for _, key, how in done.made if how == "generate"]
            detail = "; ".join([*done.wrote, *words])
        except LinkLost as error:
            result, detail = "unknown", error.message
            raise
        except OperatorError as error:
            detail = error.message
            raise
        finally:
            self._record(found, "env init", result, detail)
        return done

    async def edit(self, stack: str, only: str | None = None, *, wait: bool = False) -> tuple[str, int]:
        """Opens one env file in the host's editor, on this process's terminal; its path and the editor's status.

        `wait`: when it fails, what it said stays until Enter.

        Raises:
            UsageError: which file is not clear, or there is no terminal here.
            PreflightRefused: the file or an editor is missing on the host.
            LinkLost: nothing was saved but what the editor had saved when the link went.
        """
        found = find_stack(self._stacks, stack)
        connection = await self._connections(found.host)
        path = _one(wanted_files(found, connection.host.root.rstrip("/")), only, found.id).path
        await self._there(connection, found, path)
        command = _edit_command(connection, await _editor(connection), path, wait=wait)
        result = "unknown"
        try:
            status = await interactive(connection, command, label=f"edit {path}")
            result = "done" if status == 0 else f"the editor ended with status {status}"
        except LinkLost as error:
            error.remedy = (
                f"look at the host: `vpai-tui env {found.id} check`. An editor that lost its terminal may have left "
                "a copy of what was not saved (vim: recover, sudoedit: in /var/tmp)"
            )
            raise
        finally:
            self._record(found, "env edit", result, path)
        return path, status

    async def _there(self, connection: Connection, stack: Stack, path: str) -> None:
        done = await connection.run(["test", "-f", path], root=True, check=False, label=f"test -f {path}")
        if done.exit_status:
            raise PreflightRefused(
                f"{path} is missing", host=stack.host, remedy=f"`vpai-tui env {stack.id} init` writes it"
            )

    def _record(self, stack: Stack, what: str, result: str, detail: str) -> None:
        at = rfc3339(self._clock.now())
        self._history.append(Entry(at, self._by, stack.host, what, stack.id, result, detail))


def _one(files: Sequence[WantedFile], only: str | None, stack: str) -> WantedFile:
    if only is None and len(files) != 1:
        known = ", ".join(file.path for file in files) or "none"
        raise UsageError(f"{stack}: which env file?", remedy=f"it has: {known}")
    return choose(files, only, stack) if only is not None else files[0]


async def _editor(connection: Connection) -> str:
    """The editor the host would take, as words. Raises PreflightRefused when it has none."""
    done = await connection.run(["sh", "-c", _EDITOR], check=False, label="look for an editor")
    if done.exit_status == _NO_EDITOR:
        raise PreflightRefused(
            "no editor is on the host: none of $SUDO_EDITOR, $VISUAL, $EDITOR, editor, nano, vim, vi",
            host=connection.name,
            remedy="install one there, such as nano",
        )
    if done.exit_status:
        raise connection.failed("look for an editor", done)
    return done.text


def _edit_command(connection: Connection, editor: str, path: str, *, wait: bool) -> list[str]:
    """`sudoedit` where sudo is used: the editor runs as the login user, and the file stays root's with mode 0600."""
    if connection.host.sudo:
        words = f"SUDO_EDITOR={shlex.quote(editor)} sudo -n -e -- {shlex.quote(path)}"
    else:
        words = f"{editor} {shlex.quote(path)}"
    return ["sh", "-c", f"{words}; {_WAIT if wait else 'exit'}"]
