"""Matchmaking for leases: which hosts of the schedule will do, in which order, and why not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from haizea.backends.opennebula.expressions.table import Ranking
from haizea.backends.opennebula.matching.datastores import Datastores
from haizea.backends.opennebula.matching.matchmaker import OLD_NAMES, Matchmaker
from haizea.backends.opennebula.matching.needs import VmNeeds, own_expressions, vm_needs
from haizea.backends.opennebula.matching.ranks import DefaultRanks, LiveRanks
from haizea.backends.opennebula.model.host import HostInfo, HostState
from haizea.backends.opennebula.model.template import NO_TEMPLATE, Attributes, Template
from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.seen import SeenVms, Surroundings, size_of
from haizea.core.model.hostrules import Allowed, HostRules, allowed_hosts, cliques
from haizea.core.model.hosts import EVERYWHERE, HostSet, hosts_in
from haizea.core.model.lease import Kind
from haizea.core.model.resources import Capacity, fits
from haizea.core.placement.fitting import Blocks

#: In the place of a host that is gone: hosts keep their indices.
_GONE = HostInfo(
    id=-1,
    name="",
    state=-1,
    cluster_id=-1,
    cluster="",
    cpu_percent=0,
    memory_mb=0,
    used_cpu_percent=0,
    used_memory_mb=0,
    vm_ids=(),
    template=NO_TEMPLATE,
    attributes={},
)


@dataclass(frozen=True, slots=True)
class Places:
    """The hosts of the schedule that will do for VMs, in their order, or why none does."""

    hosts: Allowed
    ranking: Ranking | None = None
    reason: str = ""


class Placing:
    """Answers for the hosts as they were seen last. To be used from one thread."""

    def __init__(self, table: HostTable, seen: SeenVms, ranks: DefaultRanks) -> None:
        self._table = table
        self._seen = seen
        self._defaults = ranks
        self._around = Surroundings()
        self._matchmaker: Matchmaker | None = None
        self._datastores: Datastores | None = None
        self._there: HostSet = 0
        #: Who hosts are, and what their administrators wrote of them and of their clusters.
        self._described: list[tuple[int, Template, int, Attributes | None]] = []
        #: Of the hosts that are there.
        self._sizes: set[Capacity] = set()
        self._legacy = False
        #: What VMs need that were asked about last, for the next questions about them.
        self._latest: dict[int, tuple[VirtualMachine, VmNeeds]] = {}
        self.ranks = LiveRanks(packing=ranks.packing)

    def renew(self, around: Surroundings | None, *, legacy: bool) -> bool:
        """The hosts were seen anew; ``around`` is what else there is, where it was seen.

        Whether they are described otherwise than before, by whoever administers them.
        """
        self._legacy = legacy
        if around is not None:
            self._around = around
        clusters = {c.id: c.template.attributes for c in self._around.clusters}
        hosts, described = [], self._described
        self._described = []
        self._there = 0
        self._sizes.clear()
        for entry in self._table.entries:
            info = entry.info
            if info is None or self._table.current.get(entry.number) != entry.index:
                hosts.append(_GONE)
                continue
            attributes = info.attributes
            if info.cluster_id in clusters:
                attributes = {**attributes, "CLUSTER_TEMPLATE": clusters[info.cluster_id]}
            # Whether a host can be used at present is the schedule's business.
            hosts.append(replace(info, state=HostState.MONITORED, attributes=attributes))
            cluster = clusters.get(info.cluster_id)
            self._described.append((entry.number, info.template, info.cluster_id, cluster))
            self._there |= 1 << entry.index
            self._sizes.add(entry.capacity)
        defaults = self._defaults
        self._matchmaker = Matchmaker(
            hosts,
            self._around.groups,
            defaults.legacy_hosts if legacy else defaults.hosts,
            OLD_NAMES if legacy else None,
        )
        self.ranks.follow(self._matchmaker.default_ranking)
        there = self._around.datastores
        self._datastores = Datastores(there, hosts, defaults.datastores) if there else None
        return self._described != described

    @property
    def ready(self) -> bool:
        """True if the hosts were seen."""
        return self._matchmaker is not None

    def places(self, vms: Sequence[VirtualMachine]) -> Places:
        """The hosts that will do for each of a lease's VMs, and how they rank for the first."""
        matchmaker = self._matchmaker
        assert matchmaker is not None, "hosts were seen"
        own = {vm.id for vm in vms}
        self._latest = {vm.id: (vm, vm_needs(vm)) for vm in vms}
        outside = frozenset().union(*(self.companions(vm) for vm in own)) - own
        matches = matchmaker.match_all([self._needs(vm) for vm in vms], self._placed(outside))
        sets = []
        for vm, match in matches.items():
            hosts = match.hosts & self._there
            reason = match.reason or ("" if hosts else "its hosts are gone")
            if reason:
                told = reason if len(own) == 1 else f"VM {vm} of the group: {reason}"
                return Places(0, None, told)
            sets.append(EVERYWHERE if hosts == self._there else hosts)
        allowed = self._ruled([vm.id for vm in vms], sets)
        reason = self._contradiction([vm.id for vm in vms], allowed)
        if reason:
            return Places(0, None, reason)
        ranking = matches[vms[0].id].ranking
        own_rank = None if ranking is matchmaker.default_ranking else ranking
        return Places(allowed, own_rank)

    def meeting(self, condition: str) -> HostSet:
        """The hosts that meet a condition, none before they are seen. Any thread may ask.

        Raises :class:`haizea.backends.opennebula.expressions.errors.ExpressionError`.
        """
        matchmaker = self._matchmaker
        return 0 if matchmaker is None else matchmaker.meeting(condition)

    def mistake(self, vm: VirtualMachine) -> str:
        """The mistake of a VM's owner by which the VM is not placed; empty if there is none."""
        if self._matchmaker is None:
            return ""
        return self._matchmaker.mistake(*own_expressions(vm))

    def _ruled(self, vms: Sequence[int], sets: Sequence[HostSet]) -> Allowed:
        """The rules for VMs whose own hosts are ``sets``, by the VM groups that they are in."""
        if len(vms) == 1:
            return sets[0]
        assert self._matchmaker is not None, "hosts were seen"
        rules = self._matchmaker.rules
        position = {vm: i for i, vm in enumerate(vms)}
        together = {
            tuple(sorted(position[other] for other in rules.together(vm) if other in position))
            for vm in vms
        }
        foes = [{position[foe] for foe in rules.apart(vm) if foe in position} for vm in vms]
        return allowed_hosts(sets, sorted(together), cliques(foes))

    def _contradiction(self, vms: Sequence[int], allowed: Allowed) -> str:
        """Why VMs of a group cannot be met on the hosts there are, were these all empty."""
        if not isinstance(allowed, HostRules) or satisfiable(allowed, self._there):
            return ""
        for nodes in allowed.apart:
            hosts = 0
            for node in nodes:
                hosts |= allowed.allowed[node] & self._there
            if hosts.bit_count() < len(nodes):
                listed = ", ".join(str(vms[node]) for node in nodes)
                return (
                    f"by VM groups its VMs {listed} need a host each, and {hosts.bit_count()}"
                    " will do"
                )
        return "there is no way to place its VMs as their VM groups and requirements want it"

    def lacking(self, vms: Sequence[VirtualMachine], kind: Kind) -> str:
        """Name what VMs would have to wait for that is not here at all; empty where nothing is.

        What waits until it fits waits for a larger host as well; who wants a certain time
        is told at once that there is none.
        """
        for vm in vms:
            reason = ""
            if self._datastores is not None:
                reason = self._datastores.unmet(self._needs(vm))
            if not reason and kind is Kind.BEST_EFFORT:
                reason = self._too_large(vm)
            if reason:
                return reason if len(vms) == 1 else f"VM {vm.id} of the group: {reason}"
        return ""

    def _too_large(self, vm: VirtualMachine) -> str:
        size = size_of(vm)
        if not self._sizes or any(fits(size, capacity) for capacity in self._sizes):
            return ""
        return (
            f"no host is large enough for it: it asks for CPU {vm.cpu_percent / 100:g} and"
            f" MEMORY {vm.memory_mb}"
        )

    def companions(self, vm: int) -> frozenset[int]:
        """The VMs whose hosts decide, by VM groups, on which hosts this one may run."""
        assert self._matchmaker is not None, "hosts were seen"
        rules = self._matchmaker.rules
        return (rules.together(vm) | rules.apart(vm)) - {vm}

    def datastore(self, vm: int, index: int) -> tuple[int | None, str]:
        """The system datastore for a VM on the host with this index, or why there is none."""
        seen = self._seen.get(vm)
        if self._datastores is None or seen is None or self._legacy:
            return None, ""
        needs = self._needs(seen.vm)
        choice = self._datastores.choose(needs, index)
        if choice.id is not None:
            self._datastores.take(needs, index, choice.id)
        return choice.id, choice.reason

    def _needs(self, vm: VirtualMachine) -> VmNeeds:
        known = self._latest.get(vm.id)
        return known[1] if known and known[0] is vm else vm_needs(vm)

    def _placed(self, vms: Iterable[int]) -> dict[int, int]:
        placed: dict[int, int] = {}
        for other in vms:
            seen = self._seen.get(other)
            if seen is not None and seen.vm.host_id is not None:
                placed[other] = seen.vm.host_id
        return placed


def satisfiable(allowed: Allowed, there: HostSet) -> bool:
    """Tell whether the rules can be met at all on the hosts that are ``there``, were they empty."""
    if not isinstance(allowed, HostRules):
        return bool(allowed & there)
    nothing: Capacity = ()
    hosts = hosts_in(there)
    blocks = Blocks([nothing] * len(allowed.allowed), allowed)
    return blocks.fit(hosts, dict.fromkeys(hosts, nothing)) is not None


def unplaced(companions: Iterable[int], seen: SeenVms, waits: Collection[int]) -> int | None:
    """One of the companions that is to get a host and has none yet, if there is one."""
    for vm in sorted(companions):
        known = seen.get(vm)
        if vm in waits and known is not None and known.vm.host_id is None:
            return vm
    return None
