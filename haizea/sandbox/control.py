"""The hand of the test: makes things happen that no call to OpenNebula does, and looks at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from haizea.sandbox.calls import Handle
from haizea.sandbox.capacity import COUNTED, IN_FACT, capacity_of
from haizea.sandbox.clock import ManualClock
from haizea.sandbox.cloud import Cloud
from haizea.sandbox.engine import Engine
from haizea.sandbox.faults import DONE, FAIL, HANG, Plan
from haizea.sandbox.journal import Change, Command, Violation
from haizea.sandbox.objects import Cluster, SystemDatastore
from haizea.sandbox.people import add_user
from haizea.sandbox.sites import Sites
from haizea.sandbox.states import RUNNING, Lcm, pair_name

#: An operation has few steps: who is busy after so many rounds is made busy again and again.
_MOST_ROUNDS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class VmView:
    """A VM as it is at this moment; ``host`` is where it is, or was last."""

    id: int
    name: str
    owner: str
    state: str
    host: int | None
    is_busy: bool
    cpu_percent: int
    memory_kb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """A host as it is at this moment: what counts there, and what runs there in fact."""

    id: int
    name: str
    state: str
    cpu_percent: int
    memory_kb: int
    counted_cpu_percent: int
    counted_memory_kb: int
    running_cpu_percent: int
    running_memory_kb: int
    vms: tuple[int, ...]


class Control:
    """All of it may be called from any thread.

    In a separate process the same methods are called over XML-RPC as ``sandbox.NAME(session,
    keywords)`` with a session of oneadmin's group and keywords as the text of a JSON object;
    the answer is JSON, too.

    LookupError means that there is no such VM or host, ValueError that what is asked for
    cannot be.
    """

    def __init__(self, cloud: Cloud, engine: Engine, sites: Sites) -> None:
        self._cloud = cloud
        self._engine = engine
        self._sites = sites

    # Time

    def now(self) -> float:
        """The sandbox's time, in seconds since the epoch."""
        with self._cloud.turn():
            return self._cloud.now

    def advance(self, seconds: float) -> float:
        """Let time pass at once, everything happening at its instant; needs a manual clock."""
        clock = self._cloud.clock
        if not isinstance(clock, ManualClock):
            raise ValueError("the sandbox's clock runs by itself: start it with a ManualClock")
        with self._cloud.turn():
            clock.advance(seconds)
            self._cloud.catch_up()
            return self._cloud.now

    def settle(self) -> float:
        """Let time pass until no VM is busy, other than those that hang; needs a manual clock."""
        with self._cloud.turn():
            for _ in range(_MOST_ROUNDS):
                dues = [vm.due for vm in self._cloud.live.values() if vm.due is not None]
                if not dues:
                    break
                self.advance(max(0.0, max(dues) - self._cloud.now))
            return self._cloud.now

    # Hosts

    def add_host(
        self,
        name: str,
        *,
        cpu_percent: int | None = None,
        memory_mb: int | None = None,
        monitored: bool = True,
    ) -> int:
        """A new host; the answer is its id."""
        with self._cloud.turn():
            host = self._sites.add(
                name, cpu_percent=cpu_percent, memory_mb=memory_mb, monitored=monitored
            )
            return host.id

    def break_host(self, host: int, *, commands_fail: bool = True) -> None:
        """The host dies: ERROR, its VMs UNKNOWN; commands there fail unless told otherwise."""
        with self._cloud.turn():
            self._sites.break_down(self._cloud.hosts[host], commands_fail=commands_fail)

    def return_host(self, host: int, *, vms_survive: bool = True) -> None:
        """The host is back; its VMs run on, or were off (it was rebooted)."""
        with self._cloud.turn():
            self._sites.come_back(self._cloud.hosts[host], vms_survive=vms_survive)

    def resize_host(self, host: int, cpu_percent: int, memory_mb: int) -> None:
        """The host has other capacity from now on."""
        with self._cloud.turn():
            self._sites.resize(self._cloud.hosts[host], cpu_percent, memory_mb)

    def add_cluster(self, name: str) -> int:
        """A new cluster without hosts; the answer is its id."""
        with self._cloud.turn():
            cluster = Cluster(self._cloud.new_id("cluster"), name)
            self._cloud.clusters[cluster.id] = cluster
            self._cloud.observers.keep("cluster", cluster)
            return cluster.id

    def join_cluster(self, host: int, cluster: int) -> None:
        """The host belongs to this cluster from now on."""
        with self._cloud.turn():
            found = self._cloud.clusters[cluster]
            self._sites.join(self._cloud.hosts[host], found.id)

    def add_datastore(
        self,
        name: str,
        *,
        clusters: Sequence[int] = (0,),
        free_mb: int = 1_000_000,
        total_mb: int = 1_000_000,
        shared: bool = True,
    ) -> int:
        """A new system datastore; the answer is its id."""
        with self._cloud.turn():
            number = self._cloud.new_id("datastore")
            made = SystemDatastore(number, name, list(clusters), free_mb, total_mb, shared)
            self._cloud.datastores[number] = made
            self._cloud.observers.keep("datastore", made)
            return number

    def set_raft_state(self, state: int) -> None:
        """Set the role of this server in its zone: 0 alone, 2 follower, 3 leader."""
        with self._cloud.turn():
            self._cloud.raft_state = state

    # VMs

    def end_vm(self, vm: int, *, after_seconds: float = 0.0) -> None:
        """The VM ends by itself: its guest powers off, now or, if it then runs, later."""
        with self._cloud.turn():
            found = self._cloud.vms[vm]
            if after_seconds > 0:
                self._cloud.at(self._cloud.now + after_seconds, "end", vm)
                return
            if found.pair != RUNNING:
                raise ValueError(f"VM {vm} does not run: it is {pair_name(found.pair)}")
            self._engine.power_off_guest(found)

    def plan(
        self,
        outcome: str,
        *,
        step: str | None = None,
        vm: int | None = None,
        host: int | None = None,
        count: int = 1,
        factor: float = 1.0,
    ) -> None:
        """The next ``count`` steps (``BOOT``, ``SAVE_SUSPEND`` and so on; ``None`` is any), of
        this VM or on this host, end as told: ``done``, ``fail`` or ``hang``, after ``factor``
        times as long as usual."""
        if outcome not in (DONE, FAIL, HANG):
            raise ValueError(f"{outcome!r} is not one of done, fail, hang")
        lcm = None if step is None else Lcm[step]
        with self._cloud.turn():
            self._cloud.faults.plans.append(Plan(outcome, lcm, vm, host, count, factor))

    def refuse(self, method: str = "", *, count: int = 1) -> None:
        """The next calls of ``method`` (or that change anything) are internal errors."""
        with self._cloud.turn():
            self._cloud.faults.refusals += [method] * count

    def forget_plans(self) -> None:
        """No plan is left, and no refusal."""
        with self._cloud.turn():
            self._cloud.faults.plans.clear()
            self._cloud.faults.refusals.clear()

    def release(self, vm: int, *, fail: bool = False) -> None:
        """End the step in which a VM hangs."""
        with self._cloud.turn():
            found = self._cloud.vms[vm]
            if not found.is_busy or not found.operation:
                raise ValueError(f"VM {vm} is not busy: it is {pair_name(found.pair)}")
            if fail:
                self._engine.fail(found)
            else:
                self._engine.succeed(found)

    # Faults

    def lose_drivers(self) -> None:
        """Let what is under way never be over, as after ``oned`` was killed with its drivers."""
        with self._cloud.turn():
            self._engine.lose_drivers()

    def chances(self, **probabilities: float) -> None:
        """Change some of :class:`haizea.sandbox.faults.Chances`."""
        with self._cloud.turn():
            faults = self._cloud.faults
            faults.chances = replace(faults.chances, **probabilities)

    def break_web(self, mode: str, *, seconds: float = 0.0, count: int = 0) -> None:
        """``error`` (500), ``close``, ``stall`` (answer late) or ``lose`` (carry out, and close
        without an answer), for so many real seconds or requests."""
        with self._cloud.turn():
            self._cloud.faults.break_web(mode, seconds=seconds, count=count)

    def add_user(self, name: str, password: str, *, administers: bool = False) -> int:
        """A new user; the answer is the id."""
        with self._cloud.turn():
            return add_user(self._cloud, name, password, administers=administers).id

    # Looking

    def vm(self, vm: int) -> VmView:
        """One VM."""
        with self._cloud.turn():
            found = self._cloud.vms[vm]
            return VmView(
                id=found.id,
                name=found.name,
                owner=found.uname,
                state=pair_name(found.pair),
                host=found.record.host_id if found.record else None,
                is_busy=found.is_busy,
                cpu_percent=found.cpu_percent,
                memory_kb=found.memory_kb,
            )

    def vms(self) -> list[VmView]:
        """All VMs, also those that are DONE."""
        with self._cloud.turn():
            return [self.vm(vm) for vm in self._cloud.vms]

    def hosts(self) -> list[HostView]:
        """All hosts."""
        with self._cloud.turn():
            return [self._host(host) for host in self._cloud.hosts]

    def _host(self, host_id: int) -> HostView:
        host = self._cloud.hosts[host_id]
        cpu, memory = capacity_of(host)
        counted = self._cloud.accounts.load(host_id, COUNTED)
        running = self._cloud.accounts.load(host_id, IN_FACT)
        return HostView(
            id=host.id,
            name=host.name,
            state=host.state.name,
            cpu_percent=cpu,
            memory_kb=memory,
            counted_cpu_percent=counted.cpu_percent,
            counted_memory_kb=counted.memory_kb,
            running_cpu_percent=running.cpu_percent,
            running_memory_kb=running.memory_kb,
            vms=tuple(sorted(counted.vms)),
        )

    def states(self, vm: int) -> list[str]:
        """The states that a VM came to, in order."""
        with self._cloud.turn():
            return self._cloud.journal.states(vm)

    def changes(self, start: int = 0) -> list[Change]:
        """The journal's changes from the ``start``-th on."""
        with self._cloud.turn():
            return self._cloud.journal.changes[start:]

    def commands(self, start: int = 0) -> list[Command]:
        """The journal's commands from the ``start``-th on."""
        with self._cloud.turn():
            return self._cloud.journal.commands[start:]

    def violations(self, kind: str | None = None) -> list[Violation]:
        """Whenever a host had more than it can hold: ``counted``, ``running`` or both."""
        with self._cloud.turn():
            found = self._cloud.journal.violations
            return [each for each in found if kind in (None, each.kind)]

    # Over XML-RPC

    def handles(self) -> dict[str, Handle]:
        """The methods by name, with answers that JSON can tell."""
        plain: Sequence[Callable[..., object]] = (
            self.now,
            self.advance,
            self.settle,
            self.add_host,
            self.break_host,
            self.return_host,
            self.resize_host,
            self.add_cluster,
            self.join_cluster,
            self.add_datastore,
            self.set_raft_state,
            self.end_vm,
            self.plan,
            self.refuse,
            self.forget_plans,
            self.release,
            self.lose_drivers,
            self.chances,
            self.break_web,
            self.add_user,
            self.states,
        )
        told: Sequence[Callable[..., object]] = (
            self.vm,
            self.vms,
            self.hosts,
            self.changes,
            self.commands,
            self.violations,
        )
        return {each.__name__: each for each in plain} | {
            each.__name__: _as_json(each) for each in told
        }


def _as_json(method: Callable[..., object]) -> Handle:
    def call(**keywords: object) -> object:
        found: Any = method(**keywords)
        if isinstance(found, list):
            return [asdict(each) for each in found]
        return asdict(found)

    return call
