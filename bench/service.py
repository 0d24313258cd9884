"""Speed of a service's answers, with many leases and with many clients.

    python -m bench.service

starts a service of its own in a temporary folder: a site of 50 hosts, SQLite, the simulated
site in real time. First it is given 1,000 leases, and requests that come one by one are
timed. Then 50 clients send 5,000 requests at once. Afterwards store, HTTP interface and
schedule have to agree, and 'check-schedule' has to find nothing. Time is what a client
sees: from before a request is sent until the whole answer is there.
"""

from __future__ import annotations

import http.client
import json
import math
import random
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import click

from bench.measure import HAIZEA, run
from haizea.checker import check_file

LEASES, TIMED = 1_000, 200
REQUESTS, CLIENTS = 5_000, 50

#: One file is one service's configuration; ``{folder}`` has everything it keeps.
CONFIGURATION = """\
[general]
mode: simulated
loglevel: STATUS
persistence-file: {folder}/leases.db
[scheduling]
backfilling: aggressive
suspension: all
migration: yes
policy-preemption: ar-preempts-everything
[simulation]
clock: real
resources: {resources}
[service]
listen: 127.0.0.1:0
state-directory: {folder}/state
[world]
file: {folder}/world.db
"""

#: What may be the answer to a request: it is taken, or it is rejected.
_DECIDED = {201, 409}

#: States of waiting leases that were promised a start, and of leases that hold nothing.
_RESERVED = {"Scheduled", "Suspended-Scheduled"}
_GONE = {"Rejected", "Cancelled", "Failed"}


@dataclass
class Load:
    """Outcomes of requests: seconds that each took, and its lease's id and outcome."""

    seconds: list[float] = field(default_factory=list)
    leases: dict[int, str] = field(default_factory=dict)
    wall_seconds: float = 0.0
    #: Other answers than decisions.
    refused: list[tuple[int, Any]] = field(default_factory=list)

    def share(self, part: float) -> float:
        """Return the seconds that this part of the requests took at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)]


class Connection:
    """One client's connection to a service."""

    def __init__(self, port: int, token: str) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body of the answer."""
        content = None if body is None else json.dumps(body).encode()
        self._http.request(method, path, content, self._headers)
        answer = self._http.getresponse()
        return answer.status, json.loads(answer.read())

    def pages(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        """The entries on all pages of a list."""
        after = ""
        while True:
            _, page = self.call("GET", f"{path}{after}")
            yield from page[name]
            if page["next"] is None:
                return
            after = f"&after={page['next']}"

    def close(self) -> None:
        """Hang up."""
        self._http.close()


def random_request(chance: random.Random) -> dict[str, Any]:
    """A lease as users of a site with 50 hosts ask for them."""
    kind = chance.choices(["best-effort", "ar", "immediate"], [6, 3, 1])[0]
    draft: dict[str, Any] = {
        "kind": kind,
        "duration": 60 * chance.randint(5, 240),
        "nodes": [
            {
                "count": chance.randint(1, 8),
                "resources": {"CPU": chance.choice([100, 200, 400]), "Memory": 1024},
            }
        ],
    }
    if kind == "ar":
        start = time.time() + 60 * chance.randint(5, 2 * 24 * 60)
        draft["start"] = datetime.fromtimestamp(int(start)).astimezone().isoformat()
    return draft


def ask(
    port: int,
    token: str,
    requests: int,
    clients: int,
    seed: int,
    make: Callable[[random.Random], dict[str, Any]] = random_request,
) -> Load:
    """Have so many clients ask for leases at once; each sends its next one after an answer."""
    load = Load()
    lock = threading.Lock()
    together = threading.Barrier(clients + 1)

    def work(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        connection = Connection(port, token)
        together.wait()
        for _ in range(number, requests, clients):
            draft = make(chance)
            begun = time.perf_counter()
            status, body = connection.call("POST", "/v1/leases", draft)
            took = time.perf_counter() - begun
            with lock:
                load.seconds.append(took)
                if status in _DECIDED:
                    load.leases[body["lease"]["id"]] = body["outcome"]
                else:
                    load.refused.append((status, body))
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    together.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    load.wall_seconds = time.perf_counter() - begun
    return load


def disagreements(port: int, token: str, answered: dict[int, str]) -> list[str]:
    """Return what the service's list, queue and schedule say otherwise than its answers did."""
    connection = Connection(port, token)
    listed = {
        lease["id"]: lease for lease in connection.pages("/v1/leases?all=true&limit=500", "leases")
    }
    queue = {entry["lease"]["id"] for entry in connection.pages("/v1/queue?limit=500", "queue")}
    reserved = connection.call("GET", "/v1/schedule?limit=500")[1]["reservations"]
    status = connection.call("GET", "/v1/status")[1]
    connection.close()
    found = [
        f"lease {i} was {said} and is not there" for i, said in answered.items() if i not in listed
    ]
    for lease_id, lease in listed.items():
        said = answered.get(lease_id)
        if (said == "rejected") != (lease["state"] == "Rejected"):
            found.append(f"lease {lease_id} was {said} and is {lease['state']}")
        waits = lease["state"] in {"Queued", "Suspended-Queued"}
        if waits and lease_id not in queue:
            found.append(f"lease {lease_id} is {lease['state']} and not in the queue")
        if lease_id in queue and not waits and lease["state"] not in _RESERVED:
            found.append(f"lease {lease_id} is {lease['state']} and in the queue")
    over = [e["lease"] for e in reserved if listed[e["lease"]]["state"] in _GONE]
    found += [f"lease {lease_id} is over and in the schedule" for lease_id in over]
    if status["queue_length"] != len(queue):
        found.append(f"{status['queue_length']} leases wait, and {len(queue)} are in the queue")
    return found


@contextmanager
def service(
    folder: Path, resources: str = "50 CPU:400 Memory:16384"
) -> Iterator[tuple[int, str, subprocess.Popen[bytes]]]:
    """A service in this folder: its port, its token, its process."""
    path = folder / "service.conf"
    text = CONFIGURATION.format(folder=folder, resources=resources)
    path.write_text(text, encoding="utf-8")
    with running(folder) as started:
        yield started


@contextmanager
def running(folder: Path) -> Iterator[tuple[int, str, subprocess.Popen[bytes]]]:
    """Start the service that is configured in this folder: its port, its token, its process."""
    path, log = folder / "service.conf", folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([*HAIZEA, "--fg", "-c", path], stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"at work on \S+:(\d+)", log.read_text(encoding="utf-8"))):
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"the service does not start: {log.read_text()}")
            time.sleep(0.05)
        token = (folder / "state" / "token").read_text(encoding="ascii").strip()
        yield int(found[1]), token, process
        process.send_signal(signal.SIGTERM)
        if process.wait(30) != 0:
            raise click.ClickException(f"the service did not end well: {log.read_text()}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def faults(folder: Path) -> Sequence[Any]:
    """Return what the checker finds wrong with what the service in this folder did."""
    results = folder / "service.results"
    run([*HAIZEA, "save-results", str(folder / "service.conf"), str(results)], 300)
    return check_file(results).violations


def resident_mb(process: int) -> float:
    """The memory that a process has at present, on Linux."""
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else math.nan


@click.command()
@click.option("--leases", default=LEASES, show_default=True, help="Leases in the system first.")
@click.option("--requests", default=REQUESTS, show_default=True, help="Requests at once.")
@click.option("--clients", default=CLIENTS, show_default=True, help="Clients that send them.")
@click.option("--seed", default=1, show_default=True, help="What is asked for is drawn from it.")
def main(leases: int, requests: int, clients: int, seed: int) -> None:
    """Measure how quickly a service answers."""
    with tempfile.TemporaryDirectory(prefix="haizea-bench-") as name:
        folder = Path(name)
        with service(folder) as (port, token, process):
            filled = ask(port, token, leases, 8, seed)
            _tell(f"{leases} leases by 8 clients", filled)
            timed = ask(port, token, TIMED, 1, seed + 1)
            _tell(f"{TIMED} more, one by one", timed)
            burst = ask(port, token, requests, clients, seed + 2)
            _tell(f"{requests} by {clients} clients at once", burst)
            click.echo(f"resident memory: {resident_mb(process.pid):.0f} MB")
            answered = {**filled.leases, **timed.leases, **burst.leases}
            wrong = disagreements(port, token, answered)
        click.echo(f"store: {(folder / 'leases.db').stat().st_size / 1e6:.1f} MB")
        wrong += [str(fault) for fault in faults(folder)]
    for line in wrong[:20]:
        click.echo(line, err=True)
    if wrong:
        raise click.ClickException(f"{len(wrong)} things are wrong")
    click.echo("store, interface and schedule agree; check-schedule finds nothing")


def _tell(what: str, load: Load) -> None:
    click.echo(
        f"{what}: {load.wall_seconds:.1f} s, {len(load.seconds) / load.wall_seconds:.0f}/s;"
        f" median {1000 * median(load.seconds):.1f} ms, p99 {1000 * load.share(0.99):.0f} ms,"
        f" longest {1000 * max(load.seconds):.0f} ms; {len(load.refused)} not decided"
    )


if __name__ == "__main__":
    main()
