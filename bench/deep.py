"""Time that single requests take of a service with a deep queue.

    python -m bench.deep

starts a service with 100 hosts of three sizes, lets 10,000 leases of 20 sizes wait there, and sends
more of them one by one; then requests that are as hard as the interface takes them, and many of
these by one user at once. It tells how much processor time the service needs until there is an
answer, reading the request and writing the answer included; and until somebody else has one. It
writes bench/results/deep.json; ``python -m bench --page`` writes docs/performance.md from it.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.service import Connection, ask, service
from bench.workloads import HOST_SIZES, VM_SIZES
from haizea.api.settings import MOST_NODE_SETS, MOST_NODES

RESULT = Path(__file__).parent / "results" / "deep.json"
HOSTS, WAITING, CLIENTS, TIMED = 100, 10_000, 16, 200
#: So many requests of one user at once, each of as many sets of nodes as one may have.
AT_ONCE = (12, 24, 48, 96)
_HOUR = 3600
_SMALL = {"duration": _HOUR, "nodes": [{"count": 1, "resources": {"CPU": 100, "Memory": 512}}]}

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clients:
    """Two users of one service: what the one asks for, the other has to wait for."""

    port: int
    process: int
    one: str
    other: str

    @contextmanager
    def connected(self, token: str) -> Iterator[Connection]:
        """A connection of one of them."""
        connection = Connection(self.port, token)
        yield connection
        connection.close()

    def used_ms(self) -> float:
        """Processor time that the service has used, in ms: Linux tells it of any process."""
        return 1000 * time.clock_gettime((~self.process << 3) | 2)


def of_twenty_sizes(chance: random.Random) -> Body:
    """A lease of VMs that waits, on a site that is full."""
    nodes = {"count": chance.randint(1, 16), "resources": dict(chance.choice(VM_SIZES))}
    return {"kind": "best-effort", "duration": 60 * chance.randint(60, 1440), "nodes": [nodes]}


def hard_requests() -> dict[str, Body]:
    """Requests that are as large as they may be, and those that find no room."""
    chance = random.Random(1)

    def sets(count: int) -> list[Body]:
        """Sets of nodes, no two of which are equal."""
        sizes = [{"CPU": 100 + i, "Memory": 512 + chance.randrange(512)} for i in range(count)]
        return [{"count": MOST_NODES // MOST_NODE_SETS, "resources": size} for size in sizes]

    whole = [{"count": HOSTS, "resources": {"CPU": 1600, "Memory": 32_768}}]
    many = [{"count": MOST_NODES, "resources": {"CPU": 10, "Memory": 16}}]
    too_many = [{"count": 2 * HOSTS, "resources": {"CPU": 3200, "Memory": 32_768}}]
    later, day = "+6h", 24 * _HOUR
    return {
        "waits, 100 sets of nodes": {"duration": day, "nodes": sets(MOST_NODE_SETS)},
        "waits, 2,000 nodes": {"duration": day, "nodes": many},
        "AR, 100 sets of nodes": {"duration": day, "nodes": sets(MOST_NODE_SETS), "start": later},
        "AR, 2,000 nodes": {"duration": day, "nodes": many, "start": later},
        "AR, all hosts": {"duration": day, "nodes": whole, "start": later},
        "AR, more than all hosts": {"duration": day, "nodes": too_many, "start": later},
        "now or not at all, 100 sets": {
            "kind": "immediate",
            "duration": day,
            "nodes": sets(MOST_NODE_SETS),
        },
        "now or not at all, all hosts": {"kind": "immediate", "duration": day, "nodes": whole},
        "deadline, 100 sets": {
            "duration": day,
            "nodes": sets(MOST_NODE_SETS),
            "deadline": "+720h",
        },
        "deadline, all hosts": {"duration": day, "nodes": whole, "deadline": "+720h"},
        "refused, 900 sets of nodes": {"duration": day, "nodes": sets(900)},
    }


def submissions(clients: Clients) -> list[float]:
    """Processor time of leases that wait like the others, one by one, in ms."""
    chance, found = random.Random(2), list[float]()
    with clients.connected(clients.one) as connection:
        for _ in range(TIMED):
            before = clients.used_ms()
            status, body = connection.call("POST", "/v1/leases", of_twenty_sizes(chance))
            found.append(clients.used_ms() - before)
            assert status == 201, body
    return found


def alone(clients: Clients, body: Body) -> tuple[str, float]:
    """Return the answer to one request, and the time until there it is and the next one's, too.

    What it got is given back.
    """
    with clients.connected(clients.one) as one, clients.connected(clients.other) as other:
        before = clients.used_ms()
        status, answer = one.call("POST", "/v1/leases", body)
        small(other)
        used_ms = clients.used_ms() - before
        if "lease" in answer:
            one.call("DELETE", f"/v1/leases/{answer['lease']['id']}")
    return answer.get("outcome") or str(status), used_ms


def small(connection: Connection) -> None:
    """Ask for a lease of one node."""
    status, answer = connection.call("POST", "/v1/leases", _SMALL)
    assert status == 201, answer


def beside(clients: Clients, count: int) -> tuple[float, float]:
    """Return until when somebody else has an answer beside so many: ms of the processor, and all.

    The requests are of the most sets of nodes, sent by one user at once.
    """
    body = hard_requests()["waits, 100 sets of nodes"]
    ready = threading.Barrier(count + 1)

    def send(_: int) -> int:
        with clients.connected(clients.one) as connection:
            ready.wait()
            return connection.call("POST", "/v1/leases", body)[0]

    with clients.connected(clients.other) as other, ThreadPoolExecutor(count) as pool:
        sent = [pool.submit(send, number) for number in range(count)]
        ready.wait()
        time.sleep(0.05)
        before, begun = clients.used_ms(), time.perf_counter()
        small(other)
        found = clients.used_ms() - before, 1000 * (time.perf_counter() - begun)
        statuses = {one.result() for one in sent}
    assert statuses <= {201, 409}, statuses
    return found


def _clients(port: int, token: str, process: int) -> tuple[Clients, int]:
    """Return two users, and how many leases wait by now."""
    admin = Connection(port, token)
    tokens = []
    for name in ("one", "other"):
        form = {"name": name, "owner": name, "role": "user"}
        tokens.append(admin.call("POST", "/v1/tokens", form)[1]["secret"])
    length = admin.call("GET", "/v1/status")[1]["queue_length"]
    admin.close()
    return Clients(port, process, *tokens), length


def measure(folder: Path, waiting: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All figures, in ms."""
    groups = [
        f"{round(share * HOSTS)} " + " ".join(f"{name}:{n}" for name, n in amounts.items())
        for share, amounts in HOST_SIZES
    ]
    with service(folder, "; ".join(groups)) as (port, token, process):
        load = ask(port, token, waiting, CLIENTS, 1, of_twenty_sizes)
        assert not load.refused, load.refused[:3]
        clients, length = _clients(port, token, process.pid)
        say(f"{length} leases wait")
        used = submissions(clients)
        say(f"one more: {median(used):.1f} ms, at most {max(used):.1f} ms")
        hard = []
        for name, body in hard_requests().items():
            runs = [alone(clients, body) for _ in range(3)]
            times = [ms for _, ms in runs]
            hard.append({"name": name, "outcome": runs[-1][0], "runs_ms": times})
            say(f"{name}: {runs[-1][0]}, {median(times):.0f} ms, at most {max(times):.0f} ms")
        many = []
        for count in AT_ONCE:
            answers = [beside(clients, count) for _ in range(3)]
            found = {"count": count, "runs_ms": [ms for ms, _ in answers]}
            many.append({**found, "runs_wall_ms": [ms for _, ms in answers]})
            say(f"beside {count} at once: {answers}")
    return {
        "hosts": HOSTS,
        "waiting": length,
        "sizes": len(VM_SIZES),
        "submissions_ms": used,
        "hard": hard,
        "many": many,
        "load_average": round(os.getloadavg()[0], 1),
    }


def main(arguments: list[str]) -> None:
    """Measure beside a queue of 10,000, or as many as are named, and write what was found."""
    waiting = int(arguments[0]) if arguments else WAITING
    with tempfile.TemporaryDirectory(prefix="haizea-bench-") as name:
        found = measure(Path(name), waiting, lambda line: print(line, flush=True))
    if not arguments:
        RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
