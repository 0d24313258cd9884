"""The order of what is to happen: the next thing of every plan, in the order of one instant."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from haizea.core.images.shipments import ImageTransfer
from haizea.core.placement.plan import Lease

#: At one instant, what ends comes before what starts.
END, START = 0, 1


class Agenda:
    """A queue of things that are due at some moment.

    What is due together goes by the leases' ids, transfers last: that does not depend on when plans
    were made, and so is the same after a restart. An entry is void once its subject's ``token`` has
    changed; that is how plans are changed without searching here.
    """

    __slots__ = ("_serial", "heap")

    def __init__(self) -> None:
        #: With what is void; whatever is due first stands first.
        self.heap: list[tuple[int, int, int, int, int, Lease | ImageTransfer]] = []
        self._serial = 0

    def add(self, time: int, rank: int, subject: Lease | ImageTransfer) -> None:
        """Something of ``subject`` ends (``END``) or starts (``START``) at ``time``."""
        self._serial += 1
        entry = (time, rank, subject.id, self._serial, subject.token, subject)
        heapq.heappush(self.heap, entry)

    def next_time(self) -> int | None:
        """Return when the next thing is due."""
        heap = self.heap
        while heap:
            time, _, _, _, token, subject = heap[0]
            if token == subject.token:
                return time
            heapq.heappop(heap)
        return None

    def due_before(self, now: int) -> Iterator[tuple[int, int, Lease | ImageTransfer]]:
        """Tell what was due before ``now``, in order: when, ``END`` or ``START``, of what. O(n).

        What is changed meanwhile is left out.
        """
        for time, rank, _, _, token, subject in sorted(e for e in self.heap if e[0] < now):
            if token == subject.token:
                yield time, rank, subject

    def pop(self, now: int) -> tuple[int, Lease | ImageTransfer] | None:
        """The next thing that is due by ``now``: ``END`` or ``START``, and of what."""
        heap = self.heap
        while heap and heap[0][0] <= now:
            _, rank, _, _, token, subject = heapq.heappop(heap)
            if token == subject.token:
                return rank, subject
        return None
