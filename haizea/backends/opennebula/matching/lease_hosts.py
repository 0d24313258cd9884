"""Matchmaking for leases: which hosts of the schedule will do, in which order, and why not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from haizea.backends.opennebula.expressions.table import Ranking
from haizea.backends.opennebula.matching.datastores import Datastores
from haizea.backends.opennebula.matching.matchmaker import OLD_NAMES, Matchmaker
from haizea.backends.opennebula.matching.pools import (
    HostFacts,
    VmNeeds,
    datastore_facts,
    host_facts,
    own_expressions,
    vm_group,
    vm_needs,
)
from haizea.backends.opennebula.matching.ranks import (
    DatastorePolicy,
    HostPolicy,
    RankedHosts,
    datastore_rank,
    host_rank,
)
from haizea.backends.opennebula.model.template import Attributes, Template
from haizea.backends.opennebula.model.vm import VirtualMachine
from haizea.backends.opennebula.state.host_table import HostTable
from haizea.backends.opennebula.state.seen import SeenVms, Surroundings, size_of
from haizea.core.model.hostrules import Allowed, HostRules, allowed_hosts, cliques
from haizea.core.model.hosts import EVERYWHERE, HostSet, hosts_in
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.policy import HostView
from haizea.core.model.resources import Capacity, fits
from haizea.core.placement.fitting import Blocks

_MONITORED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacingPolicies:
    """Policies that rank hosts and datastores for VMs that do not say it themselves."""

    hosts: HostPolicy = HostPolicy.STRIPING
    host_rank: str = ""
    datastores: DatastorePolicy = DatastorePolicy.STRIPING
    datastore_rank: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """The hosts of the schedule that will do for VMs, in their order, or why none does."""

    hosts: Allowed
    ranking: Ranking | None = None
    reason: str = ""


class LiveRanks:
    """A host-selection policy that follows what is seen of the hosts.

    Until they are seen, all are alike.
    """

    def __init__(self) -> None:
        #: By the first of a lease's names, where its owner wrote a rank.
        self._rankings: dict[str, RankedHosts] = {}
        self._default: RankedHosts | None = None
        self._packing = False

    def follow(self, default: Ranking, *, packing: bool) -> None:
        """Use this ranking from now on for leases without one of their own."""
        self._default = RankedHosts({}, default, packing=packing)
        self._packing = packing

    def rank(self, vm: int, ranking: Ranking | None) -> None:
        """Use this ranking for the lease whose first node is this VM; ``None``: the default."""
        if ranking is None:
            self._rankings.pop(str(vm), None)
        else:
            self._rankings[str(vm)] = RankedHosts({}, ranking, packing=self._packing)

    def tiers(self, request: LeaseRequest, hosts: HostSet, view: HostView) -> Iterator[HostSet]:
        """``hosts`` by rank, then by number of leases."""
        own = self._rankings.get(request.names[0]) if request.names else None
        ranked = own or self._default
        return iter((hosts,)) if ranked is None else ranked.tiers(request, hosts, view)


class Placing:
    """Answers for the hosts as they were seen last. To be used from one thread."""

    def __init__(self, table: HostTable, seen: SeenVms, policies: PlacingPolicies) -> None:
        self._table = table
        self._seen = seen
        self._policies = policies
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
        self.ranks = LiveRanks()

    def renew(self, around: Surroundings | None, *, legacy: bool) -> bool:
        """The hosts were seen anew; ``around`` is what else there is, where it was seen.

        Whether they are described otherwise than before, by whoever administers them.
        """
        self._legacy = legacy
        if around is not None:
            self._around = around
        clusters = {c.id: c.template.attributes for c in self._around.clusters}
        facts, described = [], self._described
        self._described = []
        self._there = 0
        self._sizes.clear()
        for entry in self._table.entries:
            info = entry.info
            if info is None or self._table.current.get(entry.number) != entry.index:
                facts.append(HostFacts(id=-1, name="", state=-1, cluster_id=-1, attributes={}))
                continue
            attributes = info.attributes
            if info.cluster_id in clusters:
                attributes = {**attributes, "CLUSTER_TEMPLATE": clusters[info.cluster_id]}
            # Whether a host can be used at present is the schedule's business.
            facts.append(replace(host_facts(attributes), state=_MONITORED))
            cluster = clusters.get(info.cluster_id)
            self._described.append((entry.number, info.template, info.cluster_id, cluster))
            self._there |= 1 << entry.index
            self._sizes.add(entry.capacity)
        chosen = self._policies
        self._matchmaker = Matchmaker(
            facts,
            [vm_group(group.attributes) for group in self._around.groups],
            host_rank(chosen.hosts, chosen.host_rank, "FREECPU" if legacy else "FREE_CPU"),
            OLD_NAMES if legacy else None,
        )
        packing = chosen.hosts is HostPolicy.PACKING
        self.ranks.follow(self._matchmaker.default_ranking, packing=packing)
        known = [datastore_facts(one.attributes) for one in self._around.datastores]
        rank = datastore_rank(chosen.datastores, chosen.datastore_rank)
        self._datastores = Datastores(known, facts, rank) if known else None
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
        self._latest = {vm.id: (vm, vm_needs(vm.attributes)) for vm in vms}
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
        return self._matchmaker.mistake(*own_expressions(vm.attributes))

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
        return known[1] if known and known[0] is vm else vm_needs(vm.attributes)

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
