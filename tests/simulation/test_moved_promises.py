"""Promises that are moved about, among images, caches, shared files, learned rates and outages.

Sites are small and full of reservations, so that they get other hosts often. None loses its start,
its room or its length by that, and the checker finds no rule broken.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

from effort import LOOKS, tries
from hypothesis import given
from hypothesis import strategies as st

from haizea.backends.simulated import Faults
from haizea.checker import check_file
from haizea.config import loads
from haizea.core.model.events import HostDrained, HostRates, HostRestored, Input
from haizea.runtime import Status, simulate

START = 1_164_459_600  # 2006-11-25 13:00:00
HOSTS = 4
LAST = 4000
CONFIG = """\
[general]
loglevel: STATUS
lease-preparation: {preparation}
[scheduling]
backfilling: aggressive
suspension: all
migration: yes
policy-preemption: ar-preempts-everything
remapping-effort: {looks}
suspendresume-exclusion: {exclusion}
shutdown-time: {shutdown}
[simulation]
starttime: 2006-11-25 13:00:00
resources: {hosts} CPU:400 Memory:4096
[deploy-imagetransfer]
{images}
[tracefile]
tracefile: {folder}/trace.yaml
[accounting]
datafile: {folder}/results
"""
IMAGES = (
    "transfer-mechanism: unicast",
    "transfer-mechanism: unicast\ndiskimage-reuse: image-caches\ndiskimage-cache-size: 2048",
    "transfer-mechanism: multicast\navoid-redundant-transfers: yes",
)
RESERVATIONS = """SELECT state, started - requested_start, ended - started - duration
    FROM leases WHERE kind = 'ar'"""
MOVES = "SELECT lease, hosts FROM planned_hosts ORDER BY rowid"


def _leases(chance: Random, *, images: bool) -> str:
    """Reservations of nodes of several sizes, with some jobs between them, as a workload."""
    lines, arrival = ["leases:"], 0
    for lease_id in range(1, 41):
        arrival += chance.choice([0, 10, 60])
        cores = chance.choice([1, 1, 2, 3, 4])
        is_job = chance.random() < 0.1
        when = "" if is_job else f"start: {arrival + chance.randint(300, 2400)}, "
        image = f", image: {{id: {chance.choice('abc')}, size: 100}}" if images else ""
        lines.append(
            f"  - {{id: {lease_id}, arrival: {arrival}, {when}"
            f"duration: {chance.randint(120, 900)}, preemptible: {'true' if is_job else 'false'},"
            f" nodes: {{count: {chance.randint(1, 2)}, CPU: {100 * cores},"
            f" Memory: {512 * cores}}}{image}}}"
        )
    return "\n".join(lines)


@st.composite
def _troubles(draw: st.DrawFn) -> Faults:
    """Hosts that turn out to be faster or slower, and some that take nothing new for a while."""
    moments, hosts = st.integers(START, START + LAST), st.integers(0, HOSTS - 1)
    rates = st.sampled_from([None, 8.0, 32.0, 150.0])
    at: list[tuple[int, Input]] = [
        (draw(moments), HostRates(draw(hosts), draw(rates), draw(rates)))
        for _ in range(draw(st.integers(0, 3)))
    ]
    for _ in range(draw(st.integers(0, 2))):
        moment, host = draw(moments), draw(hosts)
        at.append((moment, HostDrained(host)))
        at.append((moment + draw(st.integers(0, 900)), HostRestored(host)))
    return Faults(at=tuple(sorted(at, key=lambda entry: entry[0])))


def _play(folder: Path, data: st.DataObject) -> tuple[set[tuple[str, int, int]], int]:
    """Return what became of the reservations of a run without faults, and how many moves it had."""
    images = data.draw(st.sampled_from(["", *IMAGES]), "images")
    text = CONFIG.format(
        preparation="imagetransfer" if images else "unmanaged",
        exclusion=data.draw(st.sampled_from(["local", "global"]), "exclusion"),
        shutdown=data.draw(st.sampled_from([0, 20]), "shutdown"),
        looks=data.draw(st.sampled_from(LOOKS), "hosts looked at"),
        hosts=HOSTS,
        images=images,
        folder=folder,
    )
    seed = data.draw(st.integers(0, 1 << 32), "seed of the leases")
    leases = _leases(Random(seed), images=bool(images))
    (folder / "trace.yaml").write_text(leases, encoding="utf-8")
    faults = data.draw(_troubles(), "troubles")
    outcome = simulate(loads(text), faults=faults)
    assert outcome.status is Status.COMPLETE, outcome.message
    assert check_file(folder / "results").violations == ()
    gone = any(isinstance(event, HostDrained) for _, event in faults.at)
    with closing(sqlite3.connect(folder / "results")) as db:
        became = set(db.execute(RESERVATIONS).fetchall())
        moves = db.execute(MOVES).fetchall()
    told: dict[int, str] = {}
    for lease, hosts in moves:
        assert told.get(lease) != hosts, f"lease {lease} is told of the hosts that it has"
        told[lease] = hosts
    # Where hosts take nothing new, there may be no others.
    return {lease for lease in became if not gone or lease[0] != "Failed"}, len(moves)


def test_promises_keep_their_start_and_length_wherever_they_go(tmp_path: Path) -> None:
    moves: list[int] = []

    @tries(60)
    @given(data=st.data())
    def keep_their_promises(data: st.DataObject) -> None:
        became, moved = _play(tmp_path, data)
        moves.append(moved)
        assert became <= {("Done", 0, 0), ("Rejected", None, None)}

    keep_their_promises()
    assert sum(moves) > len(moves), "hardly anything was moved"
