"""After a restart: which commands are missing, and what a manager has not heard of.

A manager that was killed may have saved a decision and not given the commands for it, or
only some. Its records say where each VM is to be; a VM's last command says where it is.
What lies between is given now. So it does not matter where the manager was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from haizea.backends.world.vm import Command, Verb, Vm, VmState
from haizea.core.model.events import Input, LeaseEnded, OperationFailed, Purpose
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import LeaseRecord, PhaseRecord, PlanRecord

#: How long a lease's VMs run until they end by themselves, from when they start (``due``).
LifeSeconds = Callable[[LeaseRequest, int], int | None]

#: In which states a VM may be while a phase is under way for its lease.
_FITTING = {
    Purpose.RUN: {VmState.RUNNING, VmState.RESUMING, VmState.ENDED},
    Purpose.SUSPEND: {VmState.SUSPENDING, VmState.SAVED, VmState.ENDED},
    Purpose.MIGRATE: {VmState.MIGRATING, VmState.SAVED, VmState.ENDED},
    Purpose.RESUME: {VmState.RESUMING, VmState.RUNNING, VmState.ENDED},
    Purpose.SHUTDOWN: {VmState.STOPPING, VmState.GONE, VmState.ENDED},
}

_VERB = {
    Purpose.SUSPEND: Verb.SUSPEND,
    Purpose.MIGRATE: Verb.MIGRATE,
    Purpose.RESUME: Verb.RESUME,
    Purpose.SHUTDOWN: Verb.SHUT_DOWN,
}


def under_way(record: LeaseRecord) -> tuple[PlanRecord, PhaseRecord, int] | None:
    """The lease's plan, its phase that is under way, and since when."""
    plan = record.plan
    if plan is None or plan.since is None:
        return None
    return plan, plan.phases[plan.at], plan.since


def missing(record: LeaseRecord, vms: Mapping[int, Vm], life: LifeSeconds) -> list[list[Command]]:
    """The commands that bring each of a lease's VMs to where its record has it.

    Those for one VM are in order. What the manager believes to be over takes no time now.
    """
    nodes = range(1, record.request.node_count + 1)
    if under_way(record) is not None:
        found = [_along_the_plan(record, node, vms.get(node), life) for node in nodes]
    elif record.saved:
        found = [_saved(record, node, vms.get(node)) for node in nodes]
    else:
        found = [_nothing(record, node, vms.get(node)) for node in nodes]
    return [commands for commands in found if commands]


def unheard(record: LeaseRecord, vms: Mapping[int, Vm]) -> Input | None:
    """Return the outcome of what is under way for the lease, if it did not go as planned."""
    found = under_way(record)
    if found is None:
        return None
    plan, phase, _ = found
    fitting = _FITTING.get(phase.purpose, set())
    for node, host in enumerate(plan.hosts, start=1):
        vm = vms.get(node)
        if vm is None:
            missing = because(Code.NODE_FAILED, node=node, text="there is no such VM")
            return OperationFailed(record.id, phase.purpose, missing)
        stayed = phase.purpose is Purpose.MIGRATE and vm.state is VmState.SAVED and vm.host != host
        if vm.state not in fitting or stayed:
            failed = because(Code.NODE_FAILED, node=node, text=vm.why or f"it is {vm.state}")
            return OperationFailed(record.id, phase.purpose, failed)
    if phase.purpose is Purpose.RUN and all(vm.state is VmState.ENDED for vm in vms.values()):
        return LeaseEnded(record.id)
    return None


def _nothing(record: LeaseRecord, node: int, vm: Vm | None) -> list[Command]:
    """There is to be no VM."""
    if vm is None or not vm.there:
        return []
    return [Command(lease=record.id, node=node, verb=Verb.KILL, due=max(record.changed, vm.due))]


def _saved(record: LeaseRecord, node: int, vm: Vm | None) -> list[Command]:
    """The VM is to be saved where the record says."""
    if vm is None or record.bound is None:
        return []
    host, due = record.bound[node - 1], max(record.changed, vm.due)
    if vm.state is VmState.RUNNING:
        return [Command(lease=record.id, node=node, verb=Verb.SUSPEND, due=due)]
    if _is_moving_from(vm, host):
        return [Command(lease=record.id, node=node, verb=Verb.STAY, due=due)]
    if vm.state is VmState.SAVED and vm.host != host:
        return [Command(lease=record.id, node=node, verb=Verb.MIGRATE, due=due, host=host)]
    return []


def _is_moving_from(vm: Vm, host: int) -> bool:
    """Tell whether the VM left, or leaves, a host where its memory still is."""
    if vm.state is VmState.MIGRATING:
        return vm.host == host
    return vm.state is VmState.SAVED and vm.origin == host and vm.host != host


def _along_the_plan(
    record: LeaseRecord, node: int, vm: Vm | None, life: LifeSeconds
) -> list[Command]:
    """The commands for the phases after the one that the VM was told of last."""
    found = under_way(record)
    assert found is not None, "something is under way"
    plan, phase, since = found
    host, done = plan.hosts[node - 1], _told(plan, since, vm)
    earliest = plan.phases[0].start if vm is None else max(plan.phases[0].start, vm.due)
    commands: list[Command] = []
    if done < 0 and vm is not None:
        commands = _make_way(record, plan, node, vm, min(earliest, since))
    for at in range(done + 1, plan.at + 1):
        purpose, last = plan.phases[at].purpose, at == plan.at
        verb = _verb(plan, purpose)
        due = since if last else min(max(plan.phases[at].start, earliest), since)
        commands.append(
            Command(
                lease=record.id,
                node=node,
                verb=verb,
                due=due,
                host=host,
                seconds=max(phase.end - since, 0) if last else 0,
                nodes=record.request.node_count,
                capacity=record.request.node_capacities()[node - 1],
                life_seconds=life(record.request, due) if verb is Verb.START else None,
            )
        )
    return commands


def _told(plan: PlanRecord, since: int, vm: Vm | None) -> int:
    """The last phase of the plan that the VM was told to begin; -1 if none."""
    done = -1
    if vm is None:
        return done
    for at, phase in enumerate(plan.phases[: plan.at + 1]):
        if _verb(plan, phase.purpose) is not vm.verb:
            continue
        if vm.due == since if at == plan.at else plan.phases[0].start <= vm.due <= since:
            done = at
    return done


def _verb(plan: PlanRecord, purpose: Purpose) -> Verb:
    if purpose is Purpose.RUN:
        return Verb.START if plan.phase(Purpose.RESUME) is None else Verb.GO_ON
    return _VERB[purpose]


def _make_way(record: LeaseRecord, plan: PlanRecord, node: int, vm: Vm, due: int) -> list[Command]:
    """End what the VM does for an earlier plan, that was given up."""
    first = plan.phases[0].purpose
    if first is Purpose.RUN:
        verb = Verb.KILL if vm.there else None
    else:
        source = plan.sources[node - 1] if plan.sources else plan.hosts[node - 1]
        verb = Verb.STAY if _is_moving_from(vm, source) else None
    return [] if verb is None else [Command(lease=record.id, node=node, verb=verb, due=due)]
