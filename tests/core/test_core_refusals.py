"""Refusals that are remembered, beside a list of all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from haizea.core.capacity.openings import Opening, Spans
from haizea.core.model.hosts import EVERYWHERE
from haizea.core.model.lease import LeaseRequest, NodeSet
from haizea.core.model.members import BEST_EFFORT
from haizea.core.model.resources import fits
from haizea.core.placement.mapper import Demand
from haizea.core.queue.refusals import Refusals

SIZES = ((1, 1), (1, 2), (2, 2))
#: A size, nodes, seconds, hosts, and the moment before which there is no start.
asked = st.tuples(
    st.sampled_from(SIZES),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([EVERYWHERE, 0b0111, 0b0011]),
    st.integers(1, 40),
)
openings = st.tuples(st.integers(0, 9), st.integers(10, 19), st.integers(1, 15))


def demand(size: tuple[int, int], count: int, allowed: int) -> Demand:
    nodes = (NodeSet(count, size),)
    request = LeaseRequest(id=1, submitted=0, kind=BEST_EFFORT, nodes=nodes, duration=10)
    return Demand(request, allowed)


@given(st.lists(st.tuples(asked, st.booleans()), min_size=1, max_size=80), st.integers(0, 20))
def test_a_refusal_holds_for_all_who_need_as_much(
    told: list[tuple[tuple[tuple[int, int], int, int, int, int], bool]], opened: int
) -> None:
    refusals = Refusals()
    plain: list[tuple[tuple[int, int], int, int, int, int]] = []
    for (size, count, length, allowed, until), opens in told:
        refusals.add(demand(size, count, allowed), length, until)
        plain.append((size, count, length, allowed, until))
        if opens:
            refusals.opened(opened)
            plain = [(s, c, n, a, min(t, opened - n + 1)) for s, c, n, a, t in plain]
        for size_, count_, length_, allowed_, _ in (plain[0], plain[-1], told[-1][0]):
            wanted = demand(size_, count_, allowed_)
            expected = max(
                (
                    t
                    for s, c, n, a, t in plain
                    if fits(s, size_) and c <= count_ and n <= length_ and not allowed_ & ~a
                ),
                default=0,
            )
            for _ in range(2):
                assert refusals.bound(wanted, length_) == max(expected, 0)


@given(st.lists(openings, max_size=12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 15))
def test_what_came_free_may_be_put_in_and_taken_out_one_by_one(
    found: list[Opening], first: int, last: int, hosts: int
) -> None:
    spans = Spans(found[:last], hosts)
    for opening in found[:last][:first]:
        spans.drop(opening)
    for opening in found[last:]:
        spans.add(opening)
    anew = Spans(found[:last][first:] + found[last:], hosts)
    assert spans.end == anew.end
    for start in range(20):
        for end in range(start + 1, 21):
            assert spans.opened(start, end) == anew.opened(start, end)
