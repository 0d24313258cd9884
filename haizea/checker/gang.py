"""Rule 5: all nodes of a lease start together, stop together, and none runs alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from haizea.checker.history import History, Phase
from haizea.checker.records import Capacity, Lease, copies, subtract
from haizea.checker.violation import Rule, Violation

_WHOLE = ("prepare", "run", "shutdown", "suspend", "resume")
#: They come before the run, the others after it.
_BEFORE = ("prepare", "resume")

#: So many ways to share out nodes of different sizes are tried, then it is left open.
_MOST_TRIES = 20_000


def gang(history: History) -> Iterator[Violation]:
    """Intervals, totals, and whether what each host holds is a number of whole nodes."""
    lease = history.lease
    broken = False
    for phases in history.phases.values():
        for phase in phases:
            for row in phase.odd:
                broken = True
                message = (
                    f"its {row.purpose} there is from {row.start} to {row.end},"
                    f" elsewhere from {phase.start} to {phase.end}"
                )
                yield _violation(history, row.host, row.start, message)
    if broken:
        return
    total = lease.total
    for purpose in _WHOLE:
        for phase in history.of_its_size(purpose):
            held = phase.total
            # What fails, or is preempted, in the moment it starts holds nothing.
            if held != total and phase.start < phase.end:
                broken = True
                message = f"its {purpose} holds {held} in all; its nodes ask for {total}"
                yield _violation(history, None, phase.start, message)
    if not broken:
        yield from _whole_nodes(history)
        yield from _same_hosts(history)


def _violation(history: History, host: int | None, time: int, message: str) -> Violation:
    if host not in history.records.hosts:
        host = None
    return Violation(Rule.GANG, history.lease.id, host, time, message)


def _whole_nodes(history: History) -> Iterator[Violation]:
    right: set[Capacity] = set()
    for phase in history.of_its_size("run"):
        if len(history.lease.node_sets) == 1 and right.issuperset(phase.use.values()):
            continue  # the same as before
        for host, held in phase.use.items():
            if held in right:
                continue
            if not _is_sum(history.lease, held):
                message = f"it holds {held} there, which is not a multiple of its nodes"
                yield _violation(history, host, phase.start, message)
                return
            right.add(held)
        if not _shareable(history.lease, phase.use):
            message = "its nodes cannot be shared out to what it holds on the hosts"
            yield _violation(history, None, phase.start, message)
            return


def _is_sum(lease: Lease, held: Capacity) -> bool:
    """Tell whether some of its nodes together hold exactly so much."""
    sets = lease.node_sets
    if len(sets) == 1:
        node = sets[0].capacity
        count = copies(node, held)
        return count > 0 and tuple(count * amount for amount in node) == held
    return _shareable_from(lease, [held], exact=False)


def _shareable(lease: Lease, use: Mapping[int, Capacity]) -> bool:
    if len(lease.node_sets) == 1:
        return True
    return _shareable_from(lease, list(use.values()), exact=True)


def _shareable_from(lease: Lease, hosts: list[Capacity], *, exact: bool) -> bool:
    """Tell whether the nodes can be shared out so that the hosts hold exactly so much.

    ``exact``: all nodes, not only some. ``True`` also if that takes too long to find out.
    """
    nodes = [s.capacity for s in lease.node_sets]
    tries = 0
    dead: set[tuple[int, int, Capacity, tuple[int, ...]]] = set()
    # A state: host, node set to add from next, what the host still lacks, nodes left.
    stack = [(0, 0, hosts[0], tuple(s.count for s in lease.node_sets))]
    while stack:
        state = stack.pop()
        if state in dead:
            continue
        dead.add(state)
        tries += 1
        if tries > _MOST_TRIES:
            return True
        host, kind, lacking, left = state
        if not any(lacking):
            if host + 1 == len(hosts):
                if not exact or not any(left):
                    return True
                continue
            stack.append((host + 1, 0, hosts[host + 1], left))
            continue
        for k in range(kind, len(nodes)):
            rest = subtract(lacking, nodes[k])
            if left[k] and min(rest) >= 0:
                remaining = (*left[:k], left[k] - 1, *left[k + 1 :])
                stack.append((host, k, rest, remaining))
    return False


def _same_hosts(history: History) -> Iterator[Violation]:
    """Suspending, resuming and shutting-down VMs still hold what they hold.

    A run that is preempted in the moment in which it starts may be followed by another one, from
    nothing: what was resumed belongs to the first of them.
    """
    runs = history.phases.get("run", ())
    by_start = {p.start: p for p in runs if p.start < p.end}
    by_end = {p.end: p for p in runs if p.start < p.end}
    cut_short = {p.start: p for p in runs if p.start == p.end}
    for purpose in ("prepare", "suspend", "shutdown", "resume"):
        for phase in history.phases.get(purpose, ()):
            if purpose in _BEFORE:
                run = cut_short.get(phase.end) or by_start.get(phase.end)
            else:
                run = by_end.get(phase.start)
            host = _difference(run, phase) if run else None
            if host is not None:
                message = f"its {purpose} does not hold there what its run holds"
                yield _violation(history, host, phase.start, message)


def _difference(run: Phase, phase: Phase) -> int | None:
    for host in sorted({*run.use, *phase.use}):
        if run.use.get(host) != phase.use.get(host):
            return host
    return None
