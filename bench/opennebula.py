"""Time that Haizea takes to decide for a large OpenNebula, and the memory that it needs.

    python -m bench.opennebula

plays an OpenNebula with 1,000 to 10,000 waiting VMs, and one host for ten of these, three times
each. One cycle is from "VMs known" to "commands decided": what was seen becomes requests, requests
become leases, leases get hosts, and commands are ready to be sent. No network, no store: CPU
seconds of Haizea alone. Then an event of one VM is handled, with the calls counted that it takes.
It writes bench/results/opennebula.json; ``python -m bench --page`` writes docs/performance.md from
it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.suite import slope
from haizea.backends.opennebula.backend import OpenNebulaBackend, Options
from haizea.backends.opennebula.state.memory import Memory
from haizea.backends.opennebula.state.seen import Look, Surroundings
from haizea.backends.opennebula.wire.answers import AnswerReader, Value
from haizea.backends.opennebula.wire.client import Client
from haizea.backends.opennebula.wire.session import Session
from haizea.core.model.events import Decision, Input, LeaseSubmitted
from haizea.core.model.hosts import Site
from haizea.core.model.lease import node_sets
from haizea.core.model.lifecycle import State
from haizea.core.model.resources import ResourceTypes
from haizea.core.model.settings import Backfilling, Settings, Suspension
from haizea.core.scheduler import Scheduler
from haizea.policies.registry import make_policies
from haizea.sandbox.clock import ManualClock
from haizea.sandbox.server import Options as SandboxOptions
from haizea.sandbox.server import Sandbox
from haizea.service_types import Decided, Submission

RESULT = Path(__file__).parent / "results" / "opennebula.json"
#: Hosts, and waiting VMs.
SIZES = ((100, 1_000), (200, 2_000), (500, 5_000), (1_000, 10_000))
RUNS = 3
#: So many events are handled; the median of their times counts.
_EVENTS = 21
_SETTINGS = Settings(suspension=Suspension.ALL, backfilling=Backfilling.AGGRESSIVE)


@dataclass(slots=True)
class Wire:
    """In place of a network: calls go straight to the sandbox, and are counted."""

    answer: Callable[[bytes], bytes]
    name: str = "the sandbox"
    calls: list[str] = field(default_factory=list)

    def exchange(self, body: bytes, *, fresh: bool) -> tuple[Value, ...]:
        """See :meth:`haizea.backends.opennebula.wire.connection.Connections.exchange`."""
        self.calls.append(body.split(b"<methodName>")[1].split(b"<")[0].decode())
        reader = AnswerReader(256 << 20)
        reader.feed(self.answer(body))
        return reader.finish()

    def close(self) -> None:
        """Nothing is open."""


class Case:
    """An OpenNebula, and the parts of Haizea that look at it and decide."""

    def __init__(self, hosts: int, vms: int) -> None:
        self.clock = ManualClock()
        self.sandbox = Sandbox(SandboxOptions(host_count=hosts, events_port=None, clock=self.clock))
        self._submit(vms)
        self.wire = Wire(self.sandbox._calls.answer)
        self.client = Client("http://localhost:2633/RPC2", Session("oneadmin:onepass"))
        self.client.connections = self.wire  # type: ignore[assignment]
        memory = Memory(read=lambda _: None, write=lambda *_: True, request=lambda _: None)
        self.asked: list[Submission] = []
        self.backend = OpenNebulaBackend(
            self.client,
            self.client,
            Options(commands=0),
            memory,
            lambda: None,
            lambda *_: None,
            lambda _: None,
            self.asked.append,
            lambda _: None,
        )
        self.now = int(self.clock.now())
        policies = make_policies()
        self.scheduler = Scheduler(Site(ResourceTypes(), ()), _SETTINGS, policies, self.now)
        self.backend._watcher.start = lambda: None  # type: ignore[method-assign]
        self._next = 1

    def _submit(self, vms: int) -> None:
        dice = random.Random(1)
        for number in range(vms):
            text = f'NAME="vm{number}"\nCPU="{dice.choice((0.5, 1, 2, 4))}"\n'
            text += f'MEMORY="{dice.choice((512, 1024, 2048, 4096))}"\n'
            kind = number % 10
            if kind < 6:
                preemptible = "yes" if kind % 2 else "no"
                text += f'HAIZEA=[ START="best_effort", DURATION="0{1 + kind}:00:00",'
                text += f' PREEMPTIBLE="{preemptible}" ]\n'
            elif kind < 8:
                text += f'HAIZEA=[ START="+0{dice.randrange(1, 9)}:00:00", DURATION="01:00:00" ]\n'
            if number % 4 == 0:
                text += f'SCHED_REQUIREMENTS="ID % 7 = {number % 7} | FREE_CPU > 100"\n'.replace(
                    "ID % 7 =", "ID >"
                )
            self.sandbox._verbs.allocate(self.sandbox.cloud.users[0], text)

    def look(self) -> Look:
        """Everything there is."""
        asked = time.monotonic()
        hosts, vms = self.client.hosts(), self.client.vms()
        around = Surroundings(
            clusters=self.client.clusters(),
            datastores=self.client.datastores(),
            groups=self.client.vm_groups(),
        )
        return Look(asked=asked, vms=vms, whole=True, hosts=hosts, surroundings=around)

    def turn(self) -> list[Decision]:
        """Do what the loop does in a turn, but for keeping it."""
        inputs: list[Input] = []
        asked = list(self.asked)
        self.asked.clear()
        for one in asked:
            number, self._next = self._next, self._next + 1
            nodes = node_sets(one.draft.nodes, ResourceTypes())
            request = one.draft.bind(number, self.now, nodes)
            inputs.append(LeaseSubmitted(request, one.allowed, one.prepare_seconds))
        inputs += self.backend.observe(self.now)
        turn = self.scheduler.handle(self.now, inputs)
        records = {r.id: r for r in turn.records}
        for one, event in zip(asked, inputs, strict=False):
            assert isinstance(event, LeaseSubmitted), "they come first"
            one.answer.set_result(Decided(record=records[event.request.id]))
        self.backend.enact(self.now, turn.decisions)
        return turn.decisions


def measure(hosts: int, vms: int) -> dict[str, Any]:
    """Figures of one OpenNebula, in CPU seconds."""
    case = Case(hosts, vms)
    begun = time.process_time()
    look = case.look()
    reading = time.process_time() - begun
    case.backend._news.append(look)
    begun = time.process_time()
    case.turn()
    while case.asked:
        case.turn()
    deciding = time.process_time() - begun
    orders = case.backend._commander._orders.qsize()
    states = [lease.state for lease in case.backend._ledger.leases.values()]
    case.wire.calls.clear()
    events = []
    for vm in look.vms[:_EVENTS]:
        begun = time.process_time()
        seen = case.client.vms_by_id([vm.id])
        case.backend._news.append(Look(asked=time.monotonic(), vms=seen))
        case.turn()
        events.append(time.process_time() - begun)
    begun = time.process_time()
    case.now += 30
    case.backend._news.append(look)
    case.turn()
    return {
        "hosts": hosts,
        "vms": vms,
        "commands": orders,
        "active": states.count(State.ACTIVE),
        "read_seconds": reading,
        "decided_seconds": deciding,
        "event_seconds": median(events),
        "slowest_event_seconds": max(events),
        "calls_an_event": len(case.wire.calls) / _EVENTS,
        "later_look_seconds": time.process_time() - begun,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main(arguments: list[str]) -> None:
    """Measure every size, each run in a process of its own, or the one that is given."""
    if arguments:
        print(json.dumps(measure(int(arguments[0]), int(arguments[1]))))
        return
    sizes, points = list[dict[str, Any]](), list[tuple[float, float]]()
    for hosts, vms in SIZES:
        command = [sys.executable, "-m", "bench.opennebula", str(hosts), str(vms)]
        runs = []
        for _ in range(RUNS):
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            runs.append(json.loads(done.stdout))
        decided = [run["decided_seconds"] for run in runs]
        events = [1000 * run["event_seconds"] for run in runs]
        print(
            f"{hosts} hosts, {vms} VMs: decided in {median(decided):.2f} s"
            f" ({min(decided):.2f} to {max(decided):.2f}), an event {median(events):.1f} ms,"
            f" at most {max(run['slowest_event_seconds'] for run in runs) * 1000:.1f} ms",
            flush=True,
        )
        sizes.append({"hosts": hosts, "vms": vms, "runs": runs})
        points.append((vms, median(decided)))
    result = {
        "exponent": slope(points),
        "sizes": sizes,
        "load_average": round(os.getloadavg()[0], 1),
    }
    print(f"exponent {result['exponent']:.2f}")
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
