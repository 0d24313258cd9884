"""Hosts with many holds: what is free on them, and who is there, beside counting by the second."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.capacity import host_timelines
from haizea.core.capacity.hold import Hold
from haizea.core.capacity.host_profile import HostProfile
from haizea.core.capacity.host_timelines import Timelines
from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import Host
from haizea.core.model.resources import FOREVER, Capacity

HORIZON = 20
CAPACITY = (400, 4096)


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int]:
    start = draw(st.integers(0, HORIZON - 1))
    return start, draw(st.sampled_from([start, FOREVER]) | st.integers(start, HORIZON))


def timelines_of(holds: list[tuple[int, int, int]]) -> tuple[Timelines, list[Hold]]:
    timelines, made = Timelines([CAPACITY, CAPACITY]), list[Hold]()
    for serial, (start, end, cores) in enumerate(holds):
        use = ((0, (100 * cores, 512 * cores)),)
        table = SlotTable([Host(0, "host-1", CAPACITY)], 0)
        made.append(table.reserve(start, end, use, serial))
        made[-1].serial = serial
        timelines.add(made[-1])
    return timelines, made


def held(holds: list[Hold], moment: int) -> int:
    return sum(h.amount(0)[0] for h in holds if h.start <= moment < h.end)


@given(
    st.lists(st.tuples(spans(), st.integers(0, 4)), min_size=1, max_size=30),
    st.lists(spans(), min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.integers(0, 3),
)
def test_what_is_free_and_who_is_there_are_as_counted(
    holds: list[tuple[tuple[int, int], int]],
    asked: list[tuple[int, int]],
    dropped: list[bool],
    often: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_timelines, "_MANY", 1)
        patch.setattr(host_timelines, "_OFTEN", often)
        patch.setattr(host_timelines, "_VERY_OFTEN", often)
        timelines, made = timelines_of([(*span, cores) for span, cores in holds])
        for (start, end), drops in zip(asked, dropped, strict=False):
            if drops and made:
                timelines.drop(made.pop(len(made) // 2))
            if start >= end:
                continue
            most = max(held(made, moment) for moment in range(start, min(end, HORIZON + 1)))
            assert timelines.least_free(0, start, end)[0] == 400 - most
            there = [h for h in made if h.start < end and h.end > start and h.start < h.end]
            found = [h for h in timelines.overlapping(0, start, end) if h.start < h.end]
            assert found == there


def test_a_step_function_is_made_once_more_is_asked_than_it_saves() -> None:
    made = 0

    def counted(total: Capacity, holds: Sequence[Hold], host: int) -> HostProfile:
        nonlocal made
        made += 1
        return HostProfile(total, holds, host)

    timelines, holds = timelines_of([(i, i + 1, 1) for i in range(HORIZON)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_timelines, "HostProfile", counted)
        for _ in range(5):
            assert timelines.least_free(0, 3, 9) == (300, 3584)
        timelines.drop(holds.pop())
        for _ in range(5):
            assert timelines.overlapping(0, 3, 9) == holds[3:9]
        assert made == 0, "few questions before its holds changed, and few since"
        for _ in range(20):
            assert timelines.least_free(0, 3, 9) == (300, 3584)
            assert timelines.overlapping(0, 3, 9) == holds[3:9]
        assert made == 1


def test_a_host_with_few_holds_has_a_step_function_soon() -> None:
    made = 0

    def counted(total: Capacity, holds: Sequence[Hold], host: int) -> HostProfile:
        nonlocal made
        made += 1
        return HostProfile(total, holds, host)

    timelines, holds = timelines_of([(2, 6, 1), (8, 12, 2)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_timelines, "HostProfile", counted)
        free = [timelines.least_free(0, start, start + 2)[0] for start in range(HORIZON)]
        assert free == [400, *[300] * 5, 400, *[200] * 5, *[400] * 8]
        assert made == 1
        timelines.drop(holds.pop())
        assert timelines.least_free(0, 9, 11) == CAPACITY
        assert made == 1, "one question since its holds changed"
