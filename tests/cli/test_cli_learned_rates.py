"""Rates that were learned of hosts, as people see them."""

from __future__ import annotations

import json
import urllib.request
from contextlib import closing
from pathlib import Path

from real_service import real_service

from haizea.core.model.events import RatesChanged
from haizea.core.model.records import RatesRecord, SiteRecord
from haizea.store import KeptTurn, Store


def learned(directory: Path) -> None:
    """A store as a service left it that learned something of its second host."""
    with closing(Store.open(str(directory / "leases.db"))) as store:
        assert store.lock(wait=False, stopped=lambda: False)
        rates = RatesRecord(host=1, suspend_mb_s=12.5, resume_mb_s=None)
        decisions = [RatesChanged(1000, 1, 12.5, None)]
        store.save(KeptTurn(now=1000, decisions=decisions, site=SiteRecord(rates=(rates,))))


def test_hosts_show_what_was_learned_of_them(tmp_path: Path) -> None:
    learned(tmp_path)
    with real_service(tmp_path) as service:
        hosts = service.json("hosts")["hosts"]
        assert [host["suspend_rate"] for host in hosts] == [None, 12.5, None, None]
        assert [host["resume_rate"] for host in hosts] == [None] * 4
        table = service.run("hosts").stdout.splitlines()
        assert "SUSPENDS" in table[0]
        assert "12.5 MB/s" in next(line for line in table if "host-2" in line)
        assert sum("MB/s" in line for line in table) == 1


def test_where_nothing_was_learned_there_are_no_columns(tmp_path: Path) -> None:
    with real_service(tmp_path) as service:
        assert "SUSPENDS" not in service.run("hosts").stdout


def test_the_stream_of_events_says_it(tmp_path: Path) -> None:
    learned(tmp_path)
    with real_service(tmp_path) as service:
        asked = urllib.request.Request(
            f"{service.url}/v1/events?follow=false&after=0",
            headers={"Authorization": f"Bearer {service.secret}"},
        )
        with urllib.request.urlopen(asked) as answer:
            lines = answer.read().decode().splitlines()
    data = next(line for line in lines if line.startswith("data: "))
    event = json.loads(data.removeprefix("data: "))
    assert (event["kind"], event["hosts"]) == ("rates", ["host-2"])
    assert event["text"] == "host host-2 suspends at 12.5 MB/s, resumes at the configured rate"
