"""Transfers of images that have not begun follow a lease to other hosts.

They keep their times: an image goes to another host, when it was to go to the one before.
"""

from __future__ import annotations

from haizea.core.images.shipments import ImageTransfer
from haizea.core.images.transfers import Preparation
from haizea.core.model.hosts import HostSet, host_set, hosts_in
from haizea.core.model.settings import Transfer
from haizea.core.placement.mapper import Hosts


def can_reroute(preparation: Preparation, lease_id: int, hosts: HostSet) -> bool:
    """Tell whether all that the lease needs on its hosts is still to be sent, for it alone."""
    coming = 0
    for transfer in preparation.transfers:
        if lease_id in transfer.relying:
            return False
        own = transfer.riders.get(lease_id, 0)
        if own and (transfer.begun or any(own & wanted for wanted in transfer.relying.values())):
            return False
        coming |= own
    return coming == hosts


def needs_as_many(preparation: Preparation) -> bool:
    """Tell whether a lease that moves needs as many hosts: each has a transfer of its own."""
    return preparation.settings.mechanism is Transfer.UNICAST


def reroute(preparation: Preparation, lease_id: int, before: Hosts, after: Hosts) -> None:
    """Send the lease's images to the hosts of its nodes ``after``, not ``before``."""
    own = [transfer for transfer in preparation.transfers if lease_id in transfer.riders]
    if not needs_as_many(preparation):
        for transfer in own:
            transfer.riders[lease_id] = host_set(after)
        return
    instead = dict(zip(before, after, strict=True))
    for transfer in own:
        transfer.riders[lease_id] = _instead(transfer, lease_id, instead)


def _instead(transfer: ImageTransfer, lease_id: int, instead: dict[int, int]) -> HostSet:
    return host_set([instead[host] for host in hosts_in(transfer.riders[lease_id])])
