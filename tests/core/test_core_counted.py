"""Hosts by how many leases they hold at a later moment: counted at once, and one by one."""

from __future__ import annotations

from random import Random

from haizea.core.capacity.slottable import SlotTable
from haizea.core.model.hosts import Host
from haizea.core.placement.mapper import View

HOSTS = 600


def test_on_many_hosts_leases_are_counted_as_on_each() -> None:
    random = Random(3)
    table = SlotTable([Host(i, f"host-{i + 1}", (400, 4096)) for i in range(HOSTS)], 0)
    for owner in range(400):
        start, hosts = random.randint(0, 30), random.sample(range(HOSTS), random.randint(1, 20))
        use = tuple([(host, (10, 10)) for host in sorted(hosts)])
        table.reserve(start, start + random.randint(0, 20), use, owner)
    everywhere = (1 << HOSTS) - 1
    for moment in (1, 7, 25):
        view = View(table, moment)
        groups = list(view.by_leases(everywhere))
        assert sum(groups) == everywhere
        counts = [{view.leases_on(h) for h in range(HOSTS) if g >> h & 1} for g in groups]
        assert all(len(same) == 1 for same in counts)
        found = [min(same) for same in counts]
        assert found == sorted(set(found))
        assert len(found) > 3
