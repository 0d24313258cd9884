"""The protocol between the loop and what carries decisions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from haizea.core.model.events import Decision, Input


class Backend(Protocol):
    """Hosts and VMs, real or simulated.

    In one turn of the loop the backend is observed, the scheduler decides, and the
    decisions are enacted, all for the same moment. What an enactment leads to is seen by
    a later observation, of the same moment at the soonest.
    """

    def observe(self, now: int) -> list[Input]:
        """Return what happened up to ``now`` and was not yet reported, in the order it happened.

        Whatever goes wrong outside is an input too: nothing but a bug is raised.
        """

    def enact(self, now: int, decisions: Sequence[Decision]) -> None:
        """Carry out what the scheduler decided at ``now``, in this order.

        It does not wait for commands to be done; one that fails becomes an input.
        """

    def next_event(self) -> int | None:
        """The next moment at which there will be something to observe, where it is known.

        ``None`` when nothing is known to come. A backend that hears of events as they
        happen interrupts the clock instead.
        """
