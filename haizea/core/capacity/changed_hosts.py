"""Hosts of which the holds changed, for those who keep what they found of them."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Final

from haizea.core.model.hosts import EVERYWHERE, HostSet

#: Of so many changes it is known which hosts they concern.
_MOST: Final = 512


class ChangedHosts:
    """A list of changes, by number; nothing is listed until somebody asks for the first time."""

    __slots__ = ("_forgotten", "_listed", "is_followed")

    def __init__(self) -> None:
        #: True once somebody wants changes to be noted.
        self.is_followed = False
        self._listed: list[HostSet] = []
        self._forgotten = 0

    def note(self, hosts: HostSet) -> None:
        """Note that the holds on these hosts change."""
        if len(self._listed) >= _MOST:
            half = _MOST // 2
            del self._listed[:half]
            self._forgotten += half
        self._listed.append(hosts)

    def follow(self) -> int:
        """Return how many changes there were so far, to ask later what came after these."""
        self.is_followed = True
        return self._forgotten + len(self._listed)

    def since(self, known: int) -> HostSet:
        """Return the hosts that changed after the first ``known`` changes, or all if unknown."""
        first = known - self._forgotten
        return reduce(or_, self._listed[first:], 0) if first >= 0 else EVERYWHERE
