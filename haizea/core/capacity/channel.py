"""Something that serves one at a time: the image repository's link, a shared file system."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from haizea.core.model.resources import FOREVER


class Channel:
    """Busy intervals that never overlap, in order."""

    __slots__ = ("busy",)

    def __init__(self) -> None:
        #: When it is reserved, in order.
        self.busy: list[tuple[int, int]] = []

    def reserve(self, start: int, end: int) -> None:
        """Take ``[start, end)``, which is free. An empty interval takes nothing."""
        if start < end:
            insort(self.busy, (start, end))

    def release(self, start: int, end: int) -> None:
        """Give back ``[start, end)``, as it was reserved; what is forgotten already is no error."""
        i = bisect_left(self.busy, (start, end))
        if i < len(self.busy) and self.busy[i] == (start, end):
            del self.busy[i]

    def earliest(self, length: int, start: int) -> int:
        """The first moment from ``start`` on from which it is free for ``length``. O(intervals)."""
        moment = start
        for i in range(self._first_ending_after(start), len(self.busy)):
            begins, ends = self.busy[i]
            if begins >= moment + length:
                break
            moment = max(moment, ends)
        return moment

    def latest(self, length: int, end: int, not_before: int) -> int | None:
        """The last moment from which it is free for ``length``, over by ``end``.

        ``None`` if there is none from ``not_before`` on. O(intervals).
        """
        moment = end - length
        for i in range(bisect_right(self.busy, (end, FOREVER)) - 1, -1, -1):
            begins, ends = self.busy[i]
            if ends <= moment:
                break
            if begins < moment + length:
                moment = begins - length
            if moment < not_before:
                return None
        return moment if moment >= not_before else None

    def forget(self, now: int) -> None:
        """Drop what is over."""
        while self.busy and self.busy[0][1] <= now:
            del self.busy[0]

    def fork(self) -> Channel:
        """An independent copy."""
        twin = Channel()
        twin.busy = self.busy.copy()
        return twin

    def check(self) -> None:
        """Assert that no two intervals overlap."""
        for (_, end), (start, _) in zip(self.busy, self.busy[1:], strict=False):
            assert end <= start, "two at once"

    def _first_ending_after(self, time: int) -> int:
        i = bisect_right(self.busy, (time, FOREVER))
        return i - 1 if i and self.busy[i - 1][1] > time else i
