"""Reservations by leases' plans: kept in order while leases come, change and go."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from haizea.core.model.events import Purpose
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.records import LeaseRecord, PhaseRecord, PlanRecord
from haizea.service import use


def planned(chance: random.Random, lease: int) -> LeaseRecord:
    """A lease of one node with a plan of one or two phases, or with none."""
    start = chance.randrange(50)
    phases = (
        PhaseRecord(purpose=Purpose.PREPARE, start=start, end=start + 2),
        PhaseRecord(purpose=Purpose.RUN, start=start + 2, end=start + 10),
    )[chance.randrange(2) :]
    nodes = (NodeSet(1, (100, 1024)),)
    request = LeaseRequest(id=lease, submitted=0, kind=Kind.AR, nodes=nodes, duration=8, start=0)
    plan = PlanRecord(hosts=(chance.randrange(4),), phases=phases)
    return LeaseRecord(
        request=request,
        state=State.SCHEDULED,
        changed=0,
        queued_since=0,
        remaining=8,
        plan=plan if chance.random() < 0.9 else None,
    )


@pytest.mark.parametrize("one_by_one", [0, 3, 1000])
def test_they_are_those_of_the_records_as_they_are(
    one_by_one: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(use, "_MOST_ONE_BY_ONE", one_by_one)
    chance = random.Random(5)
    plans, records = use.Plans(), dict[int, LeaseRecord]()
    for turn in range(200):
        lease = chance.randrange(30)
        if chance.random() < 0.3:
            records.pop(lease, None)
        else:
            records[lease] = planned(chance, lease)
        if turn % 3 == 0 and lease in records:
            records[lease] = replace(records[lease], ran=turn)
        start = chance.randrange(60)
        end = start + chance.randrange(1, 20)
        expected = [
            entry
            for record in records.values()
            for entry in use.planned(record)
            if entry.start < end and entry.end > start
        ]
        found = plans.between(list(records.values()), start, end)
        assert found == sorted(expected, key=use.IN_ORDER)
