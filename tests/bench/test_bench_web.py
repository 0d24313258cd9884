"""The bench of the web interface looks at as many reservations as it says."""

from __future__ import annotations

from pathlib import Path

from real_service import RealService

from bench.web import fill


def test_a_service_is_filled_in_as_many_turns_as_it_takes(tmp_path: Path) -> None:
    service = RealService(tmp_path, 1, "200 CPU:400 Memory:16384")
    service.start()
    try:
        assert fill(service, 450) >= 450
    finally:
        service.stop()
