"""Hosts that a lease was to have are given up for others only before it begins, and for good."""

from __future__ import annotations

from collections.abc import Iterator

from haizea.checker.history import History
from haizea.checker.records import Records
from haizea.checker.violation import Rule, Violation


def planned(records: Records, history: History) -> Iterator[Violation]:
    """Every change of planned hosts came in time, and the lease begins where it was to."""
    lease = history.lease
    changes = history.planned_hosts
    starts = [stretch for stretch in history.stretches if stretch.active is not None]
    for time, hosts in changes:
        if lease.fixed_hosts and not records.disturbed:
            message = "its hosts are planned anew, yet it asked for fixed ones"
            yield Violation(Rule.HOSTS, lease.id, None, time, message)
        if len(hosts) not in (counts := history.node_counts(time)):
            had = " or ".join(map(str, sorted(counts)))
            message = f"it has {had} nodes, and hosts are planned for {len(hosts)}"
            yield Violation(Rule.HOSTS, lease.id, None, time, message)
        if time < history.admitted:
            message = "its hosts are planned anew before it is asked for"
            yield Violation(Rule.HOSTS, lease.id, None, time, message)
        if any(s.start < time < s.end for s in starts) and not records.disturbed:
            message = "its hosts are planned anew while it is on them"
            yield Violation(Rule.HOSTS, lease.id, None, time, message)
    if not changes or records.disturbed or not starts:
        return
    first = starts[0]
    time, hosts = changes[-1]
    if time <= first.start and first.use and set(first.use) != set(hosts):
        message = "it begins on other hosts than were planned last"
        yield Violation(Rule.HOSTS, lease.id, None, first.start, message)
