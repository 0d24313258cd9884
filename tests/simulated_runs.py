"""Random sites, workloads and settings, and what a whole run of them decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from effort import LOOKS
from hypothesis import strategies as st

from haizea.backends.simulated import Faults, SimulatedBackend
from haizea.clock import SimulatedClock
from haizea.core.model.events import (
    Decision,
    Expected,
    HostChanged,
    Input,
    LeaseAccepted,
    OperationEnded,
    OperationStarted,
    StateChanged,
)
from haizea.core.model.hosts import Host, Site
from haizea.core.model.lease import DiskImage, Kind, LeaseRequest, NodeSet
from haizea.core.model.policy import Policies
from haizea.core.model.resources import FOREVER, Capacity, ResourceTypes
from haizea.core.model.settings import (
    Backfilling,
    Exclusion,
    ImageSettings,
    Migration,
    Settings,
    Suspension,
    Transfer,
)
from haizea.core.model.turn import Turn
from haizea.core.placement.mapper import Mapper
from haizea.core.scheduler import Scheduler
from haizea.loop import TraceArrivals, run_loop
from haizea.policies.registry import make_policies

TYPES = (("CPU", "Memory"), ("CPU", "Memory", "GPU"), ("Memory",))
AMOUNTS = {"CPU": (100, 200), "Memory": (128, 256), "GPU": (0, 1)}
NEEDS = {"CPU": (50, 100, 200), "Memory": (60, 128, 256), "GPU": (0, 0, 1)}


@dataclass(frozen=True)
class Case:
    """All that a simulation depends on."""

    site: Site
    requests: tuple[LeaseRequest, ...]
    real: Mapping[int, int]
    settings: Settings
    preemption: str = "ar-preempts-everything"
    host_selection: str = "greedy"
    faults: Faults | None = None

    def policies(self) -> Policies:
        return make_policies(preemption=self.preemption, host_selection=self.host_selection)


@dataclass
class Story:
    """The story of one lease, in order."""

    request: LeaseRequest
    changes: list[StateChanged] = field(default_factory=list)
    started: list[OperationStarted] = field(default_factory=list)
    ended: list[OperationEnded] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)


@dataclass
class Run:
    """Everything that was decided; an observer."""

    case: Case
    decisions: list[tuple[int, Decision]] = field(default_factory=list)
    stories: dict[int, Story] = field(default_factory=dict)
    capacities: list[Capacity] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.capacities = [host.capacity for host in self.case.site.hosts]

    def note(self, turn: Turn) -> None:
        for decision in turn.decisions:
            self.decisions.append((turn.now, decision))
            match decision:
                case LeaseAccepted(request=request):
                    self.stories[request.id] = Story(request)
                case StateChanged(lease_id=lease_id):
                    self.stories[lease_id].changes.append(decision)
                case OperationStarted(lease_id=lease_id):
                    self.stories[lease_id].started.append(decision)
                case OperationEnded(lease_id=lease_id):
                    self.stories[lease_id].ended.append(decision)
                case Expected(lease_id=lease_id):
                    self.stories[lease_id].expected.append(decision)
                case HostChanged(host=host) if host.id == len(self.capacities):
                    self.capacities.append(host.capacity)


class Watched:
    """A scheduler that checks itself, and is looked at, after every instant."""

    def __init__(self, scheduler: Scheduler, look: Callable[[int], None] | None) -> None:
        self._scheduler = scheduler
        self._look = look

    def handle(self, now: int, inputs: Sequence[Input]) -> Turn:
        if self._look is not None and inputs == []:
            self._look(now)
        turn = self._scheduler.handle(now, inputs)
        self._scheduler.check()
        return turn

    def next_wakeup(self) -> int | None:
        return self._scheduler.next_wakeup()


def play(case: Case, mapper: Mapper | None = None) -> Run:
    """Run the case to its end, with another mapper than Haizea's own where one is given."""
    run = Run(case)
    run_loop(
        Watched(Scheduler(case.site, case.settings, case.policies(), 0, mapper), None),
        SimulatedClock(0),
        SimulatedBackend(case.real, case.faults),
        TraceArrivals(case.requests),
        [run],
        lambda due: due >= FOREVER,
    )
    return run


# --- strategies ---------------------------------------------------------------------------


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """One to six hosts, of one or two sizes, with one to three resource types."""
    names = draw(st.sampled_from(TYPES))
    capacity = st.tuples(*[st.sampled_from(AMOUNTS[name]) for name in names])
    sizes = draw(st.lists(capacity, min_size=1, max_size=2))
    count = draw(st.integers(1, 6))
    capacities = [draw(st.sampled_from(sizes)) for _ in range(count)]
    return Site(
        ResourceTypes(names), tuple(Host(i, f"host-{i + 1}", c) for i, c in enumerate(capacities))
    )


SETTINGS = st.builds(
    Settings,
    backfilling=st.sampled_from(Backfilling),
    backfilling_reservations=st.just(2),
    suspension=st.sampled_from(Suspension),
    suspend_rate_mb_s=st.sampled_from([32.0, 100.0]),
    override_resume_seconds=st.sampled_from([None, 0, 3]),
    exclusion=st.sampled_from(Exclusion),
    migration=st.sampled_from(Migration),
    migration_bandwidth_mbps=st.sampled_from([100, 1000]),
    scheduling_threshold_factor=st.sampled_from([0.0, 1.0]),
    force_scheduling_threshold_seconds=st.sampled_from([None, None, 0, 7]),
    shutdown_seconds=st.sampled_from([0, 0, 2]),
    enactment_overhead_seconds=st.sampled_from([0, 0, 1]),
    images=st.one_of(
        st.none(),
        st.none(),
        st.builds(
            ImageSettings,
            mechanism=st.sampled_from(Transfer),
            avoid_redundant=st.booleans(),
            cache_mb=st.sampled_from([0, 60, 200]),
            force_transfer_seconds=st.sampled_from([None, 4]),
        ),
    ),
    remapping_effort=st.sampled_from(LOOKS),
)


@st.composite
def node_sets(draw: st.DrawFn, names: tuple[str, ...]) -> tuple[NodeSet, ...]:
    sizes = st.tuples(*[st.sampled_from(NEEDS[name]) for name in names])
    sets = st.builds(NodeSet, st.integers(1, 3), sizes)
    return tuple(draw(st.lists(sets, min_size=1, max_size=draw(st.sampled_from([1, 1, 1, 2])))))


@st.composite
def requests(
    draw: st.DrawFn, names: tuple[str, ...], kinds: Sequence[Kind] = tuple(Kind), most: int = 9
) -> tuple[LeaseRequest, ...]:
    """Up to ``most`` leases, in order of submission."""
    made = []
    submitted = 0
    for lease_id in range(1, draw(st.integers(1, most)) + 1):
        submitted += draw(st.sampled_from([0, 0, 1, 5, 17]))
        kind = draw(st.sampled_from(list(kinds)))
        start = submitted + draw(st.integers(0, 60)) if kind is Kind.AR else None
        image = draw(st.sampled_from([None, DiskImage("a", 50), DiskImage("b", 20)]))
        duration, after, deadline = draw(st.integers(1, 60)), None, None
        if kind is Kind.DEADLINE:
            after = draw(st.none() | st.integers(submitted - 5, submitted + 40))
            deadline = max(submitted, after or 0) + duration + draw(st.integers(-2, 80))
        made.append(
            LeaseRequest(
                id=lease_id,
                submitted=submitted,
                kind=kind,
                nodes=draw(node_sets(names)),
                duration=duration,
                start=start,
                after=after,
                deadline=deadline,
                preemptible=draw(st.booleans()),
                image=image,
            )
        )
    return tuple(made)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Anything that can be simulated, save for faults."""
    site = draw(sites())
    asked = draw(requests(site.types.names))
    real = draw(st.dictionaries(st.integers(1, len(asked)), st.integers(1, 60)))
    return Case(
        site,
        asked,
        real,
        draw(SETTINGS),
        draw(st.sampled_from(["ar-preempts-everything", "no-preemption"])),
        draw(st.sampled_from(["greedy", "no-policy"])),
    )


@st.composite
def queues(draw: st.DrawFn, *backfilling: Backfilling) -> Case:
    """Best-effort leases only, that nobody suspends and that need no images."""
    site = draw(sites())
    asked = draw(requests(site.types.names, (Kind.BEST_EFFORT,)))
    real = draw(st.dictionaries(st.integers(1, len(asked)), st.integers(1, 60)))
    rules = Settings(backfilling=draw(st.sampled_from(backfilling)), backfilling_reservations=2)
    return Case(site, tuple(replace(r, image=None) for r in asked), real, rules)
