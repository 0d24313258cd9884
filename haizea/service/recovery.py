"""Going on from what was kept: what is checked, what is done, what is said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, assert_never

from haizea.backends.base import Backend
from haizea.core.model.events import (
    HostAdded,
    HostDrained,
    HostFailed,
    HostRates,
    HostRestored,
    HostsAllowed,
    HostUsed,
    Input,
    LeaseCancelled,
    LeaseChanged,
    LeaseEnded,
    LeaseMoved,
    LeaseReady,
    LeaseSubmitted,
    MaintenanceAsked,
    MaintenanceEnded,
    OperationDelayed,
    OperationFailed,
    RunDelayed,
)
from haizea.core.model.hosts import Site
from haizea.core.model.maintenance import MaintenanceRecord
from haizea.core.model.records import LeaseRecord, SiteRecord, TransferRecord
from haizea.core.model.resources import Capacity, add, fits, subtract
from haizea.core.model.vm_times import LeavingTime, PreparationTime, ShutdownTime
from haizea.service.use import planned, use_of
from haizea.store import Saved
from haizea.wording import in_words

#: Of what happened meanwhile, so much is told.
_MOST_TOLD = 20


class LastingBackend(Backend, Protocol):
    """A backend whose hosts and VMs outlive the manager."""

    def reconcile(self, now: int, records: Sequence[LeaseRecord], site: SiteRecord) -> list[Input]:
        """Return what happened while nobody looked; what belongs to no lease is ended."""


def site_problem(site: Site, records: Sequence[LeaseRecord], *, configured: bool) -> str:
    """Why the leases that are kept cannot go on on these hosts; empty if they can.

    Hosts that are ``configured`` are as large as they will be, and so have to have what is only
    promised of them, too, at every moment.
    """
    free = {host.id: host.capacity for host in site.hosts}
    width = len(site.types.names)
    for record in records:
        sizes = {len(nodes.capacity) for nodes in record.request.nodes}
        if sizes != {width}:
            return (
                f"lease {record.id} was asked for with {sizes.pop()} resource types, and the"
                f" site now has {width}"
            )
        plan = record.plan
        if record.saved and (gone := max(record.bound or (0,))) not in free:
            return f"what is saved of lease {record.id} is on host number {gone + 1}, which is gone"
        if plan is None or not plan.firm:
            continue
        for host, amount in use_of(record, plan):
            if host not in free:
                return f"lease {record.id} has host number {host + 1}, which is not there any more"
            if configured and not fits(amount, site.hosts[host].capacity):
                name = site.hosts[host].name
                return f"what lease {record.id} was promised of {name} is more than it has"
            if plan.since is not None:
                if not fits(amount, free[host]):
                    name = site.hosts[host].name
                    return f"what leases hold of {name} now is more than it has"
                free[host] = subtract(free[host], amount)
    return _promised_twice(site, records) if configured else ""


def _promised_twice(site: Site, records: Sequence[LeaseRecord]) -> str:
    """Name the first lease to find too little of a host when it is to start; empty if none does."""
    changes: list[tuple[int, bool, int, int, Capacity]] = []
    for record in records:
        for entry in planned(record):
            if entry.firm and entry.start < entry.end:
                for host, amount in entry.use:
                    given_back = tuple(-part for part in amount)
                    changes.append((entry.start, True, record.id, host, amount))
                    changes.append((entry.end, False, record.id, host, given_back))
    nothing: Capacity = (0,) * len(site.types.names)
    used = dict.fromkeys(range(len(site.hosts)), nothing)
    for _, starts, lease, host, amount in sorted(changes):
        used[host] = add(used[host], amount)
        if starts and not fits(used[host], site.hosts[host].capacity):
            name = site.hosts[host].name
            return f"what lease {lease} was promised of {name} is more than others leave of it then"
    return ""


def on_hosts(saved: Saved, count: int) -> Saved:
    """Leave out of what was kept whatever is about hosts beyond the first ``count``.

    Maintenance that is of no other hosts is over; images that were there come anew.
    """
    site = saved.site
    kept = replace(
        site,
        hosts=tuple(h for h in site.hosts if h.host < count),
        rates=tuple(r for r in site.rates if r.host < count),
        copies=tuple(c for c in site.copies if c.host < count),
        transfers=tuple(t for x in site.transfers if (t := _transfer_on(x, count)).riders),
        maintenance=tuple(w for x in site.maintenance if (w := _window_on(x, count)).window.hosts),
    )
    return replace(saved, site=kept, records=[_bound_on(x, count) for x in saved.records])


def _window_on(record: MaintenanceRecord, count: int) -> MaintenanceRecord:
    hosts = tuple(host for host in record.window.hosts if host < count)
    out = tuple((host, since) for host, since in record.out if host < count)
    return replace(record, window=replace(record.window, hosts=hosts), out=out)


def _transfer_on(record: TransferRecord, count: int) -> TransferRecord:
    riders = tuple(rider for rider in record.riders if max(rider[1]) < count)
    relying = tuple(other for other in record.relying if max(other[1]) < count)
    return replace(record, riders=riders, relying=relying)


def _bound_on(record: LeaseRecord, count: int) -> LeaseRecord:
    if record.saved or record.bound is None or max(record.bound, default=0) < count:
        return record
    return replace(record, bound=None)


def record_problem(record: LeaseRecord) -> str:
    """Why nobody could go on with such a record, on whatever hosts; empty if somebody could.

    It is never kept so: a store that was changed by hand, or by a program with a fault, has it.
    """
    count, plan = record.request.node_count, record.plan
    if record.bound is not None and len(record.bound) != count:
        return f"{len(record.bound)} hosts have what is saved of {count} nodes"
    if plan is None:
        return ""
    if len(plan.hosts) != count:
        return f"its plan has {len(plan.hosts)} hosts for {count} nodes"
    if not 0 <= plan.at < len(plan.phases):
        return f"its plan is at phase {plan.at + 1} of {len(plan.phases)}"
    return ""


def describe(found: int, inputs: Sequence[Input], repeated: int) -> str:
    """Describe what a restart found, in words."""
    leases = "no lease" if not found else "1 lease" if found == 1 else f"{found} leases"
    parts = [f"{leases} of an earlier run"]
    if repeated:
        commands = "1 command" if repeated == 1 else f"{repeated} commands"
        are = "is" if repeated == 1 else "are"
        parts.append(f"{commands} that may not have been given {are} given again")
    parts += [f"meanwhile {_in_words(event)}" for event in inputs[:_MOST_TOLD]]
    if len(inputs) > _MOST_TOLD:
        parts.append(f"and {len(inputs) - _MOST_TOLD} more that happened")
    return "; ".join(parts)


# One sentence for each input.
def _in_words(event: Input) -> str:  # noqa: C901
    match event:
        case LeaseEnded(lease_id):
            return f"lease {lease_id} ended by itself"
        case OperationFailed(lease_id, purpose, reason):
            return f"{purpose} of lease {lease_id} failed: {in_words(reason)}"
        case OperationDelayed(lease_id, purpose):
            return f"{purpose} of lease {lease_id} takes longer"
        case RunDelayed(lease_id):
            return f"the VMs of lease {lease_id} took longer to start"
        case LeaseReady(lease_id):
            return f"all VMs of lease {lease_id} run"
        case PreparationTime(lease_id, seconds):
            return f"the VMs of lease {lease_id} take {seconds} s to start"
        case ShutdownTime(lease_id, seconds):
            return f"the VMs of lease {lease_id} take {seconds} s to shut down"
        case LeavingTime(lease_id, seconds):
            return f"the VMs of lease {lease_id} take {seconds} s to leave their hosts"
        case HostFailed(host_id, reason):
            return f"host number {host_id + 1} failed: {in_words(reason)}"
        case HostRestored(host_id):
            return f"host number {host_id + 1} came back"
        case LeaseMoved(lease_id):
            return f"lease {lease_id} was moved by others"
        case LeaseCancelled(lease_id, reason):
            return f"lease {lease_id} was cancelled: {in_words(reason)}"
        case LeaseSubmitted(request):
            return f"lease {request.id} was asked for"
        case HostAdded(host):
            return f"host {host.name} was added"
        case HostDrained(host_id, reason):
            return f"host number {host_id + 1} takes nothing new: {in_words(reason)}"
        case HostUsed(host_id):
            return f"others use host number {host_id + 1}"
        case HostRates(host_id):
            return f"rates of host number {host_id + 1} were learned"
        case LeaseChanged(lease_id):
            return f"a change of lease {lease_id} was asked for"
        case MaintenanceAsked(window):
            return f"maintenance {window.id} was asked for"
        case MaintenanceEnded(window_id):
            return f"maintenance {window_id} was ended"
        case HostsAllowed(lease_id):
            return f"the hosts that suit lease {lease_id} changed"
        case _:
            assert_never(event)
