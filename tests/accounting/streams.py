"""Hand-made decisions, as a scheduler would make them."""

from __future__ import annotations

from itertools import pairwise

from haizea.core.model.events import (
    Decision,
    Expected,
    ImageStored,
    LeaseAccepted,
    OperationEnded,
    OperationStarted,
    Purpose,
    StateChanged,
)
from haizea.core.model.hosts import Site
from haizea.core.model.lease import DiskImage, Kind, LeaseRequest, NodeSet
from haizea.core.model.lifecycle import State as S
from haizea.core.model.reasons import Code, Reason, because
from haizea.core.model.resources import ResourceTypes

T = 1_000_000
SITE = Site.uniform(ResourceTypes(), 4, (100, 1024))
NODE = (100, 512)
TOO_LARGE = because(Code.TOO_LARGE, nodes=9)
FOR_LEASE_2 = because(Code.HOSTS_GO_TO, lease=2)
Stream = list[tuple[int, list[Decision]]]


def best_effort(lease_id: int, submitted: int, nodes: int = 2, duration: int = 100) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=submitted,
        kind=Kind.BEST_EFFORT,
        nodes=(NodeSet(nodes, NODE),),
        duration=duration,
        preemptible=True,
        label=f"job {lease_id}",
        owner="ada",
    )


def reservation(lease_id: int, submitted: int, start: int, nodes: int = 4) -> LeaseRequest:
    return LeaseRequest(
        id=lease_id,
        submitted=submitted,
        kind=Kind.AR,
        nodes=(NodeSet(nodes, NODE),),
        duration=50,
        start=start,
        image=DiskImage("debian", 700),
    )


def path(
    time: int, lease_id: int, *states: S, reason: Reason | None = None, code: str = ""
) -> list[Decision]:
    """The changes through these states; the reason is that of the last."""
    changes: list[Decision] = [
        StateChanged(time, lease_id, old, new) for old, new in pairwise(states[:-1])
    ]
    return [*changes, StateChanged(time, lease_id, states[-2], states[-1], reason, code)]


def use(*hosts: int) -> tuple[tuple[int, tuple[int, int]], ...]:
    return tuple((host, NODE) for host in hosts)


def ended(lease_id: int, purpose: Purpose, start: int, end: int, *hosts: int) -> OperationEnded:
    return OperationEnded(lease_id, purpose, start, end, use(*hosts))


def suspended_for_an_ar() -> Stream:
    """Lease 1 runs from T + 20, is suspended for AR 2, resumes and is done; 3 is too big."""
    run, suspend, resume = Purpose.RUN, Purpose.SUSPEND, Purpose.RESUME
    ar = reservation(2, T + 10, T + 60)
    return [
        (
            T,
            [
                LeaseAccepted(T, best_effort(1, T)),
                *path(T, 1, S.NEW, S.PENDING, S.QUEUED),
                Expected(T, 1, T + 20, because(Code.WAITS, nodes=2)),
                LeaseAccepted(T, best_effort(3, T, nodes=9)),
                *path(
                    T,
                    3,
                    S.NEW,
                    S.PENDING,
                    S.REJECTED,
                    reason=because(Code.TOO_LARGE, nodes=9),
                    code="too-big",
                ),
            ],
        ),
        (T + 10, [LeaseAccepted(T + 10, ar), *path(T + 10, 2, S.NEW, S.PENDING, S.SCHEDULED)]),
        (
            T + 20,
            [
                *path(T + 20, 1, S.QUEUED, S.SCHEDULED, S.READY, S.ACTIVE),
                OperationStarted(T + 20, 1, run, T + 50, (0, 1)),
                ImageStored(T + 20, 2, 700),
            ],
        ),
        (
            T + 50,
            [
                ended(1, run, T + 20, T + 50, 0, 1),
                *path(
                    T + 50,
                    1,
                    S.ACTIVE,
                    S.SUSPENDING,
                    reason=because(Code.HOSTS_GO_TO, lease=2),
                    code="preempted",
                ),
                OperationStarted(T + 50, 1, suspend, T + 60, (0, 1)),
            ],
        ),
        (
            T + 60,
            [
                ended(1, suspend, T + 50, T + 60, 0, 1),
                *path(T + 60, 1, S.SUSPENDING, S.SUSPENDED_PENDING, S.SUSPENDED_QUEUED),
                *path(T + 60, 2, S.SCHEDULED, S.READY, S.ACTIVE),
                OperationStarted(T + 60, 2, run, T + 110, (0, 1, 2, 3)),
            ],
        ),
        (
            T + 110,
            [
                ended(2, run, T + 60, T + 110, 0, 1, 2, 3),
                *path(T + 110, 2, S.ACTIVE, S.DONE, code="duration-over"),
                *path(T + 110, 1, S.SUSPENDED_QUEUED, S.SUSPENDED_SCHEDULED, S.RESUMING),
                OperationStarted(T + 110, 1, resume, T + 120, (0, 1)),
            ],
        ),
        (
            T + 120,
            [
                ended(1, resume, T + 110, T + 120, 0, 1),
                *path(T + 120, 1, S.RESUMING, S.RESUMED_READY, S.ACTIVE),
                OperationStarted(T + 120, 1, run, T + 190, (0, 1)),
            ],
        ),
        (
            T + 190,
            [
                ended(1, run, T + 120, T + 190, 0, 1),
                *path(T + 190, 1, S.ACTIVE, S.DONE, code="duration-over"),
            ],
        ),
    ]
