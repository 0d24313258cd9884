"""The time that VMs take to start and to shut down: what the scheduler is told, and plans."""

from __future__ import annotations

from typing import NamedTuple


class PreparationTime(NamedTuple):
    """The VMs of a lease take so long to start, as far as is known now. It counts for ARs."""

    lease_id: int
    seconds: int


class ShutdownTime(NamedTuple):
    """The VMs of a lease take so long to shut down, and their files to be put away."""

    lease_id: int
    seconds: int


class LeavingTime(NamedTuple):
    """The VMs of a lease take so long to be off their hosts, without being saved or ended."""

    lease_id: int
    seconds: int


class PreparationPlanned(NamedTuple):
    """From now on a lease's VMs are planned to be started so many seconds before they run."""

    time: int
    lease_id: int
    seconds: int


class ShutdownPlanned(NamedTuple):
    """From now on the last so many seconds of a lease's time are for shutting its VMs down.

    Where its time is short, less of it is.
    """

    time: int
    lease_id: int
    seconds: int
