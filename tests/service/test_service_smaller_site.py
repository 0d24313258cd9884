"""A service that is started again on fewer or smaller hosts than it had."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from quick_service import QuickService
from service_process import Client, until, written


def nodes(count: int, cpu: int = 100, memory: int = 64) -> list[dict[str, Any]]:
    return [{"count": count, "resources": {"CPU": cpu, "Memory": memory}}]


def end_and_configure(
    service: QuickService, client: Client, options: dict[str, dict[str, str]]
) -> None:
    client.close()
    assert service.kill(signal.SIGTERM) == 0
    service.configure(options)


def resources(described: str) -> dict[str, dict[str, str]]:
    return {"simulation": {"resources": described}}


def why_it_does_not_start(service: QuickService) -> str:
    service.begin()
    assert service.wait() == 2
    assert "Traceback" not in service.log
    assert "put the hosts back" in service.log
    return service.log


def test_what_fits_alone_and_not_together_is_told(tmp_path: Path) -> None:
    before = resources("1 CPU:100 Memory:1024")
    with QuickService(tmp_path, before) as service:
        service.start()
        client = service.client()
        start = time.time() + 3600
        # The third one comes when the first is over.
        for later in (0, 30, 60):
            draft = {"start": written(start + later), "duration": 60, "nodes": nodes(1, 40, 400)}
            assert client.submit(draft)[0] == 201
        end_and_configure(service, client, resources("1 CPU:100 Memory:600"))
        assert "lease 2 was promised of host-1" in why_it_does_not_start(service)
        service.configure(before)
        service.start()
        assert client.cancel(2)[0] == 200
        end_and_configure(service, client, resources("1 CPU:100 Memory:600"))
        service.start()


def test_what_is_saved_where_no_host_is_any_more_is_told(tmp_path: Path) -> None:
    with QuickService(tmp_path) as service:
        service.start()
        client = service.client()
        draft = {"duration": 6000, "nodes": nodes(4), "preemptible": True}
        assert client.submit(draft)[0] == 201
        until(lambda: client.leases()[0]["state"] == "Active", "it runs")
        draft = {"start": written(time.time() + 15), "duration": 3600, "nodes": nodes(2)}
        assert client.submit(draft)[0] == 201
        until(lambda: client.leases()[1]["state"] == "Active", "the other one runs")
        assert client.leases()[0]["state"].startswith("Suspended")
        end_and_configure(service, client, resources("3 CPU:100 Memory:1024"))
        assert "what is saved of lease 1 is on host number 4" in why_it_does_not_start(service)


def test_maintenance_of_hosts_that_are_gone_is_over(tmp_path: Path) -> None:
    with QuickService(tmp_path) as service:
        service.start()
        client = service.client()
        later = written(time.time() + 3600)
        for hosts in (["host-4"], ["host-3", "host-2"]):
            window = {"hosts": hosts, "start": later}
            assert client.call("POST", "/v1/maintenance", window)[0] == 201
        drained = {"hosts": ["host-4", "host-1"], "end": later, "leases": "stay"}
        assert client.call("POST", "/v1/maintenance", drained)[0] == 201
        end_and_configure(service, client, resources("3 CPU:100 Memory:1024"))
        service.start()
        client = service.client()
        windows = client.get("/v1/maintenance")["maintenance"]
        assert [w["hosts"] for w in windows] == [["host-2", "host-3"], ["host-1"]]
        assert client.submit({"duration": 60, "nodes": nodes(2)})[0] == 201
        client.close()
        assert "bug" not in service.log


@pytest.mark.parametrize("backfilling", ["off", "aggressive", "conservative"])
def test_who_fits_no_more_waits_and_holds_up_nobody(backfilling: str, tmp_path: Path) -> None:
    def site(cpu: int) -> dict[str, dict[str, str]]:
        return {
            "scheduling": {"backfilling": backfilling},
            **resources(f"1 CPU:{cpu} Memory:1024"),
        }

    with QuickService(tmp_path, site(200)) as service:
        service.start()
        client = service.client()
        assert client.submit({"start": "now", "duration": 3600, "nodes": nodes(1, 60)})[0] == 201
        for cpu in (150, 100):
            waits = {"duration": 36000, "nodes": nodes(1, cpu), "preemptible": False}
            assert client.submit(waits)[0] == 201
        end_and_configure(service, client, site(100))
        service.start()
        reason = "this site has room for 1 node of this size no more"
        until(lambda: reason in client.get("/v1/leases/2")["reason"], "it is told why it waits")
        assert client.cancel(1)[0] == 200
        until(lambda: client.get("/v1/leases/3")["state"] == "Active", "the one behind it runs")
        waiting = client.get("/v1/leases/2")
        assert (waiting["state"], waiting["reason_code"]) == ("Queued", "site-too-small")
        assert client.call("PATCH", "/v1/leases/2", {"nodes": nodes(1, 90)})[0] == 200
        assert client.get("/v1/leases/2")["reason_code"] != "site-too-small"
        assert (
            client.submit({"duration": 36000, "nodes": nodes(1, 150)})[1]["outcome"] != "accepted"
        )
        client.close()


def test_who_fitted_no_more_is_told_when_it_fits_again(tmp_path: Path) -> None:
    with QuickService(tmp_path) as service:
        service.start()
        client = service.client()
        blocks = {"start": "now", "duration": 3600, "nodes": nodes(1)}
        assert client.submit(blocks)[0] == 201
        assert client.submit({"duration": 3600, "nodes": nodes(4)})[0] == 201
        end_and_configure(service, client, resources("2 CPU:100 Memory:1024"))
        service.start()
        until(lambda: client.get("/v1/leases/2")["reason_code"] == "site-too-small", "it is told")
        end_and_configure(service, client, {})
        service.start()
        until(lambda: client.get("/v1/leases/2")["reason_code"] == "start-expected", "it is told")
        assert client.cancel(1)[0] == 200
        until(lambda: client.get("/v1/leases/2")["state"] == "Active", "it runs")
        client.close()
