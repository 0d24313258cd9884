"""Meanings of decisions for the VMs of leases."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from haizea.backends.opennebula.state.steps import Goal
from haizea.core.model.events import (
    Decision,
    OperationEnded,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.lifecycle import State

#: Where VMs are to come by what is begun for their lease.
GOALS = {
    Purpose.PREPARE: Goal.RUNNING,
    Purpose.RUN: Goal.RUNNING,
    Purpose.RESUME: Goal.RUNNING,
    Purpose.SUSPEND: Goal.SAVED,
    Purpose.MIGRATE: Goal.SAVED,
    Purpose.SHUTDOWN: Goal.ENDED,
}
#: In these the VMs of a lease are on hosts, or may be.
ON_HOSTS = frozenset(
    [State.PREPARING, State.ACTIVE, State.SUSPENDING, State.RESUMING, State.RESUMED_READY]
)


def gives_hosts_up(decision: Decision, runs: Collection[int]) -> bool:
    """Tell whether a lease loses the hosts on which its VMs are, or are being started.

    ``runs`` are the leases that begin to run by the same decisions.
    """
    if isinstance(decision, StateChanged):
        return decision.old is State.ACTIVE and decision.new is State.QUEUED
    if isinstance(decision, OperationEnded):
        return decision.purpose is Purpose.PREPARE and decision.lease_id not in runs
    return False


def running(decisions: Iterable[Decision]) -> set[int]:
    """Return the leases that begin to run, or go on elsewhere."""
    return {
        decision.lease_id
        for decision in decisions
        if isinstance(decision, OperationStarted) and decision.purpose is Purpose.RUN
    }
