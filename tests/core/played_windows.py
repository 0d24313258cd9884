"""Maintenance windows, and a judge that adds up, second by second, who is on which host."""

from __future__ import annotations

from haizea.core.model.events import Decision, MaintenanceChanged, OperationEnded, Purpose
from haizea.core.model.maintenance import Leaving, Maintenance


def window(
    start: int,
    end: int | None,
    hosts: tuple[int, ...] = (0,),
    leases: Leaving = Leaving.REFUSE,
    window_id: int = 1,
) -> Maintenance:
    return Maintenance(
        id=window_id, hosts=hosts, start=start, end=end, reason="new disks", leases=leases
    )


def check_by_the_second(decisions: list[Decision]) -> None:
    """See that no lease is on a host that is out of use, nor on one of a window that refuses."""
    held: dict[int, set[int]] = {}
    out: dict[int, set[int]] = {}
    for decision in decisions:
        if isinstance(decision, OperationEnded):
            marked = out if decision.purpose is Purpose.OUTAGE else held
            for host, _ in decision.use:
                mine = marked.setdefault(host, set())
                seconds = set(range(decision.start, decision.end))
                assert decision.purpose is not Purpose.OUTAGE or not mine & seconds
                mine |= seconds
    for host, seconds in out.items():
        assert not seconds & held.get(host, set()), f"somebody is on host {host}"
    for planned in windows_as_they_were(decisions):
        for host in planned.hosts:
            assert planned.end is not None
            assert not set(range(planned.start, planned.end)) & held.get(host, set())


def windows_as_they_were(decisions: list[Decision]) -> list[Maintenance]:
    """Windows that could be had without leases that stay, from their beginning to their end."""
    found: list[Maintenance] = []
    known: dict[int, Maintenance] = {}
    begun: dict[int, int] = {}
    for decision in decisions:
        if isinstance(decision, MaintenanceChanged):
            known_id = decision.window.id
            if decision.status == "planned":
                known[known_id] = decision.window
                begun.pop(known_id, None)
            elif decision.status == "begun":
                begun[known_id] = decision.time
            elif decision.status == "over" and known_id in begun:
                asked = known[known_id]
                if asked.leases is not Leaving.STAY:
                    found.append(
                        Maintenance(
                            id=known_id, hosts=asked.hosts, start=begun[known_id], end=decision.time
                        )
                    )
    return found
