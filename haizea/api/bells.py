"""Waking those who wait for the next turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Bells:
    """A bell for each event stream; one call from any thread rings them all."""

    def __init__(self) -> None:
        self._bells: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        #: How many tokens were revoked: a stream whose token is no longer good ends at once.
        self.revocations = 0

    def revoked(self) -> None:
        """Wake all, as a token was revoked. In the event loop's thread."""
        self.revocations += 1
        self._ring()

    def bind(self) -> None:
        """The event loop that runs now is that of all who wait."""
        self._loop = asyncio.get_running_loop()

    def ring(self) -> None:
        """Wake all. From any thread, at any time, even when the event loop is over."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._ring)
        except RuntimeError:
            return

    async def ring_when(self, closing: asyncio.Event) -> None:
        """Wake all at the end."""
        await closing.wait()
        self._ring()

    def _ring(self) -> None:
        for bell in self._bells:
            bell.set()

    @contextmanager
    def bell(self) -> Iterator[asyncio.Event]:
        """A bell of one's own, for as long as it is wanted."""
        own = asyncio.Event()
        self._bells.add(own)
        try:
            yield own
        finally:
            self._bells.discard(own)
