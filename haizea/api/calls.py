"""Getting answers from the manager without holding up the event loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

#: On whose behalf something is asked; empty where nobody's share counts.
ASKING: ContextVar[str] = ContextVar("asking", default="")

#: So long a store that was away may need to be back, and so often it is looked at.
_HOPE_SECONDS = 3.0
_LOOK_SECONDS = 1.0

P = ParamSpec("P")
T = TypeVar("T")


class Calls:
    """A bounded number of threads that ask on behalf of the event loop.

    One owner has at most ``own`` of them at once; others do not wait behind that one's calls.
    """

    def __init__(self, name: str, threads: int, own: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"api-{name}")
        self._own = own
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._asking: Counter[str] = Counter()

    async def __call__(self, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``ask`` answers, or raise what it raises, in one of the threads."""
        loop = asyncio.get_running_loop()
        async with self._turn(ASKING.get()):
            return await loop.run_in_executor(self._pool, lambda: ask(*args, **kwargs))

    @asynccontextmanager
    async def _turn(self, owner: str) -> AsyncIterator[None]:
        """Wait until the owner may have another thread."""
        if self._own is None or not owner:
            yield
            return
        turn = self._turns.setdefault(owner, asyncio.Semaphore(self._own))
        self._asking[owner] += 1
        try:
            async with turn:
                yield
        finally:
            self._asking[owner] -= 1
            if not self._asking[owner]:
                del self._asking[owner], self._turns[owner]

    def close(self) -> None:
        """Begin nothing more. What is under way is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def heard(task: asyncio.Task[Any]) -> None:
    """Be done with a task for which nobody may wait any more; Python warns of what nobody asks."""
    if not task.cancelled():
        task.exception()


class Closing(Exception):
    """The service ends before the answer is there."""


async def settled(
    future: Future[T],
    seconds: float,
    closing: asyncio.Event,
    hopeless: Callable[[], bool] = lambda: False,
) -> T:
    """The result of ``future``, which stays untouched whatever becomes of the one who waits.

    Raises :class:`TimeoutError` after so many seconds, and after a few where it is ``hopeless``
    to wait; :class:`Closing` soon after the service begins to end; and what the future holds.
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
        began = loop.time()
        came: set[asyncio.Task[bool | None]] = set()
        while not came and (left := began + seconds - loop.time()) > 0:
            if loop.time() >= began + _HOPE_SECONDS and hopeless():
                break
            came, _ = await asyncio.wait(
                waits, timeout=min(left, _LOOK_SECONDS), return_when=asyncio.FIRST_COMPLETED
            )
    finally:
        for wait in waits:
            wait.cancel()
    if future.done():
        return future.result()
    raise Closing if closing.is_set() else TimeoutError
