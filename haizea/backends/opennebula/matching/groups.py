"""VM groups: which VMs must run on one host, which must not, and which hosts that leaves.

A rule between roles concerns every VM of these roles; affined sets that share a VM are one.
A rule that names a role which does not exist has no effect, as in OpenNebula.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from haizea.backends.opennebula.model.pools import GroupRole, RolePolicy, VmGroup
from haizea.core.model.hosts import HostSet

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """The hosts that a VM's groups leave it, and in words what takes the others away."""

    hosts: HostSet
    reasons: tuple[str, ...]


class GroupRules:
    """The rules of all VM groups, by VM.

    Hosts are named by OpenNebula's identifiers where they are asked for, and are sets of the
    pool's indices in the answers.
    """

    def __init__(self, groups: Iterable[VmGroup], host_ids: Sequence[int]) -> None:
        self._index = {host: index for index, host in enumerate(host_ids)}
        self._everything: HostSet = (1 << len(host_ids)) - 1
        self._roles: dict[int, list[tuple[VmGroup, GroupRole]]] = {}
        self._apart: dict[int, set[int]] = {}
        self._together: dict[int, frozenset[int]] = {}
        for group in groups:
            self._add(group)

    def together(self, vm: int) -> frozenset[int]:
        """The VMs that must run on one host with this one, itself included."""
        return self._together.get(vm) or frozenset({vm})

    def apart(self, vm: int) -> frozenset[int]:
        """The VMs that must not share a host with this one."""
        own = self.together(vm)
        return frozenset().union(*(self._apart.get(member, _NONE) for member in own))

    def contradiction(self, vm: int) -> str | None:
        """Why the rules of the VM's groups can never be met; ``None`` if they can."""
        both = self.together(vm) & self.apart(vm)
        if not both:
            return None
        names = ", ".join(sorted({group.name for group, _ in self._roles[min(both)]}))
        return (
            f"VM group {names} wants VMs {_listed(both)} on one host and on different ones:"
            " change its rules"
        )

    def limit(self, vm: int, placed: Mapping[int, int]) -> GroupLimit:
        """The hosts that the groups leave the VM, and why no others.

        ``placed`` has the host of every VM that is on one or will be: those that hold
        capacity, and those that have just been given a host.
        """
        hosts = self._everything
        reasons: list[str] = []
        for left, reason in self._limits(vm, placed):
            hosts &= left
            reasons.append(reason)
        return GroupLimit(hosts, tuple(reasons))

    def _limits(self, vm: int, placed: Mapping[int, int]) -> Iterator[tuple[HostSet, str]]:
        together = self.together(vm)
        for member in sorted(together):
            for group, role in self._roles.get(member, ()):
                yield from self._host_limits(group, role)
        others = sorted(other for other in together - {vm} if other in placed)
        if others:
            where = self._hosts(placed[other] for other in others)
            yield where, f"it must be on the host of VMs {_listed(others)}"
        enemies = sorted(other for other in self.apart(vm) - {vm} if other in placed)
        if enemies:
            where = self._hosts(placed[other] for other in enemies)
            yield self._everything & ~where, f"it must not be on a host of VMs {_listed(enemies)}"

    def _host_limits(self, group: VmGroup, role: GroupRole) -> Iterator[tuple[HostSet, str]]:
        told = f"role {role.name} of VM group {group.name}"
        if role.affined_host_ids:
            hosts = self._hosts(role.affined_host_ids)
            yield hosts, f"{told} is bound to hosts {_listed(role.affined_host_ids)}"
        if role.anti_affined_host_ids:
            hosts = self._everything & ~self._hosts(role.anti_affined_host_ids)
            yield hosts, f"{told} must not use hosts {_listed(role.anti_affined_host_ids)}"

    def _hosts(self, ids: Iterable[int]) -> HostSet:
        """The hosts with these identifiers; those that are gone are left out."""
        found = 0
        for host in ids:
            if host in self._index:
                found |= 1 << self._index[host]
        return found

    def _add(self, group: VmGroup) -> None:
        by_name = {role.name: role for role in group.roles}
        for role in group.roles:
            for vm in role.vm_ids:
                self._roles.setdefault(vm, []).append((group, role))
            match role.policy:
                case RolePolicy.AFFINED:
                    self._join(role.vm_ids)
                case RolePolicy.ANTI_AFFINED:
                    self._part(role.vm_ids, role.vm_ids)
                case RolePolicy.NONE:
                    pass
        for names in group.affined:
            self._join(_NONE.union(*(role.vm_ids for role in _known(names, by_name))))
        for names in group.anti_affined:
            for one, other in permutations(_known(names, by_name), 2):
                self._part(one.vm_ids, other.vm_ids)

    def _join(self, vms: frozenset[int]) -> None:
        joined = vms.union(*(self._together.get(vm, _NONE) for vm in vms))
        for vm in joined:
            self._together[vm] = joined

    def _part(self, vms: frozenset[int], others: frozenset[int]) -> None:
        for vm in vms:
            self._apart.setdefault(vm, set()).update(others - {vm})


def _known(names: frozenset[str], by_name: Mapping[str, GroupRole]) -> list[GroupRole]:
    """The roles of a rule; none if one of them does not exist."""
    known = [by_name[name] for name in sorted(names) if name in by_name]
    return known if len(known) == len(names) else []


def _listed(ids: Iterable[int]) -> str:
    ordered = [str(one) for one in sorted(ids)]
    shown = ", ".join(ordered[:10])
    return f"{shown} and {len(ordered) - 10} more" if len(ordered) > 10 else shown
