"""Capacity that came free: what tells which waiting leases are worth another look.

A lease for which nothing was found before some moment finds something now only where
capacity was given back since: everything else was looked at, and can only have become less.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate
from operator import itemgetter, or_

from haizea.core.model.hosts import HostSet

#: Capacity of ``hosts`` that was given back over ``[start, end)``.
Opening = tuple[int, int, HostSet]


class Spans:
    """Capacity that came free: the times and hosts together."""

    __slots__ = ("_begun", "_by_end", "_by_start", "_ends", "_hosts", "_lasting", "_starts")

    def __init__(self, openings: Iterable[Opening], hosts: HostSet) -> None:
        """Take those openings that concern ``hosts``. O(n log n)."""
        self._hosts = hosts
        found = [(start, end, opened & hosts) for start, end, opened in openings if opened & hosts]
        found.sort(key=itemgetter(0))
        self._starts = [start for start, _, _ in found]
        self._by_start = [opened for _, _, opened in found]
        #: ``_begun[i]`` are the hosts of the first ``i`` to begin.
        self._begun = list(accumulate(self._by_start, or_, initial=0))
        found.sort(key=itemgetter(1), reverse=True)
        #: The ends, latest first, as negative numbers; ``_lasting`` is to them as ``_begun`` is.
        self._ends = [-end for _, end, _ in found]
        self._by_end = [opened for _, _, opened in found]
        self._lasting = list(accumulate(self._by_end, or_, initial=0))

    def add(self, opening: Opening) -> None:
        """Take one opening more. O(n)."""
        start, end, opened = opening
        opened &= self._hosts
        if opened:
            _put_in(self._starts, self._by_start, self._begun, start, opened)
            _put_in(self._ends, self._by_end, self._lasting, -end, opened)

    def drop(self, opening: Opening) -> None:
        """Leave out one of the openings. O(n)."""
        start, end, opened = opening
        opened &= self._hosts
        if opened:
            _take_out(self._starts, self._by_start, self._begun, start, opened)
            _take_out(self._ends, self._by_end, self._lasting, -end, opened)

    @property
    def end(self) -> int:
        """The end of the last span; 0 where there is none."""
        return -self._ends[0] if self._ends else 0

    def opened(self, start: int, end: int) -> HostSet:
        """Return the hosts of which capacity came free within ``[start, end)``, and maybe others.

        Others are hosts where some came free before it and some behind it. O(log n).
        """
        begun = self._begun[bisect_left(self._starts, end)]
        return begun & self._lasting[bisect_left(self._ends, -start)]


def _put_in(
    moments: list[int], each: list[HostSet], together: list[HostSet], moment: int, hosts: HostSet
) -> None:
    """Put hosts in at a moment; ``together`` has those of the first ones."""
    place = bisect_right(moments, moment)
    moments.insert(place, moment)
    each.insert(place, hosts)
    together[place:] = accumulate(each[place:], or_, initial=together[place])


def _take_out(
    moments: list[int], each: list[HostSet], together: list[HostSet], moment: int, hosts: HostSet
) -> None:
    """Take out what was put in."""
    place = each.index(hosts, bisect_left(moments, moment))
    del moments[place], each[place]
    together[place:] = accumulate(each[place:], or_, initial=together[place])


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

    def between(self, first: int, last: int) -> list[Opening]:
        """Return what came after the first ``first``, up to the first ``last``."""
        assert self.heard is not None, "somebody listens"
        return self.heard[first:last]

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
