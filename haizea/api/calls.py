"""Getting answers from the manager without holding up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Calls:
    """A bounded number of threads that ask on behalf of the event loop."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"api-{name}")

    async def __call__(self, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``ask`` answers, or raises, in one of the threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: ask(*args, **kwargs))

    def close(self) -> None:
        """Begin nothing more. What is under way is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Closing(Exception):
    """The service ends before the answer is there."""


async def settled(future: Future[T], seconds: float, closing: asyncio.Event) -> T:
    """The result of ``future``, which stays untouched whatever becomes of the one who waits.

    Raises :class:`TimeoutError` after so many seconds, :class:`Closing` soon after the
    service begins to end, and what the future holds.
    """
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def tell(_: Future[T]) -> None:
        try:
            loop.call_soon_threadsafe(done.set)
        except RuntimeError:
            # The answer came after the event loop had ended: nobody waits for it any more.
            return

    future.add_done_callback(tell)
    waits = {asyncio.create_task(done.wait()), asyncio.create_task(closing.wait())}
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if future.done():
        return future.result()
    raise Closing if closing.is_set() else TimeoutError
