"""Changes of leases on their way to the one that schedules, and the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from haizea.core.model.events import ChangeRefused, Decision, LeaseAltered
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.members import RUN
from haizea.core.model.reasons import Code, Reason, because, starting
from haizea.core.model.records import LeaseRecord, PhaseRecord
from haizea.core.model.turn import ChangeTrial
from haizea.service.offers import offer_until
from haizea.service_types import Alteration, Altered


def answer_all(
    taken: Sequence[Alteration],
    decisions: Sequence[Decision],
    lease: Callable[[int], LeaseRecord | None],
    ahead_seconds: int,
) -> None:
    """Answer the requests of a turn, in their order, by what was decided in it.

    A start can be asked for until ``ahead_seconds`` s before it.
    """
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
            found = _refused(lease(lease_id), outcome.reason, outcome.offer, ahead_seconds)
        request.answer.set_result(found)


def answer_previews(
    asked: Sequence[Alteration],
    trial: Callable[[int, LeaseRequest, LeaseRequest], ChangeTrial],
    lease: Callable[[int], LeaseRecord | None],
    ahead_seconds: int,
) -> None:
    """Answer what changes would lead to, as things are after a turn."""
    for change in asked:
        lease_id = change.request.id
        tried = trial(lease_id, change.request, change.instead_of)
        found = foreseen(change.request, tried, lease(lease_id), ahead_seconds)
        change.answer.set_result(found)


def _refused(
    record: LeaseRecord | None, reason: Reason | None, offer: int | None, ahead_seconds: int
) -> Altered:
    """The answer where nothing changes; the latest end of what runs does as long as it is ahead."""
    until = None
    if record is not None and record.state is not State.ACTIVE:
        until = offer_until(record, offer, ahead_seconds)
    return Altered(record=record, reason=reason, offer=offer, offer_until=until)


def foreseen(
    asked: LeaseRequest, trial: ChangeTrial, record: LeaseRecord | None, ahead_seconds: int
) -> Altered:
    """Return what a change would lead to, by its trial; ``record`` is of the lease as it is."""
    if trial.reason is not None or record is None:
        return _refused(record, trial.reason, trial.offer, ahead_seconds)
    plan = None
    if record.plan is not None and trial.start is not None and trial.end is not None:
        run = PhaseRecord(purpose=RUN, start=trial.start, end=trial.end)
        plan = replace(record.plan, phases=(run,), at=0, since=None)
    became = replace(record, request=asked, plan=plan, remaining=trial.remaining, expected=None)
    if record.expected is not None and trial.start is not None:
        reason = starting(record.reason, trial.start)
        became = replace(became, expected=trial.start, reason=reason)
    return Altered(record=became)
