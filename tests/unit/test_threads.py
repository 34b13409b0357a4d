"""Blocking calls: none waits for another, and none is waited for at the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

from vpai_tui.remote.threads import use_threads


async def test_a_hundred_calls_that_hang_leave_a_thread_for_the_next() -> None:
    use_threads()
    never = threading.Event()
    hung = [asyncio.ensure_future(asyncio.to_thread(never.wait)) for _ in range(100)]
    await asyncio.sleep(0)
    assert await asyncio.to_thread(lambda: "answered") == "answered"
    assert not any(task.done() for task in hung)
    never.set()
    assert all(await asyncio.gather(*hung))


async def test_an_error_comes_back_as_itself() -> None:
    use_threads()
    try:
        await asyncio.to_thread(int, "x")
    except ValueError as error:
        assert "'x'" in str(error)


def test_the_program_ends_while_a_call_hangs() -> None:
    program = (
        "import asyncio, time\n"
        "from vpai_tui.remote.threads import use_threads\n"
        "async def main():\n"
        "    use_threads()\n"
        "    asyncio.ensure_future(asyncio.to_thread(time.sleep, 600))\n"
        "    await asyncio.sleep(0.1)\n"
        "asyncio.run(main())\n"
        "print('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("ended\n", 0), done.stderr
