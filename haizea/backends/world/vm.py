"""One simulated VM: its states, what commands do to it, and what it does by itself.

Pure: a VM is a value, and what happens to it is another value. The world keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from haizea.backends.world.options import Fate
from haizea.core.model.events import Purpose
from haizea.core.model.resources import Capacity


class VmState(StrEnum):
    """States of a VM. ``ended``: by itself; ``failed``: it broke; ``gone``: it was stopped."""

    RUNNING = "running"
    SUSPENDING = "suspending"
    SAVED = "saved"
    MIGRATING = "migrating"
    RESUMING = "resuming"
    STOPPING = "stopping"
    ENDED = "ended"
    FAILED = "failed"
    GONE = "gone"


#: States in which a VM takes capacity of its host.
HOLDING = frozenset({VmState.RUNNING, VmState.SUSPENDING, VmState.RESUMING, VmState.STOPPING})


class Verb(StrEnum):
    """Commands to a VM. ``go-on``: what was resumed runs on; ``stay``: it does not move."""

    START = "start"
    GO_ON = "go-on"
    SUSPEND = "suspend"
    MIGRATE = "migrate"
    STAY = "stay"
    RESUME = "resume"
    SHUT_DOWN = "shut-down"
    KILL = "kill"


PURPOSE = {
    Verb.START: Purpose.RUN,
    Verb.GO_ON: Purpose.RUN,
    Verb.SUSPEND: Purpose.SUSPEND,
    Verb.MIGRATE: Purpose.MIGRATE,
    Verb.RESUME: Purpose.RESUME,
    Verb.SHUT_DOWN: Purpose.SHUTDOWN,
}


class IncidentKind(StrEnum):
    """Kinds of what a manager must never do to its VMs and hosts."""

    RAN_TWICE = "ran-twice"
    LOST_MEMORY = "lost-memory"
    NO_MEMORY = "resumed-without-memory"
    OVER_CAPACITY = "over-capacity"
    DEAD_HOST = "started-on-a-dead-host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command to a VM.

    ``due`` is when that was decided; with lease, node and verb it is the command's name, by
    which a repetition is known. ``host`` is where the VM is to start, resume or move to,
    ``seconds`` how long that is planned to take. ``nodes`` is how many VMs the lease has,
    ``capacity`` what the VM takes and ``life_seconds`` how long it runs until it ends by
    itself; the last two count when it starts.
    """

    lease: int
    node: int
    verb: Verb
    due: int
    host: int = -1
    seconds: int = 0
    nodes: int = 1
    capacity: Capacity = ()
    life_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """A VM: node ``node`` (from 1) of a lease.

    It is in ``state`` since ``since``; at ``until`` it goes by itself into ``then``.
    ``host`` is where it runs or its memory is saved, ``destination`` where it is moving,
    ``origin`` where its memory still is, too, since it was moved. ``ran_seconds`` is what
    it ran before ``since``. ``generation`` counts how often it started from nothing.
    ``verb`` and ``due`` are the last command that it followed, ``serial`` that command's
    number in the journal. ``why`` says what broke it.
    """

    lease: int
    node: int
    host: int
    capacity: Capacity
    state: VmState
    since: int
    until: int | None = None
    then: VmState | None = None
    destination: int | None = None
    origin: int | None = None
    ran_seconds: int = 0
    life_seconds: int | None = None
    generation: int = 1
    verb: Verb
    due: int
    serial: int = 0
    why: str = ""

    @property
    def holds(self) -> bool:
        """True if it takes capacity of its host."""
        return self.state in HOLDING

    @property
    def there(self) -> bool:
        """True if there is anything of it: it runs, or is saved."""
        return self.holds or self.state is VmState.SAVED or self.state is VmState.MIGRATING


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a command: the VM as it is now (``None``: there is none), why it did not
    work (empty: it did), and what the manager should never have done."""

    vm: Vm | None
    trouble: str = ""
    incident: IncidentKind | None = None


def repeats(vm: Vm, command: Command) -> bool:
    """Tell whether the VM follows this very command already."""
    same = vm.verb is command.verb and vm.due == command.due
    return same and (command.verb is not Verb.START or vm.host == command.host)


def obey(vm: Vm | None, command: Command, now: int, fate: Fate, host_up: bool) -> Answer:
    """Return the answer of a VM to a command.

    ``host_up``: the host that the command names is up. What cannot be done is refused, with
    the reason; what nobody may ask for is an incident besides.
    """
    if command.verb is Verb.START:
        return _start(vm, command, now, fate, host_up)
    if vm is None:
        incident = IncidentKind.NO_MEMORY if command.verb is Verb.RESUME else None
        trouble = "" if command.verb in {Verb.KILL, Verb.STAY} else "there is no such VM"
        return Answer(None, trouble, incident)
    told = replace(vm, verb=command.verb, due=command.due)
    if vm.state is VmState.ENDED and command.verb is not Verb.KILL:
        # It is over: there is nothing to save, to move or to stop.
        return Answer(told)
    return _FOLLOW[command.verb](told, command, now, fate, host_up)


def evolve(vm: Vm) -> Vm:
    """Return what becomes of a VM at its ``until``."""
    moment, then = vm.until, vm.then
    assert moment is not None, "something comes"
    assert then is not None, "it is known what"
    settled = replace(vm, state=then, since=moment, until=None, then=None, destination=None)
    if then is VmState.FAILED:
        why = f"a simulated fault: {PURPOSE[vm.verb]} failed"
        if vm.state is VmState.MIGRATING:
            return replace(settled, state=VmState.SAVED, why=why)
        return replace(settled, why=why)
    if vm.state is VmState.MIGRATING:
        assert vm.destination is not None, "it goes somewhere"
        return replace(settled, host=vm.destination, origin=vm.host)
    if then is VmState.RUNNING:
        return _run(settled, moment, Fate())
    return settled


def lose_host(vm: Vm, now: int, why: str) -> Vm:
    """A VM whose host, or one that it moves from or to, died: saved memory stays."""
    if vm.state is VmState.MIGRATING:
        return replace(_settled(vm, VmState.SAVED, now), why=why)
    return replace(_settled(vm, VmState.FAILED, now), why=why) if vm.holds else vm


def _settled(vm: Vm, state: VmState, now: int) -> Vm:
    return replace(vm, state=state, since=now, until=None, then=None, destination=None)


def _start(vm: Vm | None, command: Command, now: int, fate: Fate, host_up: bool) -> Answer:
    if vm is not None and vm.there:
        kind = IncidentKind.RAN_TWICE if vm.holds else IncidentKind.LOST_MEMORY
        return Answer(vm, f"it is {vm.state} on host {vm.host} already", kind)
    new = Vm(
        lease=command.lease,
        node=command.node,
        host=command.host,
        capacity=command.capacity,
        state=VmState.RUNNING if host_up else VmState.FAILED,
        since=now,
        life_seconds=command.life_seconds,
        generation=vm.generation + 1 if vm is not None else 1,
        verb=command.verb,
        due=command.due,
    )
    if not host_up:
        return Answer(replace(new, why="its host is down"), "its host is down")
    return Answer(_run(new, now, fate))


def _run(vm: Vm, now: int, fate: Fate) -> Vm:
    """A VM that runs from ``now`` on, and may end or break."""
    until: int | None = None
    then: VmState | None = None
    if vm.life_seconds is not None:
        until, then = now + max(vm.life_seconds - vm.ran_seconds, 0), VmState.ENDED
    if fate.fails_after_seconds is not None:
        breaks = now + fate.fails_after_seconds
        if until is None or breaks < until:
            until, then = breaks, VmState.FAILED
    return replace(vm, state=VmState.RUNNING, since=now, until=until, then=then)


def _begin(vm: Vm, state: VmState, then: VmState, command: Command, now: int, fate: Fate) -> Vm:
    """A VM that does something that takes time, and may break in the middle."""
    ran = now - vm.since if vm.state is VmState.RUNNING else 0
    until = now + max(command.seconds, 0) + fate.late_seconds
    if fate.fails_after_seconds is not None:
        until, then = now + fate.fails_after_seconds, VmState.FAILED
    return replace(
        vm, state=state, since=now, until=until, then=then, ran_seconds=vm.ran_seconds + ran
    )


def _go_on(vm: Vm, command: Command, now: int, fate: Fate, host_up: bool) -> Answer:
    if vm.state is VmState.RUNNING:
        ran = vm.ran_seconds + now - vm.since
        return Answer(_run(replace(vm, ran_seconds=ran), now, fate))
    if vm.state is VmState.RESUMING:
        return Answer(vm)
    return Answer(vm, f"it is {vm.state}, not running")


def _suspend(vm: Vm, command: Command, now: int, fate: Fate, host_up: bool) -> Answer:
    if vm.state is not VmState.RUNNING:
        return Answer(vm, f"it is {vm.state}, not running")
    return Answer(_begin(vm, VmState.SUSPENDING, VmState.SAVED, command, now, fate))


def _shut_down(vm: Vm, command: Command, now: int, fate: Fate, host_up: bool) -> Answer:
    if vm.state is not VmState.RUNNING:
        return Answer(vm, f"it is {vm.state}, not running")
    return Answer(_begin(vm, VmState.STOPPING, VmState.GONE, command, now, fate))


def _migrate(vm: Vm, command: Command, now: int, fate: Fate, host_up: bool) -> Answer:
    if vm.state is not VmState.SAVED:
        return Answer(vm, f"it is {vm.state}, not saved")
    if not host_up:
        return Answer(vm, "the host it is to move to is down")
    moving = _begin(vm, VmState.MIGRATING, VmState.SAVED, command, now, fate)
    return Answer(replace(moving, destination=command.host, origin=None))


def _stay(vm: Vm, command: Command, now: int, fate: Fate, host_up: bool) -> Answer:
    if vm.state is VmState.MIGRATING:
        return Answer(_settled(vm, VmState.SAVED, now))
    if vm.state is VmState.SAVED and vm.origin is not None:
        return Answer(replace(vm, host=vm.origin, origin=None))
    return Answer(vm)


def _resume(vm: Vm, command: Command, now: int, fate: Fate, host_up: bool) -> Answer:
    if vm.state is not VmState.SAVED or vm.host != command.host:
        where = f"it is {vm.state} on host {vm.host}, not saved on host {command.host}"
        return Answer(vm, where, IncidentKind.NO_MEMORY)
    if not host_up:
        return Answer(vm, "its host is down")
    awake = _begin(vm, VmState.RESUMING, VmState.RUNNING, command, now, fate)
    return Answer(replace(awake, origin=None))


def _kill(vm: Vm, command: Command, now: int, fate: Fate, host_up: bool) -> Answer:
    return Answer(vm if vm.state is VmState.GONE else _settled(vm, VmState.GONE, now))


_FOLLOW: dict[Verb, Callable[[Vm, Command, int, Fate, bool], Answer]] = {
    Verb.GO_ON: _go_on,
    Verb.SUSPEND: _suspend,
    Verb.MIGRATE: _migrate,
    Verb.STAY: _stay,
    Verb.RESUME: _resume,
    Verb.SHUT_DOWN: _shut_down,
    Verb.KILL: _kill,
}
