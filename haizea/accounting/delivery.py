"""Telling probes what was decided."""

from __future__ import annotations

from collections.abc import Sequence

from haizea.accounting.errors import ResultsError
from haizea.accounting.probes.base import Probe
from haizea.core.model.events import Decision, StateChanged
from haizea.core.model.lease import Kind

Boxes = tuple[list[Decision], ...]


class Delivery:
    """Puts decisions into the boxes of the probes that want them, and hands these out.

    A probe without ``wants`` gets all decisions at once and needs no box. Whoever reads
    the decisions puts each into the boxes of its type: ``changes[kind]`` for the state
    changes of leases of a kind, :meth:`boxes` for the others.
    """

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._everything: list[Decision] = []
        self._boxes: dict[type[Decision], Boxes] = {}
        self._probes = [(probe, self._box(probe)) for probe in probes]
        self.changes = {
            kind: tuple(
                box
                for probe, box in self._probes
                if box is not self._everything
                and StateChanged in getattr(probe, "wants", ())
                and getattr(probe, "kind", kind) is kind
            )
            for kind in Kind
        }

    @property
    def impatient(self) -> bool:
        """True if a probe is to see all decisions, and so perhaps each as it comes."""
        return any(box is self._everything for _, box in self._probes)

    def boxes(self, decision_type: type[Decision]) -> Boxes:
        """Return the boxes into which decisions of this type are to be put."""
        known = self._boxes.get(decision_type)
        if known is None:
            known = self._boxes[decision_type] = tuple(
                box
                for probe, box in self._probes
                if box is not self._everything and decision_type in getattr(probe, "wants", ())
            )
        return known

    def hand_out(self, now: int, decisions: Sequence[Decision]) -> None:
        """Let the probes see what was decided at ``now``: ``decisions``, and what is in boxes.

        Raises :class:`ResultsError` for a probe that raises anything.
        """
        everything = self._everything
        for probe, box in self._probes:
            if box is everything:
                told = decisions
            elif box:
                told = box
            else:
                continue
            try:
                probe.note(now, told)
            except Exception as error:
                raise blamed(probe, now, error) from error
            box.clear()

    def _box(self, probe: Probe) -> list[Decision]:
        return [] if hasattr(probe, "wants") else self._everything


def blamed(probe: Probe, now: int, error: Exception) -> ResultsError:
    """Return an error that names the probe: one of the user's may raise anything."""
    return ResultsError(
        f"the probe {type(probe).__name__} failed at {now}: {type(error).__name__}: {error}"
    )
