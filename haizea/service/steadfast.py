"""A scheduler that goes on without what it cannot go on with.

A scheduler that fails is half changed and of no more use. Another one is made from what was
kept, as after a restart. If it fails as well, the leases it fails with are found by trying,
and set aside: they fail, with the reason, and all others go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from haizea.core.model.events import (
    ChangeRefused,
    Decision,
    HostUsed,
    Input,
    LeaseAccepted,
    LeaseChanged,
    LeaseSubmitted,
    MaintenanceAsked,
    MaintenanceChanged,
    OperationEnded,
    StateChanged,
)
from haizea.core.model.lease import LeaseRequest
from haizea.core.model.lifecycle import State
from haizea.core.model.maintenance import Impact, Maintenance
from haizea.core.model.reasons import Code, Reason, because, stated
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.core.model.resources import FOREVER
from haizea.core.model.turn import ChangeTrial, Turn
from haizea.core.scheduler import Scheduler
from haizea.service.offers import offer_for
from haizea.service.recovery import record_problem
from haizea.service.use import use_of
from haizea.store import Saved
from haizea.wording import in_words

#: The code of what became of a lease that was set aside.
SET_ASIDE = "set-aside"

#: So many leases, or one of twenty, are set aside in a turn; with more, records are not to blame.
_MOST_SET_ASIDE = 5

#: So long may be looked for other times in a turn, for all its rejected requests together.
_OFFER_SECONDS = 0.05

_Candidate = LeaseRecord | LeaseSubmitted


@dataclass(frozen=True, slots=True)
class _Trial:
    """A scheduler that went on with these, and what it decided."""

    went_on: Sequence[_Candidate]
    scheduler: Scheduler
    turn: Turn


class Steadfast:
    """Goes on with what ``saved`` has; to be used from one thread.

    ``make`` makes a scheduler of the site as it is known now, that begins at a moment.
    ``load`` finds what is kept later on. ``sound`` are the leases that went on, as it seems.
    """

    def __init__(
        self,
        make: Callable[[int], Scheduler],
        load: Callable[[], Saved],
        saved: Saved,
        since: int,
        logger: logging.Logger,
    ) -> None:
        self._make = make
        self._load = load
        self._logger = logger
        self._failure: Exception | None = None
        self._now = since
        self._used: dict[int, HostUsed] = {}
        self._over: list[LeaseRecord] = []
        for lease, why in saved.unreadable.items():
            logger.error("lease %d is left out until its record can be read: %s", lease, why)
        problems = {record.id: record_problem(record) for record in saved.records}
        self._left_out = [(r, problems[r.id]) for r in saved.records if problems[r.id]]
        self.sound = [record for record in saved.records if not problems[record.id]]
        self._scheduler = make(since)
        try:
            self._scheduler.restore(self.sound, saved.site)
        except Exception as error:
            self._failure = error

    # --- what the loop asks -----------------------------------------------------------

    def handle(self, now: int, inputs: Sequence[Input] = ()) -> Turn:
        """Handle inputs as the scheduler does, and propose other starts for what is rejected.

        Raises what that raised where it fails without any lease, or with too many.
        """
        self._over, self._now = [], now
        try:
            if self._failure is not None:
                raise self._failure
            turn = self._scheduler.handle(now, inputs)
        except Exception as error:
            self._failure = error
            turn = self._made_anew(now, inputs, error)
            self._failure = None
        self._used.update({i.host_id: i for i in inputs if isinstance(i, HostUsed)})
        left_out, self._left_out = self._left_out, []
        first = [d for record, why in left_out for d in self._set_aside(now, record, why)]
        return turn._replace(
            decisions=first + turn.decisions,
            records=[*self._over, *turn.records],
            offers=self._offers(turn.records),
        )

    def next_wakeup(self) -> int | None:
        """Return the scheduler's next wakeup; at once if it failed."""
        at_once = self._failure is not None or self._left_out
        return self._now if at_once else self._scheduler.next_wakeup()

    def queue(self) -> list[int]:
        """The leases that wait, in order, before the first turn."""
        return self._scheduler.queue()

    def impact(self, window: Maintenance) -> Impact:
        """Return what a maintenance window would mean; a refusal where finding out fails."""
        try:
            return self._scheduler.impact(window)
        except Exception as error:
            self._logger.exception("weighing maintenance failed, which is a bug in Haizea")
            self._failure = error
            return Impact(refusal=stated("what it would mean cannot be found out now; ask again"))

    def trial(self, lease_id: int, request: LeaseRequest, instead_of: LeaseRequest) -> ChangeTrial:
        """Return what a change of a lease would lead to; a refusal where finding out fails."""
        try:
            return self._scheduler.trial(lease_id, request, instead_of)
        except Exception as error:
            self._logger.exception("trying a change failed, which is a bug in Haizea")
            self._failure = error
            return ChangeTrial(stated("what it would lead to cannot be found out now; ask again"))

    def _offers(self, records: Sequence[LeaseRecord]) -> dict[int, int]:
        """Starts at which ARs would be accepted that were rejected now; none where it fails."""
        until, found = time.monotonic() + _OFFER_SECONDS, dict[int, int]()
        for record in records:
            try:
                offer = offer_for(self._scheduler, record, until)
            except Exception as error:
                self._logger.exception("looking for another time failed, which is a bug in Haizea")
                self._failure = error
                break
            if offer is not None:
                found[record.id] = offer
        return found

    # --- going on ---------------------------------------------------------------------

    def _made_anew(self, now: int, inputs: Sequence[Input], error: Exception) -> Turn:
        """Go on with a new scheduler and all that lets it; its turn."""
        self._logger.error(
            "the scheduler failed, which is a bug in Haizea: %s", _told(error), exc_info=error
        )
        saved = self._load()
        records = [record for record in saved.records if not record_problem(record)]
        asked = [i for i in inputs if isinstance(i, LeaseSubmitted)]
        if (
            turn := self._without_wishes(now, inputs, saved, [*records, *asked], error)
        ) is not None:
            return turn
        failed: list[tuple[_Candidate, Exception]] = []
        most = max(_MOST_SET_ASIDE, len(records) // 20)

        def attempt(part: Sequence[_Candidate]) -> _Trial | Exception:
            try:
                return self._trial(now, inputs, saved, part)
            except Exception as problem:
                return problem

        def add(trial: _Trial, part: Sequence[_Candidate]) -> _Trial:
            """Go on with as many more as possible, the first in order first."""
            found = attempt([*trial.went_on, *part])
            if isinstance(found, _Trial):
                return found
            if len(part) == 1:
                failed.append((part[0], found))
                if sum(isinstance(candidate, LeaseRecord) for candidate, _ in failed) > most:
                    self._logger.error(
                        "it fails with more than %d of %d leases, so that the fault is in the"
                        " program or in a policy: nothing was changed; put the version or the"
                        " policy back that worked",
                        most,
                        len(records),
                    )
                    raise error
                return trial
            half = len(part) // 2
            return add(add(trial, part[:half]), part[half:])

        empty = attempt(())
        if not isinstance(empty, _Trial):
            raise error
        trial = add(empty, [*sorted(records, key=_rank), *asked]) if records or asked else empty
        self._scheduler = trial.scheduler
        decisions: list[Decision] = []
        for candidate, problem in failed:
            decisions += self._set_aside(now, candidate, _told(problem))
        return trial.turn._replace(decisions=decisions + trial.turn.decisions)

    def _without_wishes(
        self,
        now: int,
        inputs: Sequence[Input],
        saved: Saved,
        everyone: Sequence[_Candidate],
        error: Exception,
    ) -> Turn | None:
        """Refuse changes and maintenance where it goes on without them; no lease pays for that."""
        text = f"Haizea could not go on with that, which is a bug in it: {_told(error)}"
        reason = because(Code.STATED, text=text)
        refused: list[Decision] = []
        rest: list[Input] = []
        for event in inputs:
            if isinstance(event, LeaseChanged):
                refused.append(ChangeRefused(now, event.lease_id, reason))
            elif isinstance(event, MaintenanceAsked):
                refused.append(MaintenanceChanged(now, event.window, "refused", reason))
            else:
                rest.append(event)
        if not refused:
            return None
        try:
            trial = self._trial(now, rest, saved, everyone)
        except Exception:
            return None
        self._scheduler = trial.scheduler
        self._logger.error("%d changes that it failed with are refused", len(refused))
        return trial.turn._replace(decisions=trial.turn.decisions + refused)

    def _trial(
        self, now: int, inputs: Sequence[Input], saved: Saved, part: Sequence[_Candidate]
    ) -> _Trial:
        records = [candidate for candidate in part if isinstance(candidate, LeaseRecord)]
        known = {record.id for record in records}
        scheduler = self._make(now if saved.now is None else saved.now)
        scheduler.restore(records, _only(saved.site, known))
        told = [i for i in inputs if not isinstance(i, LeaseSubmitted) or i in part]
        return _Trial(part, scheduler, scheduler.handle(now, [*self._used.values(), *told]))

    def _set_aside(self, now: int, candidate: _Candidate, why: str) -> list[Decision]:
        """A lease fails, or a request is rejected, because the scheduler cannot go on with it."""
        reason = because(Code.SET_ASIDE, text=why)
        if isinstance(candidate, LeaseSubmitted):
            return self._turn_away(now, candidate.request, reason)
        decisions: list[Decision] = []
        lease, plan = candidate.id, candidate.plan
        if plan is not None and plan.since is not None and not record_problem(candidate):
            use = use_of(candidate, plan)
            purpose = plan.phases[plan.at].purpose
            decisions.append(OperationEnded(lease, purpose, plan.since, now, use))
        decisions.append(StateChanged(now, lease, candidate.state, State.FAILED, reason, SET_ASIDE))
        self._end(candidate, State.FAILED, now, reason)
        return decisions

    def _turn_away(self, now: int, request: LeaseRequest, reason: Reason) -> list[Decision]:
        new = LeaseRecord(
            request=request,
            state=State.NEW,
            changed=now,
            queued_since=request.submitted,
            remaining=FOREVER if request.duration is None else request.duration,
        )
        self._end(new, State.REJECTED, now, reason)
        return [
            LeaseAccepted(now, request),
            StateChanged(now, request.id, State.NEW, State.PENDING),
            StateChanged(now, request.id, State.PENDING, State.REJECTED, reason, SET_ASIDE),
        ]

    def _end(self, record: LeaseRecord, state: State, now: int, reason: Reason) -> None:
        self._logger.error(
            "lease %d: %s. 'haizea show %d' tells its story; all other leases go on",
            record.id,
            in_words(reason),
            record.id,
        )
        self._over.append(
            replace(
                record,
                state=state,
                changed=now,
                reason=reason,
                code=SET_ASIDE,
                expected=None,
                plan=None,
            )
        )


def _rank(record: LeaseRecord) -> tuple[int, int, int]:
    """Sort key of a lease: what runs goes on first, then what is promised, then what waits."""
    plan = record.plan
    if plan is None or not plan.firm:
        return 2, record.queued_since, record.id
    started = plan.at > 0 or plan.since is not None
    return (0 if started else 1), plan.phases[0].start, record.id


def _only(site: SiteRecord, leases: Iterable[int]) -> SiteRecord:
    """Return what is known of the site as far as it concerns no other leases."""
    known = set(leases)
    transfers = [
        replace(
            transfer,
            riders=tuple(rider for rider in transfer.riders if rider[0] in known),
            relying=tuple(other for other in transfer.relying if other[0] in known),
        )
        for transfer in site.transfers
    ]
    copies = [
        replace(copy, needed_by=tuple(lease for lease in copy.needed_by if lease in known))
        for copy in site.copies
    ]
    return replace(
        site,
        copies=tuple(copies),
        transfers=tuple(t for t in transfers if t.riders),
    )


def _told(error: Exception) -> str:
    """An error in a line, as a traceback ends."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
