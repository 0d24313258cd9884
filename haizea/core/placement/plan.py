"""A lease as the scheduler keeps it, and the plan it has for it.

A *plan* says who runs where and what happens in which order: phases that follow each
other, over hosts whose capacity is held from the first to the last. Only
:mod:`haizea.core.scheduler` and what it calls change these objects.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from haizea.core.capacity.hold import Hold
from haizea.core.model.allocation import Use
from haizea.core.model.events import Purpose, StateChanged
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.members import NEW, PREPARE, RUN, SUSPEND
from haizea.core.model.reasons import Reason
from haizea.core.model.resources import FOREVER
from haizea.core.placement.mapper import Demand, Hosts

#: A lease's place in the queue: the policy's key, then its id.
Key = tuple[Any, int]


class Phase(NamedTuple):
    """One thing a lease does over ``[start, end)``."""

    purpose: Purpose
    start: int
    end: int


class Plan:
    """The host of each node, and the phases in order.

    ``sources[i]`` is where node *i* + 1 moves from if the plan begins with a migration.
    ``exclusive`` are the intervals it takes of a file system that all suspensions share.
    ``because`` and ``code`` say why it ends before the lease is done, if it does: with a
    suspension, or (``drops``) with nothing saved; without a code, the lease counts as done all
    the same. ``waits`` says that its start waits for
    hosts, not merely for images. ``rest`` is how a lease with a deadline that is to be suspended
    goes on, in time, after that.
    """

    __slots__ = (
        "because",
        "code",
        "exclusive",
        "hold",
        "hosts",
        "phases",
        "rest",
        "sources",
        "use",
        "waits",
    )

    def __init__(
        self,
        hosts: Hosts,
        use: Use,
        phases: list[Phase],
        sources: Hosts = (),
        *,
        exclusive: list[tuple[int, int]] | None = None,
        because: Reason | None = None,
        code: str = "",
        rest: Plan | None = None,
    ) -> None:
        self.hosts = hosts
        self.use = use
        self.phases = phases
        self.sources = sources
        self.exclusive = [] if exclusive is None else exclusive
        self.hold: Hold | None = None
        self.because = because
        self.code = code
        self.waits = False
        self.rest = rest

    @property
    def start(self) -> int:
        """The moment at which it first holds its hosts."""
        return self.phases[0].start

    @property
    def end(self) -> int:
        """The moment at which it gives its hosts back."""
        return self.phases[-1].end

    @property
    def runs_from(self) -> int:
        """The moment from which the lease runs: after moving and resuming, if it must."""
        run = self.phase(RUN)
        assert run is not None, "every plan has a run"
        return run.start

    @property
    def prepares(self) -> bool:
        """True if it begins with the lease's VMs being started."""
        return self.phases[0].purpose is PREPARE

    @property
    def starts(self) -> int:
        """The moment at which the lease starts or goes on, as its owner sees it."""
        first = self.phases[0]
        return self.phases[1].start if first.purpose is PREPARE else first.start

    @property
    def drops(self) -> bool:
        """True if it ends with the lease giving its hosts up, to start over."""
        return bool(self.code) and self.phases[-1].purpose is RUN

    def end_run(self, end: int) -> None:
        """Let its run end then; nothing follows."""
        for index, phase in enumerate(self.phases):
            if phase.purpose is RUN:
                self.phases[index:] = [Phase(RUN, phase.start, end)]
                return

    @property
    def suspends(self) -> bool:
        """True if it ends with a suspension, the lease not being done."""
        return self.phases[-1].purpose is SUSPEND

    @property
    def never_runs(self) -> bool:
        """True if nothing is left of its run, once its VMs are started."""
        run = self.phase(RUN)
        return run is not None and run.start == run.end

    @property
    def leaving(self) -> tuple[Reason, str]:
        """The reason, and its short word, why it is to leave its hosts before it is done."""
        assert self.because is not None, "it leaves them for a reason"
        return self.because, self.code

    def phase(self, purpose: Purpose) -> Phase | None:
        """Its phase of this purpose, if it has one."""
        for phase in self.phases:
            if phase.purpose is purpose:
                return phase
        return None


class Lease:
    """A lease's progress.

    ``remaining`` is what is left of its duration (:data:`FOREVER` without end), ``ran``
    how long it has run since it last started from nothing, less, in its first stretch, the time
    that its VMs took to start. ``bound`` are the hosts where
    its saved memory (``saved``) or its images are. ``at`` is the index of the plan's
    phase that is under way since ``since``, or of the one that comes next if ``since`` is
    ``None``. ``flexible`` says that it may be suspended, ``whole`` that each node
    takes a host of the site for itself, any host. ``token`` tells agenda entries of
    earlier plans from those of the present one. ``why`` is how it came into its state,
    ``queued_since`` what its place in the queue goes by. ``late`` says why an AR starts
    after its time, if it does. Its VMs take up to ``prepare_seconds`` to start; until they are
    started, ``remaining`` has ``added_seconds`` of that besides.
    """

    __slots__ = (
        "added_seconds",
        "at",
        "bound",
        "demand",
        "expected",
        "failures",
        "flexible",
        "id",
        "key",
        "late",
        "leaving_seconds",
        "plan",
        "prepare_seconds",
        "queued_since",
        "ran",
        "remaining",
        "request",
        "saved",
        "shutdown_seconds",
        "since",
        "state",
        "story",
        "token",
        "whole",
        "why",
    )

    def __init__(self, request: LeaseRequest, demand: Demand) -> None:
        self.request = request
        self.id = request.id
        self.demand = demand
        self.state = NEW
        self.why: StateChanged | None = None
        self.key: Key = ((), request.id)
        self.queued_since = request.submitted
        self.remaining = request.duration if request.duration is not None else FOREVER
        self.ran = 0
        self.saved = False
        self.bound: Hosts | None = None
        self.plan: Plan | None = None
        self.at = 0
        self.since: int | None = None
        self.token = 0
        self.failures = 0
        self.late: Reason | None = None
        self.prepare_seconds = 0
        self.shutdown_seconds: int | None = None
        self.leaving_seconds: int | None = None
        self.added_seconds = 0
        self.flexible = False
        self.whole = False
        self.expected: int | None = None
        self.story: list[State] = []

    def start_over(self) -> None:
        """Forget all progress: it begins from nothing."""
        self.remaining = self.full_seconds
        self.ran = 0
        self.saved = False
        self.bound = None

    def plan_preparation(self, seconds: int, *, added: bool) -> None:
        """Its VMs take so long to start; ``added``: that comes before what is left of its time.

        To be called before it begins.
        """
        added_seconds = seconds if added else 0
        if self.remaining < FOREVER:
            self.remaining += added_seconds - self.added_seconds
        self.prepare_seconds, self.added_seconds = seconds, added_seconds

    @property
    def full_seconds(self) -> int:
        """The seconds that remain of it when it begins from nothing."""
        duration = self.request.duration
        return FOREVER if duration is None else duration + self.added_seconds

    @property
    def start_seconds(self) -> int:
        """The time that its VMs take to start when it begins or goes on; 0 for what is saved."""
        return 0 if self.saved or self.ran > 0 else self.prepare_seconds

    @property
    def last_start(self) -> int:
        """The last moment at which it can begin and be done by its deadline."""
        deadline = self.request.deadline
        return FOREVER if deadline is None else deadline - self.remaining

    @property
    def hold(self) -> Hold:
        """The hold of its plan on its hosts."""
        assert self.plan is not None, "it has a plan"
        assert self.plan.hold is not None, "its plan is applied"
        return self.plan.hold

    @property
    def under_way(self) -> Phase | None:
        """The phase that is under way."""
        if self.plan is None or self.since is None:
            return None
        return self.plan.phases[self.at]

    @property
    def started(self) -> bool:
        """True if its plan has begun to be carried out."""
        return self.plan is not None and (self.at > 0 or self.since is not None)

    @property
    def rest(self) -> Plan | None:
        """The plan by which it goes on in time once it is suspended, where that has not begun."""
        if self.plan is None or self.started:
            return None if self.plan is None else self.plan.rest
        return self.plan if self.saved and self.request.deadline is not None else None
