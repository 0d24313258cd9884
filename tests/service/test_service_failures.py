"""Reactions of a service to a lease that fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from quick_service import QuickService

OFTEN = {"failures": "run:1", "speed": "60"}
WANTED = {
    "kind": "immediate",
    "duration": "00:10:00",
    "nodes": [{"resources": {"CPU": 100, "Memory": 512}}],
}


@pytest.mark.parametrize("handling", ["exit", "exit-raise"])
def test_it_ends_if_it_is_to_end(tmp_path: Path, handling: str) -> None:
    options = {"general": {"lease-failure-handling": handling}, "world": OFTEN}
    with QuickService(tmp_path / "site", options) as service:
        service.start()
        client = service.client()
        status, answer = client.submit(WANTED)
        assert status == 201, answer
        client.close()
        assert service.wait() == 1
        assert "failed (lease-failure-handling)" in service.log
