"""Operations that have started and not ended: what an interruption cuts short."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from haizea.accounting.leases import LeaseRecord
from haizea.core.model.allocation import Use
from haizea.core.model.events import OperationEnded, OperationStarted, Purpose
from haizea.core.model.hosts import Host
from haizea.core.model.resources import Capacity, add

#: Purposes whose reservations hold, on each host, what the lease's nodes there ask for.
HOLDING = frozenset(Purpose) - {Purpose.TRANSFER, Purpose.OUTAGE}


class UnderWay:
    """The operations under way, by lease, purpose and start."""

    __slots__ = ("_operations",)

    def __init__(self) -> None:
        self._operations: dict[tuple[int, Purpose, int], list[OperationStarted]] = {}

    def started(self, operation: OperationStarted) -> None:
        """Note that it is under way from now on."""
        key = (operation.lease_id, operation.purpose, operation.time)
        self._operations.setdefault(key, []).append(operation)

    def ended(self, operation: OperationEnded) -> None:
        """Note that it is over. One whose start was not told is passed over."""
        key = (operation.lease_id, operation.purpose, operation.start)
        same = self._operations.get(key)
        if same is None:
            return
        if operation.purpose is Purpose.OUTAGE:
            self._back_in_use(key, [host for host, _ in operation.use])
            return
        if len(same) == 1:
            del self._operations[key]
            return
        # Several transfers of one lease may start at once: this is the one to these hosts.
        hosts = {host for host, _ in operation.use}
        for i, candidate in enumerate(same):
            if hosts == set(candidate.hosts):
                del same[i]
                break
        else:
            del same[0]

    def _back_in_use(self, key: tuple[int, Purpose, int], hosts: Container[int]) -> None:
        """Note that these hosts are in use again, however many went out of it at once."""
        left = [
            outage._replace(hosts=rest)
            for outage in self._operations.pop(key)
            if (rest := tuple([host for host in outage.hosts if host not in hosts]))
        ]
        if left:
            self._operations[key] = left

    def cut(
        self,
        end: int,
        leases: Mapping[int, LeaseRecord],
        hosts: Mapping[int, Host],
        nothing: Capacity,
    ) -> Iterator[OperationEnded]:
        """Each operation as if it ended at ``end``, in the order in which they started.

        ``leases`` are those that have not ended, the others hold ``nothing``.
        """
        for same in self._operations.values():
            for operation in same:
                held = _held(operation, leases, hosts, nothing)
                yield OperationEnded(
                    operation.lease_id, operation.purpose, operation.time, end, held
                )


def _held(
    operation: OperationStarted,
    leases: Mapping[int, LeaseRecord],
    hosts: Mapping[int, Host],
    nothing: Capacity,
) -> Use:
    """Return the capacity that the operation holds on each of its hosts."""
    use = dict.fromkeys(operation.hosts, nothing)
    record = leases.get(operation.lease_id)
    if operation.purpose is Purpose.OUTAGE:
        use = {host: hosts[host].capacity for host in operation.hosts}
    elif record is not None and operation.purpose in HOLDING:
        for host, capacity in zip(operation.hosts, record.request.node_capacities(), strict=True):
            use[host] = add(use[host], capacity)
    return tuple(use.items())
