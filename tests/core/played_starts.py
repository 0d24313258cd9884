"""Leases whose VMs have to be started, and a scheduler that is told how that goes."""

from __future__ import annotations

from haizea.core.model.events import (
    Decision,
    HostFailed,
    HostRestored,
    Input,
    OperationEnded,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies

#: What happens to the first host, and what others use of it: all and nothing.
GONE, BACK = HostFailed(0, because(Code.STATED, text="no power")), HostRestored(0)
ALL, NONE = (100, 1024), (0, 0)

SAVES = Settings(suspension=Suspension.ALL, override_suspend_seconds=5, override_resume_seconds=5)


def lease(
    lease_id: int, start: int | None = None, duration: int = 100, nodes: int = 1
) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=0,
        kind=Kind.BEST_EFFORT if start is None else Kind.AR,
        nodes=(NodeSet(nodes, (100, 512)),),
        duration=duration,
        start=start,
        preemptible=start is None,
    )


def site(hosts: int) -> Site:
    return Site.uniform(ResourceTypes(), hosts, (100, 1024))


class Played:
    """A scheduler, and all that it has decided."""

    def __init__(self, hosts: int = 1, settings: Settings = SAVES) -> None:
        self.settings, self.hosts = settings, hosts
        policies = make_policies(preemption="ar-preempts-everything")
        self.made = Scheduler(site(hosts), settings, policies, 0)
        self.decisions: list[Decision] = []
        self.records: dict[int, LeaseRecord] = {}

    def tell(self, now: int, *inputs: Input) -> None:
        """Let it come to ``now``, and tell it something then."""
        while (moment := self.made.next_wakeup()) is not None and moment < now:
            self._take(moment, [])
        self._take(now, list(inputs))

    def _take(self, now: int, inputs: list[Input]) -> None:
        turn = self.made.handle(now, inputs)
        self.decisions += turn.decisions
        self.records.update((record.id, record) for record in turn.records)
        self.made.check()

    def restarted(self, left: int, back: int | None = None) -> Played:
        """The same killed at ``left`` and started again, at ``back``; what is decided from then."""
        again = Played(self.hosts, self.settings)
        policies = make_policies(preemption="ar-preempts-everything")
        again.made = Scheduler(site(self.hosts), self.settings, policies, left)
        again.made.restore(self.records.values(), SiteRecord())
        again._take(left if back is None else back, [])
        return again

    def states(self, lease_id: int) -> list[tuple[int, State]]:
        changes = [d for d in self.decisions if isinstance(d, StateChanged)]
        return [(d.time, d.new) for d in changes if d.lease_id == lease_id]

    def state(self, lease_id: int) -> State:
        return self.states(lease_id)[-1][1]

    def did(self, lease_id: int) -> list[tuple[Purpose, int, int]]:
        ended = [d for d in self.decisions if isinstance(d, OperationEnded)]
        return [(d.purpose, d.start, d.end) for d in ended if d.lease_id == lease_id]

    def began(self, lease_id: int, purpose: Purpose) -> list[tuple[int, tuple[int, ...]]]:
        started = [d for d in self.decisions if isinstance(d, OperationStarted)]
        return [
            (d.time, d.hosts) for d in started if (d.lease_id, d.purpose) == (lease_id, purpose)
        ]
