"""Limits on the operations of one host: how many at a time, and how far apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from haizea.backends.opennebula.enactment.outcomes import Limits
from haizea.backends.opennebula.model.vm import LcmState, VmState
from haizea.backends.opennebula.state.ledger import Ledger
from haizea.backends.opennebula.state.seen import SeenVms
from haizea.backends.opennebula.state.steps import Goal


def under_way(ledger: Ledger, known: SeenVms) -> Iterator[int]:
    """List the host of each operation that is under way."""
    for number in ledger.open:
        errand, seen = ledger.errands[number], known.get(number)
        if errand.verb is None and (seen is None or seen.vm.state != VmState.ACTIVE):
            continue
        if seen is not None and errand.verb is None and seen.vm.lcm_state == LcmState.RUNNING:
            continue
        where = errand.host if errand.next_goal is Goal.RUNNING else None
        if where is None and seen is not None:
            where = seen.vm.last_host_id
        if where is not None:
            yield where


class Throttle:
    """Counts the operations of each host; ``at`` is told a moment when more may be done."""

    def __init__(self, limits: Limits, at: Callable[[int], None]) -> None:
        self._limits = limits
        self._at = at
        self._last_sent: dict[int, int] = {}
        self._under_way: Counter[int] = Counter()

    def count(self, hosts: Iterable[int]) -> None:
        """Count anew: ``hosts`` has the host of each operation that is under way."""
        self._under_way = Counter(hosts)

    def note(self, now: int, host: int) -> None:
        """A command for a host is sent."""
        self._last_sent[host] = now
        self._under_way[host] += 1

    def may(self, now: int, host: int) -> bool:
        """Tell whether a host may be given one more command now."""
        if self._under_way[host] >= self._limits.per_host:
            return False
        last = self._last_sent.get(host)
        if last is not None and now < last + self._limits.apart_seconds:
            self._at(last + self._limits.apart_seconds)
            return False
        return True
