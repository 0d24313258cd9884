"""Queue order policies: in which order waiting leases are taken."""

from __future__ import annotations

from haizea.core.lease import LeaseRequest
from haizea.core.resources import FOREVER


class Submission:
    """``submission``: first come, first served."""

    def key(self, request: LeaseRequest) -> tuple[int, int]:
        """When it was submitted."""
        return (request.submitted, request.id)


class ShortestFirst:
    """``shortest-first``: the shortest requested duration first.

    It lowers the average wait; a long lease may wait for ever where short ones keep
    coming. A lease without end comes last; ties go by submission.
    """

    def key(self, request: LeaseRequest) -> tuple[int, int, int]:
        """Requested duration, then when it was submitted."""
        duration = FOREVER if request.duration is None else request.duration
        return (duration, request.submitted, request.id)
