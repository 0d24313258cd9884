"""Timelines for all who wait for one: who asks for the same at once shares one that is made.

They are made in a thread of their own. Pages ask for one after anything happened, all at the same
moment; in the threads that answer questions, the answer to a request for a lease would wait
behind them.
"""

from __future__ import annotations

import asyncio

from haizea.api.calls import Calls, heard
from haizea.api.manager import Manager
from haizea.api.timelines import Timelines, Told

_Key = tuple[int, int, str | None]


class Telling:
    """Tells timelines, asked in the event loop's thread; ``read`` has the thread that makes them.

    One owner has one made at a time, so that nobody waits for more than one of each other's.
    """

    def __init__(self, manager: Manager, timelines: Timelines, read: Calls) -> None:
        self._manager = manager
        self._timelines = timelines
        self._read = read
        #: Those that are asked for and not begun.
        self._waiting: dict[_Key, asyncio.Task[Told]] = {}

    async def told(self, start: int, end: int, owner: str | None) -> Told:
        """Return the timeline as ``owner`` may see it, with all that happened until now."""
        key = start, end, owner
        task = self._waiting.get(key)
        if task is None:
            task = self._waiting[key] = asyncio.create_task(self._take(key))
            task.add_done_callback(lambda made: self._made(key, made))
        return await asyncio.shield(task)

    def close(self) -> None:
        """Begin nothing more."""
        self._read.close()

    async def _take(self, key: _Key) -> Told:
        def make() -> Told:
            # Before it is read what happened last: whoever comes from now on may know of more.
            self._waiting.pop(key, None)
            return self._timelines.told(self._manager, *key)

        return await self._read(make)

    def _made(self, key: _Key, made: asyncio.Task[Told]) -> None:
        if self._waiting.get(key) is made:
            del self._waiting[key]
        heard(made)
