"""Plain leases and turns, to tell stories with, and what managers and clients do with a store."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from haizea.core.model.events import (
    Decision,
    Expected,
    LeaseAccepted,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lease import Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import LeaseRecord, PhaseRecord, PlanRecord
from haizea.store import KeptTurn, RequestKey, Store, StoreUnavailable


def record(lease_id: int, state: State = State.SCHEDULED, **changes: Any) -> LeaseRecord:
    """A best-effort lease on hosts 0 and 1; ``changes`` are of its request or of it."""
    names = {field.name for field in dataclasses.fields(LeaseRequest)}
    asked = {name: changes.pop(name) for name in list(changes) if name in names}
    request = LeaseRequest(
        **{
            "id": lease_id,
            "submitted": 1000 + lease_id,
            "kind": Kind.BEST_EFFORT,
            "nodes": (NodeSet(2, (100, 1024)),),
            "duration": 3600,
            "owner": "ann",
            "label": f"job {lease_id}",
            **asked,
        }
    )
    phases = (
        PhaseRecord(purpose=Purpose.RUN, start=2000, end=5600),
        PhaseRecord(purpose=Purpose.SHUTDOWN, start=5600, end=5610),
    )
    values: dict[str, Any] = {
        "request": request,
        "state": state,
        "changed": 1000 + lease_id,
        "queued_since": request.submitted,
        "remaining": 3600,
        "plan": PlanRecord(hosts=(0, 1), phases=phases),
    }
    return LeaseRecord(**(values | changes))


def submission(*lease_ids: int, now: int = 1000, **changes: Any) -> KeptTurn:
    """A turn in which these leases were asked for and scheduled, each with a key of its own."""
    records = [record(lease_id, **changes) for lease_id in lease_ids]
    decisions: list[Decision] = []
    for each in records:
        decisions += [
            LeaseAccepted(now, each.request),
            StateChanged(now, each.id, State.NEW, State.PENDING),
            StateChanged(now, each.id, State.PENDING, State.SCHEDULED),
            Expected(now, each.id, 2000, because(Code.WAITS, nodes=1)),
            OperationStarted(now, each.id, Purpose.RUN, 5600, (0, 1)),
        ]
    keys = [RequestKey(each.request.owner, f"key {each.id}", each.id) for each in records]
    return KeptTurn(now=now, decisions=decisions, records=records, keys=keys)


def ending(*lease_ids: int, now: int) -> KeptTurn:
    """A turn in which these leases end."""
    return KeptTurn(
        now=now,
        decisions=[StateChanged(now, i, State.ACTIVE, State.DONE) for i in lease_ids],
        records=[record(i, State.DONE, changed=now, plan=None) for i in lease_ids],
    )


def save_in_the_end(store: Store, turn: KeptTurn) -> int:
    """Save as a manager does: what is unavailable now is tried again."""
    for _ in range(600):
        try:
            return store.save(turn)
        except StoreUnavailable:
            time.sleep(0.05)
    raise AssertionError("it stays unavailable")


def pages(ask: Callable[[int], Sequence[Any]]) -> list[Any]:
    """Everything that ``ask(after)`` tells, page by page."""
    found: list[Any] = []
    while page := ask(found[-1].id if found else 0):
        found += page
    return found


def opened(url: str) -> Store:
    """The store, locked for this test."""
    store = Store.open(url)
    assert store.lock(wait=False), "nobody else has it"
    return store
