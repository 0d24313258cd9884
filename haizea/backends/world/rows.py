"""Reports of a world on itself, and their form in the file's tables."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from haizea.backends.world.file import WorldFile
from haizea.backends.world.vm import Command, IncidentKind, Verb, Vm, VmState
from haizea.core.model.resources import Capacity, add, scale

#: So many incidents are kept: after that many it does not matter any more.
_MOST_INCIDENTS = 10_000


class What(StrEnum):
    """Kinds of what can happen in a world without being asked for."""

    ENDED = "ended"
    FAILED = "failed"
    HOST_DOWN = "host-down"
    HOST_UP = "host-up"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a manager must be told; ``id`` grows. Of a VM, or (``lease`` and
    ``node`` are ``None``) of a host."""

    id: int
    moment: int
    what: What
    lease: int | None
    node: int | None
    host: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that a manager must never do, and did."""

    moment: int
    kind: IncidentKind
    lease: int | None
    node: int | None
    host: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A VM took ``capacity`` of a host over ``[start, end)``; ``end`` is ``None`` if it does
    still. ``generation`` counts how often it had started from nothing."""

    lease: int
    node: int
    generation: int
    host: int
    capacity: Capacity
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A command in the journal: given when, and what came of it when.

    ``outcome`` is ``given`` while it is under way, the VM's state that it led to, or why it
    was refused; ``finished`` is ``None`` while it is under way.
    """

    id: int
    lease: int
    node: int
    verb: Verb
    due: int
    host: int
    given: int
    outcome: str
    finished: int | None


@dataclass(frozen=True, slots=True)
class HostState:
    """A host is up or down, ``since`` when, and why; at ``until`` that changes by itself."""

    id: int
    name: str
    capacity: Capacity
    up: bool
    since: int
    until: int | None
    reason: str


def written(capacity: Capacity) -> str:
    """A capacity as text."""
    return ",".join(map(str, capacity))


def read(text: str) -> Capacity:
    """A capacity that was :func:`written`."""
    return tuple([int(amount) for amount in text.split(",")]) if text else ()


_VM_COLUMNS = (
    "lease, node, host, capacity, state, since, until, next_state, destination, origin,"
    " ran_seconds, life_seconds, generation, verb, due, serial, why"
)
_VM_PLACES = ", ".join("?" * 17)


def select_vms(file: WorldFile, where: str, *values: Any) -> list[Vm]:
    """The VMs that a condition (with its ``ORDER BY``) selects."""
    return [_vm(row) for row in file.rows(f"SELECT {_VM_COLUMNS} FROM vms {where}", *values)]


def store_vm(file: WorldFile, vm: Vm) -> None:
    """Write a VM as it is now."""
    file.run(
        f"INSERT OR REPLACE INTO vms ({_VM_COLUMNS}) VALUES ({_VM_PLACES})",
        vm.lease,
        vm.node,
        vm.host,
        written(vm.capacity),
        vm.state,
        vm.since,
        vm.until,
        vm.then,
        vm.destination,
        vm.origin,
        vm.ran_seconds,
        vm.life_seconds,
        vm.generation,
        vm.verb,
        vm.due,
        vm.serial,
        vm.why,
    )


def _vm(row: tuple[Any, ...]) -> Vm:
    return Vm(
        lease=row[0],
        node=row[1],
        host=row[2],
        capacity=read(row[3]),
        state=VmState(row[4]),
        since=row[5],
        until=row[6],
        then=None if row[7] is None else VmState(row[7]),
        destination=row[8],
        origin=row[9],
        ran_seconds=row[10],
        life_seconds=row[11],
        generation=row[12],
        verb=Verb(row[13]),
        due=row[14],
        serial=row[15],
        why=row[16],
    )


def used(file: WorldFile, host: int) -> Capacity:
    """The capacity that the VMs on a host take of it together."""
    total: Capacity = ()
    query = (
        "SELECT capacity, count(*) FROM vms WHERE host = ? AND"
        " state IN ('running', 'suspending', 'resuming', 'stopping', 'migrating')"
        " AND state <> 'migrating' GROUP BY capacity"
    )
    for text, count in file.rows(query, host):
        amount = scale(read(text), count)
        total = add(total, amount) if total else amount
    return total


def follow_stretch(file: WorldFile, old: Vm | None, new: Vm, moment: int) -> None:
    """Keep the history of where a VM takes capacity, now that it changed."""
    held = old is not None and old.holds
    if held and new.holds:
        return
    if held:
        file.run(
            "UPDATE stretches SET over = ? WHERE lease = ? AND node = ? AND over IS NULL",
            moment,
            new.lease,
            new.node,
        )
    elif new.holds:
        file.run(
            "INSERT INTO stretches VALUES (?, ?, ?, ?, ?, ?, NULL)",
            new.lease,
            new.node,
            new.generation,
            new.host,
            written(new.capacity),
            moment,
        )


def enter(file: WorldFile, command: Command, now: int, outcome: str, finished: int | None) -> int:
    """Write a command into the journal; answers its number."""
    return file.run(
        "INSERT INTO journal (lease, node, verb, due, host, given, outcome, finished)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        command.lease,
        command.node,
        command.verb,
        command.due,
        command.host,
        now,
        outcome,
        finished,
    )


def happens(file: WorldFile, now: int, what: What, of: Vm | Command, why: str = "") -> None:
    """Keep what happened to a VM."""
    statement = "INSERT INTO happenings VALUES (NULL, ?, ?, ?, ?, ?, ?)"
    file.run(statement, now, what, of.lease, of.node, of.host, why)


def note_incident(
    file: WorldFile, now: int, kind: IncidentKind, command: Command, why: str
) -> None:
    """Keep an incident that a command led to."""
    if file.rows("SELECT count(*) FROM incidents")[0][0] < _MOST_INCIDENTS:
        statement = "INSERT INTO incidents VALUES (NULL, ?, ?, ?, ?, ?, ?)"
        file.run(statement, now, kind, command.lease, command.node, command.host, why)


def select_hosts(file: WorldFile, where: str = "", *values: Any) -> list[HostState]:
    """The hosts that a condition selects, by id."""
    query = f"SELECT id, name, capacity, up, since, until, reason FROM hosts {where} ORDER BY id"
    return [
        HostState(row[0], row[1], read(row[2]), bool(row[3]), *row[4:])
        for row in file.rows(query, *values)
    ]


def select_stretches(file: WorldFile, lease: int | None = None) -> list[Stretch]:
    """The history of all VMs, or of one lease's, by start."""
    where, values = ("", ()) if lease is None else ("WHERE lease = ?", (lease,))
    query = (
        f"SELECT lease, node, generation, host, capacity, start, over FROM stretches {where}"
        " ORDER BY start, rowid"
    )
    return [
        Stretch(lease, node, generation, host, read(capacity), start, over)
        for lease, node, generation, host, capacity, start, over in file.rows(query, *values)
    ]
