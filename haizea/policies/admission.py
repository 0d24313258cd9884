"""Admission policies: which requests are looked at at all."""

from __future__ import annotations

from haizea.core.model.lease import Kind, LeaseRequest


class AcceptAll:
    """``accept-all``: every request is looked at."""

    def refusal(self, request: LeaseRequest) -> str | None:
        """Nothing is refused."""
        return None


class NoAdvanceReservations:
    """``no-ARs``: a site without advance reservations."""

    def refusal(self, request: LeaseRequest) -> str | None:
        """ARs are refused, other leases are not."""
        if request.kind is Kind.AR:
            return "this site takes no advance reservations (policy-admission: no-ARs)"
        return None
