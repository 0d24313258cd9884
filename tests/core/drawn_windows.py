"""Lives with maintenance windows, drawn at random on four hosts, and how a window is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from played_leases import lease
from played_windows import window

from haizea.core.model.events import (
    Decision,
    Input,
    LeaseCancelled,
    LeaseSubmitted,
    MaintenanceAsked,
    MaintenanceChanged,
    MaintenanceEnded,
)
from haizea.core.model.lease import Kind, LeaseRequest
from haizea.core.model.maintenance import Leaving, Maintenance
from haizea.core.scheduler import Scheduler


@dataclass
class Step:
    """Something that happens so many seconds after what came before, and perhaps a restart."""

    after: int
    event: Input
    restarts: bool


#: Draws a request with an id, submitted at a moment.
Requests = Callable[[int, int], st.SearchStrategy[LeaseRequest]]


@st.composite
def steps(
    draw: st.DrawFn,
    requests: Requests,
    others: Sequence[st.SearchStrategy[Input]] = (),
    restarts: Sequence[bool] = (False,),
) -> list[Step]:
    """Leases, windows, their ends, cancels and other events; ``restarts`` says how often."""
    found, now = [], 0
    for number in range(1, draw(st.integers(3, 14)) + 1):
        after = draw(st.integers(0, 40))
        now += after
        event: st.SearchStrategy[Input] = draw(
            st.sampled_from(
                [
                    *[requests(number, now).map(LeaseSubmitted)] * 3,
                    *[windows(now).map(MaintenanceAsked)] * 2,
                    st.integers(1, 3).map(MaintenanceEnded),
                    st.integers(1, number).map(LeaseCancelled),
                    *others,
                ]
            )
        )
        found.append(Step(after, draw(event), draw(st.sampled_from(restarts))))
    return found


@st.composite
def windows(draw: st.DrawFn, now: int) -> Maintenance:
    start = now + draw(st.integers(0, 120))
    length = draw(st.sampled_from([None, 3, 20, 60, 100]))
    hosts = tuple(sorted(draw(st.sets(st.integers(0, 3), min_size=1, max_size=3))))
    leases = draw(st.sampled_from(Leaving))
    end = None if length is None else start + length
    return window(start, end, hosts, leases, draw(st.integers(1, 3)))


@st.composite
def requests(
    draw: st.DrawFn, number: int, now: int, *, shortest: int, sizes: Sequence[int]
) -> LeaseRequest:
    """A lease of any kind, of one to four nodes of one of the ``sizes``."""
    kind, duration = draw(st.sampled_from(Kind)), draw(st.integers(shortest, 150))
    return lease(
        number,
        kind,
        now + draw(st.integers(0, 120)) if kind is Kind.AR else None,
        submitted=now,
        duration=duration,
        deadline=now + duration + draw(st.integers(0, 200)) if kind is Kind.DEADLINE else None,
        nodes=draw(st.integers(1, 4)),
        cpu=draw(st.sampled_from(sizes)),
        preemptible=draw(st.booleans()),
    )


def asked_for(made: Scheduler, now: int, event: MaintenanceAsked) -> Iterable[Decision]:
    """Ask for a window: the answer is what it was said to be, and no refusal changes a thing."""
    before, impact = made.site_record(), made.impact(event.window)
    made.check()
    assert made.site_record() == before
    turn = made.handle(now, [event])
    answer = next(d.status for d in turn.decisions if isinstance(d, MaintenanceChanged))
    assert (answer == "refused") == bool(impact.refusal)
    if answer == "refused":
        assert not turn.records
        assert made.site_record() == before
    return turn.decisions
