"""Queue order policies: in which order waiting leases are taken."""

from __future__ import annotations

from haizea.core.model.lease import LeaseRequest
from haizea.core.model.resources import FOREVER


class Submission:
    """``submission``: first come, first served; a suspended lease came when it was suspended."""

    def key(self, request: LeaseRequest, since: int) -> int:
        """Since when it waits."""
        return since


class Seniority:
    """``seniority``: by submission alone; a suspended lease goes before all that came later.

    It lets suspended leases go on sooner, and new ones wait longer, than ``submission``.
    """

    def key(self, request: LeaseRequest, since: int) -> int:
        """Return when it was submitted."""
        return request.submitted


class ShortestFirst:
    """``shortest-first``: the shortest requested duration first.

    It lowers the average wait; a long lease may wait for ever where short ones keep
    coming. A lease without end comes last; ties go by submission.
    """

    def key(self, request: LeaseRequest, since: int) -> tuple[int, int]:
        """Requested duration, then since when it waits."""
        return (FOREVER if request.duration is None else request.duration, since)
