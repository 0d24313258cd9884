"""Many clients at once: all are answered, and store, interface and schedule agree afterwards.

How long it takes is measured by ``python -m bench.service``.
"""

from __future__ import annotations

import threading
from pathlib import Path

from service_process import ServiceProcess, faults_of

from bench.service import ask, disagreements

OPTIONS = {
    "simulation": {"resources": "20 CPU:400 Memory:16384"},
    "general": {"loglevel": "STATUS"},
}


def test_every_request_of_many_clients_is_answered(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, OPTIONS) as service:
        service.start()
        assert service.port is not None
        load = ask(service.port, service.token, requests=300, clients=30, seed=3)
        assert load.refused == []
        assert sorted(load.leases) == list(range(1, 301))
        assert {"accepted", "queued", "rejected"} == set(load.leases.values())
        assert disagreements(service.port, service.token, load.leases) == []
        client = service.client()
        figures = client.call("GET", "/metrics")[1]
        assert "\nhaizea_turn_seconds_count " in figures
        turns = next(line for line in figures.splitlines() if line.startswith("haizea_turns_total"))
        assert int(float(turns.split()[1])) >= 2
        client.close()
        assert service.kill(15) == 0, service.log
        assert faults_of(service.save_results()) == []


def test_what_is_asked_twice_at_once_is_taken_once(tmp_path: Path) -> None:
    """Several clients with the same key; one makes the lease, the others are told of it."""
    with ServiceProcess(tmp_path, OPTIONS) as service:
        service.start()
        answers: list[tuple[int, int]] = []

        def work() -> None:
            client = service.client()
            for number in range(20):
                draft = {"duration": 60, "nodes": [{"resources": {"CPU": 100}}], "label": "same"}
                status, body = client.submit(draft, f"key-{number}")
                answers.append((status, body["lease"]["id"]))
            client.close()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(answers) == 120
        assert {status for status, _ in answers} == {200, 201}
        assert [status for status, _ in answers].count(201) == 20
        assert {lease for _, lease in answers} == set(range(1, 21))
