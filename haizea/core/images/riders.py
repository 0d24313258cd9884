"""Leases whose images come by one transfer, each with the hosts that it is to reach for it."""

from __future__ import annotations

from haizea.core.model.hosts import HostSet, hosts_in

#: Hosts by lease.
Riders = dict[int, HostSet]


def by_lease(riders: Riders) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return the hosts of each lease as a record has them."""
    return tuple((lease, tuple(hosts_in(riders[lease]))) for lease in sorted(riders))


def by_hosts(riders: Riders) -> list[tuple[HostSet, set[int]]]:
    """Leases by where their images go: on the same hosts they have one copy together."""
    found: dict[HostSet, set[int]] = {}
    for lease_id, hosts in sorted(riders.items()):
        found.setdefault(hosts, set()).add(lease_id)
    return list(found.items())


def hand_on(riders: Riders, relying: Riders, hosts: HostSet) -> list[tuple[int, HostSet]]:
    """Let leases that rely on a transfer to ``hosts`` have it as their own; answers which."""
    joined: list[tuple[int, HostSet]] = []
    for other, wanted in sorted(relying.items()):
        given = wanted & hosts
        if given:
            riders[other] = riders.get(other, 0) | given
            relying[other] = wanted & ~given
            hosts &= ~given
            joined.append((other, given))
        if not relying[other]:
            del relying[other]
    return joined
