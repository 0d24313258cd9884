"""Durations of operations, in seconds, as far as the records tell.

They have how much of a lease was on each host, not which node: where the order of the
nodes matters there are a least and a most, which are equal in the common cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from haizea.checker.records import Capacity, Lease, Options, RatesChange, Records

_AS_CONFIGURED = RatesChange(0, None, None)


class Range(NamedTuple):
    """From ``least`` to ``most`` seconds, both possible."""

    least: int
    most: int

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


def per_vm(seconds: int | None, memory_mb: int, rate: float, overhead: int) -> int:
    """To suspend or resume one VM."""
    return (ceil(memory_mb / Fraction(repr(rate))) if seconds is None else seconds) + overhead


def suspend_seconds(
    records: Records, lease: Lease, use: Mapping[int, Capacity], start: int
) -> Range:
    """To suspend the lease on these hosts from ``start`` on."""
    override, rate = records.options.override_suspend, records.options.suspend_rate
    return _seconds(records, lease, use, start, override, lambda known: known.suspend or rate)


def resume_seconds(
    records: Records, lease: Lease, use: Mapping[int, Capacity], start: int
) -> Range:
    """To resume the lease on these hosts from ``start`` on."""
    override, rate = records.options.override_resume, records.options.resume_rate
    return _seconds(records, lease, use, start, override, lambda known: known.resume or rate)


def _seconds(
    records: Records,
    lease: Lease,
    use: Mapping[int, Capacity],
    start: int,
    override: int | None,
    rate_of: Callable[[RatesChange], float],
) -> Range:
    """To save or restore a lease; of hosts with several known rates, the slowest governs."""
    if not records.rates:
        return _lease_seconds(records, lease, use, override, rate_of(_AS_CONFIGURED))
    known = {host: _known(records, host, lease.submitted, start) for host in use}
    rates = {host: [rate_of(change) for change in changes] for host, changes in known.items()}
    fastest = max(max(known) for known in rates.values())
    slowest = min(min(known) for known in rates.values())
    least = _lease_seconds(records, lease, use, override, fastest).least
    most = _lease_seconds(records, lease, use, override, slowest).most
    if records.memory is None or override is not None:
        return Range(least, most)
    alone = [
        capacity[records.memory] / Fraction(repr(max(rates[host])))
        for host, capacity in use.items()
    ]
    together = sum(alone) if records.options.global_exclusion else max(alone)
    return Range(max(least, ceil(together)), most)


def _known(records: Records, host: int, since: int, until: int) -> list[RatesChange]:
    """The rates of a host by which a plan can go that was made between these moments."""
    found = [_AS_CONFIGURED]
    for change in records.rates.get(host, ()):
        if change.time < since:
            found = [change]
        elif change.time <= until:
            found.append(change)
    return found


def _lease_seconds(
    records: Records,
    lease: Lease,
    use: Mapping[int, Capacity],
    override: int | None,
    rate: float,
) -> Range:
    overhead = records.options.enactment_overhead
    memory = records.memory
    times = [
        (s.count, per_vm(override, 0 if memory is None else s.capacity[memory], rate, overhead))
        for s in lease.node_sets
    ]
    serial = sum(count * seconds for count, seconds in times)
    if records.options.global_exclusion or len(use) == 1:
        return Range(serial, serial)
    longest = max(seconds for _, seconds in times)
    last_command = (lease.nodes - 1) * overhead
    if len({seconds for _, seconds in times}) == 1:
        counts = _counts(lease, use, memory if override is None else None)
        if counts is not None:
            most_on_one = max(counts)
            least = max(most_on_one * longest, last_command + longest)
            return Range(least, (lease.nodes - most_on_one) * overhead + most_on_one * longest)
    least = max(longest, last_command + min(seconds for _, seconds in times))
    if override is None and memory is not None:
        least = max([least, *(ceil(c[memory] / Fraction(repr(rate))) for c in use.values())])
    return Range(least, max(serial, least))


def _counts(lease: Lease, use: Mapping[int, Capacity], memory: int | None) -> list[int] | None:
    """Return the number of nodes on each host; ``None`` if that cannot be told."""
    if len(lease.node_sets) == 1:
        node = lease.node_sets[0].capacity
        kind = next(i for i, amount in enumerate(node) if amount)
    elif memory is not None and lease.node_sets[0].capacity[memory]:
        node, kind = lease.node_sets[0].capacity, memory
        if len({s.capacity[memory] for s in lease.node_sets}) > 1:
            return None
    else:
        return None
    counts = [capacity[kind] // node[kind] for capacity in use.values()]
    return counts if counts and sum(counts) == lease.nodes else None


def threshold(options: Options, suspend: int, resume: int) -> int:
    """The least running time worth starting for."""
    if options.force_threshold is not None:
        return options.force_threshold
    return ceil((suspend + resume) * (1 + Fraction(repr(options.threshold_factor))))


def shutdown_seconds(
    options: Options, nodes: int, left: int, learned_seconds: int | None = None
) -> int:
    """To shut down nodes of a lease of which so much is left, of which 1 s is kept.

    What was learned is planned, but for no more than half of that, unless the options ask for it.
    """
    commands = options.enactment_overhead * nodes
    seconds = options.shutdown_seconds + commands
    if learned_seconds is not None:
        seconds = min(learned_seconds + commands, max(seconds, left // 2))
    return max(min(seconds, left - 1), 0)


def shutdown_range(options: Options, nodes: int, left: int, learned: Iterable[int]) -> Range:
    """To shut down with each of the times that were learned meanwhile, and with none."""
    found = [shutdown_seconds(options, nodes, left, one) for one in (None, *learned)]
    return Range(min(found), max(found))


def transfer_seconds(options: Options, size_mb: int) -> int:
    """To send so much over the link."""
    return -(-size_mb * 8 // options.bandwidth)


def image_seconds(options: Options, size_mb: int) -> int:
    """To send an image once."""
    if options.force_transfer is not None:
        return options.force_transfer
    return transfer_seconds(options, size_mb)


def migration_seconds(
    records: Records,
    lease: Lease,
    sources: Mapping[int, Capacity],
    targets: Mapping[int, Capacity],
) -> Range:
    """To move the lease between these hosts.

    Least: the host with most to send and receive does that alone; most: all nodes move,
    one after another.
    """
    options, memory = records.options, records.memory
    if options.migration != "yes":
        return Range(0, 0)
    image = lease.image_mb if options.images_managed else 0
    sizes = [(s, (0 if memory is None else s.capacity[memory]) + image) for s in lease.node_sets]
    most = sum(s.count * transfer_seconds(options, size) for s, size in sizes)
    node, size = sizes[0][0].capacity, sizes[0][1]
    if len(sizes) > 1 or not any(node):
        return Range(0, most)
    kind = next(i for i, amount in enumerate(node) if amount)
    nothing = (0,) * len(node)
    moved = [
        abs(targets.get(h, nothing)[kind] - sources.get(h, nothing)[kind]) // node[kind]
        for h in {*sources, *targets}
    ]
    return Range(transfer_seconds(options, size * max(moved, default=0)), most)
