"""Maintenance of an OpenNebula's hosts: they are empty when it starts, and used after it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from opennebula_service import Site, site

from haizea.core.model.lifecycle import State

VERSIONS = ("6.10.5", "7.4.0")
LISTENS = "127.0.0.1:0"


def plan(cloud: Site, host: int, *words: str) -> dict[str, Any]:
    """Plan maintenance of a host, as an operator does."""
    name = cloud.sandbox.cloud.hosts[host].name
    cloud.until(lambda: name in cloud.haizea("hosts"))
    said = cloud.haizea("maintenance", "add", name, *words, "--yes", "--output", "json")
    made: dict[str, Any] = json.loads(said)
    assert made.get("hosts") == [name], said
    return made


def on_host(cloud: Site, number: int) -> dict[int, str]:
    """Return the VMs that are on a host now, each with its state."""
    off = ("STOPPED", "UNDEPLOYED", "PENDING", "HOLD", "DONE")
    vms = cloud.sandbox.control.vms()
    return {vm.id: vm.state for vm in vms if vm.host == number and vm.state not in off}


@pytest.mark.parametrize("version", VERSIONS)
def test_hosts_are_empty_when_it_starts_and_used_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, version=version, listen=LISTENS) as cloud:
        first = cloud.running(preemptible="yes", duration="00:05:00")
        second = cloud.running(preemptible="yes", duration="00:05:00")
        booked = cloud.booked(start="+00:05:00", duration="00:01:00")
        host = cloud.host(first)
        assert host is not None, "it runs"
        begin = datetime.fromisoformat(
            plan(cloud, host, "--from", "+2m", "--until", "+8m")["start"]
        )
        cloud.until(lambda: cloud.now() >= begin.timestamp())
        assert not on_host(cloud, host)
        assert cloud.came_to(first, "STOPPED"), "it is saved, and goes on later"
        # What is promised meanwhile has the other host, whichever it was to have.
        cloud.until_state(booked, "RUNNING", seconds=900)
        assert cloud.host(booked) != host
        assert not on_host(cloud, host)
        cloud.until(
            lambda: all(cloud.has_lease(vm, State.DONE) for vm in (first, second)), seconds=6000
        )
        assert min(cloud.came_to(first, "RUNNING")[1:]) >= begin.timestamp()
        cloud.assert_no_overload()


def test_it_holds_while_haizea_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(tmp_path, monkeypatch, hosts=1, version="7.4.0", listen=LISTENS) as cloud:
        plan(cloud, 0, "--reason", "fans")
        cloud.stop_haizea()
        vm = cloud.submit(cpu=8, start="best_effort", duration="00:01:00")
        cloud.start_haizea()
        cloud.until(lambda: cloud.has_lease(vm, State.QUEUED))
        later = cloud.now() + 60
        cloud.until(lambda: cloud.now() > later)
        assert cloud.state(vm) == "PENDING"
        assert "over" in cloud.haizea("maintenance", "end", "1")
        cloud.until(lambda: cloud.has_lease(vm, State.DONE))


def test_hosts_are_found_by_their_attributes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, monkeypatch, hosts=2, version="7.4.0", listen=LISTENS) as cloud:
        cloud.call("one.host.update", 1, 'RACK="b"', 1)

        def said(word: str) -> dict[str, Any]:
            words = ("maintenance", "add", word, "--from", "+1h", "--output", "json")
            answer: dict[str, Any] = json.loads(cloud.haizea(*words))
            return answer

        cloud.until(lambda: said('RACK="b"').get("hosts") == [cloud.sandbox.cloud.hosts[1].name])
        for word, message in (('RACK="c"', "no host"), ("RACK=", "condition")):
            assert message in said(word)["error"]["message"]
