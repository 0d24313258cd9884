"""The words that a VM's owner reads: ``HAIZEA_STATUS`` and ``SCHED_MESSAGE``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from haizea.core.model.events import Purpose
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import EXPECTATIONS, Code, Reason
from haizea.core.model.records import LeaseRecord, PlanRecord
from haizea.core.model.resources import FOREVER
from haizea.wording import in_words

_LONGEST_REASON = 500
_ZONE_NAME = re.compile(r"[A-Z]{2,6}", re.ASCII)


#: Until then its hosts are a plan, and may be others yet.
_NOT_BEGUN = frozenset({State.SCHEDULED, State.PREPARING, State.READY})


@dataclass(frozen=True, slots=True)
class Report:
    """The text for one VM. ``asked`` is what its lease asks for, where it is about one."""

    status: Mapping[str, str]
    message: str
    asked: LeaseRequest | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """A VM as it is seen, beside what is planned for its lease; empty where it is nothing.

    It is on ``host``; ``doing`` is what it does while it does not run yet, and ``boots`` when it
    is to boot after that; ``remark`` is what its owner wrote wrongly, or what went wrong that
    others began; ``change`` is the answer to the last edit of what it asks for.
    """

    host: str = ""
    doing: str = ""
    boots: int | None = None
    remark: str = ""
    change: str = ""


AS_PLANNED = Actual()

#: In these a lease's VMs are on hosts.
_ON_HOSTS = frozenset([State.ACTIVE, State.SUSPENDING, State.RESUMING, State.RESUMED_READY])


def reports_of(
    record: LeaseRecord,
    host_name: Callable[[int], str],
    actual: Callable[[int], Actual] = lambda vm: AS_PLANNED,
) -> dict[int, Report]:
    """The report on each VM of a lease, by VM id; none for a lease whose nodes are no VMs.

    ``host_name`` names a host by its index; ``actual`` says how a VM really is.
    """
    names = enumerate(record.request.names)
    nodes = {int(name): node for node, name in names if name.isascii() and name.isdigit()}
    hosts = record.plan.hosts if record.plan is not None else ()
    seen = {vm: actual(vm) for vm in nodes}
    starting = record.state is State.ACTIVE or _is_prepared(record)
    on_hosts = _is_on_hosts(record)
    # A lease runs when all its VMs do.
    first = next((f"VM {vm}: {here.doing}" for vm, here in seen.items() if here.doing), "")
    found = {}
    for vm, here in seen.items():
        planned = host_name(hosts[nodes[vm]]) if nodes[vm] < len(hosts) else ""
        host = (here.host if on_hosts else "") or planned
        doing = (here.doing or first) if starting else ""
        found[vm] = _report(record, replace(here, host=host, doing=doing))
    return found


def _report(record: LeaseRecord, here: Actual) -> Report:
    start, end = _period(record)
    begun = _is_on_hosts(record)
    waits = record.state in _NOT_BEGUN and not begun
    reason = "" if _is_said(record) else spelled(record.reason)[:_LONGEST_REASON]
    status = {
        "LEASE": str(record.id),
        "STATE": record.state.value,
        "START": "" if start is None else _iso(start),
        "END": "unlimited" if end == FOREVER else "" if end is None else _iso(end),
        "HOST": here.host if begun else "",
        "PLANNED_HOST": here.host if waits else "",
        "PROGRESS": here.doing or ("shutting down" if _shuts_down(record) else ""),
        "REASON": reason,
        "REMARK": here.remark,
        "CHANGE": here.change,
    }
    shown = {name: text for name, text in status.items() if text}
    message = _message(record, start, end, here, reason)
    if here.change:
        message += f"; its change is {here.change}"
    if here.remark:
        message += f"; {here.remark}"
    return Report(shown, message, record.request)


def refused_in_words(before: LeaseRecord, reason: Reason, offer: int | None) -> str:
    """Say why a change is refused, and the nearest that would do, for who edits a VM."""
    text = spelled(reason)[:_LONGEST_REASON]
    if offer is None:
        return text
    said, request = moment_in_words(offer), before.request
    if before.state is not State.ACTIVE:
        what = "start" if request.deadline is None else "deadline"
        return f"{text}; the nearest {what} that would do: {said}"
    plan = before.plan
    if plan is not None and request.duration is not None:
        said += f", which is duration {request.duration + offer - plan.phases[-1].end}"
    return f"{text}; the latest end that would do: {said}"


def moment_in_words(moment: int) -> str:
    """``2026-11-25 14:00:00 CET``: local time with its zone."""
    try:
        local = datetime.fromtimestamp(moment).astimezone()
        name = local.tzname() or ""
        shown = name if _ZONE_NAME.fullmatch(name) else f"{local:%z}"
        return f"{local:%Y-%m-%d %H:%M:%S} {shown}"
    except (OverflowError, ValueError, OSError):
        return "never"


def spelled(reason: Reason | None) -> str:
    """A reason in words, its moments in local time."""
    return in_words(reason, moment_in_words)


def _is_said(record: LeaseRecord) -> bool:
    """Tell whether a lease's reason is said without it: when it starts, or what its VMs do."""
    code = record.reason.code if record.reason is not None else None
    return code in EXPECTATIONS or (code is Code.VMS_TAKE_LONGER and _is_prepared(record))


def _iso(moment: int) -> str:
    try:
        return datetime.fromtimestamp(moment).astimezone().isoformat(sep=" ")
    except (OverflowError, ValueError, OSError):
        return ""


def _period(record: LeaseRecord) -> tuple[int | None, int | None]:
    """Return when it starts, or goes on, and until when; as planned, else as is expected."""
    if record.over:
        return None, record.changed
    if record.plan is not None:
        run = record.plan.phase(Purpose.RUN)
        if run is not None:
            return run.start, run.end
    start = record.expected if record.expected is not None else record.request.start
    if start is None:
        return None, None
    asked = record.request.duration
    # What is left of a reservation that waits for hosts grows less, for its end stays.
    whole = asked is not None and record.request.kind is Kind.AR
    return start, min(FOREVER, start + (asked if asked and whole else record.remaining))


def _message(
    record: LeaseRecord,
    start: int | None,
    end: int | None,
    here: Actual,
    reason: str,
) -> str:
    text = f"Haizea lease {record.id} {_says(record, start, end, here)}"
    if record.late and not record.over:
        text += f"; it is late: {spelled(record.late)}"
        if record.late == record.reason:
            return text
    deadline = record.request.deadline
    if deadline is not None and not record.over:
        text += f", to be done by {moment_in_words(deadline)}"
    return f"{text}: {reason}" if reason else text


def _says(record: LeaseRecord, start: int | None, end: int | None, here: Actual) -> str:
    where = f" on {here.host}" if here.host else ""
    from_then = "" if start is None else f" {moment_in_words(start)}"
    match record.state:
        case State.NEW | State.PENDING:
            return "is being looked at"
        case State.QUEUED:
            return _waits(record, from_then, end)
        case State.PREPARING | State.READY if _is_prepared(record):
            return _prepared(record, start, end, here)
        case State.SCHEDULED | State.PREPARING | State.READY:
            return f"starts{from_then}{where}{_until(record.plan, end)}"
        case State.ACTIVE if here.doing:
            return f"is being started{where}{_until(record.plan, end)}: {here.doing}"
        case State.ACTIVE if _shuts_down(record):
            return f"is being shut down{where}"
        case State.ACTIVE:
            return f"runs{where}{_until(record.plan, end)}"
        case State.SUSPENDING:
            return "is being suspended"
        case State.SUSPENDED_PENDING | State.SUSPENDED_QUEUED | State.SUSPENDED_SCHEDULED:
            return f"is suspended{from_then and ', expected to go on' + from_then}"
        case State.MIGRATING | State.RESUMING | State.RESUMED_READY:
            return f"is being resumed{where}{_until(record.plan, end)}"
        case State.DONE:
            return "is over"
        case State.REJECTED:
            return "is rejected"
        case State.CANCELLED:
            return "is cancelled"
        case State.FAILED:
            return "failed"


def _waits(record: LeaseRecord, from_then: str, end: int | None) -> str:
    """Return what a lease is told that has neither hosts nor a plan for any."""
    if record.request.kind is Kind.AR:
        return f"waits for hosts, to run{from_then}{_until(None, end)}"
    return f"waits in the queue{from_then and ', expected to start' + from_then}"


def _prepared(record: LeaseRecord, start: int | None, end: int | None, here: Actual) -> str:
    """Return what a lease is told about whose VMs are started, or run, before its start."""
    starts = "starts" if start is None else f"starts {moment_in_words(start)}"
    where = f" on {here.host}" if here.host else ""
    until, doing = _until(record.plan, end), _progress(here)
    if record.request.kind is not Kind.AR:
        return f"is being started{where}{until}{_counts(record)}: {doing}"
    if _starts_within_its_time(record):
        return f"is being started{where}{until}: {doing}"
    return f"{starts}{until}, and is being prepared{where}: {doing}"


def _starts_within_its_time(record: LeaseRecord) -> bool:
    """Tell whether the VMs of a reservation are started from its start on."""
    start, plan = record.request.start, record.plan
    return start is not None and plan is not None and start <= plan.phases[0].start


def _progress(here: Actual) -> str:
    """Return what a VM does that is being started."""
    doing = here.doing or "its VMs run"
    if here.doing and here.boots is not None:
        doing += f", it boots by {moment_in_words(here.boots)}"
    return doing


def _counts(record: LeaseRecord) -> str:
    """Return from when the duration of a lease counts whose VMs are being started."""
    if record.request.duration is None:
        return ""
    if record.remaining < record.request.duration:
        return ", its duration counting from its deployment"
    return ", its duration counting from when all its VMs run"


def _is_on_hosts(record: LeaseRecord) -> bool:
    """Tell whether the VMs of a lease are on hosts, or on their way there."""
    return record.state in _ON_HOSTS or _is_prepared(record)


def _is_prepared(record: LeaseRecord) -> bool:
    """Tell whether the VMs of a lease are started, or run, before its start."""
    return _is_under_way(record, Purpose.PREPARE)


def _until(plan: PlanRecord | None, end: int | None) -> str:
    if end is None:
        return ""
    if end >= FOREVER:
        return ", without end"
    return f", until {moment_in_words(end)}{_then(plan)}"


def _then(plan: PlanRecord | None) -> str:
    """Return what comes after a run."""
    if plan is None:
        return ""
    if plan.rest is not None:
        first, last = plan.rest.phases[0].start, plan.rest.phases[-1].end
        goes_on, is_done = moment_in_words(first), moment_in_words(last)
        return f", is suspended then, goes on {goes_on} and is done {is_done}"
    if plan.phase(Purpose.SUSPEND) is not None:
        return ", is suspended then and goes on later"
    if plan.drops:
        return ", gives its hosts up then and starts over later"
    shutdown = plan.phase(Purpose.SHUTDOWN)
    if shutdown is None:
        return ""
    return f", and is shut down in the last {shutdown.end - shutdown.start} s of its duration"


def _shuts_down(record: LeaseRecord) -> bool:
    return _is_under_way(record, Purpose.SHUTDOWN)


def _is_under_way(record: LeaseRecord, purpose: Purpose) -> bool:
    plan = record.plan
    if plan is None or plan.since is None:
        return False
    return plan.phases[plan.at].purpose is purpose
