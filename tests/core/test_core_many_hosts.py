"""Room on many hosts, which are looked at together, is what looking at each one says."""

from __future__ import annotations

from effort import how_hard
from hypothesis import given
from hypothesis import strategies as st

from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.allocation import Use
from haizea.core.model.hosts import Host
from haizea.core.model.resources import Capacity, copies, fits

HOSTS = 320
SIZES: tuple[Capacity, ...] = ((1, 1), (2, 1), (4, 4), (0, 3), (0, 0))
#: The capacity of every third host, where hosts differ.
OTHERS = st.sampled_from([(4, 4), (8, 4)])
HOLDS = st.lists(
    st.tuples(
        st.integers(1, 20),  # start
        st.integers(0, 20),  # length
        st.integers(0, HOSTS - 1),  # first host
        st.integers(1, 150),  # number of hosts
        st.sampled_from(SIZES[:2]),
        st.booleans(),  # whether it holds more of its first host
    ),
    max_size=12,
)


def use_of(first: int, count: int, amount: Capacity, more: bool) -> Use:
    """Use of so much of each of some hosts, and twice that of the first, if there is ``more``."""
    hosts = range(first, min(first + count, HOSTS))
    twice = tuple(2 * part for part in amount)
    return tuple((host, twice if more and host == first else amount) for host in hosts)


@how_hard(30)
@given(OTHERS, HOLDS, st.integers(0, 25), st.integers(1, 25))
def test_room_is_what_is_free_on_each_host(
    other: Capacity,
    holds: list[tuple[int, int, int, int, Capacity, bool]],
    start: int,
    length: int,
) -> None:
    hosts = [Host(i, f"h{i}", (4, 4) if i % 3 else other) for i in range(HOSTS)]
    table = SlotTable(hosts, 0)
    for begin, seconds, first, count, amount, more in holds:
        use = use_of(first, count, amount, more)
        if all(fits(part, table.least_free(host, begin, begin + seconds)) for host, part in use):
            table.reserve(begin, begin + seconds, use, 1)
    for size in SIZES[:4]:
        room = table.room(size, start, start + length)
        for host in range(HOSTS):
            expected = copies(size, table.least_free(host, start, start + length), 1024)
            assert sum(level >> host & 1 for level in room) == expected, (size, host)
