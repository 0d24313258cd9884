"""One turn of the scheduler: all that follows from what it was told, for whoever is concerned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from haizea.core.model.events import Decision
from haizea.core.model.reasons import Reason
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.core.model.resources import Capacity

_NOBODY: Final[Mapping[int, Capacity]] = MappingProxyType({})
_NOTHING: Final[Mapping[int, int]] = MappingProxyType({})


class Turn(NamedTuple):
    """Answer of :meth:`haizea.core.scheduler.Scheduler.handle`; it does not change any more.

    ``decisions`` were made at ``now``, in this order. All else is there for those who keep or
    show leases, and empty in a simulation, where nobody does.
    """

    now: int
    decisions: list[Decision]
    #: The leases that changed, as they are now, by id.
    records: Sequence[LeaseRecord] = ()
    #: What is known of the hosts beside the leases on them; ``None`` where nobody keeps it.
    site: SiteRecord | None = None
    #: The leases that wait, in the order of the queue.
    queue: Sequence[int] = ()
    #: Use by others than leases, as last told, of each host where they use anything. It is no
    #: part of ``site``: whoever sees it tells it again after a restart.
    used_by_others: Mapping[int, Capacity] = _NOBODY
    #: For ARs that were rejected for their time, a start at which they would be accepted, by id.
    offers: Mapping[int, int] = _NOTHING
    #: When something was due before ``now`` that could not be done then; nobody was at work.
    late_since: int | None = None


class ChangeTrial(NamedTuple):
    """Outcome that a change of a lease would have: granted, where no ``reason`` is against it.

    ``offer`` is the nearest start or deadline, or the latest end of what runs, that would do.
    ``start`` and ``end`` say from when to when the lease would run, where it does not wait, and
    ``remaining`` how many seconds would be left of it.
    """

    reason: Reason | None = None
    offer: int | None = None
    start: int | None = None
    end: int | None = None
    remaining: int = 0
