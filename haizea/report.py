"""Messages of a run while it goes on: decisions in words, status lines, and the log's form.

The log is Python's, under the name ``haizea``. Its levels are those of the configuration:
``STATUS`` says how far the run is, ``INFO`` adds what becomes of every lease and host,
``DEBUG`` every operation, ``VDEBUG`` every expectation. Each line begins with the time of
the run's clock, so that the log of a simulation is the same whenever it is repeated.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from haizea.clock import Clock
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
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.turn import Turn
from haizea.core.model.vm_times import PreparationPlanned, ShutdownPlanned
from haizea.core.placement.durations import Rates
from haizea.loop import Tally
from haizea.times import format_utc
from haizea.wording import in_words

STATUS = 25
VDEBUG = 5
LEVELS = {"STATUS": STATUS, "INFO": logging.INFO, "DEBUG": logging.DEBUG, "VDEBUG": VDEBUG}

_LEVEL_OF: dict[type, int] = {
    LeaseAccepted: logging.INFO,
    LeaseAltered: logging.INFO,
    ChangeRefused: logging.INFO,
    StateChanged: logging.INFO,
    HostChanged: logging.INFO,
    RatesChanged: logging.INFO,
    MaintenanceChanged: logging.INFO,
    OperationStarted: logging.DEBUG,
    OperationEnded: logging.DEBUG,
    HostsLimited: logging.DEBUG,
    HostsPlanned: logging.INFO,
    PreparationPlanned: logging.DEBUG,
    ShutdownPlanned: logging.DEBUG,
    Expected: VDEBUG,
    ImageStored: VDEBUG,
}

#: So many hosts of an operation are named in a line; of more, it is said how many.
_HOSTS_NAMED = 4


def on_one_line(text: str) -> str:
    """``text`` with what would begin a line, or turn round its order, as escapes of JSON.

    Some of it is written by whoever asks for leases.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


class ClockFormatter(logging.Formatter):
    """``[2006-11-25 13:00:00] INFO message``, the time being the run's and in UTC."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("[%(asctime)s] %(levelname)s %(message)s")
        self._clock = clock

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The time of the run's clock."""
        return format_utc(self._clock.now())

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, the level in the configuration's words; it stays one line."""
        record.levelname = {STATUS: "STATUS", VDEBUG: "VDEBUG"}.get(
            record.levelno, record.levelname
        )
        record.message = on_one_line(record.message)
        return super().formatMessage(record)


class DecisionLog:
    """An observer that logs every decision of the log's level; for loggers at ``INFO`` or below."""

    def __init__(self, logger: logging.Logger, site: Site) -> None:
        self._logger = logger
        self._site = site
        self._hosts = {host.id: host for host in site.hosts}

    def note(self, turn: Turn) -> None:
        """Log what was decided."""
        for decision in turn.decisions:
            if isinstance(decision, HostChanged):
                self._hosts[decision.host.id] = decision.host
            level = _LEVEL_OF[type(decision)]
            if self._logger.isEnabledFor(level):
                words = describe(decision, self._site, self._hosts)
                self._logger.log(level, "%s", words, extra=about(decision))


class StatusLog:
    """An observer that logs how far the run is, every so many seconds of the run's clock."""

    def __init__(
        self, logger: logging.Logger, tally: Tally, total: int, start: int, interval_seconds: int
    ) -> None:
        self._logger = logger
        self._tally = tally
        self._total = total
        self._interval = interval_seconds
        self._next = start + interval_seconds

    def note(self, turn: Turn) -> None:
        """Log the status if it is time to."""
        now = turn.now
        if now >= self._next:
            self._logger.log(STATUS, "%s", status_line(self._tally, self._total))
            self._next += ((now - self._next) // self._interval + 1) * self._interval


def status_line(tally: Tally, total: int) -> str:
    """Return how many leases there are in which state, for people."""
    states = ", ".join(f"{count} {state}" for state, count in tally.states.items())
    return f"{tally.submitted} of {total} leases submitted, {tally.finished} finished" + (
        f" ({states})" if states else ""
    )


def about(decision: Decision) -> dict[str, Any]:
    """Return what a decision is about, as fields that a log for programs has beside the words."""
    found: dict[str, Any] = {"decision": type(decision).__name__}
    match decision:
        case LeaseAccepted(request=request) | LeaseAltered(request=request):
            found["lease"] = request.id
        case StateChanged(lease_id=lease_id, new=new, code=code):
            found |= {"lease": lease_id, "state": str(new), "code": code}
        case ChangeRefused(lease_id=lease_id):
            found["lease"] = lease_id
        case HostsLimited() | Expected() | HostsPlanned() | OperationStarted() | OperationEnded():
            found["lease"] = decision.lease_id
        case PreparationPlanned(lease_id=lease_id) | ShutdownPlanned(lease_id=lease_id):
            found["lease"] = lease_id
        case HostChanged(host=host, status=status):
            found |= {"host": host.name, "state": status}
        case MaintenanceChanged(window=window, status=status):
            found |= {"maintenance": window.id, "state": status}
        case RatesChanged(host_id=host_id) | ImageStored(host_id=host_id):
            found["host"] = host_id
    return found


def describe(decision: Decision, site: Site, hosts: dict[int, Host]) -> str:
    """A decision in words; ``hosts`` are the hosts by id, those added later included."""
    match decision:
        case LeaseAccepted(request=request):
            return f"lease {request.id} is asked for: {describe_request(request, site)}"
        case StateChanged(lease_id=lease_id, old=old, new=new, reason=reason):
            return f"lease {lease_id}: {old} -> {new}" + (
                f": {in_words(reason)}" if reason is not None else ""
            )
        case LeaseAltered(request=request):
            return f"lease {request.id} is changed: {describe_request(request, site)}"
        case ChangeRefused(lease_id=lease_id, reason=reason):
            return f"lease {lease_id} stays as it is: {in_words(reason)}"
        case HostsLimited(lease_id=lease_id, allowed=allowed):
            return f"lease {lease_id}: {describe_allowed(allowed)}"
        case Expected(lease_id=lease_id, start=start, reason=reason):
            when = "at no known time" if start is None else f"at {format_utc(start)}"
            return f"lease {lease_id} is expected to start {when}: {in_words(reason)}"
        case HostsPlanned(lease_id=lease_id, hosts=planned, reason=reason):
            return f"lease {lease_id} is to run on {_names(planned, hosts)}: {in_words(reason)}"
        case OperationStarted():
            return (
                f"lease {decision.lease_id}: {decision.purpose} until {format_utc(decision.end)}"
                f" on {_names(decision.hosts, hosts)}"
                + (f", from {_names(decision.sources, hosts)}" if decision.sources else "")
            )
        case OperationEnded():
            on = _names([host for host, _ in decision.use], hosts)
            since = f"since {format_utc(decision.start)}"
            return f"lease {decision.lease_id}: {decision.purpose} is over, {since} on {on}"
        case HostChanged(host=host, status=status, reason=reason):
            return f"host {host.name} is {status}" + (f": {in_words(reason)}" if reason else "")
        case MaintenanceChanged(window=window, status=status, reason=reason):
            named = f"maintenance {window.id} of {_names(window.hosts, hosts)}"
            return f"{named} is {status}" + (f": {in_words(reason)}" if reason else "")
        case RatesChanged(host_id=host_id, suspend_mb_s=suspend, resume_mb_s=resume):
            return f"host {_name(host_id, hosts)}: {Rates(suspend, resume).describe()}"
        case PreparationPlanned(_, lease_id, seconds) | ShutdownPlanned(_, lease_id, seconds):
            what = "start" if isinstance(decision, PreparationPlanned) else "shut down"
            return f"lease {lease_id}: its VMs are planned to take {seconds} s to {what}"
        case ImageStored(host_id=host_id, used_mb=used_mb):
            return f"host {_name(host_id, hosts)}: images take {used_mb} MB"


def describe_request(request: LeaseRequest, site: Site) -> str:
    """Describe what a request asks for, in one line."""
    nodes = " + ".join(f"{s.count} x {site.types.describe(s.capacity)}" for s in request.nodes)
    length = "without end" if request.duration is None else f"for {request.duration} s"
    start = f" from {format_utc(request.start)}" if request.start is not None else ""
    after = f" not before {format_utc(request.after)}" if request.after is not None else ""
    by = f" by {format_utc(request.deadline)}" if request.deadline is not None else ""
    freely = ", preemptible" if request.preemptible else ""
    kind = "AR" if request.kind is Kind.AR else request.kind
    label = f" ({request.label})" if request.label else ""
    return f"{kind}{label}, {nodes}{start}{after} {length}{by}{freely}"


def _name(host_id: int, hosts: dict[int, Host]) -> str:
    host = hosts.get(host_id)
    return host.name if host else f"number {host_id}"


def _names(ids: Sequence[int], hosts: dict[int, Host]) -> str:
    different = sorted(set(ids))
    named = ", ".join(_name(i, hosts) for i in different[:_HOSTS_NAMED])
    more = len(different) - _HOSTS_NAMED
    return f"{named} and {more} more" if more > 0 else named
