"""Events in words and fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from haizea.api.answers import EventOut
from haizea.api.values import written, written_or_none
from haizea.api.views import host_names, reason_fields
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
    RatesChanged,
    StateChanged,
)
from haizea.core.model.hostrules import describe_allowed
from haizea.core.model.hosts import Site
from haizea.core.model.vm_times import PreparationPlanned, ShutdownPlanned
from haizea.core.placement.durations import Rates
from haizea.service_types import Event
from haizea.times import format_time
from haizea.wording import in_words

#: So many hosts are named in the words; of more, it is said how many.
_HOSTS_NAMED = 4


def event_out(event: Event, site: Site) -> EventOut:
    """An event for its stream."""
    out = _told(event, site)
    out.owner = event.owner
    return out


def _told(event: Event, site: Site) -> EventOut:
    when, lease = written(event.time), event.lease_id
    match event.decision:
        case LeaseAccepted(request=request):
            whose = f" of {request.owner}" if request.owner else ""
            text = f"lease {request.id}{whose} asked for: {request.kind}"
            return EventOut(id=event.id, time=when, kind="accepted", text=text, lease=lease)
        case LeaseAltered() | ChangeRefused() as change:
            return _change(event, change)
        case StateChanged() as change:
            return _state(event, change)
        case HostsLimited(allowed=allowed):
            text = f"lease {lease}: {describe_allowed(allowed)}"
            return EventOut(id=event.id, time=when, kind="hosts", text=text, lease=lease)
        case Expected(start=start, reason=reason):
            sooner = f"start expected at {format_time(start)}" if start is not None else ""
            words = "; ".join(part for part in (sooner, in_words(reason)) if part)
            return EventOut(
                id=event.id,
                time=when,
                kind="expected",
                text=f"lease {lease}: {words or 'start not known'}",
                lease=lease,
                start=written_or_none(start),
                **reason_fields(reason),
            )
        case HostsPlanned() as moved:
            return _planned(event, moved, site)
        case OperationStarted() as started:
            return _operation(event, started, started.time, started.hosts, site)
        case OperationEnded() as ended:
            hosts = [host for host, _ in ended.use]
            return _operation(event, ended, ended.start, hosts, site)
        case HostChanged(host=host, status=status, reason=reason):
            because = f": {in_words(reason)}" if reason is not None else ""
            return EventOut(
                id=event.id,
                time=when,
                kind="host",
                text=f"host {host.name} is {status}{because}",
                hosts=[host.name],
                status=status,
                **reason_fields(reason),
            )
        case MaintenanceChanged() as upkeep:
            return _maintenance(event, upkeep, site)
        case RatesChanged(host_id=host_id, suspend_mb_s=suspend, resume_mb_s=resume):
            name = host_names(site, [host_id])[0]
            text = f"host {name} {Rates(suspend, resume).describe()}"
            return EventOut(id=event.id, time=when, kind="rates", text=text, hosts=[name])
        case PreparationPlanned(seconds=seconds):
            text = f"lease {lease}: its VMs are planned to take {seconds} s to start"
            return EventOut(id=event.id, time=when, kind="preparation", text=text, lease=lease)
        case ShutdownPlanned(seconds=seconds):
            text = f"lease {lease}: its VMs are planned to take {seconds} s to shut down"
            return EventOut(id=event.id, time=when, kind="shutdown", text=text, lease=lease)
        case ImageStored(host_id=host_id, used_mb=used_mb):
            name = host_names(site, [host_id])[0]
            text = f"images take {used_mb} MB on host {name}"
            return EventOut(id=event.id, time=when, kind="image", text=text, hosts=[name])


def _change(event: Event, change: LeaseAltered | ChangeRefused) -> EventOut:
    when, lease = written(event.time), event.lease_id
    if isinstance(change, LeaseAltered):
        text = f"lease {lease} is changed"
        return EventOut(id=event.id, time=when, kind="changed", text=text, lease=lease)
    return EventOut(
        id=event.id,
        time=when,
        kind="change-refused",
        text=f"lease {lease} stays as it is: {in_words(change.reason)}",
        lease=lease,
        **reason_fields(change.reason),
    )


def _planned(event: Event, moved: HostsPlanned, site: Site) -> EventOut:
    names = host_names(site, moved.hosts)
    return EventOut(
        id=event.id,
        time=written(event.time),
        kind="planned-hosts",
        text=f"lease {moved.lease_id} is to run on {_listed(names)}: {in_words(moved.reason)}",
        lease=moved.lease_id,
        hosts=names,
        **reason_fields(moved.reason),
    )


def _maintenance(event: Event, change: MaintenanceChanged, site: Site) -> EventOut:
    window, reason = change.window, in_words(change.reason)
    names = host_names(site, window.hosts)
    because = f": {reason}" if reason else ""
    return EventOut(
        id=event.id,
        time=written(event.time),
        kind="maintenance",
        text=f"maintenance {window.id} of {_listed(names)} is {change.status}{because}",
        start=written(window.start),
        end=written_or_none(window.end),
        hosts=names,
        status=change.status,
        **reason_fields(change.reason),
    )


def _state(event: Event, change: StateChanged) -> EventOut:
    because = f": {in_words(change.reason)}" if change.reason is not None else ""
    return EventOut(
        id=event.id,
        time=written(event.time),
        kind="state",
        text=f"lease {change.lease_id} is {change.new}{because}",
        lease=change.lease_id,
        state=change.new,
        old_state=change.old,
        code=change.code,
        **reason_fields(change.reason),
    )


def _operation(
    event: Event,
    operation: OperationStarted | OperationEnded,
    start: int,
    hosts: Iterable[int],
    site: Site,
) -> EventOut:
    begins, lease = isinstance(operation, OperationStarted), operation.lease_id
    names, does = host_names(site, hosts), "begins" if begins else "is over"
    return EventOut(
        id=event.id,
        time=written(event.time),
        kind="operation-started" if begins else "operation-ended",
        text=f"lease {lease}: {operation.purpose} {does} on {_listed(names)}",
        lease=lease,
        purpose=operation.purpose,
        start=written_or_none(start),
        end=written_or_none(operation.end),
        hosts=names,
    )


def _listed(names: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(names))
    if len(distinct) > _HOSTS_NAMED:
        return f"{len(distinct)} hosts"
    return ", ".join(distinct)
