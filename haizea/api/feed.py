"""The latest events, read and written once for all who follow them."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from haizea.api.answers import EventOut
from haizea.api.calls import Calls, heard
from haizea.api.happenings import event_out
from haizea.api.manager import Manager

#: So many are kept; whoever is further behind reads for itself.
_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Line:
    """An event in the form of the stream, and whom it is about."""

    id: int
    lease: int | None
    owner: str | None
    text: str


def lines(
    manager: Manager, after: int, limit: int, lease: int | None, owner: str | None
) -> list[Line]:
    """Read the first ``limit`` events after one, as :meth:`Manager.events` has them."""
    events, site = manager.events(after, limit, lease, owner), manager.site
    return [Line(e.id, e.lease_id, e.owner, written_event(event_out(e, site))) for e in events]


def written_event(event: EventOut) -> str:
    """An event in the form of the stream."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n"


class Feed:
    """The latest events. Only the event loop's thread uses it; ``read`` has threads that ask.

    With a page open on many desks each event is read from the store once, not once for each.
    """

    def __init__(self, manager: Manager, read: Calls) -> None:
        self._manager = manager
        self._read = read
        self._lines: deque[Line] = deque()
        #: All events after the first of these and up to the second are there.
        self._since = self._last = 0
        self._reading: asyncio.Task[None] | None = None

    async def after(
        self, after: int, limit: int, lease: int | None, owner: str | None
    ) -> tuple[list[Line], int]:
        """Return the first ``limit`` events after one, and the last event that was looked at.

        Those of one lease, of one owner's leases, or all. Raises
        :class:`~haizea.api.manager.Unavailable`.
        """
        last = self._manager.last_event_id()
        while self._last < last:
            await self._catch_up()
        if after < self._since:
            found = await self._read(lines, self._manager, after, limit, lease, owner)
            return found, found[-1].id if found else last
        found = []
        for line in reversed(self._lines):
            if line.id <= after:
                break
            if lease in (None, line.lease) and owner in (None, line.owner):
                found.append(line)
        if len(found) > limit:
            found = found[-limit:]
            return found[::-1], found[0].id
        return found[::-1], max(after, self._last)

    async def _catch_up(self) -> None:
        """Read what is new; all who come meanwhile wait for the same.

        Not for one that is over: nothing waits for that, and so nobody else would get a turn.
        """
        reading = self._reading
        if reading is None or reading.done():
            reading = self._reading = asyncio.create_task(self._take())
            reading.add_done_callback(heard)
        await asyncio.shield(reading)

    async def _take(self) -> None:
        last = self._manager.last_event_id()
        if last - self._last > _KEPT:
            self._lines.clear()
            self._since = self._last = last
            return
        new = await self._read(lines, self._manager, self._last, _KEPT, None, None)
        self._lines.extend(new)
        self._last = max(last, new[-1].id if new else last)
        while len(self._lines) > _KEPT:
            self._since = self._lines.popleft().id
