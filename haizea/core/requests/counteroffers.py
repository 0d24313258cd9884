"""Starts at which an AR that was rejected would fit, and deadlines by which a lease would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from haizea.core.model.lease import LeaseRequest
from haizea.core.model.resources import FOREVER
from haizea.core.placement.remapping import Elsewhere
from haizea.core.requests.admission import Admission
from haizea.core.schedule.schedule import Schedule

#: So many starts on either side of the one that was asked for are tried.
_TRIES = 40


class Offers:
    """Finds the time nearest to a request's own for which it would be accepted."""

    def __init__(self, schedule: Schedule, admission: Admission) -> None:
        self._schedule = schedule
        self._admission = admission

    def nearest(
        self,
        request: LeaseRequest,
        enough: Callable[[], bool],
        prepare_seconds: int = 0,
        elsewhere: Iterator[Elsewhere] | None = None,
    ) -> int | None:
        """Return that start, or deadline; ``None`` if none is found among the nearest worth trying.

        It can still be asked for as long as the settings say, and its VMs take up to
        ``prepare_seconds`` s to start.
        Those are moments at which something comes free, and those from which it is over
        when something else starts. Each costs about what deciding on a request does;
        ``enough`` is asked after each whether to give up. Each has others go elsewhere by the
        next of ``elsewhere``, if that is given; else as far as a decision by itself may.
        """
        if request.deadline is not None:
            deadlines = self._admission.deadlines
            return deadlines.nearest(request, enough, prepare_seconds)
        asked = request.start
        assert asked is not None, "an AR has a start"
        at_start = self._schedule.planner.settings.prepares_at_start
        lead_seconds = 0 if at_start else prepare_seconds
        moments = list(self._candidates(request, asked, lead_seconds))
        last = FOREVER if request.duration is None else max(moments) + request.duration
        with self._admission.trying(request, moments, last):
            for moment in moments:
                way = None if elsewhere is None else next(elsewhere)
                moved = replace(request, start=moment)
                if self._admission.would_accept(moved, prepare_seconds, way):
                    return moment
                if enough():
                    break
        return None

    def _candidates(self, request: LeaseRequest, asked: int, lead_seconds: int) -> Iterator[int]:
        schedule = self._schedule
        settings = schedule.planner.settings
        ahead_seconds = settings.non_schedulable_seconds + settings.notice_seconds
        first = schedule.now + ahead_seconds + lead_seconds
        free_from = schedule.table.candidate_starts(first - lead_seconds)
        moments = {moment + lead_seconds for moment in free_from}
        if request.duration is not None:
            starts = schedule.table.firm_starts(first, max(asked, first) + 2 * request.duration)
            moments.update(start - request.duration for start in starts)
        moments.add(max(first, asked))
        before = sorted((m for m in moments if first <= m < asked), reverse=True)
        after = sorted(m for m in moments if m >= max(asked, first))
        yield from sorted([*before[:_TRIES], *after[:_TRIES]], key=lambda m: (abs(m - asked), m))
