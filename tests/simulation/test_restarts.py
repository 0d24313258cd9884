"""A scheduler that is replaced, again and again, by one that goes on from its records.

What it does must keep every rule, whatever was under way at the moment of the change.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import effort
import pytest
from test_checked_runs import wrong

from haizea import runtime
from haizea.core.model.events import Input
from haizea.core.model.hosts import Site
from haizea.core.model.lifecycle import FINAL
from haizea.core.model.policy import Policies
from haizea.core.model.records import LeaseRecord
from haizea.core.model.settings import Settings
from haizea.core.model.turn import Turn
from haizea.core.placement.mapper import Mapper
from haizea.core.scheduler import Scheduler
from haizea.store.codec import read_lease, read_site, write_lease, write_site

pytestmark = pytest.mark.slow

RUNS = 150


class Restarting:
    """A scheduler of which nothing but its records lasts; every other turn is its last."""

    def __init__(
        self,
        site: Site,
        settings: Settings,
        policies: Policies,
        now: int,
        mapper: Mapper | None = None,
        *,
        whole_turns: bool = True,
    ) -> None:
        # It restarts from what turns hold, whoever else reads them.
        self._parts = site, settings, policies
        self._mapper = mapper
        self._random = random.Random(now)
        self._records: dict[int, LeaseRecord] = {}
        self._scheduler = self._make(now)

    def handle(self, now: int, inputs: Sequence[Input] = ()) -> Turn:
        turn = self._scheduler.handle(now, inputs)
        self._scheduler.check()
        self._keep(turn.records)
        if self._random.random() < 0.5:
            site = read_site(write_site(self._scheduler.site_record()))
            self._scheduler = self._make(now)
            self._scheduler.restore(self._records.values(), site)
            # What follows from the restart at once belongs to the same moment.
            after = self._scheduler.handle(now)
            self._scheduler.check()
            self._keep(after.records)
            turn = after._replace(decisions=turn.decisions + after.decisions)
        return turn

    def _make(self, now: int) -> Scheduler:
        return Scheduler(*self._parts, now, self._mapper)

    def next_wakeup(self) -> int | None:
        return self._scheduler.next_wakeup()

    def waiting(self) -> int:
        return self._scheduler.waiting()

    def _keep(self, records: Iterable[LeaseRecord]) -> None:
        for record in records:
            kept = read_lease(write_lease(record))
            assert kept == record
            if record.state in FINAL:
                self._records.pop(record.id, None)
            else:
                self._records[record.id] = kept


@pytest.mark.parametrize("deadlines", [False, True], ids=["without deadlines", "deadlines"])
@pytest.mark.parametrize("disturbed", [False, True], ids=["as planned", "with faults"])
def test_what_goes_on_from_records_breaks_no_rule(
    disturbed: bool, deadlines: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "Scheduler", Restarting)
    first = effort.SEED if effort.EFFORT else 0
    found: list[str] = []
    for seed in range(first, first + RUNS * max(effort.EFFORT, 1)):
        violations = wrong(seed, tmp_path, disturbed=disturbed, deadlines=deadlines)
        # After a restart, a lease whose hosts are being drained is planned on others, and
        # what was on its way to it ends at once.
        found += [v for v in violations if "the transfer of its image takes" not in v][:3]
        if len(found) > 20:
            break
    assert not found, "\n".join(found)
