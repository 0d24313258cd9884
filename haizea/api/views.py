"""From what the manager knows to what clients are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, assert_never

from haizea.api.answers import (
    DecisionOut,
    LeaseOut,
    LeaseStory,
    Outcome,
    PlaceOut,
    ReservationOut,
    ScheduleEntry,
    StoryEntry,
    TokenOut,
)
from haizea.api.host_answers import HostOut
from haizea.api.manager import HostUse, QueuePlace, Reserved
from haizea.api.settings import MOST_STORY
from haizea.api.values import written, written_or_none
from haizea.core.model.events import (
    ChangeRefused,
    Expected,
    HostChanged,
    HostsLimited,
    HostsPlanned,
    ImageStored,
    LeaseAccepted,
    LeaseAltered,
    MaintenanceChanged,
    OperationEnded,
    OperationStarted,
    Purpose,
    RatesChanged,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import NodeSet
from haizea.core.model.lifecycle import FINAL, State
from haizea.core.model.reasons import EXPECTATIONS, Code, Reason, because, expected_at
from haizea.core.model.records import LeaseRecord
from haizea.core.model.resources import FOREVER, Capacity, ResourceTypes
from haizea.core.model.vm_times import PreparationPlanned, ShutdownPlanned
from haizea.service_types import Decided, Event, TokenInfo
from haizea.wording import in_words, parameters_of

#: Long lists repeat their reasons and nodes; so many of the last ones are remembered.
_REMEMBERED = 1 << 12


def resources(types: ResourceTypes, capacity: Capacity) -> dict[str, int]:
    """Amounts by name."""
    return dict(zip(types.names, capacity, strict=False))


def host_names(site: Site, hosts: Iterable[int]) -> list[str]:
    """The names of the hosts with these indices; of one that is not known, its number."""
    known = site.hosts
    return [known[i].name if 0 <= i < len(known) else f"host {i}" for i in hosts]


def lease_out(record: LeaseRecord, types: ResourceTypes) -> LeaseOut:
    """A lease."""
    return LeaseOut(**_lease(record, types))


def lease_shown(record: LeaseRecord, started: int | None, types: ResourceTypes) -> dict[str, Any]:
    """The fields of a :class:`LeaseShown` of a lease that first ran at ``started``, if it did."""
    return {
        **_lease(record, types),
        "started": written_or_none(started),
        "ended": written(record.changed) if record.over else None,
    }


def _lease(record: LeaseRecord, types: ResourceTypes) -> dict[str, Any]:
    """The fields of a lease; lists have thousands of them, so each is put together once."""
    request, image = record.request, record.request.image
    run = record.plan.phase(Purpose.RUN) if record.plan is not None else None
    return {
        "id": request.id,
        "label": request.label,
        "owner": request.owner,
        "kind": request.kind,
        "state": record.state,
        **reason_fields(record.reason),
        "code": record.code,
        "changed": written(record.changed),
        "submitted": written(request.submitted),
        "start": written_or_none(request.start),
        "after": written_or_none(request.after),
        "deadline": written_or_none(request.deadline),
        "duration": request.duration,
        "nodes": _nodes(types, request.nodes),
        "names": list(request.names),
        "preemptible": request.preemptible,
        "fixed_hosts": request.fixed_hosts,
        "image": None if image is None else {"name": image.name, "size_mb": image.size_mb},
        "planned_start": None if run is None else written_or_none(run.start),
        "planned_end": None if run is None else written_or_none(run.end),
        "makes_room": _makes_room(record),
        # What is over is not expected any more, whatever it was expected to do.
        "expected": None if record.over else written_or_none(record.expected),
        "remaining": record.remaining if record.remaining < FOREVER else None,
        "ran": max(0, record.ran),
    }


@lru_cache(maxsize=_REMEMBERED)
def _nodes(types: ResourceTypes, nodes: Iterable[NodeSet]) -> Sequence[Mapping[str, Any]]:
    return [{"count": n.count, "resources": resources(types, n.capacity)} for n in nodes]


def _makes_room(record: LeaseRecord) -> str | None:
    plan = record.plan
    run = None if plan is None or not plan.code else plan.phase(Purpose.RUN)
    return None if run is None else written_or_none(run.end)


@lru_cache(maxsize=_REMEMBERED)
def reason_fields(reason: Reason | None) -> Mapping[str, Any]:
    """The fields that say why: in words, and as code and parameters."""
    return {
        "reason": in_words(reason),
        "reason_code": None if reason is None else reason.code.value,
        "reason_parameters": parameters_of(reason),
    }


def decision_out(decided: Decided, site: Site) -> DecisionOut:
    """The answer to a request."""
    record = decided.record
    outcome: Outcome
    if record.state is State.REJECTED:
        outcome = "rejected"
    else:
        outcome = "accepted" if decided.place is None else "queued"
    return DecisionOut(
        outcome=outcome,
        lease=lease_out(record, site.types),
        hosts=host_names(site, record.plan.hosts) if record.plan is not None else [],
        place=decided.place,
        expected=written_or_none(decided.expected),
        offer=written_or_none(decided.offer),
        offer_until=written_or_none(decided.offer_until),
        repeated=decided.repeated,
    )


# --- a lease's story ------------------------------------------------------------------


def lease_story(
    record: LeaseRecord, started: int | None, events: Sequence[Event], site: Site
) -> LeaseStory:
    """A lease with all that happened to it."""
    story = _story(events, site)
    reservations = [*_past(events, site), *_unfinished_transfers(events, site)]
    return LeaseStory(
        **lease_shown(record, started, site.types),
        hosts=host_names(site, record.plan.hosts) if record.plan is not None else [],
        reservations=reservations[-MOST_STORY:] + _present(record, site),
        story=story[-MOST_STORY:],
    )


#: What these wait for changes all the time, and is no news of them.
_IN_QUEUE = frozenset({State.QUEUED, State.SUSPENDED_QUEUED})

#: What is news of these is their start.
_PLANNED = {
    State.SCHEDULED: Code.START_EXPECTED,
    State.SUSPENDED_SCHEDULED: Code.RESUMPTION_EXPECTED,
}


def _story(events: Sequence[Event], site: Site) -> list[StoryEntry]:
    """The states that a lease came into, and what became of it meanwhile: why it is late, too."""
    story: list[StoryEntry] = []
    state = State.NEW
    reason: Reason | None = None
    for event in events:
        match event.decision:
            case LeaseAccepted():
                reason, code = None, ""
            case StateChanged(new=new, reason=why, code=word):
                state, reason, code = new, why, word
            case HostsPlanned(hosts=hosts, reason=why):
                where = ", ".join(host_names(site, sorted(set(hosts))))
                reason, code = because(Code.RUNS_ON, hosts=where, cause=why), "moved"
            case Expected(start=int(at), reason=Reason(code=Code.WAITS)) if state in _PLANNED:
                before, reason = reason, expected_at(_PLANNED[state], at)
                if reason == before:
                    continue
                code = "expected"
            case Expected(reason=why) if state not in _IN_QUEUE and why.code not in EXPECTATIONS:
                reason, code = why, "expected"
            case HostsLimited() | Expected() | OperationStarted() | OperationEnded():
                continue
            case LeaseAltered():
                reason = because(Code.WAS_CHANGED)
                code = "changed"
            case ChangeRefused():
                continue
            case PreparationPlanned(seconds=seconds):
                reason = because(Code.PREPARATION_PLANNED, seconds=seconds)
                code = "preparation"
            case ShutdownPlanned(seconds=seconds):
                reason = because(Code.SHUTDOWN_PLANNED, seconds=seconds)
                code = "shutdown"
            case HostChanged() | RatesChanged() | MaintenanceChanged() | ImageStored():
                continue
            case _:
                assert_never(event.decision)
        story.append(
            StoryEntry(
                event=event.id,
                time=written(event.time),
                state=state,
                code=code,
                **reason_fields(reason),
            )
        )
    return story


def _past(events: Iterable[Event], site: Site) -> list[ReservationOut]:
    return [
        ReservationOut(
            when="past",
            purpose=ended.purpose,
            start=written(ended.start),
            end=written_or_none(ended.end),
            hosts=host_names(site, [host for host, _ in ended.use]),
            firm=True,
        )
        for event in events
        if isinstance(ended := event.decision, OperationEnded)
    ]


def _unfinished_transfers(events: Iterable[Event], site: Site) -> list[ReservationOut]:
    """Transfers under way, which are no part of a lease's plan."""
    begun: dict[tuple[int, ...], OperationStarted] = {}
    for event in events:
        decision = event.decision
        if isinstance(decision, StateChanged):
            if decision.new in FINAL:
                begun.clear()
        elif isinstance(decision, OperationStarted):
            if decision.purpose is Purpose.TRANSFER:
                begun[decision.hosts] = decision
        elif isinstance(decision, OperationEnded) and decision.purpose is Purpose.TRANSFER:
            begun.pop(tuple(host for host, _ in decision.use), None)
    return [
        ReservationOut(
            when="now",
            purpose=started.purpose,
            start=written(started.time),
            end=written_or_none(started.end),
            hosts=host_names(site, started.hosts),
            firm=True,
        )
        for started in begun.values()
    ]


def _present(record: LeaseRecord, site: Site) -> list[ReservationOut]:
    plan = record.plan
    if plan is None:
        return []
    names = list(dict.fromkeys(host_names(site, plan.hosts)))
    return [
        ReservationOut(
            when="now" if plan.since is not None and i == plan.at else "planned",
            purpose=phase.purpose,
            start=written(plan.since if plan.since is not None and i == plan.at else phase.start),
            end=written_or_none(phase.end),
            hosts=names,
            firm=plan.firm,
        )
        for i, phase in enumerate(plan.phases)
        if i >= plan.at
    ]


# --- the site -------------------------------------------------------------------------


def queue_entry(place: QueuePlace, types: ResourceTypes) -> dict[str, Any]:
    """The fields of a :class:`QueueEntry` of a waiting lease."""
    return {
        "place": place.place,
        "lease": _lease(place.record, types),
        "expected": written_or_none(place.expected),
        "exact": place.exact,
    }


def host_out(use: HostUse, types: ResourceTypes, owner: str | None) -> HostOut:
    """A host with the leases on it, all or those of one owner."""
    return HostOut(
        id=use.host.id,
        name=use.host.name,
        status=use.status,
        **reason_fields(use.reason),
        resources=resources(types, use.host.capacity),
        used=resources(types, use.used),
        others=resources(types, use.others),
        leases=[lease for lease, whose in use.leases if owner in (None, whose)],
        suspend_rate=use.rates.suspend_mb_s,
        resume_rate=use.rates.resume_mb_s,
    )


def schedule_entry(reserved: Reserved, site: Site) -> ScheduleEntry:
    """A reservation, host by host."""
    names = host_names(site, [host for host, _ in reserved.use])
    return ScheduleEntry(
        lease=reserved.lease_id,
        owner=reserved.owner,
        label=reserved.label,
        purpose=reserved.purpose,
        start=written(reserved.start),
        end=written_or_none(reserved.end),
        firm=reserved.firm,
        places=[
            PlaceOut(host=name, resources=resources(site.types, capacity))
            for name, (_, capacity) in zip(names, reserved.use, strict=True)
        ],
    )


def token_out(token: TokenInfo) -> TokenOut:
    """A token without its secret."""
    return TokenOut(
        id=token.id,
        name=token.name,
        role=token.role,
        owner=token.owner,
        created=written(token.created),
        expires=written_or_none(token.expires),
        last_used=written_or_none(token.last_used),
        revoked=token.revoked,
    )
