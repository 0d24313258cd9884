"""The site that the sandbox plays: its objects, its time, and who is told of a change."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from haizea.sandbox.capacity import COUNTED, Accounts, capacity_of
from haizea.sandbox.clock import Clock
from haizea.sandbox.faults import Faults
from haizea.sandbox.journal import Change, Journal
from haizea.sandbox.objects import Cluster, Host, Machine, SystemDatastore, User, VmGroup
from haizea.sandbox.operations import Durations
from haizea.sandbox.states import HostState, Pair, State, pair_name

BY_ITSELF = "by itself"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Differences between versions of OpenNebula."""

    version: str

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version."""
        major, _, rest = self.version.partition(".")
        return int(major), int(rest.partition(".")[0] or 0)

    @property
    def is_old(self) -> bool:
        """1.4: answers without codes, no states such as POWEROFF, no events."""
        return self.number[0] < 5

    @property
    def publishes_events(self) -> bool:
        """By ZeroMQ."""
        return self.number >= (6, 0)

    @property
    def runs_scheduled_actions(self) -> bool:
        """The core runs ``SCHED_ACTION``; before 6.8 the scheduler did."""
        return self.number >= (6, 8)


@dataclass(slots=True)
class Observers:
    """Functions that are told of changes: all do nothing until they are replaced."""

    #: A VM's state changed, or a host's; the cloud's lock is held.
    vm_changed: Callable[[Machine], None] = lambda vm: None
    host_changed: Callable[[Host], None] = lambda host: None
    #: An object is to be saved: its kind and itself.
    keep: Callable[[str, object], None] = lambda kind, what: None
    #: Everything of this turn was told.
    turn_over: Callable[[], None] = lambda: None


class Cloud:
    """Everything that exists, under one lock.

    Enter :meth:`turn` for whatever reads or changes it: before the body runs, everything
    that was due by then has happened, each thing at its own instant, which ``now`` is.
    """

    def __init__(
        self, *, dialect: Dialect, clock: Clock, durations: Durations, faults: Faults
    ) -> None:
        self.dialect = dialect
        self.clock = clock
        self.durations = durations
        self.faults = faults
        self.journal = Journal()
        self.hosts: dict[int, Host] = {}
        self.vms: dict[int, Machine] = {}
        self.live: dict[int, Machine] = {}
        self.users: dict[int, User] = {}
        self.groups: dict[int, VmGroup] = {}
        self.clusters: dict[int, Cluster] = {0: Cluster(0, "default")}
        self.datastores: dict[int, SystemDatastore] = {}
        #: What it is among the servers of its zone: 0 alone, 2 follower, 3 leader.
        self.raft_state = 0
        self.accounts = Accounts(self.hosts, self.journal, not dialect.is_old)
        self.observers = Observers()
        self.on_due: dict[str, Callable[[int], None]] = {}
        self.now = clock.now()
        self.next_ids: dict[str, int] = {"vm": 0, "host": 0, "user": 0, "action": 0, "group": 0}
        # OpenNebula's own have the numbers below.
        self.next_ids |= {"datastore": 100, "cluster": 100}
        self.lock = threading.RLock()
        self.timer_added = threading.Condition(self.lock)
        self._timers: list[tuple[float, int, str, int]] = []
        self._order = itertools.count()
        #: What changed in this turn, by kind and id.
        self._dirty: set[tuple[str, int]] = set()
        self._depth = 0
        self._request_ids = itertools.count(1)

    # Time

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Everything due has happened, and nothing else happens during the body."""
        with self.lock:
            self._depth += 1
            try:
                if self._depth == 1:
                    self.catch_up()
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._save()

    def catch_up(self) -> None:
        """Let everything happen that is due, in its order."""
        present = self.clock.now()
        while self._timers and self._timers[0][0] <= present:
            moment, _, kind, object_id = heapq.heappop(self._timers)
            self.now = max(self.now, moment)
            self.on_due[kind](object_id)
        self.now = max(self.now, present)

    def at(self, moment: float, kind: str, object_id: int) -> None:
        """Call ``on_due[kind](object_id)`` at ``moment``; it checks whether that is still meant."""
        heapq.heappush(self._timers, (moment, next(self._order), kind, object_id))
        self.timer_added.notify_all()

    def next_moment(self) -> float | None:
        """The moment when something happens next."""
        return self._timers[0][0] if self._timers else None

    @property
    def stamp(self) -> int:
        """``now`` as OpenNebula writes it."""
        return int(self.now)

    # Identity

    def new_id(self, kind: str) -> int:
        """The next id of a kind of object."""
        found = self.next_ids[kind]
        self.next_ids[kind] = found + 1
        self.observers.keep("ids", self.next_ids)
        return found

    def request_id(self) -> int:
        """A number for the request that an action came with."""
        return next(self._request_ids) * 16 % 10_000

    # Changes

    def add_vm(self, vm: Machine) -> None:
        """Take in a VM, new or saved."""
        self.vms[vm.id] = vm
        if vm.state is not State.DONE:
            self.live[vm.id] = vm

    def touch(self, vm: Machine) -> None:
        """Something of ``vm`` changed that its XML shows."""
        vm.cache.clear()
        self._dirty.add(("vm", vm.id))

    def touch_host(self, host: Host) -> None:
        """Something of ``host`` changed."""
        self._dirty.add(("host", host.id))

    def set_state(self, vm: Machine, pair: Pair, cause: str) -> None:
        """``vm`` comes to a state: it is counted, written down and published."""
        old = vm.pair
        vm.previous_state, vm.previous_lcm = old
        vm.state, vm.lcm = pair
        self.touch(vm)
        self.recount(vm, cause)
        if vm.state is State.DONE:
            self.live.pop(vm.id, None)
        record = vm.record
        self.journal.add(
            Change(
                time=self.now,
                vm=vm.id,
                old=pair_name(old),
                new=pair_name(pair),
                host=record.host_id if record else None,
                cause=cause,
            )
        )
        self.observers.vm_changed(vm)
        vm.previous_state, vm.previous_lcm = pair
        vm.cache.clear()

    def recount(self, vm: Machine, cause: str) -> None:
        """Count ``vm`` anew: what it takes, or where, may have changed."""
        self.accounts.update(vm, self.now, cause)

    def set_host_state(self, host: Host, state: HostState, cause: str) -> None:
        """``host`` comes to a state."""
        if state is host.state:
            return
        host.previous_state, host.state = host.state, state
        self.touch_host(host)
        self.observers.host_changed(host)
        host.previous_state = state

    def vms_on(self, host_id: int) -> list[Machine]:
        """The VMs that count on a host."""
        return [self.vms[vm] for vm in sorted(self.accounts.load(host_id, COUNTED).vms)]

    def room_on(self, host: Host) -> tuple[int, int]:
        """CPU in percent and memory in KB that OpenNebula would still give away there."""
        if not host.shows_capacity:
            return 0, 0
        cpu, memory = capacity_of(host)
        load = self.accounts.load(host.id)
        return cpu - load.cpu_percent, memory - load.memory_kb

    def _save(self) -> None:
        for kind, object_id in sorted(self._dirty):
            known = self.vms if kind == "vm" else self.hosts
            if object_id in known:
                self.observers.keep(kind, known[object_id])
            else:
                self.observers.keep("gone", object_id)
        self._dirty.clear()
        self.observers.turn_over()
