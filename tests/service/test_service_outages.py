"""Times in which hosts are out of use, as the timeline tells them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from real_service import RealService
from service_process import until

from haizea.core.model.events import HostChanged, MaintenanceChanged
from haizea.core.model.hosts import Site
from haizea.core.model.maintenance import Maintenance, MaintenanceRecord
from haizea.core.model.reasons import stated
from haizea.core.model.records import HostRecord, SiteRecord
from haizea.core.model.resources import ResourceTypes
from haizea.service.outages import Outages
from haizea.service_types import Outage

HOSTS = Site.uniform(ResourceTypes(), 4, (100, 1024)).hosts
WINDOW = Maintenance(id=7, hosts=(1, 2), start=100, end=200, reason="disks")


def changed(time: int, host: int, status: str, reason: str = "") -> HostChanged:
    return HostChanged(time, HOSTS[host], status, stated(reason))


def test_hosts_with_the_same_fate_are_one_entry() -> None:
    outages = Outages()
    outages.update([changed(10, host, "down", "power") for host in (3, 0, 1)])
    outages.update([changed(20, host, "up") for host in (1, 3)])
    assert outages.between(0, 100, []) == [
        Outage(status="down", hosts=(0,), start=10, reason=stated("power")),
        Outage(status="down", hosts=(1, 3), start=10, end=20, reason=stated("power")),
    ]
    assert [outage.hosts for outage in outages.between(20, 30, [])] == [(0,)]
    assert outages.between(0, 10, []) == []


def test_a_window_is_planned_then_under_way_then_past() -> None:
    outages, planned = Outages(), [MaintenanceRecord(window=WINDOW)]
    whole = Outage(
        status="maintenance", hosts=(1, 2), start=100, end=200, reason=stated("disks"), window_id=7
    )
    outages.update([MaintenanceChanged(5, WINDOW, "planned")])
    assert outages.between(0, 300, planned) == [whole]
    outages.update([MaintenanceChanged(101, WINDOW, "begun")])
    assert outages.between(0, 300, planned) == [replace(whole, start=101)]
    outages.update([MaintenanceChanged(150, WINDOW, "over")])
    assert outages.between(0, 300, []) == [replace(whole, start=101, end=150)]


def test_a_window_that_changes_while_it_lasts_leaves_what_it_was() -> None:
    outages = Outages()
    outages.update([MaintenanceChanged(100, WINDOW, "begun")])
    longer = replace(WINDOW, end=None)
    outages.update([MaintenanceChanged(110, longer, "planned")])
    assert [(o.start, o.end) for o in outages.between(0, 300, [])] == [(100, None)]
    outages.update([MaintenanceChanged(120, replace(longer, hosts=(3,)), "planned")])
    assert [(o.hosts, o.start, o.end) for o in outages.between(0, 300, [])] == [
        ((1, 2), 100, 120),
        ((3,), 120, None),
    ]
    put_off = replace(longer, hosts=(3,), start=250)
    outages.update([MaintenanceChanged(130, put_off, "planned")])
    found = outages.between(0, 300, [MaintenanceRecord(window=put_off)])
    assert [(o.hosts, o.start, o.end) for o in found] == [
        ((1, 2), 100, 120),
        ((3,), 120, 130),
        ((3,), 250, None),
    ]


def test_what_lasts_since_before_all_that_is_kept_is_known() -> None:
    outages = Outages()
    site = SiteRecord(
        hosts=(
            HostRecord(host=2, status="drained", reason=stated("old")),
            HostRecord(host=1, status="up"),
        ),
        maintenance=(MaintenanceRecord(window=WINDOW, begun=True),),
    )
    outages.start([changed(50, 0, "down"), changed(60, 0, "up")], site)
    assert [(o.status, o.hosts) for o in outages.between(90, 95, site.maintenance)] == [
        ("drained", (2,))
    ]
    assert len(outages.between(0, 300, site.maintenance)) == 3


def test_they_are_known_after_a_restart(tmp_path: Path) -> None:
    service = RealService(tmp_path, 1)
    service.start()
    try:
        made = service.json("maintenance", "add", "host-2", "--leases", "stay", "--reason", "why")
        until(lambda: service.manager.maintenance()[0].begun, "it has begun")
        service.json("maintenance", "end", str(made["id"]))
        service.json("maintenance", "add", "host-3", "host-4", "--from", "+2h", "--until", "+3h")
        before = service.client().get("/v1/timeline")["outages"]
        service.stop()
        service.start()
        after = service.client().get("/v1/timeline")["outages"]
    finally:
        service.stop()
    told = [(o["status"], o["hosts"], o["reason"], o["end"] - o["start"]) for o in after]
    assert told == [(o["status"], o["hosts"], o["reason"], o["end"] - o["start"]) for o in before]
    assert told[-1][:3] == ("maintenance", [2, 2], "")
    assert told[-1][3] == 3600
    # A window that was over in the second in which it began took no time.
    assert all(entry[:3] == ("maintenance", [1, 1], "why") for entry in told[:-1])
