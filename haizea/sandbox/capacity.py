"""Accounts of the VMs on each host: as OpenNebula has it, and as it is in fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from haizea.sandbox.journal import Journal, Violation
from haizea.sandbox.objects import Host, Machine
from haizea.sandbox.states import Lcm, State, is_failure
from haizea.sandbox.template import first

COUNTED = "counted"
IN_FACT = "running"

_FILES_ONLY = {
    Lcm.EPILOG,
    Lcm.EPILOG_STOP,
    Lcm.EPILOG_UNDEPLOY,
    Lcm.PROLOG_MIGRATE_SUSPEND,
    Lcm.PROLOG_MIGRATE_POWEROFF,
    Lcm.CLEANUP_DELETE,
    Lcm.CLEANUP_RESUBMIT,
}
_ON_NO_HOST = {State.STOPPED, State.UNDEPLOYED}
_ON_TWO_HOSTS = {Lcm.SAVE_MIGRATE, Lcm.MIGRATE}


@dataclass(slots=True)
class Load:
    """The capacity that VMs take on one host."""

    cpu_percent: int = 0
    memory_kb: int = 0
    vms: set[int] = field(default_factory=set)


def reserved(template_value: str | None, total: int) -> int:
    """The part that ``RESERVED_CPU`` or ``RESERVED_MEM`` reserves: an amount, or % of ``total``."""
    text = (template_value or "").strip()
    try:
        if text.endswith("%"):
            return int(total * float(text[:-1]) / 100)
        return int(float(text)) if text else 0
    except (ValueError, OverflowError):
        return 0


def capacity_of(host: Host) -> tuple[int, int]:
    """CPU in percent and memory in KB that VMs may take, whether it was monitored or not."""
    cpu = host.cpu_percent - reserved(first(host.template, "RESERVED_CPU"), host.cpu_percent)
    memory = host.memory_kb - reserved(first(host.template, "RESERVED_MEM"), host.memory_kb)
    return cpu, memory


def _places(vm: Machine, kind: str, suspended_counts: bool) -> tuple[int, ...]:
    """The hosts on which ``vm`` counts now."""
    if vm.record is None:
        return ()
    here = vm.record.host_id
    if vm.state in (State.SUSPENDED, State.POWEROFF):
        return (here,) if suspended_counts and kind == COUNTED else ()
    if vm.state is not State.ACTIVE:
        return ()
    if vm.lcm in _ON_TWO_HOSTS and len(vm.history) > 1:
        before = vm.history[-2].host_id
        if before == here:
            return (here,)
        return (before,) if kind == IN_FACT and vm.lcm is Lcm.SAVE_MIGRATE else (before, here)
    if kind == IN_FACT and (vm.lcm in _FILES_ONLY or is_failure(vm.pair)):
        return ()
    if vm.operation == "terminate-off" and vm.began_in in _ON_NO_HOST:
        return ()  # Only its files are removed.
    return (here,)


class Accounts:
    """Loads of all hosts, kept up at every change; what is too much goes into the journal."""

    def __init__(self, hosts: Mapping[int, Host], journal: Journal, suspended_counts: bool) -> None:
        self._hosts = hosts
        self._journal = journal
        self._suspended_counts = suspended_counts
        self._loads: dict[str, dict[int, Load]] = {COUNTED: {}, IN_FACT: {}}
        self._where: dict[tuple[str, int], tuple[tuple[int, ...], int, int]] = {}

    def load(self, host_id: int, kind: str = COUNTED) -> Load:
        """The load of a host."""
        return self._loads[kind].setdefault(host_id, Load())

    def update(self, vm: Machine, now: float, cause: str) -> list[int]:
        """``vm`` changed: count it anew. The hosts whose accounts changed."""
        changed: set[int] = set()
        for kind in (COUNTED, IN_FACT):
            places = _places(vm, kind, self._suspended_counts)
            entry = (places, vm.cpu_percent, vm.memory_kb)
            before = self._where.get((kind, vm.id), ((), 0, 0))
            if entry == before:
                continue
            self._remove(vm.id, kind, *before)
            self._add(vm.id, kind, *entry)
            self._where[kind, vm.id] = entry
            changed.update(before[0], places)
            grew = entry[1:] != before[1:]
            new = [host_id for host_id in places if grew or host_id not in before[0]]
            self._check(kind, new, vm.id, now, cause)
        return sorted(changed)

    def _add(self, vm: int, kind: str, places: Iterable[int], cpu: int, memory: int) -> None:
        for host_id in places:
            load = self.load(host_id, kind)
            load.cpu_percent += cpu
            load.memory_kb += memory
            load.vms.add(vm)

    def _remove(self, vm: int, kind: str, places: Iterable[int], cpu: int, memory: int) -> None:
        for host_id in places:
            load = self.load(host_id, kind)
            load.cpu_percent -= cpu
            load.memory_kb -= memory
            load.vms.discard(vm)

    def check_host(self, host_id: int, now: float, cause: str) -> None:
        """The host's capacity changed: note it where that is too little now."""
        for kind in (COUNTED, IN_FACT):
            self._check(kind, [host_id], None, now, cause)

    def _check(
        self, kind: str, host_ids: Iterable[int], vm: int | None, now: float, cause: str
    ) -> None:
        for host_id in host_ids:
            load = self.load(host_id, kind)
            cpu, memory = capacity_of(self._hosts[host_id])
            if load.cpu_percent <= cpu and load.memory_kb <= memory:
                continue
            self._journal.add(
                Violation(
                    time=now,
                    host=host_id,
                    kind=kind,
                    vm=vm,
                    cause=cause,
                    cpu_used_percent=load.cpu_percent,
                    cpu_percent=cpu,
                    memory_used_kb=load.memory_kb,
                    memory_kb=memory,
                )
            )
