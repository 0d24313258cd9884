"""Changes of leases on their way to the one that schedules, and the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from haizea.api.manager import Altered
from haizea.core.model.events import ChangeRefused, Decision, LeaseAltered
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.reasons import Code, because
from haizea.core.model.records import LeaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """Somebody wants a lease to be what ``request`` asks for, in the place of ``instead_of``."""

    request: LeaseRequest
    instead_of: LeaseRequest
    owner: str
    weight: int = 1
    answer: Future[Altered] = field(default_factory=Future)


def answer_all(
    taken: Sequence[Alteration],
    decisions: Sequence[Decision],
    lease: Callable[[int], LeaseRecord | None],
) -> None:
    """Answer the requests of a turn, in their order, by what was decided in it."""
    told: dict[int, list[LeaseAltered | ChangeRefused]] = {}
    for decision in decisions:
        if isinstance(decision, LeaseAltered):
            told.setdefault(decision.request.id, []).append(decision)
        elif isinstance(decision, ChangeRefused):
            told.setdefault(decision.lease_id, []).append(decision)
    for request in taken:
        lease_id = request.request.id
        mine = told.get(lease_id)
        outcome = mine.pop(0) if mine else None
        found = Altered(record=lease(lease_id), reason=because(Code.IS_OVER))
        if isinstance(outcome, LeaseAltered):
            found = Altered(record=lease(lease_id))
        elif outcome is not None:
            found = Altered(record=lease(lease_id), reason=outcome.reason, offer=outcome.offer)
        request.answer.set_result(found)
