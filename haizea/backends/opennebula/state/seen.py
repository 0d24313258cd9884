"""OpenNebula's VMs as they were last seen, and what they take of its hosts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from haizea.backends.opennebula.model.host import HostInfo
from haizea.backends.opennebula.model.pools import Cluster, Datastore, VmGroup
from haizea.backends.opennebula.model.vm import LcmState, VirtualMachine, VmState
from haizea.backends.opennebula.model.waiting import WaitingStates
from haizea.backends.opennebula.state.steps import is_busy
from haizea.core.model.resources import Capacity

#: While a VM moves, it takes room on both hosts.
_MOVING = frozenset([LcmState.MIGRATE, LcmState.SAVE_MIGRATE])


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The clusters, datastores and VM groups, which change seldom."""

    clusters: tuple[Cluster, ...] = ()
    datastores: tuple[Datastore, ...] = ()
    groups: tuple[VmGroup, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The answer of OpenNebula to a look. ``asked`` is when, by the steady clock: it may be older.

    ``hosts`` are all hosts, ``None`` where they were not asked for; ``host`` is one of
    them. A ``whole`` look has all VMs that are not over, but for those ``unread``, of which
    nothing is known. ``gone`` are VMs that were asked for by number and do not exist.
    ``restarted``: OpenNebula was not running for a while since the last whole look. ``server``
    tells one run of it from others, for a later run of Haizea; empty where nobody can.
    """

    asked: float
    vms: tuple[VirtualMachine, ...] = ()
    whole: bool = False
    unread: frozenset[int] = frozenset()
    hosts: tuple[HostInfo, ...] | None = None
    host: HostInfo | None = None
    gone: frozenset[int] = frozenset()
    surroundings: Surroundings | None = None
    restarted: bool = False
    server: str = ""


@dataclass(slots=True)
class Seen:
    """A VM as it was; ``asked`` by the steady clock, ``changed`` when its state did.

    It is ``orphaned`` since then where OpenNebula was started anew while it was busy: nobody
    will tell how that ends. ``found_so``: it has been in its state since it was seen first.
    """

    vm: VirtualMachine
    asked: float
    changed: int
    places: tuple[int, ...]
    orphaned: int | None = None
    found_so: bool = True


class SeenVms:
    """VMs by number, and who is on which host. To be used from one thread.

    ``keep`` makes durable from where to where VMs move, and ``kept`` is that of an earlier
    run: OpenNebula's pools tell only where they go.
    """

    def __init__(
        self, kept: str | None = None, keep: Callable[[str], object] = lambda _: None
    ) -> None:
        self.legacy = False
        #: In which states VMs wait for us.
        self.waits = WaitingStates()
        self._keep = keep
        known = json.loads(kept) if kept else {}
        self._moves: dict[int, list[int]] = {int(vm): hosts for vm, hosts in known.items()}
        self._moves_changed = False
        self._seen: dict[int, Seen] = {}
        self._on: dict[int, set[int]] = {}
        #: VMs that exist, and of which nothing is known as they could not be read.
        self.unread: set[int] = set()
        #: Hosts on which something changed since this was emptied.
        self.touched: set[int] = set()

    def get(self, number: int) -> Seen | None:
        """A VM, if it was seen and exists."""
        return self._seen.get(number)

    def all_of(self, numbers: Iterable[int]) -> list[VirtualMachine] | None:
        """These VMs; ``None`` unless all of them were seen and exist."""
        found = [self._seen.get(number) for number in numbers]
        return None if None in found else [seen.vm for seen in found if seen is not None]

    def all(self) -> Iterable[Seen]:
        """All VMs that were seen and exist."""
        return self._seen.values()

    def on(self, host: int) -> set[int]:
        """The VMs that take room on a host; all of them were seen."""
        return self._on.get(host, set())

    def all_on(self, host: int) -> Iterable[Seen]:
        """The same, as they were seen."""
        return (self._seen[vm] for vm in self.on(host))

    def take(self, now: int, look: Look) -> set[int]:
        """Take notice of a look; the VMs that changed, came or went."""
        changed = {vm.id for vm in look.vms if self._see(now, vm, look.asked)}
        gone = set(look.gone)
        self.unread = (self.unread | look.unread) - self._seen.keys() - gone
        if look.whole:
            self.unread &= look.unread
            there = {vm.id for vm in look.vms} | look.unread
            gone |= {n for n, s in self._seen.items() if n not in there and s.asked < look.asked}
        for number in gone & self._seen.keys():
            self._forget(number)
            changed.add(number)
        if self._moves_changed:
            self._moves_changed = False
            self._keep(json.dumps(self._moves))
        return changed

    def orphan(self, now: int) -> None:
        """OpenNebula was started anew: it does not go on with what it was doing with VMs."""
        for seen in self._seen.values():
            if is_busy(seen.vm):
                seen.orphaned = now

    def _see(self, now: int, vm: VirtualMachine, asked: float) -> bool:
        if vm.state == VmState.DONE:
            return self._forget(vm.id)
        known = self._seen.get(vm.id)
        if known is None:
            self._seen[vm.id] = Seen(vm, asked, now, self._settle(vm, (), ()))
            return True
        if asked < known.asked:
            return False
        if not vm.uname:  # One that is asked for alone does not say it in 1.4.
            vm = replace(vm, uname=known.vm.uname)
        known.asked = asked
        if vm == known.vm:
            return False
        if (vm.state, vm.lcm_state) != (known.vm.state, known.vm.lcm_state):
            known.changed, known.orphaned, known.found_so = now, None, False
        known.places = self._settle(vm, known.places, known.places)
        known.vm = vm
        return True

    def _settle(
        self, vm: VirtualMachine, before: tuple[int, ...], old: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Enter the hosts that it takes room on."""
        places: set[int] = set()
        host = vm.host_id
        if host is not None and (vm.state == VmState.ACTIVE or not self.legacy):
            places.add(host)
            if vm.state == VmState.ACTIVE and vm.lcm_state in _MOVING:
                places.update(old, self._moves.get(vm.id, ()))
        self._note_move(vm.id, sorted(places) if len(places) > 1 else None)
        for number in set(before) - places:
            self._on[number].discard(vm.id)
        for number in places:
            self._on.setdefault(number, set()).add(vm.id)
        self.touched |= places | set(before)
        return tuple(sorted(places))

    def _note_move(self, number: int, hosts: list[int] | None) -> None:
        if self._moves.get(number) == hosts:
            return
        self._moves_changed = True
        if hosts is None:
            del self._moves[number]
        else:
            self._moves[number] = hosts

    def _forget(self, number: int) -> bool:
        self._note_move(number, None)
        known = self._seen.pop(number, None)
        if known is None:
            return False
        for host in known.places:
            self._on[host].discard(number)
            self.touched.add(host)
        return True


def size_of(vm: VirtualMachine) -> Capacity:
    """The capacity that a VM takes of a host."""
    return (vm.cpu_percent, vm.memory_mb)
