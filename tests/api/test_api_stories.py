"""The story of a lease: what became of it, and why it is late while it waits."""

from __future__ import annotations

from haizea.api.views import lease_story
from haizea.core.model.events import (
    Input,
    LeaseCancelled,
    LeaseSubmitted,
    OperationDelayed,
    Purpose,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.service_types import Event

HOST = (100, 1024)


class Told:
    """A scheduler of one host, and what became of its leases."""

    def __init__(self) -> None:
        self.site = Site.uniform(ResourceTypes(), 1, HOST)
        policies = make_policies(preemption="ar-preempts-everything")
        self._scheduler = Scheduler(self.site, Settings(suspension=Suspension.ALL), policies, 0)
        self._events: list[Event] = []
        self._records: dict[int, LeaseRecord] = {}

    def tell(self, now: int, *inputs: Input) -> None:
        turn = self._scheduler.handle(now, list(inputs))
        self._records.update((record.id, record) for record in turn.records)
        for decision in turn.decisions:
            number = len(self._events) + 1
            lease_id = getattr(decision, "lease_id", None)
            event = Event(id=number, time=now, lease_id=lease_id, owner=None, decision=decision)
            self._events.append(event)

    def story(self, lease_id: int) -> list[tuple[str, str]]:
        """Each state with its reason, as it is told."""
        events = [event for event in self._events if event.lease_id == lease_id]
        told = lease_story(self._records[lease_id], None, events, self.site)
        return [(entry.state.value, entry.reason) for entry in told.story]


def asked(lease_id: int, start: int | None, duration: int) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=0,
        kind=Kind.BEST_EFFORT if start is None else Kind.AR,
        nodes=(NodeSet(1, HOST),),
        start=start,
        duration=duration,
        preemptible=start is None,
    )


def test_one_that_waits_for_anothers_suspension_says_so_also_after_it_was_cancelled() -> None:
    told = Told()
    told.tell(0, LeaseSubmitted(asked(1, None, 5000)))
    told.tell(10, LeaseSubmitted(asked(2, 1000, 300)))
    told.tell(968)
    told.tell(1000, OperationDelayed(1, Purpose.SUSPEND, 1030))
    late = ("Scheduled", "it starts late: host-1 is still held by lease 1")
    assert told.story(2)[-1] == late
    told.tell(1010, LeaseCancelled(2))
    assert told.story(2)[-2:] == [late, ("Cancelled", "cancelled by its owner")]


def test_what_waits_in_the_queue_does_not_tell_each_expectation() -> None:
    told = Told()
    told.tell(0, LeaseSubmitted(asked(1, None, 5000)))
    told.tell(10, LeaseSubmitted(asked(2, None, 300)), LeaseSubmitted(asked(3, None, 300)))
    told.tell(20, LeaseCancelled(1))
    assert [state for state, _ in told.story(3)].count("Queued") == 1
