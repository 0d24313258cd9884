"""Maintenance on its way from many threads to the one that schedules, and the answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from haizea.api.manager import Upkept
from haizea.core.model.events import (
    Decision,
    Input,
    MaintenanceAsked,
    MaintenanceChanged,
    OperationEnded,
    OperationStarted,
)
from haizea.core.model.maintenance import Impact, Maintenance, MaintenanceRecord
from haizea.core.model.members import OUTAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An operator wants a window, or (``preview``) to know what it would mean.

    A window with the id 0 is new; another one takes the place of ``instead_of``.
    """

    window: Maintenance
    owner: str
    preview: bool = False
    instead_of: Maintenance | None = None
    weight: int = 1
    answer: Future[Upkept] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An operator ends a window; the answer is the window, ``None`` where there is none."""

    window_id: int
    owner: str
    weight: int = 1
    answer: Future[Maintenance | None] = field(default_factory=Future)


def next_window_id(known: Sequence[MaintenanceRecord], told: Sequence[Decision]) -> int:
    """Return an id that no window has or had, by those there are and what was ever decided.

    Whoever ends a window by its id must not end another one that was planned after a restart.
    """
    ids = [record.window.id for record in known]
    ids += [decision.window.id for decision in told if isinstance(decision, MaintenanceChanged)]
    return max(ids, default=0) + 1


class UpkeepDesk:
    """Windows that are asked for; for the loop's thread alone.

    ``weigh`` finds out what a window would mean; windows get ids from ``first_id`` on.
    """

    def __init__(
        self,
        weigh: Callable[[Maintenance], Impact],
        first_id: int = 1,
    ) -> None:
        self._weigh = weigh
        #: Requests of the present turn.
        self.taken: list[Wish | Ending] = []
        self._next = first_id

    def take(self, wish: Wish) -> list[Input]:
        """Take a wish, as an input; a mere question is answered at once."""
        if wish.preview:
            impact = self._weigh(wish.window)
            wish.answer.set_result(Upkept(window=wish.window, impact=impact))
            return []
        window = wish.window
        if not window.id:
            window = replace(window, id=self._next)
            self._next += 1
        self.taken.append(replace(wish, window=window))
        return [MaintenanceAsked(window, wish.instead_of)]

    def answer(self, decisions: Sequence[Decision]) -> None:
        """Answer the requests of a turn, by what was decided in it."""
        if not self.taken:
            return
        told = [d for d in decisions if isinstance(d, MaintenanceChanged)]
        over = {d.window.id: d.window for d in told if d.status == "over"}
        # One for each wish: a turn may have several of one window, and its beginning or end.
        decided: dict[int, deque[MaintenanceChanged]] = {}
        for decision in told:
            if decision.status in ("planned", "refused"):
                decided.setdefault(decision.window.id, deque()).append(decision)
        for request in self.taken:
            if isinstance(request, Ending):
                request.answer.set_result(over.get(request.window_id))
                continue
            mine = decided[request.window.id].popleft()
            impact = Impact(refusal=mine.reason if mine.status == "refused" else None)
            request.answer.set_result(Upkept(window=request.window, impact=impact))
        self.taken = []


def changes_maintenance(decision: Decision) -> bool:
    """Tell whether what is kept of windows is another after this."""
    if isinstance(decision, OperationStarted | OperationEnded):
        return decision.purpose is OUTAGE
    return isinstance(decision, MaintenanceChanged)
