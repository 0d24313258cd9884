"""The lease that each VM belongs to, and what is wanted of the VM at present."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from haizea.backends.opennebula.state.steps import Goal, Verb
from haizea.core.model.events import Purpose
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, Reason
from haizea.core.model.resources import Capacity


def ended_outside(reason: Reason | None) -> bool:
    """Tell whether a lease is over because of what others did to its VMs in OpenNebula."""
    return reason is not None and reason.code is Code.ENDED_OUTSIDE


@dataclass(slots=True, kw_only=True)
class Errand:
    """The state that a VM is to come to. ``host`` is OpenNebula's number, ``index`` the schedule's.

    ``verb`` was commanded last, and what was asked before ``fresh_after`` (by the steady
    clock) does not show its effect; ``working`` is a command that was seen to be worked on
    since. ``busy`` while it is being sent. ``attempts`` counts
    what did not work since ``since``; nothing is tried before ``retry_at``, nor ``verb``
    again before ``patient_until``, and what failed is mended at ``mend_at``. ``waits_since``
    is when its host was first found to be without room for it. ``off_first``: before it
    runs, it has to leave where an earlier start brought it. It ``resumes`` where its memory
    was saved. ``freed_from`` is what went wrong that others began while it ran.
    """

    vm: int
    lease: int
    size: Capacity
    goal: Goal
    since: int
    host: int | None = None
    index: int | None = None
    resumes: bool = False
    reached: bool = False
    verb: Verb | None = None
    working: Verb | None = None
    first_sent: int | None = None
    fresh_after: float = 0.0
    busy: bool = False
    attempts: int = 0
    retry_at: int = 0
    patient_until: int = 0
    mend_at: int | None = None
    off_first: bool = False
    problem: Reason | None = None
    freed_from: Reason | None = None
    given_up: bool = False
    waits_since: int | None = None

    @property
    def next_goal(self) -> Goal:
        """The state that the VM is to come to first."""
        return Goal.OFF if self.off_first else self.goal


@dataclass(slots=True, kw_only=True)
class Tracked:
    """A lease that is not over. ``purpose`` and ``end`` are of what is under way for it.

    ``failed`` is what did not work, ``taken`` the VMs that others took. ``let_go`` says that
    it was reported as over because of what others did to its VMs, ``spoilt`` because one of
    them can never run again.
    """

    request: LeaseRequest
    vms: tuple[int, ...]
    state: State
    purpose: Purpose | None = None
    end: int = 0
    delays: int = 0
    failed: Purpose | None = None
    taken: set[int] = field(default_factory=set)
    let_go: bool = False
    spoilt: bool = False
    started: bool = False

    @property
    def id(self) -> int:
        """The lease's id."""
        return self.request.id


class Ledger:
    """Leases whose nodes are VMs, and the errands of VMs."""

    def __init__(self) -> None:
        self.leases: dict[int, Tracked] = {}
        self.errands: dict[int, Errand] = {}
        #: The lease of each VM that has one that is not over.
        self.lease_of: dict[int, int] = {}
        #: VMs whose errands are not done.
        self.open: set[int] = set()
        #: VMs that came to run, and with which others do something.
        self.disturbed: set[int] = set()
        #: VMs whose errands changed since this was emptied.
        self.changed: set[int] = set()

    def enter(self, request: LeaseRequest, state: State) -> Tracked | None:
        """Enter a lease; ``None`` for one without VMs, which holds hosts and does nothing."""
        vms = vms_of(request)
        if not vms:
            return None
        tracked = Tracked(request=request, vms=vms, state=state)
        self.leases[request.id] = tracked
        for vm in vms:
            self.lease_of[vm] = request.id
        return tracked

    def remove(self, lease: Tracked) -> None:
        """The lease is over; errands of its VMs stay until they are done or dropped."""
        self.leases.pop(lease.id, None)
        for vm in lease.vms:
            if self.lease_of.get(vm) == lease.id:
                del self.lease_of[vm]

    def aim(self, errand: Errand) -> None:
        """Want something else of a VM from now on."""
        before = self.errands.get(errand.vm)
        if before is not None:
            errand.fresh_after = before.fresh_after
            errand.busy = before.busy
            leaves = before.next_goal is Goal.OFF and not before.reached
            errand.off_first = leaves and errand.goal is Goal.RUNNING
        self.errands[errand.vm] = errand
        self.disturbed.discard(errand.vm)
        self.changed.add(errand.vm)
        if errand.reached:
            self.open.discard(errand.vm)
        else:
            self.open.add(errand.vm)

    def reach(self, errand: Errand) -> None:
        """Note that the VM is as wanted."""
        errand.reached = True
        errand.problem = None
        errand.attempts = 0
        errand.waits_since = None
        self.changed.add(errand.vm)
        self.open.discard(errand.vm)

    def disturb(self, errand: Errand, *, by_others: bool) -> None:
        """Note whether others save, end or move a VM that runs: that may hang, or fail."""
        if by_others:
            self.disturbed.add(errand.vm)
        elif errand.vm in self.disturbed:
            self.disturbed.discard(errand.vm)
            errand.verb = errand.working = errand.mend_at = None
            errand.freed_from = errand.problem or errand.freed_from
            self.reach(errand)

    def drop(self, vm: int) -> Errand | None:
        """Nothing is wanted of a VM any more."""
        self.open.discard(vm)
        self.disturbed.discard(vm)
        self.changed.add(vm)
        return self.errands.pop(vm, None)

    def of(self, lease: Tracked) -> Iterator[Errand]:
        """The errands of a lease's VMs."""
        for vm in lease.vms:
            errand = self.errands.get(vm)
            if errand is not None and errand.lease == lease.id:
                yield errand


def vms_of(request: LeaseRequest) -> tuple[int, ...]:
    """The VMs that a lease's nodes are; none where they are no VMs."""
    if not all(name.isascii() and name.isdigit() for name in request.names):
        return ()
    return tuple(int(name) for name in request.names)
