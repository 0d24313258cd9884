"""Answers of the policies that come with Haizea."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from haizea.core.model.hosts import HostSet, host_set
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.policy import PlacedLease, QueueOrderPolicy
from haizea.policies.admission import AcceptAll, NoAdvanceReservations
from haizea.policies.host_selection import Greedy, NoPolicy
from haizea.policies.preemption import ArPreemptsEverything, NoPreemption
from haizea.policies.queue_order import Seniority, ShortestFirst, Submission


def request(
    lease_id: int,
    kind: Kind = Kind.BEST_EFFORT,
    *,
    submitted: int = 0,
    duration: int | None = 3600,
    preemptible: bool = True,
) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=submitted,
        kind=kind,
        nodes=(NodeSet(1, (100, 1024)),),
        duration=duration,
        start=1000 if kind is Kind.AR else None,
        deadline=9000 if kind is Kind.DEADLINE else None,
        preemptible=preemptible,
    )


def placed(lease: LeaseRequest) -> PlacedLease:
    return PlacedLease(lease, State.ACTIVE, 0, 1)


class View:
    """Hosts by how many leases they have and until when they are unchanged."""

    start = 100

    def __init__(self, hosts: dict[int, tuple[int, int]]) -> None:
        self.hosts = hosts

    def leases_on(self, host: int) -> int:
        return self.hosts[host][0]

    def unchanged_until(self, host: int) -> int:
        return self.hosts[host][1]

    def by_leases(self, hosts: HostSet) -> list[HostSet]:
        return self._split(hosts, lambda host: self.leases_on(host))

    def by_unchanged(self, hosts: HostSet) -> list[HostSet]:
        return self._split(hosts, lambda host: -self.unchanged_until(host))

    def _split(self, hosts: HostSet, key: Callable[[int], int]) -> list[HostSet]:
        members = [host for host in self.hosts if hosts >> host & 1]
        keys = sorted({key(host) for host in members})
        return [host_set(h for h in members if key(h) == k) for k in keys]


def test_accept_all_refuses_nothing() -> None:
    for kind in Kind:
        assert AcceptAll().refusal(request(1, kind)) is None


def test_no_ars_refuses_ars_alone_and_says_why() -> None:
    policy = NoAdvanceReservations()
    assert "no advance reservations" in (policy.refusal(request(1, Kind.AR)) or "")
    assert policy.refusal(request(1)) is None
    assert policy.refusal(request(1, Kind.IMMEDIATE)) is None


def test_no_preemption_has_no_victims() -> None:
    assert not NoPreemption().victims(request(9, Kind.AR), [placed(request(1))])


def test_ars_preempt_the_youngest_best_effort_lease_first() -> None:
    leases = [
        placed(request(1, submitted=50)),
        placed(request(2, submitted=10)),
        placed(request(3, submitted=50)),
        placed(request(4, submitted=30)),
    ]
    victims = ArPreemptsEverything().victims(request(9, Kind.AR), leases)
    assert [v.request.id for v in victims] == [3, 1, 4, 2]


def test_only_ars_preempt_and_only_preemptible_best_effort_leases_are_preempted() -> None:
    policy = ArPreemptsEverything()
    assert not policy.victims(request(9), [placed(request(1))])
    assert not policy.victims(request(9, Kind.IMMEDIATE), [placed(request(1))])
    others = [
        placed(request(1, Kind.AR)),
        placed(request(2, Kind.IMMEDIATE)),
        placed(request(3, preemptible=False)),
    ]
    assert not policy.victims(request(9, Kind.AR), others)


def test_greedy_prefers_few_leases_then_long_unchanged() -> None:
    view = View({0: (1, 500), 1: (0, 200), 2: (0, 300), 3: (1, 900), 4: (0, 200), 5: (0, 999)})
    tiers = Greedy().tiers(request(1), host_set([0, 1, 2, 3, 4]), view)
    assert list(tiers) == [host_set([2]), host_set([1, 4]), host_set([3]), host_set([0])]


@given(
    st.dictionaries(st.integers(0, 40), st.tuples(st.integers(0, 3), st.integers(101, 105))),
    st.integers(0, 2**41 - 1),
)
def test_every_host_is_in_one_tier(hosts: dict[int, tuple[int, int]], wanted: int) -> None:
    view = View(hosts)
    asked = wanted & host_set(hosts)
    for policy in (Greedy(), NoPolicy()):
        tiers = list(policy.tiers(request(1), asked, view))
        assert sum(tier.bit_count() for tier in tiers) == asked.bit_count()
        union = 0
        for tier in tiers:
            union |= tier
        assert union == asked


def in_order(policy: QueueOrderPolicy, waiting: list[tuple[LeaseRequest, int]]) -> list[int]:
    return [r.id for r, _ in sorted(waiting, key=lambda w: (policy.key(*w), w[0].id))]


def test_submission_order_and_a_lease_that_was_suspended_since() -> None:
    leases = [request(2, submitted=5), request(1, submitted=5), request(3, submitted=1)]
    fresh = [(r, r.submitted) for r in leases]
    assert in_order(Submission(), fresh) == [3, 1, 2]
    suspended = [*fresh[:2], (leases[2], 9)]
    assert in_order(Submission(), suspended) == [1, 2, 3]
    assert in_order(Seniority(), suspended) == [3, 1, 2]


def test_shortest_first_with_endless_leases_last() -> None:
    leases = [
        request(1, duration=None),
        request(2, duration=10, submitted=5),
        request(3, duration=10, submitted=4),
        request(4, duration=5, submitted=9),
    ]
    assert in_order(ShortestFirst(), [(r, r.submitted) for r in leases]) == [4, 3, 2, 1]
