"""The policies that the study of host selection compares put every host somewhere, once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from haizea.core.model.hosts import HostSet
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.policy import HostSelectionPolicy

STUDY = Path(__file__).parents[2] / "studies/hosts"


class Hosts:
    """Four hosts: the second has two leases, the fourth one, which ends first."""

    start = 0

    def leases_on(self, host: int) -> int:
        return (0, 2, 0, 1)[host]

    def unchanged_until(self, host: int) -> int:
        return (10, 20, 30, 5)[host]

    def by_leases(self, hosts: HostSet) -> Iterable[HostSet]:
        return [some & hosts for some in (0b0101, 0b1000, 0b0010) if some & hosts]

    def by_unchanged(self, hosts: HostSet) -> Iterable[HostSet]:
        return [some & hosts for some in (0b0100, 0b0010, 0b0001, 0b1000) if some & hosts]


def asked(kind: Kind) -> LeaseRequest:
    start = 0 if kind is Kind.AR else None
    nodes = (NodeSet(1, (100, 100)),)
    return LeaseRequest(id=1, submitted=0, kind=kind, nodes=nodes, duration=1, start=start)


EMPTIEST = [0b0100, 0b0001, 0b1000, 0b0010]


@pytest.mark.parametrize(
    ("name", "reservations", "others"),
    [
        ("Fullest", EMPTIEST[::-1], EMPTIEST[::-1]),
        ("ReservationsFullest", EMPTIEST[::-1], EMPTIEST),
        ("OthersFullest", EMPTIEST, EMPTIEST[::-1]),
    ],
)
def test_hosts_in_order(
    monkeypatch: pytest.MonkeyPatch, name: str, reservations: list[int], others: list[int]
) -> None:
    monkeypatch.syspath_prepend(str(STUDY))
    policy: HostSelectionPolicy = getattr(__import__("selection"), name)()
    sys.modules.pop("selection")
    for kind, expected in ((Kind.AR, reservations), (Kind.BEST_EFFORT, others)):
        assert list(policy.tiers(asked(kind), 0b1111, Hosts())) == expected
