"""A scheduler beside the service's own: it goes on from the same records, and nobody follows it."""

from __future__ import annotations

from collections.abc import Sequence

from haizea.core.model.events import HostUsed
from haizea.core.model.policy import Policies
from haizea.core.model.records import LeaseRecord, SiteRecord
from haizea.core.model.settings import Settings
from haizea.core.model.turn import Turn
from haizea.core.scheduler import Scheduler
from haizea.core.snapshot import rates_records
from haizea.service.board import Board


def shadow(
    board: Board,
    settings: Settings,
    policies: Policies,
    now: int,
    waiting: Sequence[LeaseRecord],
) -> tuple[Scheduler, Turn]:
    """A scheduler with all that is firm, and who waits, and its turn ``now``."""
    others = [r for r in board.leases() if r.plan is not None and r.plan.firm]
    used = [HostUsed(host, amount) for host, amount in board.others.items()]
    since = min([now, *(_latest_possible(record) for record in others)])
    scheduler = Scheduler(board.site, settings, policies, since)
    hosts = tuple(status for status in map(board.status, board.site.hosts) if status.status != "up")
    known = SiteRecord(
        hosts=hosts, rates=rates_records(board.all_rates()), maintenance=board.maintenance
    )
    scheduler.restore([*others, *waiting], known)
    return scheduler, scheduler.handle(now, used)


def _latest_possible(record: LeaseRecord) -> int:
    """A moment by which nothing of the lease's plan was due."""
    assert record.plan is not None, "it holds hosts"
    phase = record.plan.phases[record.plan.at]
    return phase.start if record.plan.since is None else phase.end
