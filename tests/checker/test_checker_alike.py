"""Hosts in groups that are alike say the same as hosts one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from haizea.checker.alike import AlikeHosts
from haizea.checker.packed import Packing
from haizea.checker.records import FOREVER, Capacity, Host, add, copies, subtract

AMOUNT = st.integers(0, 8)
CAPACITY = st.tuples(AMOUNT, AMOUNT)

#: Hosts, in which a number may come twice or be unknown; when they are left; what is held.
STAY = st.tuples(
    st.lists(st.integers(0, 6), min_size=1, max_size=5),
    st.one_of(st.integers(1, 9), st.just(FOREVER)),
    CAPACITY,
)
STEP = st.one_of(STAY, st.integers(0, 30), st.tuples(st.integers(0, 6), st.booleans()))
SITE = {number: Host(number, f"host-{number}", (4 + number % 2 * 4, 8)) for number in range(6)}

Stay = tuple[list[int], int, Capacity]


class OneByOne:
    """The same, worked out from all hosts whenever it is asked for."""

    def __init__(self) -> None:
        self.stays: dict[int, Stay] = {}
        self.shut: set[int] = set()

    def free(self, host: int, time: int) -> Capacity:
        free = SITE[host].capacity
        for hosts, end, held in self.stays.values():
            for _ in range(hosts.count(host) if end > time else 0):
                free = subtract(free, held)
        return free

    def room(self, node: Capacity, time: int) -> int:
        hosts = SITE.keys() - self.shut
        return sum(copies(node, self.free(host, time)) for host in hosts)

    def soonest(self, node: Capacity, count: int) -> tuple[int, int] | None:
        for time in sorted({end for _, end, _ in self.stays.values()} - {FOREVER}):
            if self.room(node, time) >= count:
                return time, self.room(node, time)
        return None


@given(st.lists(STEP, max_size=25), st.lists(CAPACITY.filter(any), min_size=1, max_size=3))
def test_groups_say_what_hosts_say(steps: list[object], nodes: list[Capacity]) -> None:
    alike, expected = AlikeHosts(SITE, 2), OneByOne()
    pack = alike.packing.pack
    for number, step in enumerate(steps):
        match step:
            case int():
                if step in expected.stays:
                    hosts, end, held = expected.stays.pop(step)
                    alike.give_back(hosts, (end, step, pack(held)))
            case (int(host), bool(opens)):
                (expected.shut.discard if opens else expected.shut.add)(host)
                alike.turn(host, opens=opens)
            case (list(hosts), int(end), tuple(held)):
                expected.stays[number] = (hosts, end, held)
                alike.take(hosts, (end, number, pack(held)))
        node = nodes[number % len(nodes)]
        size, now = alike.node_size(node), expected.room(node, 0)
        assert size.room == now
        for more in (1, 2, 5):
            assert size.soonest(now + more) == expected.soonest(node, now + more)
        spare: Capacity = (0, 0)
        for host in SITE.keys() - expected.shut:
            spare = add(spare, expected.free(host, 0))
        assert alike.may_fit(node) == all(n <= s for n, s in zip(node, spare, strict=True))
        for host in range(7):
            there = host in SITE and host not in expected.shut
            free = alike.free_at(host, 5)
            assert (free is not None) == there
            if free is not None:
                assert alike.packing.left(free) == expected.free(host, 5)


LARGE = st.tuples(*[st.integers(0, 1 << 60)] * 3)


@given(LARGE, st.lists(LARGE, max_size=5))
def test_packed_capacities_are_what_was_packed(there: Capacity, held: list[Capacity]) -> None:
    packing = Packing(3)
    left, packed = there, packing.pack(there) + packing.guard
    for amounts in held:
        left = subtract(left, amounts)
        packed -= packing.pack(amounts)
        assert packing.left(packed) == left
        assert (packed & packing.guard == packing.guard) == (min(left) >= 0)
