"""Capacity that came free: what tells which waiting leases are worth another look.

A lease for which nothing was found before some moment finds something now only where
capacity was given back since: everything else was looked at, and can only have become less.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from haizea.core.model.hosts import HostSet

#: Capacity of ``hosts`` that was given back over ``[start, end)``.
Opening = tuple[int, int, HostSet]


class Spans:
    """Times in which capacity came free, put together where they overlap or touch."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, openings: Iterable[Opening], hosts: HostSet) -> None:
        """Take the times of those openings that concern ``hosts``. O(n log n)."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted((s, e) for s, e, opened in openings if opened & hosts):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    @property
    def end(self) -> int:
        """The end of the last span; 0 where there is none."""
        return self._ends[-1] if self._ends else 0

    def overlap(self, start: int, end: int) -> bool:
        """Tell whether some span overlaps ``[start, end)``. O(log n)."""
        i = bisect_left(self._starts, end) - 1
        return i >= 0 and self._ends[i] > start


class Openings:
    """A list of what was given back since somebody began to listen; empty where nobody does."""

    __slots__ = ("heard",)

    def __init__(self) -> None:
        #: In the order in which it came free; ``None`` where nobody listens.
        self.heard: list[Opening] | None = None

    def __len__(self) -> int:
        return len(self.heard) if self.heard is not None else 0

    def add(self, start: int, end: int, hosts: HostSet) -> None:
        """Capacity of ``hosts`` was given back over ``[start, end)``."""
        if self.heard is not None:
            self.heard.append((start, end, hosts))

    def listen(self) -> bool:
        """Keep what is given back from now on; whether nobody has listened before."""
        if self.heard is not None:
            return False
        self.heard = []
        return True

    def rest(self) -> None:
        """Listen no more, and forget what was heard."""
        self.heard = None

    def since(self, known: int) -> list[Opening]:
        """Return what came after the first ``known``."""
        assert self.heard is not None, "somebody listens"
        return self.heard[known:]

    def forget(self, known: int) -> None:
        """Forget the first ``known``."""
        assert self.heard is not None, "somebody listens"
        del self.heard[:known]

    def hush(self) -> list[Opening] | None:
        """Hear nothing until :meth:`hear_on` has what this answers."""
        heard, self.heard = self.heard, None
        return heard

    def hear_on(self, heard: list[Opening] | None) -> None:
        """Go on listening, if anybody did."""
        self.heard = heard
