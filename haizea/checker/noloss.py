"""Rule 11: every request ends in a final state or waits for a stated reason; what can
never fit is rejected for that, at once."""

from __future__ import annotations

from collections.abc import Iterator

from haizea.checker.history import WAITING, History
from haizea.checker.hosts import HostTimes
from haizea.checker.records import BEST_EFFORT, FINAL, Capacity, Records, copies
from haizea.checker.violation import Rule, Violation

#: Where a lease that nothing is planned for can be. Images may be on their way, or there,
#: for hosts that it does not get.
_IDLE = frozenset({"Queued", "Suspended-Queued", "Preparing", "Ready"})

#: Why a best-effort lease is rejected rather than waits.
_NEVER_MAY_RUN = ("too-big", "nothing", "policy", "set-aside")


def may_wait_for_ever(records: Records, hosts: HostTimes) -> bool:
    """Tell whether a lease may still wait when there is nothing left to do.

    That is so where hosts are down or drained at the end, or held without end, or not all
    will do for some lease.
    """
    return (
        records.placed
        or records.endless
        or any(hosts.absent(host, records.ended) for host in records.hosts)
    )


def no_loss(records: Records, history: History, *, may_wait: bool) -> Iterator[Violation]:
    """Check what became of the lease, and why. ``may_wait``: :func:`may_wait_for_ever`."""
    lease, story = history.lease, history.story
    if not story:
        return  # the rule of the life cycle tells
    if lease.submitted > story[0].time or (
        records.options.simulated_clock and lease.submitted != story[0].time
    ):
        message = f"it becomes known then, though it was submitted at {lease.submitted}"
        yield _lost(history, story[0].time, message)
    if lease.state == "Rejected":
        yield from _rejected(history)
    elif lease.state not in FINAL:
        yield from _unfinished(records, history, may_wait=may_wait)


def _lost(history: History, time: int, message: str) -> Violation:
    return Violation(Rule.NO_LOSS, history.lease.id, None, time, message)


def _rejected(history: History) -> Iterator[Violation]:
    lease, last = history.lease, history.story[-1]
    if not last.code or not (last.reason or lease.reason):
        yield _lost(history, last.time, "it is rejected without a reason")
    elif last.time != history.admitted:
        message = f"it is rejected then, not when it was asked for at {history.admitted}"
        yield _lost(history, last.time, message)
    elif lease.kind == BEST_EFFORT and last.code not in _NEVER_MAY_RUN:
        yield _lost(history, last.time, f"it is rejected ({last.code}) rather than waits")


def _unfinished(records: Records, history: History, *, may_wait: bool) -> Iterator[Violation]:
    lease, last = history.lease, history.story[-1]
    fine = last.state in _IDLE and may_wait and lease.kind == BEST_EFFORT
    fine = fine or (last.state == "Active" and lease.duration is None)
    if records.carried_out and not fine:
        yield _lost(history, last.time, f"the run is complete, yet it is {last.state}")
    elif lease.requested_start is not None and lease.requested_start > records.ended:
        return  # all is there, and its start is still to come
    elif last.state in WAITING | _IDLE and not (lease.reason or last.reason):
        yield _lost(history, last.time, f"it is {last.state} without a reason")


class SiteSize:
    """Tells whether leases fit the site when it is empty. Remembers what it found out."""

    def __init__(self, records: Records) -> None:
        # A host whose first change is to be up may have been added then.
        self._grows = any(of[0].status == "up" for of in records.host_changes.values())
        self._hosts = [host.capacity for host in records.hosts.values()]
        self._copies: dict[Capacity, int] = {}
        self._total = tuple(sum(h[i] for h in self._hosts) for i in range(len(records.types)))

    def too_big(self, history: History) -> Iterator[Violation]:
        """Rejected as too big means too big for the empty site, and the other way round.

        So does rejected since a node asks for nothing.
        """
        lease = history.lease
        if self._grows or not history.story or history.host_rules:
            return
        last = history.story[-1]
        sets = lease.node_sets
        if not all(any(s.capacity) for s in sets):
            if last.state != "Rejected":
                message = "a node of it asks for nothing, but it is not rejected for that"
                yield _lost(history, history.admitted, message)
            return
        if last.code == "nothing":
            message = "it is rejected as asking for nothing, but each node asks for something"
            yield _lost(history, last.time, message)
        if last.state == "Rejected" and last.code == "too-big":
            if self._surely_fits(history):
                yield _lost(history, last.time, "it is rejected as too big, but fits the site")
            return
        if last.state == "Rejected" and last.code not in ("no-room", "no-time"):
            return
        short = any(self._room(s.capacity) < s.count for s in sets) or any(
            asked > there for asked, there in zip(lease.total, self._total, strict=True)
        )
        if short:
            message = "it can never fit the site, but is not rejected for that"
            yield _lost(history, history.admitted, message)

    def _room(self, node: Capacity) -> int:
        if node not in self._copies:
            self._copies[node] = sum(copies(node, host) for host in self._hosts)
        return self._copies[node]

    def _surely_fits(self, history: History) -> bool:
        sets = history.lease.node_sets
        if len(sets) == 1:
            return self._room(sets[0].capacity) >= sets[0].count
        free = [list(host) for host in self._hosts]
        for wanted in sorted(sets, key=lambda s: s.capacity, reverse=True):
            left = wanted.count
            for host in free:
                taken = min(left, copies(wanted.capacity, tuple(host)))
                for i, amount in enumerate(wanted.capacity):
                    host[i] -= taken * amount
                left -= taken
            if left:
                return False
        return True
