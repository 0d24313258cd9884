"""Maintenance: hosts that are out of use from some moment on, until another, with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from haizea.core.model.reasons import Reason


class Leaving(StrEnum):
    """The fate of leases that cannot be suspended, requeued or moved before a window starts."""

    REFUSE = "refuse"
    STAY = "stay"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """A window: hosts out of use over ``[start, end)``; ``end`` is ``None`` without end.

    ``hosts`` are their indices in order. Where leases cannot leave in time, the window is
    refused, or they ``STAY`` until they are over, or they ``END``: at its start they begin
    again elsewhere, or fail.
    """

    id: int
    hosts: tuple[int, ...]
    start: int
    end: int | None = None
    reason: str = ""
    leases: Leaving = Leaving.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceRecord:
    """A window that is not over.

    ``out`` has each host that is empty and out of use, and since when.
    """

    window: Maintenance
    begun: bool = False
    out: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaver:
    """A lease that runs into a window; ``how`` it gets out of its way.

    It does not, if ``stuck``.
    """

    lease_id: int
    how: Reason
    stuck: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """The effect that a window has; ``refusal`` says why it cannot be, if it cannot."""

    leases: tuple[Leaver, ...] = ()
    refusal: Reason | None = None
