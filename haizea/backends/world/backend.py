"""The backend that drives a simulated world: decisions into commands, happenings into inputs."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from haizea.backends.world import catching_up
from haizea.backends.world.file import WorldUnavailable
from haizea.backends.world.operations import Operation, Operations, Transfers
from haizea.backends.world.rows import Happening, What
from haizea.backends.world.strangers import Strangers
from haizea.backends.world.vm import Command, Verb, Vm, VmState
from haizea.backends.world.world import World
from haizea.core.model.events import (
    Decision,
    HostChanged,
    HostFailed,
    HostRestored,
    HostUsed,
    Input,
    LeaseAccepted,
    LeaseAltered,
    LeaseEnded,
    OperationEnded,
    OperationFailed,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import LeaseRecord, SiteRecord

_log = logging.getLogger(__name__)

#: States in which a lease has no VMs, whatever comes after.
_WITHOUT_VMS = frozenset(
    {State.NEW, State.PENDING, State.QUEUED, State.SCHEDULED, State.PREPARING, State.READY}
)

_VERB = {
    Purpose.RUN: Verb.START,
    Purpose.SUSPEND: Verb.SUSPEND,
    Purpose.MIGRATE: Verb.MIGRATE,
    Purpose.RESUME: Verb.RESUME,
    Purpose.SHUTDOWN: Verb.SHUT_DOWN,
}


class WorldBackend:
    """Carries decisions out in a world, a command for each VM, and reports what happens there.

    It is a :class:`~haizea.backends.base.Backend`. ``real_durations`` has, by lease id, the
    seconds after which a lease ends by itself, in place of what the world's options draw.

    ``knows`` says of a lease that is not active whether it ever was the manager's, who has every
    lease to answer for if it is not given. VMs of other leases are left alone. ``hosts`` are those
    of the site, where the world may have others, which were taken out of it since.

    A manager that goes on after a restart calls :meth:`reconcile` before anything else.
    Decisions that are handed over before the first :meth:`observe` are an earlier
    manager's, and :meth:`reconcile` has seen to them: they are passed over.

    Commands that cannot be given at present (the world's disk is full) are kept in order
    and given later; operations that wait for them are reported as delayed.
    """

    def __init__(
        self,
        world: World,
        real_durations: Mapping[int, int] | None = None,
        knows: Callable[[int], bool] = lambda lease: True,
        hosts: Container[int] | None = None,
    ) -> None:
        self._world = world
        self._real = dict(real_durations or {})
        self._requests: dict[int, LeaseRequest] = {}
        self._operations = Operations()
        self._transfers = Transfers(world.options)
        self._strangers = Strangers(world, knows)
        self._site = hosts
        self._resumed: set[int] = set()
        self._waiting: deque[Command] = deque()
        self._seen = world.last_happening()
        self._now = 0
        self._began = False
        self._enact: dict[type, Callable[..., None]] = {
            LeaseAccepted: self._asked,
            LeaseAltered: self._asked,
            StateChanged: self._state_changed,
            OperationStarted: self._started,
            OperationEnded: self._ended,
            HostChanged: self._host_changed,
        }

    @property
    def world(self) -> World:
        """The world that it drives."""
        return self._world

    def observe(self, now: int) -> list[Input]:
        """Return what happened in the world, and what takes longer than planned."""
        self._began = True
        self._now = now
        self._give_what_waits(now)
        happened: list[Input] = []
        try:
            self._world.look(now)
            for happening in self._world.happenings(self._seen):
                self._seen = happening.id
                happened += self._input(happening)
            happened += self._strangers.news()
        except WorldUnavailable as error:
            _log.warning("what happened is not known yet: %s", error)
        happened = self._of_site(happened)
        return happened + self._transfers.news(now) + self._operations.delays(now)

    def enact(self, now: int, decisions: Sequence[Decision]) -> None:
        """Give the commands that follow from the decisions."""
        if not self._began:
            return
        self._now = now
        for decision in decisions:
            action = self._enact.get(type(decision))
            if action is not None:
                action(decision)

    def next_event(self) -> int | None:
        """The next moment at which something fails, ends by itself or is not over in time."""
        moments = [self._operations.next_delay(), self._transfers.next_news()]
        try:
            if self._world.last_happening() > self._seen:
                return self._now
            moments.append(self._world.next_news())
        except WorldUnavailable:
            moments.append(self._now + 1)
        if self._waiting:
            moments.append(self._now + 1)
        return min((m for m in moments if m is not None), default=None)

    def reconcile(
        self, now: int, records: Iterable[LeaseRecord], site: SiteRecord | None = None
    ) -> list[Input]:
        """After a restart: bring the world to what was decided, and say what happened in it.

        ``records`` are those of all leases that are not over (others do no harm), ``site``
        what is known of the hosts. VMs of leases that are over are killed; commands that were not
        given are given now; the answer is what the scheduler has to be told. Where the
        world is ahead of the records, they are right as far as they go and the rest is told.
        Raises :class:`~haizea.backends.world.file.WorldUnavailable`: try again.
        """
        world, site = self._world, site or SiteRecord()
        self._now = now = world.look(now)
        active = {r.id: r for r in records if not r.over}
        self._requests = {lease: r.request for lease, r in active.items()}
        self._give_missing(now, active)
        told = self._hosts(site)
        vms = _by_lease(world.vms())
        self._seen = world.last_happening()
        for lease in sorted(active):
            news = catching_up.unheard(active[lease], vms.get(lease, {}))
            if news is not None:
                told.append(news)
            self._take_up(active[lease], vms.get(lease, {}), news is None)
        for transfer in site.transfers:
            for lease, _ in transfer.riders if transfer.begun else ():
                self._transfers.begin(lease, transfer.start, transfer.end)
        return self._of_site(told + self._strangers.news()) + self._operations.delays(now)

    def close(self) -> None:
        """Let go of the world, which goes on."""
        self._world.close()

    # --- restart --------------------------------------------------------------------------

    def _give_missing(self, now: int, active: Mapping[int, LeaseRecord]) -> None:
        """Kill what is left of leases that are over, and give the commands that are missing.

        What makes room comes first.
        """
        known, strange = _by_lease(self._world.vms()), self._strangers.find(active)
        sets = [
            [Command(lease=lease, node=node, verb=Verb.KILL, due=now)]
            for lease, vms in known.items()
            for node, vm in vms.items()
            if vm.there and lease not in active and lease not in strange
        ]
        if sets:
            _log.warning("VMs of leases that are over were killed: %d", len(sets))
        for lease in sorted(active):
            sets += catching_up.missing(active[lease], known.get(lease, {}), self._life)
        # What makes room comes first.
        for verbs in ({Verb.KILL}, {Verb.SUSPEND, Verb.SHUT_DOWN}, set(Verb)):
            for commands in sets:
                while commands and commands[0].verb in verbs:
                    self._world.give(now, commands.pop(0))

    def _take_up(self, record: LeaseRecord, vms: Mapping[int, Vm], sound: bool) -> None:
        """Watch what is under way for a lease, unless it was just told what became of it."""
        found = catching_up.under_way(record)
        if found is None or not sound:
            return
        _, phase, since = found
        operation = self._operation(record.id, phase.purpose, since, phase.end, phase.end - since)
        for vm in vms.values():
            self._operations.follow(operation, vm)
        self._operations.begin(operation)

    def _hosts(self, site: SiteRecord) -> list[Input]:
        """The hosts that died, or came back, and the records do not know it."""
        known = {record.host: record.status for record in site.hosts}
        told: list[Input] = []
        for host in self._world.hosts():
            if not host.up and known.get(host.id) != "down":
                told.append(HostFailed(host.id, because(Code.STATED, text=host.reason)))
            elif host.up and known.get(host.id) == "down":
                told.append(HostRestored(host.id))
        return told

    def _of_site(self, told: list[Input]) -> list[Input]:
        """Select what concerns a lease, or a host of the site."""
        if self._site is None:
            return told
        about_hosts = (HostFailed, HostRestored, HostUsed)
        return [i for i in told if not isinstance(i, about_hosts) or i.host_id in self._site]

    # --- what happened --------------------------------------------------------------------

    def _input(self, happening: Happening) -> list[Input]:
        if happening.what is What.HOST_DOWN and happening.host is not None:
            return [HostFailed(happening.host, because(Code.STATED, text=happening.why))]
        if happening.what is What.HOST_UP and happening.host is not None:
            return [HostRestored(happening.host)]
        operation = self._operations.of(happening.lease)
        if operation is None or happening.id <= operation.after:
            return []
        lease, purpose = operation.lease, operation.purpose
        if happening.what is What.FAILED:
            self._operations.end(lease, purpose)
            node = happening.node or 0
            reason = because(Code.NODE_FAILED, node=node, text=happening.why)
            return [OperationFailed(lease, purpose, reason)]
        if purpose is Purpose.RUN and all(
            vm.state is VmState.ENDED for vm in self._world.vms(lease)
        ):
            self._operations.end(lease, purpose)
            return [LeaseEnded(lease)]
        return []

    # --- decisions ------------------------------------------------------------------------

    def _asked(self, decision: LeaseAccepted | LeaseAltered) -> None:
        self._requests[decision.request.id] = decision.request

    def _state_changed(self, decision: StateChanged) -> None:
        lease, old, new = decision.lease_id, decision.old, decision.new
        if old is State.RESUMED_READY and new is State.ACTIVE:
            self._resumed.add(lease)
        elif old is State.MIGRATING and new is State.SUSPENDED_SCHEDULED and decision.code:
            # It is not moved after all: those VMs that were, are where they came from.
            self._tell_all(lease, Verb.STAY, decision.time)
        elif new in FINAL or new is State.QUEUED:
            if old not in _WITHOUT_VMS:
                self._tell_all(lease, Verb.KILL, decision.time)
            if new in FINAL:
                self._requests.pop(lease, None)
                self._real.pop(lease, None)
                self._resumed.discard(lease)

    def _tell_all(self, lease: int, verb: Verb, due: int) -> None:
        request = self._requests.get(lease)
        if request is not None:
            nodes = range(1, request.node_count + 1)
            self._command([Command(lease=lease, node=n, verb=verb, due=due) for n in nodes])

    def _started(self, decision: OperationStarted) -> None:
        lease, purpose, due = decision.lease_id, decision.purpose, decision.time
        if purpose is Purpose.TRANSFER:
            self._transfers.begin(lease, due, decision.end)
            return
        request = self._requests.get(lease)
        if request is None or purpose not in _VERB:
            return
        verb = _VERB[purpose]
        life: int | None = None
        if verb is Verb.START and lease in self._resumed:
            self._resumed.discard(lease)
            verb = Verb.GO_ON
        elif verb is Verb.START:
            life = self._life(request, due)
        seconds = decision.end - due
        self._operations.begin(self._operation(lease, purpose, due, decision.end, seconds))
        capacities = request.node_capacities()
        self._command(
            [
                Command(
                    lease=lease,
                    node=node,
                    verb=verb,
                    due=due,
                    host=host,
                    seconds=seconds,
                    nodes=len(capacities),
                    capacity=capacities[node - 1],
                    life_seconds=life,
                )
                for node, host in enumerate(decision.hosts, start=1)
            ]
        )

    def _ended(self, decision: OperationEnded) -> None:
        if decision.purpose is Purpose.TRANSFER:
            self._transfers.end(decision.lease_id, decision.start)
        else:
            self._operations.end(decision.lease_id, decision.purpose)

    def _host_changed(self, decision: HostChanged) -> None:
        try:
            self._world.add_host(decision.host, self._now)
        except WorldUnavailable as error:
            _log.warning("%s is not in the world: %s", decision.host.name, error)

    def _life(self, request: LeaseRequest, due: int) -> int | None:
        real = self._real.get(request.id)
        if real is None:
            return self._world.options.life_seconds(request.id, due, request.duration)
        return None if request.duration is not None and real >= request.duration else real

    def _operation(
        self, lease: int, purpose: Purpose, due: int, end: int, seconds: int
    ) -> Operation:
        return Operation(
            lease=lease, purpose=purpose, due=due, end=end, seconds=seconds, after=self._latest()
        )

    def _latest(self) -> int:
        """The latest happening; what comes later concerns what begins now."""
        try:
            return self._world.last_happening()
        except WorldUnavailable:
            return self._seen

    # --- commands -------------------------------------------------------------------------

    def _command(self, commands: Sequence[Command]) -> None:
        """Give one lease's VMs their commands, or keep them until they can be given."""
        if self._waiting or not self._give(commands):
            for command in commands:
                self._waiting.append(command)
                self._wait(command, 1)

    def _give(self, commands: Sequence[Command]) -> bool:
        lease, due = commands[0].lease, commands[0].due
        try:
            vms = self._world.give_all(self._now, commands)
        except WorldUnavailable as error:
            verb = commands[0].verb
            _log.warning("lease %d waits for %s: %s", lease, verb, error)
            return False
        operation = self._operations.of(lease)
        if operation is not None and operation.due == due:
            for vm in vms:
                self._operations.follow(operation, vm)
            self._operations.weigh(operation)
        return True

    def _give_what_waits(self, now: int) -> None:
        while self._waiting and self._give([self._waiting[0]]):
            self._wait(self._waiting.popleft(), -1)

    def _wait(self, command: Command, more: int) -> None:
        operation = self._operations.of(command.lease)
        if operation is not None and operation.due == command.due:
            operation.waiting += more
            self._operations.weigh(operation)


def _by_lease(vms: Iterable[Vm]) -> dict[int, dict[int, Vm]]:
    found: dict[int, dict[int, Vm]] = {}
    for vm in vms:
        found.setdefault(vm.lease, {})[vm.node] = vm
    return found
