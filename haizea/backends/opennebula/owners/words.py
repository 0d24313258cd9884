"""What a VM's owner reads of its lease: ``HAIZEA_STATUS`` and ``SCHED_MESSAGE``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from haizea.core.model.events import Purpose
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord, PlanRecord
from haizea.core.model.resources import FOREVER

_MOMENT = re.compile(r"@(\d{1,15})\b", re.ASCII)
_LONGEST_REASON = 500
_ZONE_NAME = re.compile(r"[A-Z]{2,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Report:
    """What is said in one VM."""

    status: Mapping[str, str]
    message: str


def reports_of(
    record: LeaseRecord, host_name: Callable[[int], str], zone: tzinfo | None = None
) -> dict[int, Report]:
    """The report on each VM of a lease, by VM id; none for a lease whose nodes are no VMs.

    ``host_name`` names a host by its index; ``zone`` is the users', ``None`` for this
    machine's.
    """
    names = record.request.names
    start, end = _period(record)
    reason = spelled(record.reason, zone)[:_LONGEST_REASON]
    status = {
        "LEASE": str(record.id),
        "STATE": record.state.value,
        "START": "" if start is None else _iso(start, zone),
        "END": "unlimited" if end == FOREVER else "" if end is None else _iso(end, zone),
        "REASON": reason,
    }
    shown = {name: text for name, text in status.items() if text}
    hosts = record.plan.hosts if record.plan is not None else ()
    found = {}
    for index, name in enumerate(names):
        if name.isascii() and name.isdigit():
            host = host_name(hosts[index]) if index < len(hosts) else ""
            message = _message(record, start, end, host, reason, zone)
            found[int(name)] = Report(shown, message)
    return found


def moment_in_words(moment: int, zone: tzinfo | None = None) -> str:
    """``2026-11-25 14:00:00 CET``: local time with its zone."""
    try:
        local = datetime.fromtimestamp(moment, zone)
        local = local.astimezone() if zone is None else local
        name = local.tzname() or ""
        shown = name if _ZONE_NAME.fullmatch(name) else f"{local:%z}"
        return f"{local:%Y-%m-%d %H:%M:%S} {shown}"
    except (OverflowError, ValueError, OSError):
        return "never"


def spelled(reason: str, zone: tzinfo | None = None) -> str:
    """A reason of the scheduler's with its moments, ``@seconds``, in words."""
    return _MOMENT.sub(lambda found: moment_in_words(int(found[1]), zone), reason)


def _iso(moment: int, zone: tzinfo | None) -> str:
    try:
        local = datetime.fromtimestamp(moment, zone)
        return (local.astimezone() if zone is None else local).isoformat(sep=" ")
    except (OverflowError, ValueError, OSError):
        return ""


def _period(record: LeaseRecord) -> tuple[int | None, int | None]:
    """When it starts, or goes on, and until when; as planned, else as is expected."""
    if record.over:
        return None, record.changed
    if record.plan is not None:
        run = record.plan.phase(Purpose.RUN)
        if run is not None:
            return run.start, run.end
    start = record.expected if record.expected is not None else record.request.start
    if start is None:
        return None, None
    return start, min(FOREVER, start + record.remaining)


def _message(
    record: LeaseRecord,
    start: int | None,
    end: int | None,
    host: str,
    reason: str,
    zone: tzinfo | None,
) -> str:
    text = f"Haizea lease {record.id} {_says(record, start, end, host, zone)}"
    if record.late and not record.over:
        text += f"; it is late: {spelled(record.late, zone)}"
    # A start that is expected is told already.
    if not reason or (not record.over and reason.startswith("expected")):
        return text
    return f"{text}: {reason.removeprefix('rejected: ')}"


def _says(
    record: LeaseRecord, start: int | None, end: int | None, host: str, zone: tzinfo | None
) -> str:
    where = f" on {host}" if host else ""
    from_then = "" if start is None else f" {moment_in_words(start, zone)}"
    match record.state:
        case State.NEW | State.PENDING:
            return "is being looked at"
        case State.QUEUED:
            return f"waits in the queue{from_then and ', expected to start' + from_then}"
        case State.SCHEDULED | State.PREPARING | State.READY:
            return f"starts{from_then}{where}{_until(record.plan, end, zone)}"
        case State.ACTIVE:
            return f"runs{where}{_until(record.plan, end, zone)}"
        case State.SUSPENDING:
            return "is being suspended"
        case State.SUSPENDED_PENDING | State.SUSPENDED_QUEUED | State.SUSPENDED_SCHEDULED:
            return f"is suspended{from_then and ', expected to go on' + from_then}"
        case State.MIGRATING | State.RESUMING | State.RESUMED_READY:
            return f"is being resumed{where}{_until(record.plan, end, zone)}"
        case State.DONE:
            return "is over"
        case State.REJECTED:
            return "is rejected"
        case State.CANCELLED:
            return "is cancelled"
        case State.FAILED:
            return "failed"


def _until(plan: PlanRecord | None, end: int | None, zone: tzinfo | None) -> str:
    if end is None:
        return ""
    if end >= FOREVER:
        return ", without end"
    suspended = plan is not None and plan.phase(Purpose.SUSPEND) is not None
    then = ", is suspended then and goes on later" if suspended else ""
    return f", until {moment_in_words(end, zone)}{then}"
