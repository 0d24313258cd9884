"""The present instant: its time, what comes of it, and what the queue has to look at yet."""

from __future__ import annotations

from typing import NamedTuple

from haizea.core.model.events import Decision
from haizea.core.placement.plan import Lease


class Occasion(NamedTuple):
    """A reason to look at waiting leases.

    ``full``: any of them may fit better than when all were last looked at; else only those
    that ``arrived`` since. ``given_back`` says until when, and on how many hosts, leases that
    stopped early held capacity.
    """

    full: bool
    arrived: list[Lease]
    given_back: list[tuple[int, int]]


class Instant:
    """Written by the room ``schedule`` alone, as a consequence of what is done there."""

    __slots__ = ("arrived", "decisions", "freed", "given_back", "now", "touched")

    def __init__(self, now: int) -> None:
        self.now = now
        self.decisions: list[Decision] = []
        #: Leases that changed, by id.
        self.touched: dict[int, Lease] = {}
        #: Waiting leases are worth a look where something came free, or some arrived.
        self.freed = False
        self.arrived: list[Lease] = []
        self.given_back: list[tuple[int, int]] = []

    def say(self, decision: Decision) -> None:
        """Have everybody told."""
        self.decisions.append(decision)

    def take_occasion(self) -> Occasion:
        """Return why the queue has to be looked at; that is done with then."""
        occasion = Occasion(self.freed, self.arrived, self.given_back)
        self.freed, self.arrived, self.given_back = False, [], []
        return occasion

    def close(self) -> tuple[list[Decision], dict[int, Lease]]:
        """Return what was decided and which leases changed, and begin anew."""
        closed = self.decisions, self.touched
        self.decisions, self.touched = [], {}
        return closed
