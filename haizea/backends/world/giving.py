"""Giving commands to VMs: what each leads to, and what a manager should not have asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from haizea.backends.world import rows
from haizea.backends.world.file import WorldFile
from haizea.backends.world.options import SMOOTH, Fate, WorldOptions
from haizea.backends.world.rows import HostState, What
from haizea.backends.world.vm import (
    PURPOSE,
    Command,
    IncidentKind,
    Verb,
    Vm,
    VmState,
    evolve,
    obey,
    repeats,
)
from haizea.core.model.resources import fits


class Giving:
    """Gives commands at one moment, within one transaction of the file.

    A lease may have thousands of VMs: each host is read, and what is on it added up, once.
    """

    def __init__(self, file: WorldFile, options: WorldOptions, now: int) -> None:
        self._file = file
        self._options = options
        self._now = now
        self._hosts: dict[int, HostState | None] = {}
        #: The last command by which a VM came to take capacity, by host.
        self._filled: dict[int, Command] = {}

    def give(self, commands: Sequence[Command]) -> list[Vm | None]:
        """Give commands to different VMs, in order; the VMs afterwards."""
        given = [self._take(command) for command in commands]
        for index, command in self._filled.items():
            self._check_capacity(index, command)
        return [self._settled(vm) for vm in given]

    def _take(self, command: Command) -> Vm | None:
        found = rows.select_vms(
            self._file, "WHERE lease = ? AND node = ?", command.lease, command.node
        )
        vm = found[0] if found else None
        if vm is not None and repeats(vm, command):
            return vm
        if vm is not None and command.due < vm.due:
            outcome = "refused: a later command came first"
            rows.enter(self._file, command, self._now, outcome, self._now)
            return vm
        new = self._follow(vm, command)
        if new is not None and new.holds and not (vm is not None and vm.holds):
            self._filled[new.host] = command
        return new

    def _follow(self, vm: Vm | None, command: Command) -> Vm | None:
        now, file = self._now, self._file
        host_up = self._host_is_up(command)
        answer = obey(vm, command, now, self._fate(command), host_up)
        new = answer.vm
        if new is None and not answer.trouble:
            return None
        outcome, finished = _outcome(answer.trouble, new, now)
        serial = rows.enter(file, command, now, outcome, finished)
        if new is not None and new is not vm:
            new = replace(new, serial=serial)
            rows.store_vm(file, new)
            rows.follow_stretch(file, vm, new, now)
        if answer.trouble:
            rows.happens(file, now, What.FAILED, command, answer.trouble)
        elif new is not None and new.state is VmState.ENDED and command.verb is Verb.GO_ON:
            rows.happens(file, now, What.ENDED, command)
        if answer.incident is not None:
            rows.note_incident(file, now, answer.incident, command, answer.trouble)
        return new

    def _settled(self, vm: Vm | None) -> Vm | None:
        """The VM after what happens to it within the same second."""
        while vm is not None and vm.until is not None and vm.until <= self._now:
            vm = evolve_on_file(self._file, vm)
        return vm

    def _fate(self, command: Command) -> Fate:
        purpose = PURPOSE.get(command.verb)
        if purpose is None:
            return SMOOTH
        lot = self._options.fate(
            command.lease, purpose, command.due, command.seconds, command.nodes
        )
        return lot.of(command.node)

    def _host(self, index: int) -> HostState | None:
        if index not in self._hosts:
            found = rows.select_hosts(self._file, "WHERE id = ?", index)
            self._hosts[index] = found[0] if found else None
        return self._hosts[index]

    def _host_is_up(self, command: Command) -> bool:
        """Tell whether the host that is named is up; an incident if that was known not to be so."""
        if command.verb not in {Verb.START, Verb.RESUME, Verb.MIGRATE}:
            return True
        host = self._host(command.host)
        if host is not None and host.up:
            return True
        # One that died in the very second, or since the decision, may not be known to be dead.
        if host is None or host.since < command.due:
            why = f"host {command.host} is {'none of the site' if host is None else 'down'}"
            rows.note_incident(self._file, self._now, IncidentKind.DEAD_HOST, command, why)
        return False

    def _check_capacity(self, index: int, command: Command) -> None:
        host, used = self._host(index), rows.used(self._file, index)
        if host is not None and not fits(used, host.capacity):
            why = f"{used} on {host.name}, which has {host.capacity}"
            rows.note_incident(self._file, self._now, IncidentKind.OVER_CAPACITY, command, why)


def evolve_on_file(file: WorldFile, vm: Vm) -> Vm:
    """Let come what comes next for a VM; the VM afterwards."""
    moment = vm.until
    assert moment is not None, "something comes"
    new = evolve(vm)
    rows.store_vm(file, new)
    rows.follow_stretch(file, vm, new, moment)
    outcome = f"failed: {new.why}" if vm.then is VmState.FAILED else str(new.state)
    statement = "UPDATE journal SET outcome = ?, finished = ? WHERE id = ?"
    file.run(statement, outcome, moment, vm.serial)
    if vm.then is VmState.FAILED:
        rows.happens(file, moment, What.FAILED, new, new.why)
    elif vm.then is VmState.ENDED:
        rows.happens(file, moment, What.ENDED, new)
    return new


def _outcome(trouble: str, vm: Vm | None, now: int) -> tuple[str, int | None]:
    """The journal's words for a command that was just given, and when it was over."""
    if trouble:
        return f"refused: {trouble}", now
    if vm is not None and vm.until is None:
        return str(vm.state), now
    return "given", None
