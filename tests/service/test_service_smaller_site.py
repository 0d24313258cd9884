"""A service that is started again on fewer or smaller hosts than it had."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from quick_service import QuickService
from service_process import Client, written


def end_and_shrink(service: QuickService, client: Client, resources: str) -> None:
    client.close()
    assert service.kill(signal.SIGTERM) == 0
    service.configure({"simulation": {"resources": resources}})


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
        end_and_shrink(service, client, "3 CPU:100 Memory:1024")
        service.start()
        client = service.client()
        windows = client.get("/v1/maintenance")["maintenance"]
        assert [w["hosts"] for w in windows] == [["host-2", "host-3"], ["host-1"]]
        assert (
            client.submit(
                {"duration": 60, "nodes": [{"count": 2, "resources": {"CPU": 100, "Memory": 64}}]}
            )[0]
            == 201
        )
        client.close()
        assert "bug" not in service.log
