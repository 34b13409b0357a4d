"""Blocking calls in threads of their own: one that hangs takes no turn from another, and never holds up the exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")


class Threads(ThreadPoolExecutor):
    """An executor without a pool: as many daemon threads as there are calls.

    A pool has a handful of threads, and a name server or an engine that does not answer would occupy them for all
    hosts; the interpreter also waits for a pool's threads before it ends.
    """

    def __init__(self, name: str = "blocking") -> None:
        super().__init__(max_workers=1)  # never used: asyncio takes nothing but a ThreadPoolExecutor
        self._name = name

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Starts `fn` in a thread at once."""
        future: Future[_T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # handed over to whoever waits, as an executor does
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, **_: Any) -> None:
        """Waits for nobody."""


def use_threads() -> None:
    """Has the running loop do what blocks (names looked up, files read) in `Threads`."""
    asyncio.get_running_loop().set_default_executor(Threads())
