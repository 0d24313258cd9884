"""Events in words and fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from haizea.api.answers import EventOut
from haizea.api.values import written, written_or_none
from haizea.api.views import host_names, reason_fields
from haizea.core.model.events import (
    ChangeRefused,
    Decision,
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
from haizea.core.model.reasons import Reason
from haizea.core.model.vm_times import PreparationPlanned, ShutdownPlanned
from haizea.core.placement.durations import Rates
from haizea.service_types import Event
from haizea.times import format_time
from haizea.wording import in_words

#: So many hosts are named in the words; of more, it is said how many.
_HOSTS_NAMED = 4


def event_out(event: Event, site: Site) -> EventOut:
    """An event for its stream."""
    return EventOut(
        id=event.id,
        time=written(event.time),
        lease=event.lease_id,
        owner=event.owner,
        **_told(event.decision, site),
    )


def _told(decision: Decision, site: Site) -> dict[str, Any]:
    """The fields of an event beside those that each has."""
    match decision:
        case LeaseAccepted(request=request):
            whose = f" of {request.owner}" if request.owner else ""
            return {
                "kind": "accepted",
                "text": f"lease {request.id}{whose} asked for: {request.kind}",
            }
        case LeaseAltered(request=request):
            return {"kind": "changed", "text": f"lease {request.id} is changed"}
        case ChangeRefused(lease_id=lease, reason=reason):
            text = f"lease {lease} stays as it is: {in_words(reason)}"
            return {"kind": "change-refused", "text": text, **reason_fields(reason)}
        case StateChanged(lease_id=lease, old=old, new=new, reason=reason, code=code):
            return {
                "kind": "state",
                "text": f"lease {lease} is {new}{_because(reason)}",
                "state": new,
                "old_state": old,
                "code": code,
                **reason_fields(reason),
            }
        case HostsLimited(lease_id=lease, allowed=allowed):
            return {"kind": "hosts", "text": f"lease {lease}: {describe_allowed(allowed)}"}
        case Expected(lease_id=lease, start=start, reason=reason):
            sooner = f"start expected at {format_time(start)}" if start is not None else ""
            words = "; ".join(part for part in (sooner, in_words(reason)) if part)
            return {
                "kind": "expected",
                "text": f"lease {lease}: {words or 'start not known'}",
                "start": written_or_none(start),
                **reason_fields(reason),
            }
        case HostsPlanned(lease_id=lease, hosts=hosts, reason=reason):
            names = host_names(site, hosts)
            return {
                "kind": "planned-hosts",
                "text": f"lease {lease} is to run on {_listed(names)}: {in_words(reason)}",
                "hosts": names,
                **reason_fields(reason),
            }
        case OperationStarted(time=start, hosts=hosts):
            return _operation(decision, start, host_names(site, hosts))
        case OperationEnded(start=start, use=use):
            return _operation(decision, start, host_names(site, [host for host, _ in use]))
        case PreparationPlanned(lease_id=lease, seconds=seconds):
            text = f"lease {lease}: its VMs are planned to take {seconds} s to start"
            return {"kind": "preparation", "text": text}
        case ShutdownPlanned(lease_id=lease, seconds=seconds):
            text = f"lease {lease}: its VMs are planned to take {seconds} s to shut down"
            return {"kind": "shutdown", "text": text}
        case HostChanged() | MaintenanceChanged() | RatesChanged() | ImageStored():
            return _of_hosts(decision, site)


def _of_hosts(
    decision: HostChanged | MaintenanceChanged | RatesChanged | ImageStored, site: Site
) -> dict[str, Any]:
    """The fields of an event that is about hosts."""
    match decision:
        case HostChanged(host=host, status=status, reason=reason):
            return {
                "kind": "host",
                "text": f"host {host.name} is {status}{_because(reason)}",
                "hosts": [host.name],
                "status": status,
                **reason_fields(reason),
            }
        case MaintenanceChanged(window=window, status=status, reason=reason):
            names = host_names(site, window.hosts)
            return {
                "kind": "maintenance",
                "text": f"maintenance {window.id} of {_listed(names)} is {status}"
                f"{_because(reason)}",
                "start": written(window.start),
                "end": written_or_none(window.end),
                "hosts": names,
                "status": status,
                **reason_fields(reason),
            }
        case RatesChanged(host_id=host_id, suspend_mb_s=suspend, resume_mb_s=resume):
            names = host_names(site, [host_id])
            text = f"host {names[0]} {Rates(suspend, resume).describe()}"
            return {"kind": "rates", "text": text, "hosts": names}
        case ImageStored(host_id=host_id, used_mb=used_mb):
            names = host_names(site, [host_id])
            text = f"images take {used_mb} MB on host {names[0]}"
            return {"kind": "image", "text": text, "hosts": names}


def _because(reason: Reason | None) -> str:
    words = in_words(reason)
    return f": {words}" if words else ""


def _operation(
    operation: OperationStarted | OperationEnded, start: int, hosts: list[str]
) -> dict[str, Any]:
    begins = isinstance(operation, OperationStarted)
    does = "begins" if begins else "is over"
    return {
        "kind": "operation-started" if begins else "operation-ended",
        "text": f"lease {operation.lease_id}: {operation.purpose} {does} on {_listed(hosts)}",
        "purpose": operation.purpose,
        "start": written_or_none(start),
        "end": written_or_none(operation.end),
        "hosts": hosts,
    }


def _listed(names: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(names))
    if len(distinct) > _HOSTS_NAMED:
        return f"{len(distinct)} hosts"
    return ", ".join(distinct)
