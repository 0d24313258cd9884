"""The choice of the system datastore for a VM's files, for a VM and a host.

A datastore suits if it is enabled, meets the VM's requirements, shares a cluster with the
host, and has room: a shared one of its own, another one on the host's disk. Of those that
suit, the one with the highest rank is taken, and of equals the lowest identifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from haizea.backends.opennebula.expressions.errors import ExpressionError, printable
from haizea.backends.opennebula.expressions.language import parse_rank, parse_requirement
from haizea.backends.opennebula.expressions.table import DATASTORE_PLACES, AttributeTable, Ranking
from haizea.backends.opennebula.matching.needs import VmNeeds
from haizea.backends.opennebula.model.host import HostInfo
from haizea.backends.opennebula.model.pools import Datastore
from haizea.backends.opennebula.model.template import elements_at, leading_number, text_at
from haizea.core.model.hosts import HostSet, hosts_in


@dataclass(frozen=True, slots=True)
class DatastoreChoice:
    """The identifier of a system datastore, or why there is none, in words for the owner."""

    id: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Suiting:
    """Datastores that meet what a VM requires, by rank, or what is wrong with that."""

    rows: HostSet
    ranking: Ranking
    error: str = ""


class Datastores:
    """The datastores of a site, and what room is left in them while VMs are placed."""

    def __init__(
        self,
        datastores: Iterable[Datastore],
        hosts: Sequence[HostInfo],
        default_rank: str = "FREE_MB",
    ) -> None:
        """``default_rank`` is for VMs without a rank of their own.

        :raises ExpressionError: the default rank is none.
        """
        known = sorted(datastores, key=lambda datastore: datastore.id)
        self._system = [one for one in known if one.is_system and one.enabled]
        self._table = AttributeTable([one.attributes for one in self._system], DATASTORE_PLACES)
        self._default = self._table.ranking(parse_rank(default_rank, "the default datastore rank"))
        self._hosts = hosts
        self._free_mb = {one.id: one.free_mb for one in known}
        self._local_mb: dict[tuple[int, int], int | None] = {}
        self._known: dict[tuple[str, str, str], _Suiting] = {}

    def choose(self, vm: VmNeeds, host: int) -> DatastoreChoice:
        """The datastore for the VM on the host with this index."""
        unmet = self.unmet(vm)
        if unmet:
            return DatastoreChoice(None, unmet)
        full = self._full_image_datastore(vm)
        if full is not None:
            return DatastoreChoice(None, f"image datastore {full} has no room for the VM's disks")
        suiting = self._suiting(vm)
        cluster = self._hosts[host].cluster_id
        reachable = 0
        for tier in suiting.ranking.among(suiting.rows):
            for row in hosts_in(tier):
                datastore = self._system[row]
                if not _shares_cluster(datastore, cluster):
                    continue
                reachable += 1
                if self._has_room(vm, datastore, host):
                    return DatastoreChoice(datastore.id)
        return DatastoreChoice(None, self._too_small(vm, host, reachable))

    def unmet(self, vm: VmNeeds) -> str:
        """Why no system datastore suits the VM, wherever it runs; empty where one does."""
        if not self._system:
            return "no system datastore is enabled"
        suiting = self._suiting(vm)
        return "" if suiting.rows else suiting.error or self._unmet(vm)

    def take(self, vm: VmNeeds, host: int, datastore: int) -> None:
        """Count what the VM's disks take, for those that are placed after it."""
        if not vm.has_run:
            for image, size_mb in vm.disks.images_mb.items():
                self._subtract(image, size_mb)
        for one in self._system:
            if one.id != datastore:
                continue
            if not one.shared:
                free_mb = self._local_free_mb(host, datastore)
                if free_mb is not None:
                    self._local_mb[host, datastore] = free_mb - vm.disks.system_mb
            elif not vm.has_run:
                self._subtract(datastore, vm.disks.system_mb)

    def _subtract(self, datastore: int, size_mb: int) -> None:
        free_mb = self._free_mb.get(datastore)
        if free_mb is not None:
            self._free_mb[datastore] = free_mb - size_mb

    def _full_image_datastore(self, vm: VmNeeds) -> int | None:
        if vm.has_run:
            return None
        for datastore, size_mb in vm.disks.images_mb.items():
            if not _fits(size_mb, self._free_mb.get(datastore)):
                return datastore
        return None

    def _suiting(self, vm: VmNeeds) -> _Suiting:
        key = (vm.automatic_datastore_requirements, vm.datastore_requirements, vm.datastore_rank)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._find(*key)
        return found

    def _find(self, automatic: str, own: str, rank: str) -> _Suiting:
        rows = self._table.everything
        try:
            rows &= self._table.matching(parse_requirement(automatic, "AUTOMATIC_DS_REQUIREMENTS"))
            rows &= self._table.matching(parse_requirement(own, "SCHED_DS_REQUIREMENTS"))
            if not rank.strip():
                return _Suiting(rows, self._default)
            return _Suiting(rows, self._table.ranking(parse_rank(rank, "SCHED_DS_RANK")))
        except ExpressionError as error:
            return _Suiting(0, self._default, str(error))

    def _has_room(self, vm: VmNeeds, datastore: Datastore, host: int) -> bool:
        if not datastore.shared:
            return _fits(vm.disks.system_mb, self._local_free_mb(host, datastore.id))
        # The files of one that comes back are in a shared datastore already.
        return vm.has_run or _fits(vm.disks.system_mb, self._free_mb[datastore.id])

    def _local_free_mb(self, host: int, datastore: int) -> int | None:
        """The room on the host's disk; ``None`` while nothing has measured it."""
        key = (host, datastore)
        if key not in self._local_mb:
            self._local_mb[key] = _measured_mb(self._hosts[host], datastore)
        return self._local_mb[key]

    def _unmet(self, vm: VmNeeds) -> str:
        written = [vm.automatic_datastore_requirements, vm.datastore_requirements]
        required = " & ".join(f"({text})" for text in written if text.strip())
        return (
            f"no system datastore meets {printable(required[:200])}: there are {len(self._system)}"
        )

    def _too_small(self, vm: VmNeeds, host: int, reachable: int) -> str:
        name = self._hosts[host].name
        if not reachable:
            return f"no system datastore that meets the requirements is in host {name}'s cluster"
        return (
            f"none of {reachable} system datastores has {vm.disks.system_mb} MB left"
            f" for the VM on host {name}"
        )


def _shares_cluster(datastore: Datastore, cluster: int) -> bool:
    """Tell whether a host of this cluster (-1 for none) reaches the datastore."""
    return cluster in (datastore.cluster_ids or {-1})


def _measured_mb(host: HostInfo, datastore: int) -> int | None:
    for one in elements_at(host.attributes, "HOST_SHARE", "DATASTORES", "DS"):
        if leading_number(text_at(one, "ID")) == datastore:
            return _size(text_at(one, "FREE_MB"))
    share = ("HOST_SHARE", "DATASTORES", "FREE_DISK")
    return _size(
        text_at(host.attributes, *share) or text_at(host.attributes, "HOST_SHARE", share[2])
    )


def _size(text: str) -> int | None:
    number = leading_number(text)
    return None if number is None else int(number)


def _fits(size_mb: int, free_mb: int | None) -> bool:
    """Tell whether there is room: OpenNebula wants some to be left over."""
    return size_mb == 0 or free_mb is None or size_mb < free_mb
