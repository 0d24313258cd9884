"""Leases and requests that the scheduler cannot go on with: set aside, and all others go on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from quick_service import QuickService
from service_process import HAIZEA, Client, ServiceProcess, all_over, command, faults_of, until

#: A site's own policy, with a fault that shows only later.
FAULTY = """
from pathlib import Path

FAULT = Path(__file__).with_name("fault")


class Order:
    def key(self, request, since):
        if request.label.startswith("odd") and FAULT.exists():
            raise ZeroDivisionError(f"the place of {request.label}")
        return since
"""

LONG = {"duration": "01:00:00", "nodes": [{"resources": {"CPU": 50, "Memory": 256}}]}


class FaultySite(ServiceProcess):
    """A service whose queue-order policy fails for leases with ``odd`` labels, from a moment on."""

    def __init__(self, directory: Path) -> None:
        options = {"scheduling": {"policy-queue-order": "faultyorder.Order"}}
        super().__init__(directory, options)
        (directory / "faultyorder.py").write_text(FAULTY, encoding="utf-8")
        self.program = ("env", f"PYTHONPATH={directory}", HAIZEA)

    def break_down(self) -> None:
        """The fault shows from now on."""
        (self.directory / "fault").touch()

    def __enter__(self) -> FaultySite:
        return self


def ask(client: Client, kind: str, label: str) -> int:
    """A lease that was accepted, and runs or waits."""
    status, answer = client.submit({**LONG, "kind": kind, "label": label})
    assert status == 201, answer
    lease: int = answer["lease"]["id"]
    return lease


def story(client: Client, lease: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/leases/{lease}")
    return found


def test_a_start_goes_on_without_a_lease_that_the_scheduler_fails_with(tmp_path: Path) -> None:
    with ExitStack() as exits:
        service = exits.enter_context(FaultySite(tmp_path / "site"))
        service.start()
        client = exits.enter_context(closing(service.client()))
        runs = ask(client, "immediate", "runs")
        odd = [ask(client, "best-effort", f"odd-{n}") for n in range(2)]
        waits = [ask(client, "best-effort", f"waits-{n}") for n in range(6)]
        service.kill()
        service.break_down()
        service.start()
        until(lambda: story(client, odd[0])["state"] == "Failed", "the odd one is set aside")
        for lease in odd:
            found = story(client, lease)
            assert found["state"] == "Failed"
            assert found["code"] == "set-aside"
            assert "ZeroDivisionError: the place of odd-" in found["reason"]
            assert f"haizea show {lease}" in service.log
        assert story(client, runs)["state"] == "Active"
        assert {story(client, lease)["state"] for lease in waits} <= {
            "Active",
            "Queued",
            "Scheduled",
        }
        shown = command("show", str(odd[0]), "-s", service.url, HAIZEA_TOKEN=service.token)
        assert "it was set aside" in shown.stdout, shown.stderr
        service.kill()
        service.start()
        assert "set aside" not in service.log, "it was set aside for good"
        assert story(client, runs)["state"] == "Active"
        assert service.kill(15) == 0
        service.configure({})  # Whoever reads the store does not need the policy.
        assert faults_of(service.save_results()) == []


def test_a_request_that_the_scheduler_fails_with_is_rejected_and_all_others_go_on(
    tmp_path: Path,
) -> None:
    with ExitStack() as exits:
        service = exits.enter_context(FaultySite(tmp_path / "site"))
        service.start()
        client = exits.enter_context(closing(service.client()))
        runs = ask(client, "immediate", "runs")
        service.break_down()
        status, answer = client.submit({**LONG, "kind": "best-effort", "label": "odd"}, "a-key")
        assert status == 409, answer
        assert "it was set aside" in json.dumps(answer)
        assert not service.ended, service.log
        assert ask(client, "best-effort", "another") > runs
        status, again = client.submit({**LONG, "kind": "best-effort", "label": "odd"}, "a-key")
        assert (status, again["lease"]["id"]) == (409, answer["lease"]["id"]), again
        assert story(client, runs)["state"] == "Active"


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda document: document["plan"].update(hosts=[0, 1]), "2 hosts for 1 nodes"),
        (lambda document: document["plan"].update(at=7), "phase 8 of"),
        (lambda document: document.update(state="Elsewhere"), "is left out"),
    ],
    ids=["too many hosts", "no such phase", "no such state"],
)
def test_a_record_that_is_damaged_is_left_out(tmp_path: Path, damage: Any, why: str) -> None:
    with ExitStack() as exits:
        service = exits.enter_context(QuickService(tmp_path / "site"))
        service.start()
        client = exits.enter_context(closing(service.client()))
        status, answer = client.submit({**LONG, "kind": "immediate"}, "a-key")
        assert status == 201
        damaged, sound = answer["lease"]["id"], ask(client, "immediate", "sound")
        service.kill()
        with closing(sqlite3.connect(service.store)) as store:
            select = "SELECT document FROM leases WHERE id = ?"
            document = json.loads(store.execute(select, (damaged,)).fetchone()[0])
            damage(document)
            update = "UPDATE leases SET document = ? WHERE id = ?"
            store.execute(update, (json.dumps(document), damaged))
            store.commit()
        service.configure({"world": {"speed": "1200"}})
        service.start()
        until(lambda: why in service.log, "it says why")
        for _ in range(2):
            status, _ = client.submit({**LONG, "kind": "immediate"}, "a-key")
            assert status in {200, 409, 503}, "it is not taken twice, whatever became of it"
        assert client.call("DELETE", f"/v1/leases/{damaged}")[0] in {200, 409, 503}
        assert not service.ended, service.log
        listed = [lease["id"] for lease in client.leases()]
        assert sound in listed
        until(lambda: all_over([story(client, sound)]), "the sound one goes on to its end")


def test_hosts_that_were_taken_out_of_the_site_may_die_without_harm(tmp_path: Path) -> None:
    """The simulated site still has them."""
    mortal = {"world": {"speed": "600", "host-failures": "00:05:00", "host-repair": "60"}}
    with QuickService(tmp_path / "site", mortal) as service:
        service.start()
        assert service.kill(15) == 0
        service.configure({**mortal, "simulation": {"resources": "1 CPU:100 Memory:1024"}})
        service.start()
        with closing(service.client()) as client:

            def down() -> bool:
                (host,) = client.get("/v1/hosts")["hosts"]
                return bool(host["status"] == "down")

            for _ in range(3):
                until(down, "the one that is left dies")
                until(lambda: not down(), "and comes back")
        assert service.kill(15) == 0, service.log
