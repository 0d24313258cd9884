"""The protocol between the results file and a probe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from haizea.accounting.counter import Counter
from haizea.accounting.leases import LeaseRecord
from haizea.core.model.events import Decision
from haizea.core.model.hosts import Site


class Probe(Protocol):
    """Something that is told every decision of a run and makes figures of them.

    A probe is made without arguments. It only looks: nothing it does changes a schedule.

    A probe may have an attribute ``wants``, the types of decisions that it is told of; it
    is not called where there are none. If it has also ``kind``, then of state changes it
    is told only of those of leases of this kind. The list of decisions is then one that is
    used again: it must not be kept.
    """

    @property
    def counters(self) -> Iterable[Counter]:
        """Its quantities over time; there may be more of them as the run goes on."""

    def begin(self, start: int, site: Site, leases: Mapping[int, LeaseRecord]) -> None:
        """The run starts, before anything is decided.

        ``leases`` has, at each :meth:`note`, every lease that had not ended before, as it
        is after the decisions noted. It is not to be changed.
        """

    def note(self, now: int, decisions: Sequence[Decision]) -> None:
        """Take note of decisions made at ``now``; there may be several notes of one moment."""

    def figures(self, now: int) -> Mapping[str, float]:
        """Figures of the whole run, which ends ``now``."""
